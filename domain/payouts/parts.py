"""The parts of the payout terms: sizes, caps, splits, the refund of the fee, the days on which a request is taken."""

from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Annotated, Final, Literal, Self

from pydantic import Field, model_validator

from domain.clocks import Zone, zone_of
from domain.money import ExactDecimal, half_up, to_minor
from domain.payouts.facts import PayoutFacts
from domain.rules.terms import LATER, NO_LIMIT, RuleId, Size, SizeStep, Terms, Where

Percent = Annotated[ExactDecimal, Field(gt=0, le=100)]
Share = Annotated[ExactDecimal, Field(ge=0, le=100)]
Amount = Annotated[ExactDecimal, Field(gt=0)]
PayoutNumber = Annotated[int, Field(ge=1, le=1000)]
Days = Annotated[int, Field(ge=0, le=3650)]
DaysAre = Literal["full", "calendar", "business"]
Weekday = Literal["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"]
WallTime = Annotated[str, Field(pattern=r"^([01]\d|2[0-3]):[0-5]\d$")]

_WEEKDAYS: Final[tuple[Weekday, ...]] = (
    *("monday", "tuesday", "wednesday", "thursday"),
    *("friday", "saturday", "sunday"),
)
_WEEKEND: Final = 5  # the first day of the weekend, counted from Monday as 0


class ApprovalBand(Terms):
    """Payouts up to and including `up_to` (major units, trader's share; None = any) need so many distinct approvers."""

    up_to: Amount | None
    approvers: Annotated[int, Field(ge=0, le=2)]


class Least(Size):
    """A minimum: an amount, or a percentage of the initial balance, of the balance, or of the balance that the last
    payout left (before any: the initial balance). Zero is allowed."""

    @model_validator(mode="after")
    def _is_known_at_a_payout(self) -> Self:
        if self.type not in ("amount", "pct_of_initial", "pct_of_balance", "pct_of_payout_balance"):
            raise ValueError(f"type: a payout knows no {self.type}; use pct_of_initial, pct_of_balance or an amount")
        return self

    def of_facts(self, facts: PayoutFacts, currency: str) -> int:
        """Returns the minimum in minor units, rounded half up; zero where its steps set none."""
        left = self.type == "pct_of_payout_balance"
        basis = facts.left_by_payout_minor if left else facts.worth_minor
        minor = self.minor(initial=facts.initial_minor, basis=basis, currency=currency)
        return 0 if minor == NO_LIMIT else minor


class Cap(Terms):
    """The largest request (before the split), from payout number `from_payout` to `to_payout` (None: no end).

    `until`: the cap no longer applies once this gate is met. `below_profit`: it applies only while the profit is below
    this. `per_days`: together with everything paid less than so many times 24 hours ago. `steps`: another value from
    such a profit on, None: no cap.
    """

    type: Literal["amount", "pct_of_initial", "pct_of_balance", "pct_of_profit", "pct_of_payout_balance"]
    value: Annotated[ExactDecimal, Field(ge=0)]
    from_payout: PayoutNumber = 1
    to_payout: PayoutNumber | None = None
    until: RuleId | None = None
    at_least: Annotated[Amount | None, LATER] = None
    below_profit: Annotated[Least | None, LATER] = None
    per_days: Annotated[Annotated[int, Field(ge=1, le=3650)] | None, LATER] = None
    steps: Annotated[tuple[SizeStep, ...], LATER] = ()

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.to_payout is not None and self.to_payout < self.from_payout:
            raise ValueError("to_payout: it is before from_payout; set the last payout that the cap applies to")
        values = [self.value, *(step.value for step in self.steps if step.value is not None)]
        if self.type in ("pct_of_balance", "pct_of_profit") and max(values) > 100:
            raise ValueError("value: a cap above 100 percent has no effect; use at most 100")
        starts = [step.from_profit for step in self.steps]
        if starts != sorted(set(starts)):
            raise ValueError("steps: each begins at a larger profit than the one before it")
        return self

    def amounts(self) -> Iterator[tuple[Where, Decimal]]:
        if self.type == "amount":
            yield ("value",), self.value
        if self.at_least is not None:
            yield ("at_least",), self.at_least
        for number, step in enumerate(self.steps):
            if self.type == "amount" and step.value is not None:
                yield ("steps", number, "value"), step.value
        yield from super().amounts()

    def value_at(self, profit: int, currency: str) -> Decimal | None:
        """Returns the value at this profit (minor units); None: no cap."""
        value: Decimal | None = self.value
        for step in self.steps:
            if profit >= to_minor(step.from_profit, currency):
                value = step.value
        return value

    def applies(self, facts: PayoutFacts, profit: int, currency: str) -> bool:
        """Whether the cap limits the next payout. `profit`: the base of the payout, in minor units."""
        number = facts.payout_number
        if number < self.from_payout or (self.to_payout is not None and number > self.to_payout):
            return False
        if self.until is not None and any(gate.met for gate in facts.gates if gate.rule_id == self.until):
            return False
        if self.value_at(profit, currency) is None:
            return False
        return self.below_profit is None or profit < self.below_profit.of_facts(facts, currency)

    def of(self, facts: PayoutFacts, profit: int, currency: str) -> int:
        """Returns the cap of the next payout in minor units, rounded half up."""
        value = self.value_at(profit, currency) or Decimal(0)
        if self.type == "amount":
            whole = to_minor(value, currency)
        else:
            figures = {
                "pct_of_initial": facts.initial_minor,
                "pct_of_balance": facts.worth_minor,
                "pct_of_payout_balance": facts.left_by_payout_minor,
                "pct_of_profit": profit,
            }
            whole = half_up(Decimal(max(0, figures[self.type])) * value / 100)
        if self.at_least is not None:
            whole = max(whole, to_minor(self.at_least, currency))
        return whole if self.per_days is None else whole - facts.paid_lately.get(self.per_days, 0)


