"""The recorded life of an account as events, and what other terms would have made of it."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from domain.errors import BadInput
from domain.histories.impact import (
    AccountLife,
    ChallengeLife,
    LiveDecision,
    PayoutRow,
    check_comparable,
    compare,
    totals,
)
from domain.histories.recorded import Bar, Fill, Operation, RecordedLife, events
from domain.products.product import Product
from domain.rules.events import Closed, Marked, Opened, Rolled
from firm.products.shelf import SHELF, load_product

START = datetime(2014, 5, 1, 9, tzinfo=UTC)
INITIAL = 10_000_000


def two_step(**changes: Any) -> Product:
    terms = load_product(SHELF / "two-step.v1.yaml").model_dump(mode="json")
    daily = changes.pop("daily", None)
    for phase in (*terms["phases"], terms["funded"]):
        if daily is not None:
            phase["rules"][0]["allowance"]["value"] = daily
    return Product.model_validate(terms | {"version": 2} | changes)


def bar(minutes: int, *worth: int, balance: int = INITIAL) -> Bar:
    first, high, low, last = worth
    return Bar(START + timedelta(minutes=minutes), first, high, low, last, balance)


def fill(minutes: int, entry: str, position: str, *, profit: int = 0, balance: int = INITIAL) -> Fill:
    return Fill(
        at=START + timedelta(minutes=minutes, seconds=30),
        position_id=position,
        symbol="EURUSD",
        side="buy" if entry == "in" else "sell",
        entry="in" if entry == "in" else "out",
        lots=Decimal(1),
        price=Decimal("1.1"),
        profit_minor=profit,
        commission_minor=0,
        swap_minor=0,
        balance_minor=balance,
    )


def account(phase: int, life: RecordedLife, live: str = "none", payouts: tuple[PayoutRow, ...] = ()) -> AccountLife:
    verdict: Any = live
    return AccountLife(f"A-1000{phase}", phase, life, LiveDecision(verdict), payouts)


DIPPED = RecordedLife(  # down to 95,500.00 within the day and up to 108,000.00 afterwards
    opened_at=START,
    fills=(fill(0, "in", "p"), fill(3, "out", "p", profit=800_000, balance=INITIAL + 800_000)),
    bars=(
        bar(0, INITIAL, INITIAL, 9_990_000, 9_990_000),
        bar(1, 9_990_000, 9_990_000, 9_550_000, 9_600_000),
        bar(2, 9_600_000, 10_800_000, 9_600_000, 10_800_000),
        bar(3, 10_800_000, 10_800_000, 10_800_000, 10_800_000, balance=10_800_000),
    ),
)


def test_a_minute_is_walked_as_a_candle_and_fills_keep_their_places() -> None:
    told = list(events(DIPPED, two_step(), INITIAL))
    kinds = [type(event) for event in told]
    assert kinds.index(Opened) < kinds.index(Marked) and Closed in kinds
    marks = [event.equity_minor for event in told if isinstance(event, Marked)]
    assert marks == [INITIAL, 9_990_000, 9_990_000, 9_550_000, 9_600_000, 9_600_000, 10_800_000, 10_800_000]
    assert [event.seq for event in told] == list(range(1, len(told) + 1))
    assert [event.at for event in told] == sorted(event.at for event in told)


def test_the_resets_are_those_of_the_terms_and_use_the_snapshot_where_there_is_one() -> None:
    reset = datetime(2014, 5, 1, 22, tzinfo=UTC)
    bars = (bar(0, INITIAL, INITIAL, INITIAL, 10_100_000), bar(24 * 60, 1, 1, 1, 1))
    life = RecordedLife(opened_at=START, fills=(fill(0, "in", "p"),), bars=bars, snapshots={reset: 10_050_000})
    told = [event for event in events(life, two_step(), 10_000_000) if isinstance(event, Rolled)]
    assert [(event.at, event.equity_minor) for event in told] == [(reset, 10_050_000)]
    chicago = two_step(clock={"zone": "America/Chicago", "reset": "17:00"})
    told = [event for event in events(life, chicago, 10_000_000) if isinstance(event, Rolled)]
    assert [event.at for event in told] == [reset], "17:00 in Chicago in May is the same instant"
    noon = two_step(clock={"zone": "UTC", "reset": "12:00"})
    told = [event for event in events(life, noon, 10_000_000) if isinstance(event, Rolled)]
    assert [event.equity_minor for event in told] == [10_100_000], "the last minute's close, where nothing is on record"


def test_a_tighter_day_fails_who_passed() -> None:
    found = compare(ChallengeLife("chl", (account(1, DIPPED, "pass"),)), two_step(), two_step(daily="4"))
    assert (found.a.fate, found.a.verdicts) == ("in_evaluation", (("A-10001", "pass"),))
    assert (found.b.fate, found.b.rule_id, found.b.at) == (
        "failed",
        "daily_loss",
        START + timedelta(minutes=2) - timedelta(microseconds=1),
    )
    assert found.changed and found.differs_from_live == ()


def test_the_phases_after_a_lost_one_do_not_happen() -> None:
    calm = RecordedLife(opened_at=START + timedelta(days=1))
    challenge = ChallengeLife("chl", (account(1, DIPPED, "pass"), account(2, calm)))
    found = compare(challenge, two_step(), two_step(daily="4"))
    assert (found.a.phase_index, found.b.phase_index) == (2, 1)


def test_where_the_minute_says_otherwise_than_the_live_verdict_it_is_said() -> None:
    found = compare(ChallengeLife("chl", (account(1, DIPPED, "breach"),)), two_step(), two_step())
    assert not found.changed
    assert found.differs_from_live == ("A-10001: live breach; the replay by the minute says pass",)


def hourly(low: int) -> RecordedLife:
    """One trade from 9:05 to 10:10. The equity before 10:00 is known by the hour only."""
    end = INITIAL + 800_000
    fills = (fill(5, "in", "p"), fill(70, "out", "p", profit=800_000, balance=end))
    hour = Bar(START, INITIAL, end, low, 10_500_000, INITIAL, minutes=60)
    return RecordedLife(opened_at=START, fills=fills, bars=(hour, bar(70, end, end, end, end, balance=end)))


def test_an_hour_is_walked_at_its_end_and_bounds_the_equity_at_its_fills() -> None:
    life = hourly(9_990_000)
    told = list(events(life, two_step(), INITIAL))
    marks = [(event.at, event.equity_minor) for event in told if isinstance(event, Marked)]
    end = START + timedelta(hours=1) - timedelta(microseconds=1)
    assert marks[:3] == [(end, 9_990_000), (end, INITIAL + 800_000), (end, 10_500_000)]
    opened = next(event for event in events(hourly(INITIAL + 1), two_step(), INITIAL) if isinstance(event, Opened))
    assert opened.equity_minor == INITIAL + 1, "the hour was never lower"
    assert life.until(START + timedelta(minutes=59)).bars == ()
    assert life.until(START + timedelta(minutes=60)).bars == life.bars[:1]


def test_a_life_that_is_known_by_the_hour_is_judged_and_said_to_be() -> None:
    found = compare(ChallengeLife("chl", (account(1, hourly(9_550_000), "breach"),)), two_step(), two_step(daily="4"))
    assert (found.a.verdicts, found.b.rule_id) == ((("A-10001", "pass"),), "daily_loss")
    assert found.by_the_hour
    assert found.differs_from_live == ("A-10001: live breach; the replay by the hour says pass",)
    assert not compare(ChallengeLife("chl", (account(1, DIPPED, "pass"),)), two_step(), two_step()).by_the_hour


def funded(*payouts: PayoutRow, until: int = 30) -> ChallengeLife:
    rich = INITIAL + 500_000
    deposit = Operation(START, "deposit", INITIAL, INITIAL)
    life = RecordedLife(
        opened_at=START,
        operations=(deposit,),
        fills=(fill(1, "in", "p"), fill(2, "out", "p", profit=500_000, balance=rich)),
        bars=(
            bar(1, INITIAL, rich, INITIAL, rich),
            bar(2, rich, rich, rich, rich, balance=rich),
            bar(until * 1440, rich, rich, rich, rich, balance=rich),
        ),
    )
    return ChallengeLife("chl", (AccountLife("A-10003", 3, life, LiveDecision("none"), payouts),))


def test_payouts_are_asked_again_of_the_other_terms() -> None:
    paid = PayoutRow("pay", START + timedelta(days=20), 200_000, 160_000)
    payout = load_product(SHELF / "two-step.v1.yaml").model_dump(mode="json")["payout"]
    old = two_step()
    more = two_step(payout=payout | {"split_pct": "90"}, fee="600")
    later = two_step(payout=payout | {"first_after_days": 21})
    found = compare(funded(paid), old, more)
    assert (found.a.fate, found.a.paid_minor, found.b.paid_minor) == ("paid", 160_000, 180_000)
    assert (compare(funded(paid), old, later).b.fate, compare(funded(paid), old, later).b.payouts) == ("funded", 0)
    sums = totals(old, [found.a]), totals(more, [found.b])
    assert [(one.fees_minor, one.paid_minor, one.net_minor) for one in sums] == [
        (54_000, 160_000, -106_000),
        (60_000, 180_000, -120_000),
    ]
    assert sums[0].fates["paid"] == 1


@pytest.mark.parametrize(
    ("changes", "field"), [({"initial_balance": "50000"}, "initial_balance"), ({"currency": "EUR"}, "currency")]
)
def test_what_cannot_be_compared_is_refused(changes: dict[str, Any], field: str) -> None:
    with pytest.raises(BadInput) as refused:
        check_comparable(two_step(), two_step(**changes))
    assert refused.value.field == field
