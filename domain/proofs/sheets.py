"""The shape of proof sheets. A sheet is plain JSON; these models refuse any other shape.

Money is minor units of the account's currency. `source` is the origin of the account's worth; `seq` numbers are
those of that source.
"""

from datetime import date, datetime
from decimal import Decimal
from typing import Annotated, Any, ClassVar, Final, Literal

from pydantic import Field, TypeAdapter

from domain.money import Currency
from domain.proofs.part import GrownPart, Part
from domain.proofs.sources import Source
from domain.rules.floors import Direction
from domain.rules.marking import Side
from domain.rules.terms import Figures, Operator

HASH_VERSION: Final = 2
EventKind = Literal[
    "tick", "deal", "balance", "account", "state", "bar", "rollover", "marked", "clocked", "rolled", "day_ended",
    "opened", "closed", "order_placed", "order_gone", "stop_changed", "take_profit_changed", "paid_out",
    "payout_requested", "payout_approved", "news",
]  # fmt: skip


class ContinuesPart(Part):
    """The departure of an account from its last place: the sheet that proves it, with its hash, that place, the market
    time, and the balance that the account left with."""

    proof_id: str
    hash: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    platform: str
    login: int
    at: datetime
    balance_minor: int


class AccountPart(GrownPart):
    """`continues`: of an account that came from another platform in the middle of its phase. Numbers of events are
    those of the account's platform; what was set at an earlier one has the number 0."""

    later: ClassVar[str] = "continues"
    account_id: str
    challenge_id: str
    login: int
    phase_index: int
    phase_name: str
    currency: Currency
    initial_minor: int
    continues: ContinuesPart | None = None


class ProductPart(Part):
    ref: str
    content_hash: str
    terms: dict[str, Any]


class EventPart(Part):
    """The deciding event. A rollover has the instant of the reset and the sequence number of the event after it."""

    kind: EventKind
    seq: int
    at: datetime
    symbol: str | None = None


class ClockPart(Part):
    zone: str
    reset: str
    local_time: str
    utc_offset_minutes: int
    trading_day: date
    day_started_at: datetime
    day_ends_at: datetime


class Movement(Part):
    """A deal or balance operation; `amount_minor` is its whole effect on the balance."""

    seq: int
    at: datetime
    kind: Literal["deal", "balance"]
    reference: str
    amount_minor: int


class BalancePart(Part):
    """The balance at the start of the trading day (or of the account), and every movement since."""

    opening_minor: int
    opening_at: datetime | None
    opening_seq: int
    movements: tuple[Movement, ...]
    balance_minor: int


class QuotePart(Part):
    symbol: str
    seq: int
    at: datetime
    bid: Decimal
    ask: Decimal


class PositionPart(Part):
    position_id: str
    symbol: str
    side: Side
    lots: Decimal
    open_price: Decimal
    opened_at: datetime
    contract_size: Decimal
    quote_currency: str
    quote: QuotePart
    close_price: Decimal
    conversion_rate: Decimal
    conversion_quote: QuotePart | None
    profit_minor: int


class CostsPart(Part):
    """Costs of the account since it was opened (negative: it paid)."""

    commission_minor: int
    swap_minor: int
    fee_minor: int


class Step(Part):
    """One line of a derivation: a name and its figure."""

    name: str
    minor: int


class BasisPart(GrownPart):
    """The anchor or peak, and the figures of the account, as the rule counts them, at the event that set it (seq 0: the
    initial balance). `figures`: of levels that need them."""

    later: ClassVar[str] = "figures"
    source: str
    moves: str
    value_minor: int
    set_seq: int
    set_at: datetime | None
    balance_minor: int
    equity_minor: int
    payouts_minor: int
    figures: Figures | None = None


class FloorPart(Part):
    """`floor_minor` is the level: a floor, or with direction `ceiling` the level above."""

    basis: BasisPart
    direction: Direction
    allowance_minor: int
    ceiling_minor: int | None
    locked_by_payout: bool
    steps: tuple[Step, ...]
    floor_minor: int


class LevelPart(Part):
    """One level of an account, with its derivation."""

    key: str
    floor: FloorPart


class RulePart(GrownPart):
    """`worth`: the steps to `worth_minor`: the account, or the symbol or position `subject`, as the rule counts it."""

    later: ClassVar[str] = "subject"
    id: str
    type: str
    parameters: dict[str, Any]
    floor: FloorPart
    operator: Operator
    worth: tuple[Step, ...]
    worth_minor: int
    subject: str | None = None


class GatePart(Part):
    rule_id: str
    met: bool
    outcome: str
    sentence: str


class TargetPart(Part):
    """`effective_minor`: the target, raised by gates and by profit that does not count."""

    type: str
    value: Decimal
    target_minor: int
    effective_minor: int
    required_balance_minor: int
    min_trading_days: int
    trading_days: tuple[date, ...]


class CalendarPart(Part):
    """The answers of a venue calendar that were used: the close of the session of a date (None: no session), the first
    opening after an instant, and whether a session closes early."""

    name: str
    closes: tuple[tuple[date, datetime | None], ...]
    opens: tuple[tuple[datetime, datetime], ...]
    early: tuple[tuple[date, bool], ...] = ()


