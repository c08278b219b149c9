"""`propos doctor`: runs the checks and reports what is wrong and how to fix it."""

import asyncio
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from cli.doctor.checks import CHECKS, START_REMEDY, Context, Examination, Skipped
from cli.stack.lock import holder
from domain.errors import PropOSError
from settings import Settings, load

Status = Literal["ok", "wrong", "skipped"]


@dataclass(frozen=True)
class Check:
    """The result of one check. `remedy` is empty if there is nothing to do."""

    name: str
    status: Status
    detail: str
    remedy: str = ""


def examine(data_dir: Path | None, *, as_json: bool) -> bool:
    """Runs every check and prints the results; returns whether none found anything wrong."""
    checks = asyncio.run(run_checks(load(data_dir=data_dir)))
    healthy = all(check.status != "wrong" for check in checks)
    if as_json:
        sys.stdout.write(json.dumps({"healthy": healthy, "checks": [asdict(check) for check in checks]}) + "\n")
    else:
        Console().print(_table(checks))
    return healthy


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


def _table(checks: Sequence[Check]) -> Table:
    colours = {"ok": "green", "wrong": "red", "skipped": "yellow"}
    table = Table(title="propos doctor")
    for column in ("Part", "Status", "Found", "What to do"):
        table.add_column(column, overflow="fold")
    for check in checks:
        status = f"[{colours[check.status]}]{check.status}[/]"
        table.add_row(check.name, status, escape(check.detail), escape(check.remedy))
    return table
