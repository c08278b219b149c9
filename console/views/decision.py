"""What a person sees before deciding something, and the rows of the work queue."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from console.views.case import CaseParts
from console.views.parts import Entry, Grid, Link, SumLine
from domain.money import Money, exponent
from domain.products.diff import FieldChange
from store.read.payouts import SendTo


@dataclass(frozen=True)
class Check:
    """One check as shown to people: `tone` is ok, warn or bad; the words say the same."""

    name: str
    tone: str
    words: str

    @property
    def verdict(self) -> str:
        return {"ok": "ok", "warn": "check", "bad": "failed"}.get(self.tone, self.tone)

    @property
    def rank(self) -> int:
        """Its place in a list: what failed comes first, then what a person must look at."""
        return {"bad": 0, "warn": 1}.get(self.tone, 2)


@dataclass(frozen=True)
class DecisionRow:
    """`done`: what was decided, as a person reads it: "Approved"."""

    decision: str
    done: str
    by: str
    role: str
    reason: str
    at: datetime
    message: str = ""  # what the trader was told


@dataclass(frozen=True)
class Choice:
    """A button of a decision form."""

    decision: str
    label: str
    style: str = ""


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
class TradeRow:
    """A trade that a deduction can name. `value` is sent when it is chosen; `why_not`: why it cannot be."""

    value: str
    account_number: str
    position_id: str
    symbol: str
    closed_at: datetime
    profit: Money
    chosen: bool
    why_not: str

    @property
    def digits(self) -> int:
        """After the point, for the total that is shown while trades are chosen."""
        return exponent(self.profit.currency)


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
    effects: Sequence[str] = ()  # the same in figures, a sentence each
    refusal: str = ""
    closed: str = ""
    due: datetime | None = None
    account_number: str | None = None
    platform: str = ""  # of that account
    trader_id: str | None = None
    trader: str = ""
    lines: Sequence[SumLine] = ()
    checks: Sequence[Check] = ()
    facts: Sequence[tuple[str, str]] = ()
    evidence: Sequence[Link] = ()
    decisions: Sequence[DecisionRow] = ()
    statement: str = ""
    timeline: Sequence[Entry] = ()
    pairs: Sequence[DealPair] = ()
    grids: Sequence[Grid] = ()
    changes: Sequence[FieldChange] | None = None  # of a product's terms; empty: there is no difference
    changes_title: str = ""
    href: str = ""  # its own page
    noun: str = ""  # "payout"
    digest: str = ""  # of what the page shows; an approval carries it
    trades: Sequence[TradeRow] = ()  # whose profit a deduction can name
    case: CaseParts | None = None  # of a surveillance case
    version: str = ""  # of the facts, where state and decisions do not say that they changed
    tells: str = ""  # what the trader reads without a message; empty: the form asks for none
    answer: str = ""  # what the trader was told
    appeal_until: datetime | None = None  # until when the reader may appeal
    precedents: Sequence[Link] = ()
    vouchers: Sequence[Link] = ()  # compensations of a dispute
    compensate_in: str = ""  # the currency in which the reader may propose one; empty: they may not
    send_to: Sequence[SendTo] = ()  # where it can be sent again; the first is over the rail of until now

    @property
    def ref(self) -> str:
        return f"{self.kind}/{self.subject_id}"

    @property
    def seen(self) -> str:
        """The facts that a form was filled in on. Another state or one more decision means that they are old."""
        return "/".join(filter(None, (self.state, str(len(self.decisions)), self.version)))
