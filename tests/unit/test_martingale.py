"""Martingale: chains of rising sizes after losses, their evasions, and what only looks like it."""

from collections.abc import Sequence
from itertools import cycle

import numpy as np
import pytest

from domain.surveillance.findings import Finding
from surveillance.pattern import Limits
from surveillance.patterns.martingale import Martingale, MartingaleThresholds
from tests.books import Rows

PAUSE = 1800.0


def found(rows: Rows) -> tuple[Finding, ...]:
    return Martingale(Limits(MartingaleThresholds())).judge(rows.book()).findings


def told(results: Sequence[float], lots: Sequence[float]) -> Rows:
    """One trade of ten minutes each half hour. `results`: profit of one lot."""
    rows = Rows()
    rows.account("a")
    for n, (result, size) in enumerate(zip(results, lots, strict=True)):
        rows.trade("a", n * PAUSE, 600, lots=size, profit=result * size)
    return rows


def doubling(results: list[float], ratio: float = 2.0) -> list[float]:
    lots = [1.0]
    for result in results[:-1]:
        lots.append(lots[-1] * ratio if result < 0 else 1.0)
    return lots


L, W = -100.0, 110.0
FOUR_CHAINS = [W, L, L, L, W, W, L, L, W, L, L, L, W, W, W, L, L, W, W]


def test_doubling_after_each_loss_is_found_with_its_chains() -> None:
    (finding,) = found(told(FOUR_CHAINS, doubling(FOUR_CHAINS)))
    assert finding.key == "martingale/a"
    assert finding.score >= 0.5
    # four streaks: 1, 2, 4, 8 twice and 1, 2, 4 twice; all ten losses are followed by a larger trade, no win is
    assert finding.sentence == (
        "Raised the size in 4 losing streaks, up to 8.0 times the first trade of the streak: after 100 % of losses and "
        "0 % of wins."
    )
    assert len(finding.deals) == 4 + 3 + 4 + 3
    assert {"t2", "t5"} <= {*finding.deals}
    assert "t1" not in finding.deals
    ladder = finding.evidence[1]
    assert ladder.type == "ladder"
    assert [row[5] for row in ladder.rows[:4]] == ["1.00", "2.00", "4.00", "8.00"]  # type: ignore[union-attr]


@pytest.mark.parametrize("ratio", [1.5, 1.6, 3.0])
def test_other_ratios_are_found(ratio: float) -> None:
    assert found(told(FOUR_CHAINS * 2, doubling(FOUR_CHAINS * 2, ratio)))


def test_rising_only_after_every_second_loss_is_found() -> None:
    results: list[float] = []
    lots: list[float] = []
    for _ in range(5):
        results += [L, L, L, L, W, W, W]
        lots += [1, 1, 2, 2, 4, 1, 1]
    assert found(told(results, lots))


def test_a_few_chains_among_many_trades_of_one_size_are_found() -> None:
    results = np.random.default_rng(4).choice([L, W], 60).tolist() + [L, L, L, W] * 3
    assert found(told(results, [1.0] * 60 + [1.0, 2.0, 4.0, 8.0] * 3))


def test_jittered_sizes_and_legs_split_within_seconds_are_found() -> None:
    rng = np.random.default_rng(5)
    rows = Rows()
    rows.account("a")
    results = FOUR_CHAINS * 2
    for n, (result, size) in enumerate(zip(results, doubling(results), strict=True)):
        third = round(size * rng.uniform(0.92, 1.08) / 3, 2)
        for leg in range(3):
            rows.trade("a", n * PAUSE + 4 * leg, 600, lots=third, profit=result * third)
    (finding,) = found(rows)
    assert "8 losing streaks" in finding.sentence


def test_chains_in_one_symbol_between_ordinary_trades_in_another_are_found() -> None:
    rows = told(FOUR_CHAINS, doubling(FOUR_CHAINS))
    for n in range(40):
        rows.trade("a", n * 900 + 60, 500, symbol="XAUUSD", lots=0.5, profit=(-1) ** n * 40)
    (finding,) = found(rows)
    assert "in each symbol" in finding.chance


