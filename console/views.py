"""What the templates are given: plain, typed, ready to print. No template reads a database row."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Final
from urllib.parse import quote, urlencode

from domain.approvals import Role
from domain.money import Money
from domain.products.diff import Change
from domain.proofs.document import Document
from store.read.accounts import AccountView
from store.read.breaches import BreachView
from store.read.gates import GateView
from store.read.queue import QueueItem
from store.read.versions import MoveAhead
from store.read.warnings import WarningView


@dataclass(frozen=True)
class Viewer:
    """Who looks at the page."""

    user_id: str
    name: str
    role: Role
    trader_id: str | None
    csrf: str

    @property
    def is_trader(self) -> bool:
        return self.role == "trader"


@dataclass(frozen=True)
class Live:
    """The indicator: market time, and whether a feed has fallen behind."""

    market_time: datetime
    stale: bool
    words: str


PAGES: Final = {
    "account": "accounts",
    "account_move": "moves",
    "breach": "breaches",
    "case": "cases",
    "challenge": "challenges",
    "dispute": "disputes",
    "identity": "identity",
    "payout": "payouts",
    "review": "reviews",
    "product_version": "proposals",
    "proof": "proofs",
    "ticket": "tickets",
    "trader": "traders",
}


def href(kind: str, subject_id: str) -> str:
    """The page of a thing; the risk page for what has none of its own."""
    return f"/{PAGES[kind]}/{subject_id}" if kind in PAGES else "/risk"


def queue_href(tab: str = "", ref: str = "", following: str = "") -> str:
    """The work queue limited to the kind `tab`, with the item `ref` ("payout/pay_…") beside it. `following` is the item
    that came after it in the list."""
    query = urlencode({name: value for name, value in (("kind", tab), ("next", following)) if value})
    return (f"/queue/{quote(ref)}" if ref else "/queue") + (f"?{query}" if query else "")


@dataclass(frozen=True)
class RailItem:
    """One line of the left rail; `count` is work that waits."""

    label: str
    href: str
    count: int
    current: bool


@dataclass(frozen=True)
class Crumb:
    label: str
    href: str | None = None


@dataclass(frozen=True)
class Flash:
    tone: str
    text: str


@dataclass(frozen=True)
class Count:
    label: str
    value: int
    href: str | None = None
    tone: str = "mute"


@dataclass(frozen=True)
class FeedRow:
    name: str
    watermark: datetime
    last_tick_at: datetime | None
    stale: bool
    words: str


@dataclass(frozen=True)
class Room:
    """How far one rule is: `room` is equity minus floor, `share` of the allowance that is left (0..1)."""

    rule_id: str
    daily: bool
    room: Money
    floor: Money
    share: float

    @property
    def tone(self) -> str:
        return "bad" if self.room.minor <= 0 or self.share < 0.1 else "warn" if self.share < 0.3 else "ok"


@dataclass(frozen=True)
class AccountRow:
    account_id: str
    number: str
    trader_id: str
    trader: str
    product: str
    phase: str
    status: str
    challenge_state: str
    balance: Money | None
    equity: Money | None
    daily: Room | None
    total: Room | None
    closest: Room | None
    at: datetime | None

    @property
    def floating(self) -> Money | None:
        return None if self.equity is None or self.balance is None else self.equity - self.balance


@dataclass(frozen=True)
class Gauge:
    """Limit, value, room: `big` is the number to read, `note` what it means."""

    label: str
    big: str
    unit: str
    left: str
    right: str
    share: float
    tone: str
    href: str | None = None
    link: str = ""


@dataclass(frozen=True)
class Entry:
    """One line of a timeline."""

    at: datetime
    kind: str
    text: str
    amount: Money | None = None
    href: str | None = None
    link: str = ""
    tone: str = "mute"


@dataclass(frozen=True)
class Link:
    """A linked thing in a side panel."""

    label: str
    href: str
    state: str
    note: str = ""


@dataclass(frozen=True)
class DayRow:
    """An account at one daily reset, for the curve's table alternative."""

    day: str
    reset_at: datetime
    balance: Money
    equity: Money
    floors: Sequence[tuple[str, Money]]


