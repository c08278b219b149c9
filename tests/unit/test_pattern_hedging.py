"""Hedging across accounts: legs that belong together are found, and opposite views of one market are not."""

from dataclasses import replace
from decimal import Decimal

import numpy as np
import pytest

from domain.surveillance.findings import Finding
from surveillance.pattern import Limits
from surveillance.patterns.hedging import Hedging, HedgingThresholds
from tests.books import Rows
from tests.crowds import DAY, HOUR, Trade, crowd, times


def a_firm() -> Rows:
    rows = Rows()
    crowd(rows)
    return rows


def legs(count: int = 10, seed: int = 5, lots: float = 1.0) -> list[Trade]:
    rng = np.random.default_rng(seed)
    made = zip(times(rng, count), rng.uniform(1_200, 10_000, count).tolist(), rng.choice([-1, 1], count), strict=True)
    return [Trade(at, lasted, int(side), lots) for at, lasted, side in made]


def mirror(trades: list[Trade], lag: float = 2.0, ratio: float = 1.0, jitter: float = 0.0) -> list[Trade]:
    """The same trades the other way round, each with its close as late as its opening."""
    rng = np.random.default_rng(8)
    return [
        replace(each, at=each.at + lag + float(rng.uniform(-jitter, jitter)), side=-each.side, lots=each.lots * ratio)
        for each in trades
    ]


