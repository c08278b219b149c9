"""What a venue may hold of our limits: never more than we would end an account for."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.clocks import Clock
from domain.products.phase_terms import PhaseTerms, phase_terms
from domain.products.product import Product
from domain.products.second_wall import (
    NO_FLOORS,
    DayStart,
    LimitDifference,
    MoneyMoves,
    VenueFloors,
    VenueMeaning,
    differences,
    to_send,
    wall,
)
from domain.rules.evaluate import judge, judge_rollover
from domain.rules.floors import Mark
from domain.rules.state import (
    AccountRules,
    fresh,
    on_payout_hold,
    on_payout_release,
    on_payout_settled,
    on_reinstatement,
)
from tests.shelf import shipped

CHICAGO = Clock(zone="America/Chicago", reset="17:00")
SIZE = 10_000_000
TWO_STEP = next(each for each in shipped() if each.product == "two-step")
DAILY = {"type": "daily_loss", "anchor": "max(balance,equity)", "allowance": {"type": "amount", "value": "5000"}}
STATIC = {"type": "max_loss_static", "allowance": {"type": "pct_of_initial", "value": "10"}}
TRAILING = {
    "type": "max_loss_trailing",
    "peak_basis": "intraday_equity_peak",
    "allowance": {"type": "amount", "value": "6000"},
    "lock": {"offset": "100"},
}
BELOW, AT = "equity < floor", "equity <= floor"


def a_phase(*rules: dict[str, Any], clock: Clock = CHICAGO) -> PhaseTerms:
    terms = TWO_STEP.model_dump(mode="json")
    given = [{"breach_when": AT, **rule} for rule in rules]
    terms["phases"][0] |= {"rules": given, "time_limit_days": None}
    terms["clock"] = clock.model_dump(mode="json")
    return phase_terms(Product.model_validate(terms), 1)


def mark(balance: int, equity: int | None = None, at: datetime = datetime(2026, 3, 2, 15, tzinfo=UTC)) -> Mark:
    return Mark(balance, balance if equity is None else equity, 1, at)


def held(*rules: dict[str, Any], clock: Clock = CHICAGO, day_start: DayStart = "balance", **more: Any) -> VenueFloors:
    phase = a_phase(*rules, clock=clock)
    return wall(phase, fresh(phase.specs), VenueMeaning(CHICAGO, day_start), **more).floors


def test_a_static_loss_is_a_trailing_one_that_has_stopped() -> None:
    assert held(STATIC) == VenueFloors(trailing_loss_minor=1_000_000, trailing_stop_minor=9_000_000)


def test_a_venue_breaks_at_its_floor_so_a_floor_that_we_allow_is_sent_one_unit_lower() -> None:
    below = {"breach_when": BELOW}
    assert held(STATIC | below) == VenueFloors(trailing_loss_minor=1_000_001, trailing_stop_minor=8_999_999)
    assert held(TRAILING | below).trailing_loss_minor == 600_001
    assert held(DAILY | below).daily_loss_minor == 500_001


def test_a_floor_that_both_let_rise_alike_is_held_whole() -> None:
    assert held(TRAILING) == VenueFloors(trailing_loss_minor=600_000, trailing_stop_minor=10_010_000, trail="live")
    closing = TRAILING | {"peak_basis": "eod_balance_peak", "lock": None}
    assert held(closing) == VenueFloors(trailing_loss_minor=600_000, trail="end_of_day")
    assert held(closing, day_start="either") == VenueFloors(trailing_loss_minor=600_000, trailing_stop_minor=9_400_000)
    assert held(closing, clock=Clock(zone="UTC", reset="00:00")).trail == "live", "its day ends at another moment"


def test_the_closest_floor_of_several_is_held_and_the_others_say_why_not() -> None:
    phase = a_phase(STATIC, TRAILING, DAILY)
    found = wall(phase, fresh(phase.specs), VenueMeaning(CHICAGO))
    assert found.floors == VenueFloors(500_000, 600_000, 10_010_000, "live")
    assert [(each.rule_id, each.holds) for each in found.levels] == [
        ("max_loss", "no"),
        ("trailing_loss", "exact"),
        ("daily_loss", "looser"),
    ]
    assert found.levels[0].sentence.startswith("Max loss: not held: the venue holds one limit of this kind")


@pytest.mark.parametrize(
    ("rule", "why"),
    [
        (DAILY | {"anchor": "balance"}, "another figure"),
        (DAILY | {"anchor": "intraday_equity_peak"}, "another figure"),
        (DAILY | {"allowance": {"type": "pct_of_anchor", "value": "4"}}, "a share of a figure that moves"),
        (DAILY | {"period": "week"}, "no loss of a week"),
        (DAILY | {"judged_at": "eod"}, "compared at the daily reset only"),
        (DAILY | {"consequences": [{"kind": "pause_until_reset"}]}, "does not end the account at once"),
        (DAILY | {"cure": {"minutes": 5, "times": 1}}, "does not end the account at once"),
        (DAILY | {"holds": {"swaps": False}}, "leaves a part of the equity out"),
        ({"type": "floating_loss", "limit": {"type": "amount", "value": "900"}}, "the venue has no such limit"),
        (
            {"type": "floating_loss", "per": "symbol", "limit": {"type": "amount", "value": "900"}},
            "counts each symbol or position by itself",
        ),
        (
            STATIC | {"allowance": {"type": "pct_of_balance", "value": "5"}},
            "its size moves with the account",
        ),
    ],
)
def test_what_a_venue_means_otherwise_is_not_held(rule: dict[str, Any], why: str) -> None:
    phase = a_phase(rule)
    found = wall(phase, fresh(phase.specs), VenueMeaning(CHICAGO, "either"))
    assert found.floors == NO_FLOORS
    assert why in found.levels[0].sentence


def test_a_day_that_begins_elsewhere_is_not_held() -> None:
    assert held(DAILY, clock=Clock(zone="Europe/Prague", reset="00:00")) == NO_FLOORS


def test_a_move_to_other_terms_lifts_everything_until_it_is_done() -> None:
    assert held(STATIC, DAILY, terms_change=True) == NO_FLOORS


def test_money_that_moves_lifts_the_daily_loss_and_stands_the_trailing_one_still() -> None:
    moved = held(TRAILING, DAILY, moves=MoneyMoves(ever=True, today=True))
    assert moved == VenueFloors(trailing_loss_minor=600_000, trailing_stop_minor=9_400_000)


def test_a_payout_that_lets_the_floor_fall_is_held_at_the_lower_floor_before_its_money_leaves() -> None:
    falls = TRAILING | {"peak_falls_by_payout": True, "lock": None}
    phase = a_phase(falls)
    rules, _ = judge(fresh(phase.specs), mark(SIZE + 500_000))
    before = wall(phase, rules, VenueMeaning(CHICAGO), MoneyMoves(ever=True, holds_minor=(300_000,))).floors
    assert before.trailing_stop_minor == SIZE + 500_000 - 600_000 - 300_000
    zero = phase.specs[0].__class__(**{**_fields(phase), "settles": "zero"})
    after = wall(phase, AccountRules((zero,), rules.states), VenueMeaning(CHICAGO), MoneyMoves(settles=True))
    assert after.floors == NO_FLOORS, "the first payout sets the floor to zero, which the venue cannot hold"


def _fields(phase: PhaseTerms) -> dict[str, Any]:
    spec = phase.specs[0]
    return {name: getattr(spec, name) for name, each in spec.__dataclass_fields__.items() if each.init}


def test_a_reinstatement_within_the_day_lifts_the_daily_loss_until_the_next_reset() -> None:
    phase = a_phase(DAILY)
    noon = datetime(2026, 3, 2, 18, tzinfo=UTC)
    rules = on_reinstatement(fresh(phase.specs), mark(SIZE, at=noon))
    assert wall(phase, rules, VenueMeaning(CHICAGO)).floors == NO_FLOORS
    rules, _ = judge_rollover(rules, mark(SIZE, at=CHICAGO.next_reset(noon)), {"day"})
    assert wall(phase, rules, VenueMeaning(CHICAGO)).floors.daily_loss_minor == 500_000


def test_a_limit_that_shall_be_gone_is_sent_far_away() -> None:
    sent = to_send(VenueFloors(daily_loss_minor=1), NO_FLOORS, SIZE)
    assert sent == VenueFloors(daily_loss_minor=1)
    gone = to_send(NO_FLOORS, VenueFloors(1, 2, 3, "live"), SIZE)
    assert gone == VenueFloors(SIZE * 100, SIZE * 100, SIZE * 100, "live")
    assert to_send(VenueFloors(daily_loss_minor=7), gone, 0) == VenueFloors(7, SIZE * 100, SIZE * 100)


def test_a_drift_names_the_limit_and_both_values() -> None:
    sent = VenueFloors(500, 900, None, "live")
    assert differences(sent, sent) == ()
    assert differences(sent, VenueFloors(400, None, 5, "live")) == (
        LimitDifference("daily_loss_minor", 500, 400),
        LimitDifference("trailing_loss_minor", 900, None),
        LimitDifference("trailing_stop_minor", None, 5),
    )
    assert differences(sent, VenueFloors(500, 900, None, "end_of_day")) == (
        LimitDifference("trailing_loss_minor", 900, 900),
    )
    assert differences(NO_FLOORS, VenueFloors(trail="end_of_day")) == ()


# the promise itself


@dataclass
class AVenue:
    """A venue that holds limits. `follows`: whether its figures move with money that comes and goes."""

    day_start: DayStart
    follows: bool
    start: int = SIZE
    peak: int = SIZE
    day_peak: int = SIZE
    held: VenueFloors = NO_FLOORS

    def money(self, delta: int) -> None:
        if self.follows:
            self.start, self.peak, self.day_peak = self.start + delta, self.peak + delta, self.day_peak + delta

    def day_ends(self, balance: int, equity: int) -> None:
        self.start = equity if self.day_start == "equity" else balance
        self.day_peak = max(self.day_peak, self.start)

    def locks(self, equity: int) -> bool:
        self.peak = max(self.peak, equity)
        floors = []
        if self.held.trailing_loss_minor is not None:
            peak = self.peak if self.held.trail == "live" else self.day_peak
            floor, stop = peak - self.held.trailing_loss_minor, self.held.trailing_stop_minor
            floors.append(floor if stop is None else min(floor, stop))
        if self.held.daily_loss_minor is not None:
            floors.append(self.start - self.held.daily_loss_minor)
        return any(equity <= floor for floor in floors)


_SIZES = st.sampled_from(
    [
        {"type": "amount", "value": "2000"},
        {"type": "pct_of_initial", "value": "3"},
        {"type": "pct_of_peak", "value": "3"},
    ]
)
_RULES = st.one_of(
    st.builds(
        lambda anchor, falls: DAILY | {"anchor": anchor, "payout_effects": ["anchor_falls_by_payout"] if falls else []},
        st.sampled_from(["balance", "equity", "max(balance,equity)", "intraday_equity_peak"]),
        st.booleans(),
    ),
    st.just(DAILY | {"anchor": "initial_balance"}),
    st.builds(lambda effect: STATIC | {"payout_effect": effect}, st.sampled_from(["unchanged", "floor_set_to_zero"])),
    st.builds(
        lambda basis, size, lock, falls, effect: {
            "type": "max_loss_trailing",
            "peak_basis": basis,
            "allowance": size,
            "lock": lock,
            "peak_falls_by_payout": falls,
            "payout_effect": effect,
        },
        st.sampled_from(
            ["eod_balance_peak", "eod_max_balance_equity_peak", "intraday_balance_peak", "intraday_equity_peak"]
        ),
        _SIZES,
        st.sampled_from([None, {"offset": "100"}]),
        st.booleans(),
        st.sampled_from(["unchanged", "locks_at_initial", "floor_set_to_zero", "full_reset"]),
    ),
)
_STEPS = st.lists(
    st.tuples(
        st.sampled_from(["mark", "mark", "deal", "reset", "send", "payout", "release", "settle", "gift", "reinstate"]),
        st.integers(-400_000, 400_000),
    ),
    max_size=40,
)


@given(
    st.lists(_RULES, min_size=1, max_size=3, unique_by=lambda rule: rule["type"]),
    st.sampled_from([BELOW, AT]),
    st.sampled_from(["balance", "equity"]),
    st.booleans(),
    st.booleans(),
    _STEPS,
)
def test_the_venue_never_locks_an_account_that_we_would_let_trade(
    rules: list[dict[str, Any]],
    operator: str,
    day_start: DayStart,
    known: bool,
    follows: bool,
    steps: list[tuple[str, int]],
) -> None:
    phase = a_phase(*({"breach_when": operator, **rule} for rule in rules))
    meaning = VenueMeaning(CHICAGO, day_start if known else "either")
    life = ALife(phase, meaning, AVenue(day_start, follows))
    for step, amount in steps:
        if life.take(step, amount):
            return


class ALife:
    """An account at both, told the same. Limits are sent at the start, before money moves, and when a step says so."""

    def __init__(self, phase: PhaseTerms, meaning: VenueMeaning, venue: AVenue) -> None:
        self.phase, self.meaning, self.venue = phase, meaning, venue
        self.rules = fresh(phase.specs)
        self.balance, self.floating, self.held_back = SIZE, 0, 0
        self.now = datetime(2026, 3, 2, 15, tzinfo=UTC)
        self.ever = self.today = False
        self.send()

    def send(self, holds: tuple[int, ...] = ()) -> None:
        moves = MoneyMoves(self.ever, self.today, holds, settles=self.held_back > 0 or bool(holds))
        wanted = wall(self.phase, self.rules, self.meaning, moves).floors
        self.venue.held = to_send(wanted, self.venue.held, SIZE)

    def take(self, step: str, amount: int) -> bool:
        """Returns whether we ended the account."""
        self.now += timedelta(minutes=7)
        if step == "reset":
            self.now = CHICAGO.next_reset(self.now)
            self.rules, broken = judge_rollover(self.rules, self.mark(), {"day"})
            self.venue.day_ends(self.balance, self.balance + self.floating)
            self.today = False
            return bool(broken) or self.compared()
        if step == "mark":
            self.floating = amount
        elif step == "deal":
            self.balance, self.floating = self.balance + amount, 0
        elif step == "send":
            self.send()
        elif step == "reinstate":
            self.ever = self.today = True
            self.send()
            self.rules = on_reinstatement(self.rules, self.mark())
        else:
            self.move(step, abs(amount))
        return self.compared()

    def move(self, step: str, amount: int) -> None:
        self.ever = self.today = True
        if step == "payout" and not self.held_back:
            self.send((amount,))
            self.rules, self.held_back = on_payout_hold(self.rules, amount), amount
            self.pay(-amount)
        elif step == "release" and self.held_back:
            self.send()
            self.rules = on_payout_release(self.rules, self.held_back)
            self.pay(self.held_back)
            self.held_back = 0
        elif step == "settle" and self.held_back:
            self.send()
            self.rules, self.held_back = on_payout_settled(self.rules), 0
        elif step == "gift":
            self.send()
            self.pay(amount)

    def pay(self, delta: int) -> None:
        self.balance += delta
        self.venue.money(delta)

    def mark(self) -> Mark:
        return mark(self.balance, self.balance + self.floating, self.now)

    def compared(self) -> bool:
        """The venue does not lock the account now, nor at the least equity that we allow now."""
        self.rules, broken = judge(self.rules, self.mark())
        locked = self.venue.locks(self.balance + self.floating)
        if broken:
            return True
        least = max(
            state.floor_minor + (1 if spec.inclusive else 0)
            for spec, state in zip(self.rules.specs, self.rules.states, strict=True)
        )
        locked = locked or self.venue.locks(least)
        assert not locked, (self.venue, [each.floor_minor for each in self.rules.states])
        return False