@dataclass(frozen=True)
class AccountPage:
    """The heart of the console: `account` is the shared read model, everything else is derived from it."""

    account: AccountView
    identity: str
    reset_words: str
    gauges: Sequence[Gauge]
    breach: BreachView | None
    days: Sequence[DayRow] = ()
    timeline: Sequence[Entry] = ()
    older: str | None = None
    siblings: Sequence[Link] = ()
    payouts: Sequence[Link] = ()
    tickets: Sequence[Link] = ()
    decisions: Sequence[Link] = ()
    warnings: Sequence[WarningView] = ()
    gates: Sequence[GateView] = ()
    move: MoveAhead | None = None

    @property
    def floating(self) -> Money | None:
        a = self.account
        if a.equity_minor is None or a.balance_minor is None:
            return None
        return Money(minor=a.equity_minor - a.balance_minor, currency=a.currency)


@dataclass(frozen=True)
class SumLine:
    """One line of arithmetic; `total` lines are drawn under a rule."""

    label: str
    amount: Money
    note: str = ""
    total: bool = False


@dataclass(frozen=True)
class Check:
    """One check as shown to people: `tone` ok, warn or bad, and always words."""

    name: str
    tone: str
    words: str

    @property
    def verdict(self) -> str:
        return {"ok": "clear", "warn": "look", "bad": "stops"}.get(self.tone, self.tone)


@dataclass(frozen=True)
class DecisionRow:
    decision: str
    by: str
    role: str
    reason: str
    at: datetime


@dataclass(frozen=True)
class Choice:
    """A button of a decision form."""

    decision: str
    label: str
    style: str = ""


@dataclass(frozen=True)
class DecisionView:
    """What a person needs to decide: the effect in words, the arithmetic, checks, evidence, who decided so far.

    `closed` says who decided it and when; empty while it is open.
    """

    kind: str
    subject_id: str
    title: str
    state: str
    effect: str
    choices: Sequence[Choice]
    refusal: str = ""
    closed: str = ""
    due: datetime | None = None
    account_number: str | None = None
    trader_id: str | None = None
    trader: str = ""
    lines: Sequence[SumLine] = ()
    checks: Sequence[Check] = ()
    facts: Sequence[tuple[str, str]] = ()
    evidence: Sequence[Link] = ()
    decisions: Sequence[DecisionRow] = ()
    statement: str = ""
    timeline: Sequence[Entry] = ()
    pairs: Sequence["DealPair"] = ()
    grids: Sequence["Grid"] = ()
    changes: Sequence[Change] | None = None  # of a product's terms; empty: there is no difference
    changes_title: str = ""

    @property
    def href(self) -> str:
        return href(self.kind, self.subject_id)

    @property
    def ref(self) -> str:
        return f"{self.kind}/{self.subject_id}"

    @property
    def seen(self) -> str:
        """What a form is filled in on: another state or one more decision means that it was filled in on old facts."""
        return f"{self.state}/{len(self.decisions)}"


@dataclass(frozen=True)
class WorkRow:
    """One row of the work queue; `current` is the item beside the list."""

    item: QueueItem
    href: str
    current: bool

    @property
    def ref(self) -> str:
        return f"{self.item.kind}/{self.item.subject_id}"


@dataclass(frozen=True)
class DealPair:
    """An opening and its copy side by side; `lag_seconds` between them, `ratio` copy over model."""

    symbol: str
    side: str
    first_account: str
    first_at: datetime
    first_lots: Decimal
    first_price: Decimal
    second_account: str
    second_at: datetime
    second_lots: Decimal
    second_price: Decimal
    lag_seconds: float
    ratio: Decimal


@dataclass(frozen=True)
class ProofView:
    """A proof sheet, and how it differs from what its own figures lead to."""

    document: Document
    account_number: str
    differences: Sequence[str] = ()


@dataclass(frozen=True)
class Grid:
    """A table of plain text. The first column is the heading of its row."""

    title: str
    head: Sequence[str]
    rows: Sequence[Sequence[str]]
    empty: str = "Nothing."
