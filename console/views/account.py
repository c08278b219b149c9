"""The accounts list and the account page."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from console.views.parts import Entry, Link, SumLine
from domain.money import Money
from store.read.accounts import AccountView
from store.read.breaches import BreachView
from store.read.case_actions import AccountAction
from store.read.gates import GateView
from store.read.places import PlaceView, UnfinishedChange
from store.read.venue_limits import LevelView
from store.read.versions import PendingMove
from store.read.warnings import WarningView


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
    platform: str
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
class DayRow:
    """An account at one daily reset, for the curve's table alternative."""

    day: str
    reset_at: datetime
    balance: Money
    equity: Money
    floors: Sequence[tuple[str, Money]]


@dataclass(frozen=True)
class WallPanel:
    """The loss limits at the venue: (name, as it was sent, as the venue showed it), and what it holds of each rule."""

    rows: Sequence[tuple[str, Money | None, Money | None]]
    levels: Sequence[LevelView]
    state: str
    tone: str
    sent_at: datetime | None
    compared_at: datetime | None


@dataclass(frozen=True)
class PositionRow:
    """An open position. `result`: None when its price is not known now."""

    symbol: str
    side: str
    lots: str
    open_price: str
    opened_at: datetime | None
    result: Money | None


@dataclass(frozen=True)
class PayoutLine:
    """A payout of the account by the amount that the trader receives, with how that amount comes about."""

    sent: Money
    href: str
    state: str
    requested_at: datetime
    lines: Sequence[SumLine]


@dataclass(frozen=True)
class MoneyRow:
    """A transaction of the firm's books. `balance`: all of them up to here."""

    at: datetime
    kind: str
    href: str
    amount: Money
    balance: Money


@dataclass(frozen=True)
class FreezeNotice:
    """`by` and `reason` are for staff, and empty for a trader."""

    since: datetime
    by: str = ""
    reason: str = ""


@dataclass(frozen=True)
class AccountPage:
    """The heart of the console: `account` is the shared read model, everything else is derived from it."""

    account: AccountView
    identity: str
    reset_words: str
    gauges: Sequence[Gauge]
    breach: BreachView | None
    days: Sequence[DayRow] = ()
    earlier_days: bool = False  # whether there are more than these
    timeline: Sequence[Entry] = ()
    older: str | None = None
    siblings: Sequence[Link] = ()
    payouts: Sequence[PayoutLine] = ()
    positions: Sequence[PositionRow] = ()
    money: Sequence[MoneyRow] = ()
    linked: Sequence[Link] = ()
    frozen: FreezeNotice | None = None
    tickets: Sequence[Link] = ()
    decisions: Sequence[Link] = ()
    warnings: Sequence[WarningView] = ()
    actions: Sequence[AccountAction] = ()  # of surveillance cases
    gates: Sequence[GateView] = ()
    move: PendingMove | None = None
    wall: WallPanel | None = None
    change: UnfinishedChange | None = None
    places: Sequence[PlaceView] = ()

    @property
    def floating(self) -> Money | None:
        a = self.account
        if a.equity_minor is None or a.balance_minor is None:
            return None
        return Money(minor=a.equity_minor - a.balance_minor, currency=a.currency)
