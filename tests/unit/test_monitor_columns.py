"""The columns by themselves: whole-number percentages, growth, books, resets."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from random import Random

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from domain.clocks import Clock
from domain.money import half_up
from domain.products.phase_terms import phase_terms
from domain.rules.marking import Instrument, Position, Side
from monitor.columns import kernels
from monitor.columns.books import Arena, Book
from monitor.columns.reset_clock import ResetClock
from monitor.columns.rule_columns import percentage
from monitor.judging.feed_quality import FeedQuality, Limits
from monitor.loaded import Loaded
from monitor.shard import Shard
from tests.unit.exact_path import ExactPath
from tests.unit.market_story import Shelf, batches, instruments
from tests.unit.venue_story import Story, product

AT = datetime(2014, 5, 2, tzinfo=UTC)


@given(
    basis=st.lists(st.integers(-(10**13), 10**13), min_size=1, max_size=8),
    percent=st.decimals("0.0001", "99.9999", places=4),
)
def test_percentages_round_as_the_exact_engine_does(basis: list[int], percent: Decimal) -> None:
    found = percentage(np.array(basis, np.int64), Fraction(percent)).tolist()
    assert found == [half_up(Decimal(max(b, 0)) * percent / 100) for b in basis]


def test_a_hundred_and_fifty_accounts_are_judged_like_one() -> None:
    random = Random(5)
    logins = list(range(1, 151))
    terms = {n: phase_terms(product(random, n % 7 + 1), random.choice([1, 2])) for n in logins}
    story = Story(random, logins)
    for _ in range(2500):
        story.step()
    source = Shelf({n: Loaded(f"acc_{n}", f"chl_{n}", n, terms[n], "active", (), None) for n in logins})
    # a symbol may be silent for long here: whether that makes a breach doubtful is not what is tested
    shard = Shard(source, instruments, quality=FeedQuality(Limits(stale_after=timedelta(days=1000))))
    for batch in batches(story.events, random):
        shard.apply(batch)
    ended = 0
    for login in logins:
        exact = ExactPath(terms[login], login, instruments())
        for event in story.events:
            exact.event(event)
        facts = [fact for fact in shard.state.facts.verdicts if fact.login == login]
        assert (exact.finding[1] if exact.finding else None) == (facts[0].seq if facts else None)
        if not facts:
            account = shard.state.accounts.by_login(login)
            assert shard.state.rules.get(account.row) == exact.rules
        ended += bool(facts)
    assert 20 < ended < 149


def test_a_book_keeps_its_positions_together_and_gives_them_back() -> None:
    arena = Arena()
    book = Book(arena, Instrument("EURUSD", Decimal(100_000), "USD"), "USD", loose=False)
    given = {}
    for row in range(30):
        side: Side = "buy" if row % 2 else "sell"
        given[row] = Position(f"p{row}", "EURUSD", side, Decimal("1.00"), Decimal("1.10000"), AT)
        book.add(row, given[row])
    for row in range(0, 30, 3):
        book.remove(book.rows.tolist().index(row))
    book.quote(Decimal("1.2"), Decimal("1.3"), Decimal(1), 0)
    assert kernels.value(book.units, arena.opens[: book.size], arena.quotes[0], book.profit) == 0
    kept = [row for row in range(30) if row % 3]
    assert sorted(book.rows.tolist()) == kept
    assert {row: book.position(index) for index, row in enumerate(book.rows.tolist())} == {n: given[n] for n in kept}
    expected = {row: (1_000_000 if row % 2 else -2_000_000) for row in kept}
    assert dict(zip(book.rows.tolist(), book.profit.tolist(), strict=True)) == expected
    assert tuple(book.lots_of(book.units[mine]) for mine in (book.units > 0, book.units < 0)) == (
        Decimal(10),
        Decimal(10),
    )


def test_resets_come_in_order_over_groups_and_days() -> None:
    clock = ResetClock()
    prague = clock.group(Clock(zone="Europe/Prague", reset="00:00"), AT)
    chicago = clock.group(Clock(zone="America/Chicago", reset="17:00"), AT)
    assert clock.group(Clock(zone="Europe/Prague", reset="00:00"), AT) is prague
    assert list(clock.due(datetime(2014, 5, 2, 21, 59, 59, tzinfo=UTC))) == []
    resets = [(r.group.index, r.at.hour, r.ended_day.day) for r in clock.due(AT + timedelta(days=2))]
    assert resets == [(0, 22, 2), (1, 22, 2), (0, 22, 3), (1, 22, 3)]
    assert (prague.day.day, chicago.day.day) == (4, 4)
