"""The offences of limits: one for each reset period, cures in time, numbers and consequences."""

from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta

import pytest

from domain.clocks import Period, begins
from domain.rules.base import Consequence, Cure
from domain.rules.equity.daily_loss import DailyLoss
from domain.rules.limits import FRESH, LimitOffence, LimitState, due, reset, step

START = datetime(2025, 6, 2, 8, tzinfo=UTC)  # a Monday
DAY = START.date()


def rule(*kinds: str, cure: Cure | None = None) -> DailyLoss:
    consequences = tuple(Consequence.model_validate({"kind": kind}) for kind in kinds or ("warn", "fail"))
    terms = {"type": "daily_loss", "id": "day", "allowance": {"type": "amount", "value": "100"}}
    made = DailyLoss.model_validate(terms | {"anchor": "balance", "breach_when": "equity < floor"})
    return made.model_copy(update={"consequences": consequences, "cure": cure})


class Told:
    """A rule told what was broken, minute by minute. `found`: (minute, key, number, consequence)."""

    def __init__(self, told: DailyLoss, *, period: Period = "day") -> None:
        self.rule, self.period, self.state = told, period, FRESH
        self.found: list[tuple[int, str, int, str]] = []

    def at(self, minute: int, **broken: bool) -> "Told":
        return self._take(minute, *step(self._stored(), self.rule, broken, START + timedelta(minutes=minute)))

    def reset(self, minute: int, day: date = DAY + timedelta(days=1), **broken: bool) -> "Told":
        at = START + timedelta(minutes=minute)
        self._take(minute, *reset(self._stored(), self.rule, at, day, self.period))
        return self.at(minute, **broken)

    def _stored(self) -> LimitState:
        return LimitState.model_validate_json(self.state.model_dump_json())

    def _take(self, minute: int, state: LimitState, offences: tuple[LimitOffence, ...]) -> "Told":
        self.state = state
        self.found += [(minute, each.key, each.number, each.consequence.kind) for each in offences]
        return self


def test_a_limit_crossed_twice_before_a_reset_is_one_offence() -> None:
    told = Told(rule()).at(0, low=True).at(1, low=False).at(2, low=True)
    assert told.found == [(0, "low", 1, "warn")]
    told.reset(600, low=False).at(601, low=True)
    assert told.found[1:] == [(601, "low", 2, "fail")]


def test_a_limit_that_is_broken_at_the_reset_is_a_new_offence_there() -> None:
    told = Told(rule("warn")).at(0, low=True).at(5, low=True).reset(600, low=True).at(601, low=True)
    assert [(minute, number) for minute, _, number, _ in told.found] == [(0, 1), (600, 2)]


def test_each_limit_of_a_rule_is_an_offence_of_its_own_and_they_share_the_numbers() -> None:
    told = Told(rule("warn", "review", "fail")).at(0, EURUSD=True, XAUUSD=False)
    told.at(1, EURUSD=True, XAUUSD=True).at(2, EURUSD=False, XAUUSD=True)
    assert told.found == [(0, "EURUSD", 1, "warn"), (1, "XAUUSD", 2, "review")]


@pytest.mark.parametrize(
    ("steps", "found"),
    [
        ({0: True, 10: False, 30: False}, []),  # back at the last instant
        ({0: True, 10: True, 11: True}, [(11, 1)]),
        ({0: True, 15: False}, [(15, 1)]),  # back at the very event that is past the time
        ({0: True, 5: False, 7: True}, [(7, 1)]),  # only one cure in a phase
        ({0: True, 15: False, 16: True}, [(15, 1)]),  # the offence is counted already in this period
    ],
)
def test_a_cure_is_in_time_or_the_offence_is_found_at_the_first_event_past_it(
    steps: Mapping[int, bool], found: list[tuple[int, int]]
) -> None:
    told = Told(rule("fail", cure=Cure(minutes=10)))
    for minute, broken in steps.items():
        told.at(minute, low=broken)
    assert [(minute, number) for minute, _, number, _ in told.found] == found


def test_time_alone_finds_the_offence_just_after_the_end_of_a_cure() -> None:
    told = Told(rule("warn", cure=Cure(minutes=10)))
    assert due(told.state) is None
    told.at(0, low=True)
    ends = due(told.state)
    assert ends == START + timedelta(minutes=10, microseconds=1)
    assert step(told.state, told.rule, {}, ends - timedelta(microseconds=1)) == (told.state, ())
    after, (offence,) = step(told.state, told.rule, {}, ends)
    assert (offence.number, offence.broken, due(after)) == (1, True, None)


def test_a_cure_goes_on_over_a_reset_and_one_that_ended_before_it_belongs_to_the_period_before() -> None:
    told = Told(rule("warn", cure=Cure(minutes=10))).at(0, low=True).reset(5, low=True).at(10, low=False)
    assert told.found == [] and told.state.cured == 1
    told = Told(rule("warn", cure=Cure(minutes=10))).at(0, low=True).reset(15, low=True)
    assert told.found == [(15, "low", 1, "warn")]
    assert told.state.curing, "broken at the reset it is a new one, which may be cured"


def test_a_limit_that_was_not_compared_is_neither_cured_nor_broken() -> None:
    told = Told(rule("warn", cure=Cure(minutes=10))).at(0, low=True).at(5)
    assert list(told.state.curing) == ["low"] and told.found == []


@pytest.mark.parametrize(
    ("period", "day", "before", "expected"),
    [
        ("day", date(2025, 6, 3), date(2025, 6, 2), True),
        ("week", date(2025, 6, 9), date(2025, 6, 6), True),
        ("week", date(2025, 6, 10), date(2025, 6, 6), True),  # no reset began the Monday
        ("week", date(2025, 6, 10), date(2025, 6, 9), False),
        ("week", date(2025, 6, 9), None, True),
        ("week", date(2025, 6, 10), None, False),
        ("week", date(2026, 1, 1), date(2025, 12, 31), False),
        ("month", date(2025, 7, 1), date(2025, 6, 30), True),
        ("month", date(2025, 7, 2), None, False),
        ("month", date(2026, 6, 2), date(2025, 6, 2), True),
    ],
)
def test_a_reset_begins_a_week_on_monday_and_a_month_on_its_first_day(
    period: Period, day: date, before: date | None, expected: bool
) -> None:
    assert begins(period, day, before) is expected


def test_a_rule_of_a_week_counts_anew_only_when_a_week_begins() -> None:
    told = Told(rule("warn"), period="week").at(0, low=True)
    told.reset(960, date(2025, 6, 3), low=True).reset(2400, date(2025, 6, 4), low=True)
    assert len(told.found) == 1
    told.reset(9000, date(2025, 6, 9), low=True)
    assert [number for _, _, number, _ in told.found] == [1, 2]


def test_what_changes_nothing_returns_the_state_itself() -> None:
    told = Told(rule("warn")).at(0, low=True)
    again, offences = step(told.state, told.rule, {"low": True}, START)
    assert again is told.state and offences == ()
    assert step(FRESH, told.rule, {"low": False}, START)[0] is FRESH