class PayoutSplit(Terms):
    """From payout number `from_payout` on, the trader's share is `pct`."""

    from_payout: PayoutNumber
    pct: Share


class DaysSplit(Terms):
    """The trader's share is `pct` while the account has fewer than `below` trading days (None: any number)."""

    below: Annotated[int, Field(ge=1, le=10_000)] | None = None
    pct: Share


class SplitTier(Terms):
    """The trader receives `pct` of the total profit paid out up to `up_to` (major units, before the split; None = the
    rest)."""

    up_to: Amount | None
    pct: Share

    def amounts(self) -> Iterator[tuple[Where, Decimal]]:
        if self.up_to is not None:
            yield ("up_to",), self.up_to


class WithPayout(Terms):
    """The number of the payout that something is paid with."""

    payout: PayoutNumber


class FeeRefund(Terms):
    """The part of the fee that is refunded, and with which payout. `pct` may be above 100."""

    amount: Literal["last_fee_paid", "all_fees_paid"] = "last_fee_paid"
    paid_with: Literal["first_payout"] | WithPayout = "first_payout"
    pct: Annotated[ExactDecimal, Field(ge=0, le=1000)] = Decimal(100)

    @property
    def payout_number(self) -> int:
        """The number of the payout that the refund is paid with."""
        return self.paid_with.payout if isinstance(self.paid_with, WithPayout) else 1


class AfterFirstTrade(Terms):
    """Every payout waits so many days after the first trade of the account, or after the first since the last
    payout."""

    days: Days
    since: Literal["start", "last_payout"] = "start"


class RequestDays(Terms):
    """A payout can be requested only on these local weekdays, from the wall time `opens` until the day ends."""

    weekdays: Annotated[tuple[Weekday, ...], Field(min_length=1)]
    opens: WallTime = "00:00"
    zone: Zone

    def next_open(self, at: datetime) -> datetime:
        """Returns the first instant from `at` on at which a request is taken. `at` itself, where it is one."""
        zone = zone_of(self.zone)
        today = at.astimezone(zone).date()
        for number in range(len(_WEEKDAYS) + 1):
            day = today + timedelta(days=number)
            if _WEEKDAYS[day.weekday()] in self.weekdays:
                opens = datetime.combine(day, time.fromisoformat(self.opens), tzinfo=zone).astimezone(UTC)
                return max(at, opens)
        raise AssertionError("every weekday comes within a week")


def days_after(begun: date, days: int, days_are: DaysAre) -> date:
    """Returns the date `days` after `begun`. Business days: Monday to Friday."""
    if days_are != "business":
        return begun + timedelta(days=days)
    day = begun
    while days:
        day += timedelta(days=1)
        days -= day.weekday() < _WEEKEND
    return day