def test_chains_that_change_the_symbol_are_found() -> None:
    rows = Rows()
    rows.account("a")
    results = FOUR_CHAINS * 2
    symbols = cycle(("EURUSD", "XAUUSD", "GBPUSD"))
    unit = {"EURUSD": 1.0, "XAUUSD": 0.5, "GBPUSD": 1.0}
    for n, (result, size, symbol) in enumerate(zip(results, doubling(results), symbols, strict=False)):
        rows.trade("a", n * PAUSE, 600, symbol=symbol, lots=size * unit[symbol], profit=result * size)
    assert found(rows)


def test_larger_and_larger_additions_to_a_losing_position_are_found() -> None:
    rows = Rows()
    rows.account("a")
    for basket in range(4):
        for level in range(4):
            rows.trade(
                "a",
                basket * 86_400 + level * PAUSE,
                4 * PAUSE - level * PAUSE,
                lots=2.0**level,
                open_price=1.30 - 0.002 * level,
                profit=10,
            )
    (finding,) = found(rows)
    assert "4 losing streaks" in finding.sentence


def test_two_chains_are_not_enough() -> None:
    results = [W, L, L, W, W, W, L, L, W, W, W, L, W, L, W]
    assert not found(told(results, [1, 1, 2, 4, 1, 1, 1, 2, 4, 1, 1, 1, 1, 1, 1]))


def test_random_sizes_are_spared() -> None:
    rng = np.random.default_rng(1)
    for _ in range(30):
        results = rng.choice([L, W], 120).tolist()
        assert not found(told(results, rng.choice([0.5, 1.0, 2.0, 4.0], 120).tolist()))


def test_sizes_that_follow_volatility_are_spared() -> None:
    """Calm and wild hours take turns; every trade risks the same, and more of those in wild hours lose."""
    rng = np.random.default_rng(2)
    rows = Rows()
    rows.account("a")
    for n in range(120):
        wild = rng.random() < 0.5
        distance = 0.004 if wild else 0.001
        lost = rng.random() < (0.8 if wild else 0.2)
        rows.trade(
            "a",
            n * PAUSE,
            600,
            lots=0.004 / distance,
            open_price=1.3,
            stop=1.3 - distance,
            profit=-400 if lost else 400,
        )
    assert not found(rows)


def test_sizes_that_follow_the_balance_are_spared() -> None:
    rng = np.random.default_rng(3)
    results = rng.choice([L, W], 150).tolist()
    lots = [1.0]
    for result in results[:-1]:
        lots.append(lots[-1] * (1.25 if result > 0 else 0.8))
    assert not found(told(results, lots))


def test_pyramids_on_winners_are_spared() -> None:
    rows = Rows()
    rows.account("a")
    for basket in range(6):
        for level in range(4):
            rows.trade(
                "a",
                basket * 86_400 + level * PAUSE,
                9_000 - level * PAUSE,
                lots=1.0 + level,
                open_price=1.3 + 0.002 * level,
            )
    assert not found(rows)


def test_a_planned_risk_in_parts_with_one_stop_is_spared() -> None:
    """0.6, 1 and 3 lots, 50, 30 and 10 pips from one stop: each part risks 300."""
    rows = Rows()
    rows.account("a")
    for basket in range(8):
        for level, (lots, pips) in enumerate(((0.6, 50), (1.0, 30), (3.0, 10))):
            rows.trade(
                "a", basket * 86_400 + level * PAUSE, 9_000, lots=lots, open_price=1.25 + pips / 10_000, stop=1.25
            )
    assert not found(rows)


def test_thresholds_of_a_product_serve_its_accounts_only() -> None:
    rows = Rows()
    for name, product in (("a", "free"), ("b", "strict")):
        rows.account(name, product=product)
        for n, (result, size) in enumerate(zip(FOUR_CHAINS, doubling(FOUR_CHAINS), strict=True)):
            rows.trade(name, n * PAUSE, 600, lots=size, profit=result * size)
    limits = Limits(
        MartingaleThresholds(),
        {"free": MartingaleThresholds(min_chains=9, min_steps_of_one_chain=9, min_steps_of_regular=99)},
    )
    (finding,) = Martingale(limits).judge(rows.book()).findings
    assert finding.blamed == ("b",)
