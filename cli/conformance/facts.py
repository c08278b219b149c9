"""What a payout needs of the events of a case: the account's money, its payouts, trades and dates, event by event."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Any, Final

from cli.conformance.case import Case, RawEvent, Value
from cli.conformance.translator import Translator
from domain.clocks import Clock, zone_of
from domain.payouts import PayoutFacts
from domain.payouts.amounts import next_cycle
from domain.rules.events import Closed, DayEnded, Event
from domain.rules.terms import SizeFigures

# the instant of cases that are not about time
NOW: Final = datetime(2000, 1, 1, tzinfo=UTC)
_DAY: Final = timedelta(hours=24)
_TRADES: Final = ("trade_open", "trade_close", "day_result")


@dataclass(frozen=True, slots=True)
class Dates:
    """How the dates of a case become instants. With a clock, days are its trading days; without one, dates are read as
    written, in the zone of the request days if there is one."""

    clock: Clock | None
    request_zone: str | None

    @property
    def days(self) -> Clock:
        return self.clock or Clock(zone=self.request_zone or "UTC", reset="00:00")

    def at(self, raw: RawEvent) -> datetime | None:
        """Returns the instant of an event for counting days; None without a date."""
        day = raw.day(self.clock)
        if day is None:
            return None
        return raw.at(self.clock) if self.clock is not None else self.days.day_start(day)

    def now(self, raw: RawEvent) -> datetime | None:
        """Returns the instant of a request. Where the time of day matters, a bare date is its last moment."""
        if self.request_zone is None or raw.day() is None:
            return self.at(raw)
        return raw.at() if raw.has_instant else self.days.day_end(raw.day() or date.min) - timedelta(microseconds=1)

    def date(self, at: datetime, request_zone: str | None) -> date:
        """Returns the date of an instant on which a payout can be requested, in the zone of its request days."""
        if request_zone is not None:
            return at.astimezone(zone_of(request_zone)).date()
        return self.days.trading_day(at)


@dataclass(slots=True)
class Past:
    """What has happened up to an event. `paid`, `others`: (instant, gross) of the payouts of the account and of the
    trader's other accounts. `profit`: stated, or the sum of the days; None without either. `withdrawn`: the total that
    the case states, without later payouts. `stated`: the totals of days that the case states."""

    case: Case
    dates: Dates
    translator: Translator = field(init=False)
    now: datetime = NOW
    at: datetime = NOW
    number: int | None = None
    paid: list[tuple[datetime, int]] = field(default_factory=list)
    others: list[tuple[datetime, int]] = field(default_factory=list)
    paid_count: int = 0
    payout_balance: int | None = None
    profit: int | None = None
    profit_stated: bool = False
    balance_given: bool = False
    withdrawn: int = 0
    asked: int | None = None
    begun_at: datetime | None = None
    funded_at: datetime | None = None
    last_payout_at: datetime | None = None
    first_trade_at: datetime | None = None
    first_trade_since_payout_at: datetime | None = None
    trading_days: set[date] = field(default_factory=set)
    stated: dict[str, int] = field(default_factory=dict)
    anchor: int = 0
    peak: int = 0
    pending: list[str] = field(default_factory=list)
    held: int | None = None
    left_out: int = 0
    held_back: bool = False

    def __post_init__(self) -> None:
        self.translator = Translator(self.case, self.dates.clock)
        self.anchor = self.peak = self.case.initial_minor

    @property
    def balance(self) -> int:
        return self.translator.balance

    @property
    def next_number(self) -> int:
        """The number of the next payout: as the case states it, else those paid + 1."""
        return self.paid_count + 1 if self.number is None else self.number

    def step(self, raw: RawEvent) -> None:
        """Takes one event into account."""
        opened_before = set(self.translator.lots)
        settles = raw.kind == "payout" and "account" not in raw.data and self._gross(raw) == self.asked
        event = None if settles else self.translator.event(raw)
        self.now, self.at = self.dates.now(raw) or self.now, raw.at()
        self.begun_at = self.begun_at or self.dates.at(raw)
        self.left_out, self.held_back = raw.left_out_minor, raw.held_back
        self._money(raw, event)
        if raw.kind in _TRADES:
            self._trade(raw, opened_before)
        if raw.kind == "payout" and not settles:
            self._payout(raw)
        if raw.kind in ("payout", "payout_request"):
            self.asked = None
        if raw.kind == "funded":
            self.funded_at = self.dates.at(raw)
        if raw.kind == "totals":
            self.stated |= {name: int(value) for name, value in raw.data.items() if name.endswith("_days")}
        if raw.kind == "rollover":
            self.anchor, self.peak = self.balance, max(self.peak, self.balance)
        if raw.kind == "pending_order_placed":
            self.pending.append(str(raw.data.get("id", f"#{raw.index}")))
        if raw.kind == "payout_request":
            number = raw.data.get("payout_number")
            self.number = None if number is None else int(number)
        self._held(raw)

    def pay_out(self, gross: int, forfeited: int) -> None:
        """Takes a payout that was requested off the account."""
        self.translator.balance -= gross + forfeited
        self.translator.equity -= gross + forfeited
        self.asked = gross
        self._paid(self.at, gross, gross + forfeited)
        self.last_payout_at = self.now

    def _gross(self, raw: RawEvent) -> int:
        return raw.money("gross_amount", self.case.currency) or 0

    def _money(self, raw: RawEvent, event: Event | None) -> None:
        currency = self.case.currency
        profit = raw.money("profit", currency)
        self.balance_given = self.balance_given or raw.money("balance", currency) is not None
        if profit is not None:
            self.profit, self.profit_stated = profit, True
            if not self.balance_given:
                self.translator.balance = self.translator.equity = self.case.initial_minor + profit
        elif isinstance(event, DayEnded):
            self.profit = (self.profit or 0) + (event.closed_minor or 0)
        elif isinstance(event, Closed) and self.profit is not None:
            self.profit += event.pnl_minor
        if raw.kind == "withdrawn_total":
            self.withdrawn = (raw.money("amount", currency) or 0) - sum(gross for _, gross in self.paid)

    def _trade(self, raw: RawEvent, opened_before: set[str]) -> None:
        day, at = raw.day(self.dates.clock), self.dates.at(raw)
        identity = str(raw.data.get("id", f"#{raw.index}"))
        if identity not in opened_before:  # the rest of a position is no new trade
            self.first_trade_at = self.first_trade_at or at
            self.first_trade_since_payout_at = self.first_trade_since_payout_at or at
        opens = raw.kind == "trade_open" and identity not in opened_before
        if day is not None and (opens or raw.kind == "day_result"):
            self.trading_days.add(day)

    def _payout(self, raw: RawEvent) -> None:
        gross = self._gross(raw)
        if "account" in raw.data:
            self.others.append((raw.at(), gross))
            return
        self._paid(raw.at(), gross, gross)
        self.last_payout_at = self.dates.at(raw) or self.last_payout_at

    def _paid(self, at: datetime, gross: int, left: int) -> None:
        self.paid.append((at, gross))
        self.paid_count, self.number = self.next_number, None
        self.payout_balance = self.balance
        self.first_trade_since_payout_at = None
        self.profit = None if self.profit is None else self.profit - left

    def _held(self, raw: RawEvent) -> None:
        """Counts what is open: as the event states it, else by the trades."""
        if raw.kind == "trade_open" and self.pending:
            identity = str(raw.data.get("id"))
            if identity in self.pending or raw.data.get("reason") == "pending_fill":
                self.pending.remove(identity if identity in self.pending else self.pending[0])
        stated = raw.data.get("open_positions", raw.data.get("positions"))
        if stated is not None:
            self.held = len(stated) if isinstance(stated, list) else int(stated)
        elif raw.kind in ("trade_open", "trade_close"):
            self.held = None

    def figures(self) -> SizeFigures:
        """Returns the figures that a size may be a percentage of."""
        left = self.case.initial_minor if self.payout_balance is None else self.payout_balance
        return SizeFigures(self.case.initial_minor, self.anchor, self.peak, self.balance, left)

    def facts(self, given: Mapping[str, Any], **more: Any) -> PayoutFacts:
        """Returns the facts of the next payout. `given`: its parameters."""
        number = self.next_number
        counted = [*self.paid, *(self.others if given.get("totals_over") == "trader" else [])]
        total = self.withdrawn + sum(gross for _, gross in counted)
        periods = {int(cap["per_days"]) for cap in given.get("caps") or () if cap.get("per_days") is not None}
        lately = {n: sum(gross for at, gross in counted if self.at - at < n * _DAY) for n in periods}
        known: dict[str, Any] = {
            "now": self.now,
            "funded_at": _until(self.now, self.funded_at or self.begun_at),
            "first_trade_at": self.first_trade_at,
            "first_trade_since_payout_at": self.first_trade_since_payout_at,
            "last_payout_at": _until(self.now, self.last_payout_at),
            "balance_minor": self.balance,
            "profit_minor": self.profit,
            "deducted_minor": self.left_out,
            "open_positions": len(self.translator.lots) if self.held is None else self.held,
            "pending_orders": len(self.pending),
            "payouts_paid": number - 1,
            "paid_gross_minor": total,
            "paid_lately": lately,
            "payout_balance_minor": self.payout_balance,
            "trading_days": self.stated.get("trading_days", len(self.trading_days)),
            "clock": self.dates.days,
        }
        return facts(self.case, **{**known, **more})


def _until(now: datetime, at: datetime | None) -> datetime | None:
    """Returns the instant, at most now: a date as written may begin later in the zone of the request days."""
    return None if at is None else min(now, at)


def facts(case: Case, **known: Any) -> PayoutFacts:
    """Returns payout facts with what the case states; nothing else prevents the payout."""
    plain: dict[str, Any] = {
        "now": NOW,
        "challenge_state": "funded",
        "funded_at": None,
        "last_payout_at": None,
        "balance_minor": case.initial_minor,
        "initial_minor": case.initial_minor,
        "open_positions": 0,
        "open_payout_id": None,
        "beneficiary_known": True,
    }
    return PayoutFacts.model_validate({**plain, **known})


def cycle_dates(case: Case, given: Mapping[str, Any]) -> dict[str, Value]:
    """Returns the dates of the next payout cycle. The first cycle begins when the account is funded."""
    ended, first, days = _day_of(case, "cycle_end"), given.get("first_cycle_days"), given.get("next_cycle_days")
    if first is None and days is None:
        return {}
    funded = _day_of(case, "funded")
    named = dict[str, Value]()
    if first is not None and funded is not None:
        named["first_cycle_start"] = funded
        named["first_cycle_end"] = next_cycle(funded - timedelta(days=1), int(first))[1]
        ended = ended or next_cycle(funded - timedelta(days=1), int(first))[1]
    if ended is not None:
        start, end = next_cycle(ended, int(days or first or 1))
        named |= {"cycle_end": ended, "next_cycle_start": start, "next_cycle_end": end}
    return named


def _day_of(case: Case, kind: str) -> date | None:
    clock = case.clock(case.rule.get("day"))
    days = [raw.day(clock) for raw in case.events if raw.kind == kind]
    return days[-1] if days else None
