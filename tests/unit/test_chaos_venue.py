"""The judge of the chaos at venues finds what it looks for, and the plan is the seed's."""

from collections import Counter
from dataclasses import replace
from decimal import Decimal

import pytest

from cli.chaos.venue.command import KINDS, Result, bad_input, venue
from cli.chaos.venue.day import Movement
from cli.chaos.venue.judge import FIGURES, Told, judge
from cli.chaos.venue.kinds import BAD_INPUT, Book, least
from cli.chaos.venue.plan import plan
from domain.errors import BadInput

FLOOR = Decimal(90_000)
BOOK = Book(
    login=7,
    fills={"f1": Decimal(3), "f2": Decimal(1)},
    balance=Decimal(95_000),
    equity=Decimal(95_000),
    lowest=Decimal("90000.00"),
    enabled=True,
    open=("p1",),
)
FALLEN = replace(BOOK, lowest=Decimal("89999.99"), enabled=False, open=())
DEALS = {"f1.1": Decimal(1), "f1.2": Decimal(2), "f2": Decimal(1)}


def _told(**changes: object) -> Told:
    told = Told(Counter(DEALS.keys()), dict(DEALS), Counter({(7, "pay"): 10_000_000}))
    return replace(told, **changes)  # type: ignore[arg-type]


def _wrong(book: Book, told: Told, breached: frozenset[int] = frozenset()) -> set[str]:
    deposits = {7: ("pay", 10_000_000)}
    found = judge({7: book}, told, set(breached), deposits, FLOOR, lambda deal: deal.partition(".")[0])
    assert tuple(found) == FIGURES
    return {name for name, words in found.items() if words}


@pytest.mark.parametrize(
    ("told", "wrong"),
    [
        (_told(), set()),
        (_told(deals=Counter(["f1.1", "f1.2"])), {"lost"}),
        (_told(deals=Counter(["f1.1", "f2"])), {"lost"}),
        (_told(deals=Counter([*DEALS, "f2"])), {"twice"}),
        (_told(deals=Counter([*DEALS, "f2.9"]), lots={**DEALS, "f2.9": Decimal(1)}), {"twice"}),
        (_told(deals=Counter([*DEALS, "stray"]), lots={**DEALS, "stray": Decimal(1)}), {"twice"}),
        (_told(gaps=["batches 1 to 3 are not kept"]), {"lost"}),
        (_told(money=Counter()), {"lost"}),
        (_told(money=Counter({(7, "pay"): 20_000_000})), {"twice"}),
    ],
)
def test_the_stream_is_compared_with_the_book(told: Told, wrong: set[str]) -> None:
    assert _wrong(BOOK, told) == wrong


@pytest.mark.parametrize(
    ("book", "breached", "wrong"),
    [
        (BOOK, False, set()),
        (replace(BOOK, lowest=None), False, set()),
        (FALLEN, True, set()),
        (FALLEN, False, {"missed_breaches"}),
        (replace(FALLEN, enabled=True), True, {"unlocked_after_breach"}),
        (replace(FALLEN, open=("p1",)), True, {"unlocked_after_breach"}),
        (replace(FALLEN, enabled=True), False, {"missed_breaches", "unlocked_after_breach"}),
        (replace(BOOK, enabled=False, open=()), True, {"false_breaches"}),
    ],
)
def test_breaches_are_compared_with_the_lowest_equity_of_the_book(book: Book, breached: bool, wrong: set[str]) -> None:
    assert _wrong(book, _told(), frozenset({7} if breached else ())) == wrong


@pytest.mark.parametrize("accounts", [3, 20])
def test_the_plan_is_the_seeds_and_the_price_never_rises(accounts: int) -> None:
    day = plan("dxtrade", accounts, 1)
    assert day == plan("dxtrade", accounts, 1)
    assert day != plan("dxtrade", accounts, 2)
    assert day != plan("tradovate", accounts, 1)
    assert {trader.role for trader in day.traders} == {"loser", "near", "busy"}
    fallen = [day.fallen(step) for step in range(day.steps)]
    assert fallen == sorted(fallen)
    assert (fallen[0], fallen[-1]) == (0, 1)
    assert all(fallen[trader.opens_at] == 0 for trader in day.traders)
    assert len(day.kills) >= 1


def test_a_figure_above_zero_and_a_fault_that_met_nothing_are_no_good_run() -> None:
    good = Result({name: [] for name in FIGURES}, {"cut": 1}, (), 1.0, {})
    assert good.is_good
    assert not replace(good, rare=("cut",)).is_good
    assert not replace(good, found={**good.found, "lost": ["a fill"]}).is_good
    assert good.figures()["lost"] == 0


@pytest.mark.parametrize(("kinds", "accounts", "field"), [([], 3, "--kinds"), (["mt6"], 3, "--kinds")])
def test_unknown_kinds_are_refused(kinds: list[str], accounts: int, field: str) -> None:
    with pytest.raises(BadInput) as refused:
        venue(kinds=kinds, accounts=accounts, seed=1, data=None, as_json=True)
    assert refused.value.field == field


def test_every_bad_input_happens_at_some_venue_and_its_faults_are_counted() -> None:
    happened = {"sessions_ended", "gateway_killed", "deal_of_ended_account"}
    for kind in KINDS.values():
        assert set(kind.bad_input) <= set(BAD_INPUT)
        assert {fault for faults in kind.bad_input.values() for fault in faults} <= set(kind.faults) | happened
        assert {least(kind, fault) for fault in kind.bad_input["storm_of_429"]} == {5}
    faults = {name: dict.fromkeys((*kind.faults, *happened), 1) for name, kind in KINDS.items()}
    total = bad_input({name: Result({}, counts, (), 1.0, {}) for name, counts in faults.items()})
    assert tuple(total) == BAD_INPUT
    assert all(total.values())
    faults["ctrader"]["wrong_certificate"] = 0
    assert not bad_input({name: Result({}, counts, (), 1.0, {}) for name, counts in faults.items()})[
        "wrong_certificate"
    ]


def test_before_a_person_has_disabled_it_a_breached_account_may_only_not_hold_anything() -> None:
    def wrong(book: Book) -> int:
        found = judge({7: book}, _told(), {7}, {}, FLOOR, lambda deal: deal, rights_matter=False)
        return len(found["unlocked_after_breach"])

    assert wrong(replace(FALLEN, enabled=True)) == 0
    assert wrong(replace(FALLEN, enabled=True, open=("p1",))) == 1


def test_what_changes_is_waited_for_and_what_stands_still_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 1000.0
    monkeypatch.setattr("cli.chaos.venue.day.time.monotonic", lambda: now)
    stands, moves = Movement(), Movement()
    over = []
    for minute in range(17):
        now = 1000.0 + 60 * minute
        over.append((stands.is_over({"lost": ["a fill"]}), moves.is_over({"lost": ["a fill"] * minute})))
    assert over == [(minute > 3, minute > 15) for minute in range(17)]
