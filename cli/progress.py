"""A progress bar on standard error, for commands that take more than a moment."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich import progress as bars
from rich.console import Console

Progress = Callable[[str, float], None]  # (current step, share done from 0 to 1)


@contextmanager
def progress_bar() -> Iterator[Progress]:
    """Shows a bar while the block runs; yields the function that updates it."""
    columns = (
        bars.TextColumn("{task.description:<40}"),
        bars.BarColumn(),
        bars.TextColumn("{task.percentage:>3.0f}%"),
        bars.TimeElapsedColumn(),
    )
    with bars.Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("starting", total=1.0)

        def report(step: str, done: float) -> None:
            bar.update(task, description=step, completed=done)

        yield report
