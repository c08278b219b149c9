"""The progress of a command that takes more than a moment, on standard error.

A terminal shows a bar that moves. Anything else, such as a log, gets a line now and then.
"""

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from itertools import accumulate
from typing import Final

from rich import progress as bars
from rich.console import Console
from rich.text import Text

Progress = Callable[[str, float], None]  # (current step, share done from 0 to 1)

_LINE_SECONDS: Final = 10.0  # between two lines of the same step
_ESTIMATED_FROM: Final = 0.05  # share done; before it, an estimate would be a guess
_MINUTES_FROM: Final = 90  # seconds
_TO_SECONDS: Final = 5  # an estimate in seconds is rounded to this many


class Stages:
    """Reports work of several steps as one. `shares` maps each step, in order, to its usual share of the time.

    What it reports never goes back.
    """

    def __init__(self, report: Progress, shares: Mapping[str, float]) -> None:
        self._report = report
        self._shares = shares
        ends = accumulate(shares.values())
        self._begins = {step: end - share for (step, share), end in zip(shares.items(), ends, strict=True)}
        self._reached = 0.0

    def __call__(self, step: str, done: float) -> None:
        """Reports a step of `shares` that is done to `done`, from 0 to 1."""
        overall = (self._begins[step] + done * self._shares[step]) / sum(self._shares.values())
        self._reached = max(self._reached, overall)
        self._report(step, self._reached)


@contextmanager
def progress_bar() -> Iterator[Progress]:
    """Shows progress while the block runs; yields the function that updates it."""
    console = Console(stderr=True)
    if not console.is_terminal:
        yield _Lines(console)
        return
    columns = (
        bars.TextColumn("{task.description:<40}"),
        bars.BarColumn(),
        bars.TextColumn("{task.percentage:>3.0f}%"),
        bars.TimeElapsedColumn(),
        _Left(),
    )
    with bars.Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task("starting", total=1.0)

        def report(step: str, done: float) -> None:
            bar.update(task, description=step, completed=done)

        yield report


def words_left(elapsed: float, done: float) -> str:
    """Returns how long the rest takes if it goes on as before, in words; empty as long as that is a guess."""
    if not _ESTIMATED_FROM <= done < 1:
        return ""
    seconds = elapsed * (1 - done) / done
    return (
        f"about {seconds / 60:.0f} min left" if seconds >= 90 else f"about {max(5, round(seconds / 5) * 5):.0f} s left"
    )


class _Left(bars.ProgressColumn):
    def render(self, task: bars.Task) -> Text:
        return Text(words_left(task.elapsed or 0.0, task.completed))


class _Lines:
    """Prints a line for each new step, and every ten seconds within one."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._began = time.monotonic()
        self._printed: tuple[str, float] = ("", 0.0)

    def __call__(self, step: str, done: float) -> None:
        now = time.monotonic()
        last, at = self._printed
        if step == last and now - at < _LINE_SECONDS:
            return
        self._printed = step, now
        left = words_left(now - self._began, done)
        self._console.print(f"{done:4.0%}  {step}{f', {left}' if left else ''}", highlight=False, soft_wrap=True)