def keep(rows: Rows, account: str, trades: list[Trade], owner: str = "", symbol: str = "EURUSD", **told: float) -> None:
    """Results follow the market: what a long leg makes for a lot, a short one loses, both less the costs."""
    rows.account(account, owner, **told)
    for each in trades:
        moved = 300 * np.sin((each.at + each.lasted) // 3_000)
        profit = (each.side * moved - 7) * each.lots
        rows.trade(account, each.at, each.lasted, symbol=symbol, side=each.side, lots=each.lots, profit=profit)


def judged(rows: Rows, limits: Limits[HedgingThresholds] | None = None) -> tuple[Finding, ...]:
    return Hedging(limits or Limits(HedgingThresholds())).judge(rows.book()).findings


def test_two_legs_that_open_and_close_together_are_found() -> None:
    rows = a_firm()
    keep(rows, "one", legs())
    keep(rows, "other", mirror(legs()))
    (finding,) = judged(rows)
    assert finding.key == "hedging/one"
    assert finding.in_role("leg") == finding.blamed == ("one", "other")
    assert finding.sentence == (
        "other opened 10 trades opposite to trades of one, each within 2.25 seconds; 100 % of the pairs closed "
        "together."
    )
    assert finding.score > Decimal("0.9")
    assert (finding.relation, finding.severity) == ("stranger", "hold")
    assert len(finding.deals) == 20


def test_legs_that_all_last_as_long_are_not_said_to_close_together() -> None:
    rows = a_firm()
    keep(rows, "one", [replace(each, lasted=1_800.0) for each in legs()])
    keep(rows, "other", mirror([replace(each, lasted=1_800.0) for each in legs()]))
    (finding,) = judged(rows)
    assert finding.sentence == "other opened 10 trades opposite to trades of one, each within 2.25 seconds."


@pytest.mark.parametrize(("lag", "jitter"), [(0.5, 0.3), (20.0, 8.0), (150.0, 30.0)])
def test_delayed_mirrors_are_found(lag: float, jitter: float) -> None:
    rows = a_firm()
    keep(rows, "one", legs())
    keep(rows, "other", mirror(legs(), lag, jitter=jitter))
    assert [finding.in_role("leg") for finding in judged(rows)] == [("one", "other")]


def test_legs_that_overlap_in_part_are_found() -> None:
    """The second leg opens a minute later and closes up to two minutes before or after the first."""
    rows, rng = a_firm(), np.random.default_rng(2)
    keep(rows, "one", legs())
    keep(
        rows,
        "other",
        [replace(each, lasted=each.lasted - 60 + float(rng.uniform(-120, 120))) for each in mirror(legs(), 60.0)],
    )
    assert [finding.in_role("leg") for finding in judged(rows)] == [("one", "other")]


def test_hedges_among_other_trades_are_found_and_the_others_told() -> None:
    rows = a_firm()
    keep(rows, "one", sorted([*legs(), *[replace(t, at=t.at + 150) for t in legs(20, seed=40)]], key=lambda t: t.at))
    keep(rows, "other", sorted([*mirror(legs()), *legs(22, seed=50)], key=lambda t: t.at))
    (finding,) = judged(rows)
    assert finding.sentence.count(" opened 10 trades opposite")
    assert finding.exculpatory


def test_a_group_that_nets_flat_is_one_finding() -> None:
    """One account is long three lots while three are short one each."""
    rows = a_firm()
    keep(rows, "large", legs(lots=3.0))
    for n in range(3):
        keep(rows, f"small{n}", mirror(legs(lots=3.0), 1.0 + n, 1 / 3))
    (finding,) = judged(rows)
    assert finding.in_role("leg") == ("large", "small0", "small1", "small2")
    assert any(": 0 % of the traded size is not hedged" in str(each) for each in finding.evidence)


def test_indices_that_move_together_hedge_each_other() -> None:
    rows = a_firm()
    keep(rows, "one", legs(), symbol="US500")
    keep(rows, "other", mirror(legs()), symbol="US30")
    assert [finding.in_role("leg") for finding in judged(rows)] == [("one", "other")]
    rows = a_firm()
    keep(rows, "one", legs(), symbol="EURUSD")
    keep(rows, "other", mirror(legs()), symbol="XAUUSD")
    assert judged(rows) == ()


def test_sizes_are_compared_by_the_loss_limits() -> None:
    rows = a_firm()
    keep(rows, "one", legs(), max_loss=10_000)
    keep(rows, "other", mirror(legs(), ratio=0.5), max_loss=5_000)
    (finding,) = judged(rows)
    (table,) = [each for each in finding.evidence if getattr(each, "title", "").startswith("Hedged pairs")]
    assert "1.00" in str(table)


def test_hedging_between_ones_own_accounts_is_scored_unless_the_firm_allows_it() -> None:
    rows = a_firm()
    keep(rows, "one", legs(), "ann")
    keep(rows, "other", mirror(legs()), "ann")
    (finding,) = judged(rows)
    assert (finding.relation, finding.severity) == ("same_owner", "hold")
    (noted,) = judged(rows, Limits(HedgingThresholds(own_hedging="noted")))
    assert (noted.severity, noted.blamed) == ("note", ())
    assert noted.score < Decimal("0.5")
    assert judged(rows, Limits(HedgingThresholds(own_hedging="ignored"))) == ()


def test_hedging_within_one_account_is_not_this() -> None:
    rows = a_firm()
    keep(rows, "one", sorted([*legs(), *mirror(legs())], key=lambda each: each.at))
    assert judged(rows) == ()


@pytest.mark.parametrize("equal_sizes", [False, True])
def test_a_trend_trader_against_a_reversion_trader_is_spared(*, equal_sizes: bool) -> None:
    """They take opposite sides at the same breakouts, a candle's opening each, and close on their own."""
    rows, rng = a_firm(), np.random.default_rng(3)
    breaks = [day * DAY + hour * HOUR for day in range(10) for hour in (8, 11, 15)]
    for name, view in (("trend", 1), ("reversion", -1)):
        sides = np.random.default_rng(4).choice([-1, 1], len(breaks))
        lots_of = np.ones(len(breaks)) if equal_sizes else np.round(rng.uniform(0.5, 2, len(breaks)), 2)
        trades = [
            Trade(at + float(rng.exponential(8)), float(rng.exponential(3_000) + 60), int(view * side), float(lots))
            for at, side, lots in zip(breaks, sides, lots_of, strict=True)
        ]
        keep(rows, name, trades)
    assert judged(rows) == ()


def test_overlap_alone_means_nothing() -> None:
    rows = a_firm()
    keep(rows, "one", legs(30))
    keep(rows, "other", [replace(each, at=each.at + 400.0, side=-each.side) for each in legs(30)])
    assert judged(rows) == ()


def test_the_key_stays_when_a_leg_joins() -> None:
    rows = a_firm()
    keep(rows, "one", legs(), opened=1.0)
    keep(rows, "other", mirror(legs()), opened=2.0)
    (before,) = judged(rows)
    keep(rows, "a third", mirror(legs(), 4.0, 0.5), opened=3.0)
    (after,) = judged(rows)
    assert before.key == after.key
    assert "a third" in after.in_role("leg")
