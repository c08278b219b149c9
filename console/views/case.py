"""The parts of a surveillance case that other decisions do not have."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from console.views.parts import Grid
from domain.money import Money


@dataclass(frozen=True)
class Node:
    """An account in the drawing: its place, and what it says. `tone`: bad when the case blames it."""

    x: float
    y: float
    label: str
    role: str
    tone: str
    href: str


@dataclass(frozen=True)
class Edge:
    """A link between two accounts. `width` in pixels; `is_weak`: drawn dashed."""

    x1: float
    y1: float
    x2: float
    y2: float
    width: float
    is_weak: bool


@dataclass(frozen=True)
class Graph:
    """The linked accounts, drawn on the server. `words` says the same."""

    width: int
    height: int
    nodes: Sequence[Node]
    edges: Sequence[Edge]
    words: str


@dataclass(frozen=True)
class AlertPart:
    """An alert as the case shows it. `precision`: how often this pattern was right."""

    title: str
    sentence: str
    facts: Sequence[tuple[str, str]]
    ruled_out: Sequence[str]
    precision: str
    is_intact: bool


@dataclass(frozen=True)
class LetterPart:
    reader: str
    subject: str
    body: str


@dataclass(frozen=True)
class NotePart:
    by: str
    at: datetime
    body: str


@dataclass(frozen=True)
class OpenPayout:
    """A payout that a denial can name."""

    payout_id: str
    account_number: str
    amount: Money


@dataclass(frozen=True)
class CaseParts:
    """`may_act`: the reader decides cases and this one is open. `suggested`: the action that the policy proposes, and
    `why`. `rule` and `message`: of the proposal, to be edited. `colleagues`: (user id, name) of those who can take the
    case."""

    alerts: Sequence[AlertPart]
    hold: str
    hold_tone: str
    graph: Graph
    links: Grid
    similar: Grid
    exculpatory: Sequence[Grid]
    notes: Sequence[NotePart]
    letters: Sequence[LetterPart]
    assigned: str
    assigned_to: str
    colleagues: Sequence[tuple[str, str]]
    may_act: bool
    may_propose: bool
    suggested: str
    why: str
    rule: str
    message: str
    payouts: Sequence[OpenPayout]


@dataclass(frozen=True)
class PrecisionLine:
    """A row of the page of figures; shares in words. `share`: the precision, 0 to 1."""

    pattern: str
    version: str
    confirmed: int
    false_positive: int
    inconclusive: int
    undecided: int
    precision: str
    share: float | None
    blind: str
    below: str
