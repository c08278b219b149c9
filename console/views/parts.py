"""Parts that several pages show: timeline entries, links, lines of arithmetic, plain tables."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from domain.money import Money


@dataclass(frozen=True)
class Entry:
    """One line of a timeline. `href`: the page of what happened, named `link`; `proof`: that of its proof sheet."""

    at: datetime
    kind: str
    text: str
    amount: Money | None = None
    href: str | None = None
    link: str = ""
    tone: str = "mute"
    proof: str | None = None


@dataclass(frozen=True)
class Link:
    """A linked thing in a side panel."""

    label: str
    href: str
    state: str
    note: str = ""


@dataclass(frozen=True)
class SumLine:
    """One line of arithmetic; `total` lines are drawn under a rule."""

    label: str
    amount: Money
    note: str = ""
    total: bool = False


@dataclass(frozen=True)
class Grid:
    """A table of plain text; the first column heads its row."""

    title: str
    head: Sequence[str]
    rows: Sequence[Sequence[str]]
    empty: str = "Nothing."
