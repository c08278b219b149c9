import random
from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.surveillance.base import Fill
from domain.surveillance.detectors.copy_trading import CopyTradingDetector, CopyTradingThresholds
from domain.surveillance.evidence import CopiedDeal, CopiedDeals, Figures
from domain.surveillance.findings import Finding

START = datetime(2014, 5, 2, 7, tzinfo=UTC)


def opening(deal: int, account: str, owner: str, symbol: str, side: str, lots: Decimal, at: datetime) -> Fill:
    return Fill(deal, account, owner, symbol, side, lots, at, "in", f"p{deal}", Decimal(1), 0, "USD")


def observe(openings: Iterable[Fill], **limits: int) -> list[Finding]:
    detector = CopyTradingDetector(CopyTradingThresholds(**limits))
    return [finding for fill in openings for finding in detector.observe(fill)]


def pair(finding: Finding) -> tuple[str, ...]:
    assert finding.blamed == finding.in_role("follower")
    return finding.in_role("leader") + finding.in_role("follower")


def pairs(finding: Finding) -> tuple[CopiedDeal, ...]:
    return next(item.pairs for item in finding.evidence if isinstance(item, CopiedDeals))


def numbered(openings: Iterable[Fill]) -> list[Fill]:
    """In order of time, numbered as they would be stored."""
    ordered = sorted(openings, key=lambda o: (o.at, o.deal))
    return [
        opening(number, o.account_id, o.owner_id, o.symbol, o.side, o.lots, o.at)
        for number, o in enumerate(ordered, start=1)
    ]


def trader(name: str, dice: random.Random, count: int, *, around: list[datetime] | None = None) -> list[Fill]:
    """Openings at random moments, or each some seconds after one of the given moments."""
    moments = around or []
    result = []
    for number in range(count):
        at = (
            dice.choice(moments) + timedelta(milliseconds=dice.randrange(60_000))
            if moments
            else START + timedelta(milliseconds=dice.randrange(8 * 3_600_000))
        )
        side, symbol = dice.choice(["buy", "sell"]), dice.choice(["EURUSD", "XAUUSD"])
        lots = Decimal(dice.randrange(20, 600)) / 100
        result.append(opening(number, f"acc_{name}", f"trd_{name}", symbol, side, lots, at))
    return result


def copies(of: list[Fill], name: str, dice: random.Random, *, lag: int, ratio: Decimal) -> list[Fill]:
    """A copier that looks every five seconds and rounds to hundredths of a lot."""
    return [
        opening(
            10_000 + o.deal,
            f"acc_{name}",
            f"trd_{name}",
            o.symbol,
            o.side,
            max((o.lots * ratio).quantize(Decimal("0.01")), Decimal("0.01")),
            o.at + timedelta(seconds=lag, milliseconds=dice.randrange(5_000)),
        )
        for o in of
    ]


@pytest.mark.parametrize("seed", range(5))
def test_many_independent_traders_are_not_flagged(seed: int) -> None:
    dice = random.Random(seed)
    crowd = [fill for n in range(120) for fill in trader(f"t{n}", dice, 12)]
    assert observe(numbered(crowd)) == []


@pytest.mark.parametrize("seed", range(5))
def test_traders_of_the_same_news_minutes_are_not_flagged(seed: int) -> None:
    dice = random.Random(seed)
    news = [START + timedelta(minutes=45 * n) for n in range(10)]
    crowd = [fill for n in range(60) for fill in trader(f"t{n}", dice, 8, around=news)]
    assert observe(numbered(crowd)) == []


@settings(deadline=None, max_examples=40)
@given(seed=st.integers(0, 10**6), lag=st.integers(0, 40), hundredths=st.integers(30, 300))
def test_a_copier_in_a_crowd_is_found_and_nobody_else(seed: int, lag: int, hundredths: int) -> None:
    dice = random.Random(seed)
    crowd = [fill for n in range(30) for fill in trader(f"t{n}", dice, 9)]
    model = trader("leader", dice, 9)
    model = [o for n, o in enumerate(model) if all(abs(o.at - p.at) > timedelta(minutes=2) for p in model[:n])]
    if len(model) < 5:
        return
    shadow = copies(model, "shadow", dice, lag=lag, ratio=Decimal(hundredths) / 100)
    found = observe(numbered([*crowd, *model, *shadow]))
    assert [pair(f) for f in found] == [("acc_leader", "acc_shadow")]
    assert Decimal(0) < found[0].score <= 1
    assert len(pairs(found[0])) >= 5


def spaced(name: str, count: int, *, minutes: int = 30, lots: str = "1.00") -> list[Fill]:
    at = [START + timedelta(minutes=minutes * n) for n in range(count)]
    return [opening(n, f"acc_{name}", f"trd_{name}", "EURUSD", "buy", Decimal(lots), t) for n, t in enumerate(at)]


def shifted(of: list[Fill], name: str, lags: list[int], lots: list[str], owner: str | None = None) -> list[Fill]:
    return [
        opening(
            100 + o.deal,
            f"acc_{name}",
            f"trd_{owner or name}",
            o.symbol,
            o.side,
            Decimal(size),
            o.at + timedelta(seconds=lag),
        )
        for o, lag, size in zip(of, lags, lots, strict=True)
    ]


