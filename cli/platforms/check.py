"""The conformance suite of a platform: every check in order, against a configured adapter and a test venue."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import structlog

from cli.adapters import build_one_platform
from cli.platforms.admin import ADMIN
from cli.platforms.decoding import DECODING
from cli.platforms.feed import FEED
from cli.platforms.holding import HOLDING
from cli.platforms.parts import PARTS
from cli.platforms.world import Check, Failed, Outcome, Result, Skipped, Terms, Trade, World
from domain.errors import PropOSError
from settings import Settings, load

_LONGEST = 10  # times the patience: one check waits for several things


@dataclass(frozen=True)
class Report:
    platform: str
    results: tuple[Result, ...]

    @property
    def ok(self) -> bool:
        """Whether nothing failed, and something was checked."""
        return not self.of("fail") and bool(self.of("pass"))

    def of(self, outcome: Outcome) -> list[Result]:
        return [each for each in self.results if each.outcome == outcome]


def settings_with(name: str) -> Settings | None:
    """Returns the settings of this process if they configure platform `name`."""
    settings = load()
    return settings if name in settings.platforms else None


async def check_platform(
    settings: Settings, name: str, terms: Terms | None = None, trade: Trade | None = None
) -> Report:
    """Runs every check against platform `name` of the firm's settings. It opens accounts, moves money, and locks: use a
    test venue. `trade` opens a position on a login, if the caller can. Raises BadInput when the platform cannot be
    built."""
    one = build_one_platform(settings, name)
    world = World(one, terms or Terms(), trade)
    try:
        with _quiet():
            results = [await result_of(check, world) for check in (*ADMIN, *PARTS, *HOLDING, *FEED, *DECODING)]
    finally:
        if world.session is not None:
            await world.session.close()
        for close in world.closing:
            close()
        await one.aclose()
    return Report(name, tuple(results))


async def result_of(check: Check, world: World) -> Result:
    """Runs one check."""
    try:
        async with asyncio.timeout(_LONGEST * world.terms.patience):
            await check.run(world)
    except TimeoutError:
        sentence = f"The check did not end within {_LONGEST * world.terms.patience:g} seconds."
        return Result(check.name, "fail", sentence, "Give every call to the venue a time limit of its own.")
    except Skipped as exc:
        return Result(check.name, "skipped", str(exc))
    except Failed as exc:
        return Result(check.name, "fail", exc.sentence, exc.remedy)
    except PropOSError as exc:
        return Result(check.name, "fail", f"{type(exc).__name__}: {exc.message}", exc.remedy or check.promise)
    except Exception as exc:  # noqa: BLE001 -- whatever an adapter raises is a result, and the next check runs
        said = f"The adapter raises {type(exc).__name__}: {str(exc)[:300]}"
        return Result(check.name, "fail", said, "Raise one of the errors that ports/platform.py names.")
    return Result(check.name, "pass", check.promise)


@contextmanager
def _quiet() -> Iterator[None]:
    """The warnings of the reader are in the results; they do not go between them."""
    before = structlog.get_config()
    structlog.configure(logger_factory=structlog.ReturnLoggerFactory(), cache_logger_on_first_use=False)
    try:
        yield
    finally:
        structlog.configure(**before)
