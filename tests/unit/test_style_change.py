"""Style change: another hand in the next phase, a service that passes phases, and what honest traders change."""

from dataclasses import dataclass

import numpy as np
import pytest

from domain.surveillance.findings import Finding
from surveillance.measures.profiles import js_distance
from surveillance.pattern import Judged, Limits
from surveillance.patterns.style_change import StyleChange, StyleChangeThresholds
from tests.books import Rows

DAY = 86_400.0


@dataclass(frozen=True)
class Style:
    """`hour`: around which it trades; `holding`: the median in seconds; `expert`: who places the trades."""

    symbols: tuple[str, ...] = ("EURUSD", "GBPUSD")
    hour: float = 9.0
    holding: float = 1_200.0
    lots: float = 1.0
    expert: str = ""


SCALPER = Style()
NIGHT = Style(("XAUUSD",), hour=20.0, holding=20_000.0)


def phase(
    rows: Rows, account: str, style: Style, *, from_day: int, seed: int, days: int = 15, a_day: int = 4, **told: str
) -> None:
    owner = told.pop("owner", "o")
    rows.account(account, owner, challenge=f"challenge of {owner}", **told)
    rng = np.random.default_rng(seed)
    for day in range(from_day, from_day + days):
        for _ in range(a_day):
            rows.trade(
                account,
                day * DAY + (style.hour + float(rng.normal(0, 1.2))) * 3600,
                style.holding * float(np.exp(rng.normal(0, 0.6))),
                symbol=str(rng.choice(style.symbols)),
                lots=style.lots * float(rng.choice([1.0, 1.5])),
                profit=float(rng.normal(0, 100)) * style.lots,
                expert=style.expert,
            )


def judged(rows: Rows) -> Judged:
    return StyleChange(Limits(StyleChangeThresholds())).judge(rows.book())


def two(before: Style, after: Style, **told: int) -> tuple[Finding, ...]:
    rows = Rows()
    phase(rows, "a1", before, from_day=0, seed=1, phase="phase 1", **told)  # type: ignore[arg-type]
    phase(rows, "a2", after, from_day=30, seed=2, phase="funded", **told)  # type: ignore[arg-type]
    return judged(rows).findings


def test_the_distance_of_worked_histograms() -> None:
    """Half and half against all in one: the middle is 3/4, 1/4; ((0.5 log2 2/3 + 0.5 log2 2) + log2 4/3) / 2 bits."""
    bits = ((0.5 * np.log2(2 / 3) + 0.5) + np.log2(4 / 3)) / 2
    assert js_distance(np.array([[2.0, 2.0]]), np.array([[5.0, 0.0]]))[0] == pytest.approx(np.sqrt(bits))
    assert js_distance(np.array([[1.0, 0.0]]), np.array([[0.0, 3.0]]))[0] == 1.0


def test_another_hand_is_found_and_both_histograms_are_shown() -> None:
    (finding,) = two(SCALPER, NIGHT)
    assert finding.key == "style_change/a1/a2"
    assert finding.relation == "same_owner"
    for name in ("symbols", "hours", "holding time"):
        assert name in finding.sentence
    assert "size" not in finding.sentence
    by_symbol = next(item for item in finding.evidence if getattr(item, "title", "") == "Trades by symbols")
    assert [row[0] for row in by_symbol.rows] == ["EURUSD", "GBPUSD", "XAUUSD"]  # type: ignore[union-attr]
    assert by_symbol.rows[2][1:] == ("0 %", "100 %")  # type: ignore[union-attr]


def test_an_expert_in_one_phase_and_hands_in_the_next_are_found() -> None:
    (finding,) = two(Style(expert="77"), Style())
    assert ": manual or expert." in finding.sentence


def test_another_class_of_assets_is_found() -> None:
    assert two(SCALPER, Style(symbols=("XAUUSD",)))


def test_part_of_the_phase_in_another_hand_is_found() -> None:
    """Of the funded days a third is still traded in the old way."""
    rows = Rows()
    phase(rows, "a1", SCALPER, from_day=0, seed=1, phase="phase 1")
    phase(rows, "a2", NIGHT, from_day=30, seed=2, phase="funded", days=14)
    rng = np.random.default_rng(3)
    for day in range(44, 51):
        for _ in range(4):
            rows.trade("a2", day * DAY + (9 + float(rng.normal(0, 1.2))) * 3600, 1_200, lots=1.0)
    assert judged(rows).findings


@pytest.mark.parametrize(
    "after",
    [
        SCALPER,
        Style(lots=0.3),  # all trade smaller when funded
        Style(hour=10.0),  # the clocks changed
        Style(holding=1_900.0),  # calmer markets
        Style(lots=1.8),
        Style(symbols=("EURUSD", "GBPUSD", "XAUUSD")),
    ],
)
def test_what_honest_traders_change_is_spared(after: Style) -> None:
    assert two(SCALPER, after) == ()


def test_one_unusual_day_of_many_trades_is_spared() -> None:
    """Sixty trades of one day in gold at night: days are dealt out, not trades."""
    rows = Rows()
    phase(rows, "a1", SCALPER, from_day=0, seed=1, phase="phase 1")
    phase(rows, "a2", SCALPER, from_day=30, seed=2, phase="funded")
    phase_of_gold = [46 * DAY + 20 * 3600 + 60 * n for n in range(60)]
    for at in phase_of_gold:
        rows.trade("a2", at, 9_000, symbol="XAUUSD")
    assert judged(rows).findings == ()


def test_few_trades_or_days_cannot_be_judged() -> None:
    for days, a_day in ((5, 10), (15, 1)):
        rows = Rows()
        phase(rows, "a1", SCALPER, from_day=0, seed=1, phase="phase 1", days=days, a_day=a_day)
        phase(rows, "a2", NIGHT, from_day=30, seed=2, phase="funded")
        assert judged(rows) == Judged((), "1 phases have too few trades or days to be compared with the phase before")


def test_owners_alike_in_one_phase_and_unlike_in_the_next_are_a_service() -> None:
    rows = Rows()
    own = (
        NIGHT,
        Style(("BTCUSD",), hour=14.0, holding=200.0),
        Style(("US500",), hour=15.0, holding=50_000.0),
        Style(("XAUUSD",), hour=4.0, holding=90.0),
    )
    for n, style in enumerate(own):
        phase(rows, f"p{n}", SCALPER, from_day=0, seed=n, owner=f"o{n}", phase="phase 1")
        phase(rows, f"f{n}", style, from_day=30, seed=10 + n, owner=f"o{n}", phase="funded")
    for n in range(6):  # honest traders of the same style
        phase(rows, f"h{n}", SCALPER, from_day=0, seed=20 + n, owner=f"h{n}", phase="phase 1")
        phase(rows, f"i{n}", SCALPER, from_day=30, seed=30 + n, owner=f"h{n}", phase="funded")
    findings = judged(rows).findings
    (service,) = (each for each in findings if each.key == "style_change/service/p0")
    assert set(service.in_role("passed_phase")) == {"p0", "p1", "p2", "p3"}
    assert service.relation == "stranger"
    assert {each.key for each in findings} == {service.key, *(f"style_change/p{n}/f{n}" for n in range(4))}


def test_the_same_book_gives_the_same_findings() -> None:
    assert two(SCALPER, NIGHT) == two(SCALPER, NIGHT)