def test_the_finding_says_which_deals_and_why() -> None:
    model = spaced("a", 5)
    (finding,) = observe(numbered([*model, *shifted(model, "b", [10] * 5, ["0.50"] * 5)]))
    assert finding.sentence == (
        "5 of 5 openings repeat another trader's symbol and side, each about 10 seconds later at 0.50 times the size."
    )
    assert [(p.leader_deal, p.follower_deal) for p in pairs(finding)] == [(1, 2), (3, 4), (5, 6), (7, 8), (9, 10)]
    assert finding.key == "copy_trading/acc_a/acc_b"
    assert finding.at == model[-1].at + timedelta(seconds=10)
    figures = next(item.figures for item in finding.evidence if isinstance(item, Figures))
    assert [f"{f.measured} {f.unit} {f.bound} {f.threshold}" for f in figures] == [
        "5  at_least 5", "100.0 % at_least 70", "10.0 s at_most 60",
    ]  # fmt: skip


def test_a_finding_says_which_detector_and_which_thresholds_judged_it() -> None:
    model = spaced("a", 5)
    deals = numbered([*model, *shifted(model, "b", [10] * 5, ["0.50"] * 5)])
    (standard,), (wider,) = observe(deals), observe(deals, max_lag_seconds=90)
    assert (standard.detector, standard.detector_version) == ("copy_trading", 1)
    assert standard.thresholds_version == CopyTradingThresholds().version != wider.thresholds_version


def test_what_closes_a_position_is_no_copy() -> None:
    model = spaced("a", 6)
    copies_of_it = shifted(model, "b", [10] * 6, ["0.50"] * 6)
    assert observe(replace(fill, entry="out") for fill in numbered([*model, *copies_of_it])) == []


@pytest.mark.parametrize(
    ("lags", "lots"),
    [
        ([10] * 4, ["0.50"] * 4),  # too few
        ([5, 20, 35, 50, 12, 44], ["0.50"] * 6),  # never equally late
        ([10] * 6, ["0.50", "1.20", "0.20", "3.00", "0.80", "2.00"]),  # never equally scaled
        ([90] * 6, ["0.50"] * 6),  # too late to be a copy
    ],
)
def test_without_repetition_steady_lag_and_steady_size_nothing_is_said(lags: list[int], lots: list[str]) -> None:
    model = spaced("a", len(lags))
    assert observe(numbered([*model, *shifted(model, "b", lags, lots)])) == []


def test_the_same_owner_may_copy_itself() -> None:
    model = spaced("a", 8)
    assert observe(numbered([*model, *shifted(model, "a2", [10] * 8, ["0.50"] * 8, owner="a")])) == []


def test_a_follower_who_mostly_trades_on_its_own_is_not_flagged() -> None:
    model = spaced("a", 6)
    own = [
        opening(500 + n, "acc_b", "trd_b", "XAUUSD", "sell", Decimal(1), START + timedelta(minutes=7 + 11 * n))
        for n in range(12)
    ]
    assert observe(numbered([*model, *own, *shifted(model, "b", [10] * 6, ["0.50"] * 6)])) == []


def test_old_openings_leave_the_window() -> None:
    model = spaced("a", 6, minutes=60)
    openings = numbered([*model, *shifted(model, "b", [10] * 6, ["0.50"] * 6)])
    assert observe(openings, window_hours=3) == []
    assert len(observe(openings, window_hours=5)) == 1


def test_memory_holds_the_window_and_no_more() -> None:
    """Pairs and accounts that trade no more are forgotten, not only those that somebody looks at again."""
    detector = CopyTradingDetector(CopyTradingThresholds(window_hours=3))
    for n in range(400):
        at = START + timedelta(minutes=30 * n)
        for name, lag in ((f"a{n}", 0), (f"b{n}", 10)):
            deal = 2 * n + (lag > 0)
            detector.observe(opening(deal, name, name, f"S{n}", "buy", Decimal(1), at + timedelta(seconds=lag)))
    kept = (len(detector._by_account), len(detector._recent), len(detector._matches))
    assert all(0 < size <= 2 * 2 * (3 + 1) for size in kept)


def test_what_was_forgotten_is_ignored_when_it_is_read_again() -> None:
    model = spaced("a", 6, minutes=60)
    openings = numbered([*model, *shifted(model, "b", [10] * 6, ["0.50"] * 6)])
    assert observe([*openings, *openings, *openings], window_hours=3) == []


def test_order_of_arrival_and_repetition_do_not_matter() -> None:
    model = spaced("a", 6, minutes=1)
    openings = numbered([*model, *shifted(model, "b", [10] * 6, ["0.50"] * 6)])
    late = [openings[i] for i in (1, 0, 3, 2, 5, 4, 7, 6, 9, 8, 11, 10)]
    assert [f.key for f in observe([*late, *late])] == ["copy_trading/acc_a/acc_b"]
