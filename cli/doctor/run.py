"""Runs the checks of `propos doctor`."""

from dataclasses import dataclass
from typing import Literal

from cli.doctor.checks import CHECKS, Context, Examination, Skipped
from cli.doctor.record import START_REMEDY
from cli.stack.lock import holder
from domain.errors import PropOSError
from settings import Settings

Status = Literal["ok", "wrong", "skipped"]


@dataclass(frozen=True)
class Check:
    """The result of one check. `remedy` is empty if there is nothing to do."""

    name: str
    status: Status
    detail: str
    remedy: str = ""


async def run_checks(settings: Settings) -> list[Check]:
    """Runs all checks in dependency order; skips those whose part depends on one that is down."""
    context = Context(settings, running=holder(settings.data_dir) is not None)
    return [await _check(context, *row) for row in CHECKS]


async def _check(context: Context, name: str, needs: str | None, examination: Examination) -> Check:
    if needs in context.down:
        context.down.add(name)
        return Check(name, "skipped", f"needs {needs}")
    try:
        return Check(name, "ok", await examination(context))
    except Skipped as reason:
        return Check(name, "skipped", str(reason))
    except PropOSError as error:
        context.down.add(name)
        return Check(name, "wrong", error.message, error.remedy or START_REMEDY)
