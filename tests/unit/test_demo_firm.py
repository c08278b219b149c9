"""What `propos up --demo` says when the history of its firm does not come to its end."""

import io
from dataclasses import dataclass

import pytest
from rich.console import Console

from cli import up
from cli.progress import Progress, Stages, words_left
from domain.errors import PropOSError, Unavailable


@dataclass
class Firm:
    """A demo firm whose history fails, or was begun by an earlier start that was stopped."""

    fails: PropOSError | None = None
    begun: bool = False
    cut_short: bool = True

    async def is_begun(self) -> bool:
        return self.begun

    def is_cut_short(self) -> bool:
        return self.cut_short

    async def filled(self, report: Progress) -> str:
        if self.fails is not None:
            raise self.fails
        return "mara@example.org"


async def _said(firm: Firm) -> str:
    console = Console(file=io.StringIO(), width=200)
    await up._fill(firm, console)  # type: ignore[arg-type]
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


async def test_the_firm_goes_on_when_its_history_fails() -> None:
    said = await _said(Firm(fails=Unavailable("The sandbox does not answer.")))
    assert "The history stopped: The sandbox does not answer." in said
    assert "start with a new --data" in said
    assert "complete. Sign in" not in said


async def test_a_history_that_was_cut_short_is_never_called_complete() -> None:
    said = await _said(Firm(begun=True))
    assert "Its history is not complete." in said
    assert "Sign in as a trader" not in said
    assert "Sign in as a trader: mara@example.org" in await _said(Firm(begun=True, cut_short=False))


@pytest.mark.parametrize(
    ("elapsed", "done", "words"),
    [
        (10, 0.01, ""),
        (10, 0.1, "about 2 min left"),
        (10, 0.05, "about 3 min left"),
        (60, 0.9, "about 5 s left"),
        (9, 1, ""),
    ],
)
def test_an_estimate_is_given_once_it_is_no_guess(elapsed: float, done: float, words: str) -> None:
    assert words_left(elapsed, done) == words


def test_stages_are_one_bar_that_never_goes_back() -> None:
    seen: list[tuple[str, float]] = []
    stages = Stages(lambda step, done: seen.append((step, round(done, 3))), {"one": 1, "two": 3})
    for step, done in (("one", 0.5), ("one", 1.0), ("two", 0.5), ("two", 0.1), ("two", 1.0)):
        stages(step, done)
    assert seen == [("one", 0.125), ("one", 0.25), ("two", 0.625), ("two", 0.625), ("two", 1.0)]