class PointPart(Part):
    """The name of a point of an account's history (see `domain.proofs.points`)."""

    number: int
    hash: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class HistoryPart(GrownPart):
    """The events that changed the rule or its day book, in order. `joined_midway`: they start in the middle of a day.
    `began`: the state of the rule before the events, where they are not all of the phase. `point`: the point of the
    account's history with that state; a sheet of an earlier version has none."""

    later: ClassVar[str] = "point"
    joined_midway: bool
    events: tuple[dict[str, Any], ...]
    calendars: tuple[CalendarPart, ...]
    began: dict[str, Any] | None = None
    point: PointPart | None = None


class HistoryRulePart(Part):
    id: str
    type: str
    parameters: dict[str, Any]


class NowPart(Part):
    """The money of the account when a gate was judged. The running day counts for the gates that judge it."""

    seq: int
    at: datetime
    balance_minor: int
    equity_minor: int | None


class RequestPart(Part):
    """The requested amount, before the split."""

    gross_minor: int
    currency: Currency


class RefusalPart(Part):
    code: str
    sentence: str
    figures: dict[str, Any]


class RoomPart(Part):
    """One level when the request was judged. `spare_minor`: the largest amount that could leave without breaking it.
    `room_minor`, `room_after_minor`: the distance of the account from it, now and after the payout."""

    key: str
    basis: BasisPart
    locked_by_payout: bool
    floor_minor: int
    room_minor: int
    spare_minor: int
    room_after_minor: int


class DoubtPart(Part):
    """The reason that an input was doubtful when the rule was found broken. `seq`: the number of the input."""

    kind: str
    subject: str
    seq: int
    at: datetime
    words: str


class ConfirmationPart(Part):
    """The person who confirmed a breach on doubtful inputs: the user's id, the role, and the instant."""

    confirmed_by: str
    role: str
    at: datetime
    doubts: Annotated[tuple[DoubtPart, ...], Field(min_length=1)]


class Head(Part):
    """The fields of every kind. `clock`: the clock of the trading day."""

    hash_version: Literal[2]
    proof_id: str
    account: AccountPart
    product: ProductPart
    clock: ClockPart
    verdict: Annotated[str, Field(min_length=1)]


class MoneySheet(Head):
    """A verdict on the account's worth at one event. `loss_clock`: the clock of anchors, when it is another one."""

    event: EventPart
    loss_clock: ClockPart | None
    source: Source
    balance: BalancePart
    positions: tuple[PositionPart, ...]
    costs: CostsPart
    equity_minor: int


class BreachSheet(MoneySheet):
    kind: Literal["breach"]
    rule: RulePart
    offence: int
    consequence: dict[str, Any]
    confirmation: ConfirmationPart | None = None


class PassSheet(MoneySheet):
    """`history` and `gates`: for a phase with gates that a pass must meet."""

    kind: Literal["pass"]
    target: TargetPart
    history: HistoryPart | None
    gates: tuple[GatePart, ...]


class ViolationSheet(Head):
    """An offence against a conduct rule, at one event."""

    kind: Literal["violation"]
    event: EventPart
    rule: HistoryRulePart
    history: HistoryPart
    offence: int
    consequence: dict[str, Any]
    figures: dict[str, Any]
    position_ids: tuple[str, ...]


class GateSheet(Head):
    """The status of a gate. `raised_target_minor`: the profit target with this gate, for a phase with a target."""

    kind: Literal["gate"]
    now: NowPart
    rule: HistoryRulePart
    history: HistoryPart
    met: bool
    outcome: str
    figures: dict[str, Any]
    raised_target_minor: int | None
    deducted_minor: int


class PayoutRefusalSheet(Head):
    """The reasons for a refused request: those of the terms, then the levels that the payout would have broken."""

    kind: Literal["payout_refusal"]
    request: RequestPart
    facts: dict[str, Any]
    refusals: tuple[RefusalPart, ...]
    rooms: tuple[RoomPart, ...]


class DepartureSheet(MoneySheet):
    """An account leaves a platform, without an open position, for the place `to_platform`, `to_login`, where it goes on
    with the same state. `levels`: every level of the phase, in the order of the product's rules. `offences`: by rule.
    `point`: of the account's history, where it has one."""

    kind: Literal["departure"]
    platform: str
    to_platform: str
    to_login: int
    levels: tuple[LevelPart, ...]
    trading_days: tuple[date, ...]
    offences: dict[str, int]
    point: PointPart | None


AnySheet = BreachSheet | PassSheet | ViolationSheet | GateSheet | PayoutRefusalSheet | DepartureSheet
_READER: Final[TypeAdapter[AnySheet]] = TypeAdapter(Annotated[AnySheet, Field(discriminator="kind")])


def read(body: dict[str, Any]) -> AnySheet:
    """Reads a stored sheet, with or without its hash. Raises ValidationError when it is not a sheet."""
    return _READER.validate_python({name: value for name, value in body.items() if name != "hash"})
