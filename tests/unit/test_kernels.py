"""The compiled columns against the exact functions: values, peaks, places of positions."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from random import Random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.money import half_up
from domain.rules.floors import FloorSpec, Mark, RuleState, WorthParts, breached, opened
from domain.rules.marking import Instrument, Position, QuoteBoard, Side, profit_minor
from domain.rules.room import warn_left
from domain.rules.state import AccountRules, on_mark
from monitor.columns import kernels
from monitor.columns.account_columns import SLOTS, AccountColumns
from monitor.columns.books import Arena, Book, fits
from monitor.columns.rule_columns import RuleColumns

AT = datetime(2026, 3, 6, 9, tzinfo=UTC)

prices = st.decimals("0.001", "99999.999", places=3)
lots = st.integers(1, 5000).map(lambda n: Decimal(n) / 100)
sides = st.sampled_from(["buy", "sell"])
instruments = st.builds(
    Instrument,
    st.just("ABCXYZ"),
    st.sampled_from([Decimal(n) for n in ("100000", "100", "1", "10", "5000", "0.5")]),
    st.sampled_from(["USD", "JPY", "GBP"]),
)
currencies = st.sampled_from(["USD", "JPY", "KWD"])


def a_book(instrument: Instrument, currency: str, board: QuoteBoard, positions: list[Position]) -> Book:
    book = Book(Arena(), instrument, currency, loose=any(not fits(p) for p in positions))
    for row, position in enumerate(positions):
        book.add(row, position)
    bid, ask = board.prices[instrument.symbol]
    direct = board.prices.get(instrument.quote_currency + currency)
    inverse = board.prices.get(currency + instrument.quote_currency)
    if instrument.quote_currency == currency:
        book.quote(bid, ask, Decimal(1), 0)
    elif direct is not None:
        exponent = direct[0].as_tuple().exponent
        assert isinstance(exponent, int)
        book.quote(bid, ask, direct[0], -exponent)
    else:
        assert inverse is not None
        book.quote(bid, ask, 1 / inverse[1], None)
    return book


def marked(book: Book) -> int:
    arena, start = book._arena, int(book._arena.spans[0, 0])
    span = slice(start, start + book.size)
    return int(kernels.value(arena.units[span], arena.opens[span], arena.quotes[0], book.profit))


@settings(max_examples=400, deadline=None)
@given(
    instrument=instruments,
    currency=currencies,
    bid=prices,
    spread=st.integers(0, 50),
    rate=st.decimals("0.00500", "250.00000", places=5),
    inverse=st.booleans(),
    held=st.lists(st.tuples(sides, lots, prices), min_size=1, max_size=20),
    average=st.booleans(),
)
def test_a_value_is_the_exact_one_or_counts_as_doubtful(
    instrument: Instrument, currency: str, bid: Decimal, spread: int, rate: Decimal, inverse: bool,
    held: list[tuple[Side, Decimal, Decimal]], average: bool,
) -> None:  # fmt: skip
    board = QuoteBoard()
    board.put("ABCXYZ", bid, bid + spread * Decimal("0.001"), 1, AT)
    pair = currency + instrument.quote_currency if inverse else instrument.quote_currency + currency
    board.put(pair, rate, rate, 1, AT)
    positions = [
        Position(f"p{n}", "ABCXYZ", side, size, price / 3 if average else price, AT)
        for n, (side, size, price) in enumerate(held)
    ]
    book = a_book(instrument, currency, board, positions)
    doubtful = marked(book)
    doubts = book.doubtful_places().tolist()
    assert doubtful <= len(doubts)
    for index, position in enumerate(positions):
        assert book.position(index) == position
        if index not in doubts:
            expected = profit_minor(position, board, {"ABCXYZ": instrument}, currency)
            assert int(book.profit[index]) == expected


def test_ties_on_a_grid_of_prices_are_rounded_without_a_doubt() -> None:
    board, gold = QuoteBoard(), Instrument("XAUUSD", Decimal(100), "USD")
    board.put("XAUUSD", Decimal("2650.125"), Decimal("2650.125"), 1, AT)
    sides: tuple[Side, Side] = ("buy", "sell")
    positions = [  # hundredths of a lot by thousandths of a dollar: every tenth value ends in half a cent
        Position(f"p{n}", "XAUUSD", sides[n % 2], Decimal("0.01"), Decimal(2650_000 + n).scaleb(-3), AT)
        for n in range(400)
    ]
    book = a_book(gold, "USD", board, positions)
    assert marked(book) == 0
    assert book.profit.tolist() == [profit_minor(p, board, {"XAUUSD": gold}, "USD") for p in positions]


def test_a_tie_that_no_grid_explains_is_doubtful() -> None:
    board, pair = QuoteBoard(), Instrument("ABCXYZ", Decimal(1), "JPY")
    board.put("ABCXYZ", Decimal("1.005"), Decimal("1.005"), 1, AT)
    board.put("USDJPY", Decimal(1), Decimal(1), 1, AT)
    position = Position("p", "ABCXYZ", "buy", Decimal(1), Decimal(1), AT)  # 0.5 cents, by a rate that was divided
    book = a_book(pair, "USD", board, [position])
    assert marked(book) == 1
    assert book.doubtful_places().tolist() == [0]


@settings(deadline=None)  # the first call may compile
@given(basis=st.integers(-(2**53), 2**53), percent=st.decimals("0.0001", "100", places=4))
def test_a_share_is_rounded_half_up_without_overflow(basis: int, percent: Decimal) -> None:
    share = Fraction(percent) / 100
    assert kernels.share(basis, share.numerator, share.denominator) == half_up(Decimal(max(basis, 0)) * percent / 100)


def level(number: int, random: Random) -> FloorSpec:
    """A floor that stands still, one that follows a peak, or a ceiling."""
    kind, percent = random.choice(["still", "peak", "peak", "ceiling"]), random.random() < 0.5
    return FloorSpec(
        rule_id=f"r{number}",
        rule_type="any",
        source=random.choice(["equity", "max(balance,equity)", "balance"]) if kind == "peak" else "initial",
        moves="peak" if kind == "peak" else "never",
        initial_minor=1_000_000,
        allowance_minor=None if percent else random.randint(1, 90_000),
        allowance_pct=Decimal(random.randint(1, 900)) / 100 if percent else None,
        operator=random.choice(["equity < floor", "equity <= floor"]),
        direction="ceiling" if kind == "ceiling" else "floor",
        ceiling_minor=random.choice([None, 1_000_000, 1_010_000]) if kind == "peak" else None,
        settles="locks",
        warn_at_pct=random.choice([80, 50, 1, 99, 0]),
    )


class Twin:
    """One account in the columns, and the exact state it must have."""

    def __init__(self, random: Random) -> None:
        self.specs = tuple(level(number, random) for number in range(random.randint(1, 4)))
        states = tuple(self._maybe_locked(opened(spec), spec, random) for spec in self.specs)
        self.exact = AccountRules(self.specs, states)

    @staticmethod
    def _maybe_locked(state: RuleState, spec: FloorSpec, random: Random) -> RuleState:
        if random.random() < 0.8:
            return state
        return RuleState(state.basis_minor, spec.lock_level, True, 1_000_000, 1_000_000, 0, 0, None)


@settings(max_examples=300, deadline=None)
@given(seed=st.integers(0, 2**32))
def test_peaks_and_alarms_move_as_the_exact_functions_move_them(seed: int) -> None:
    random = Random(seed)
    columns = AccountColumns()
    rules = RuleColumns(columns)
    twins = [Twin(random) for _ in range(5)]
    for number, twin in enumerate(twins):
        row = columns.add()
        columns.balance[row], columns.terms[row], columns.judged[row] = 1_000_000, number, True
        rules.bind(number, twin.specs)
        rules.put(row, twin.exact)
        rules.warned[:, row] = True  # no warning is left to be given: only a broken level makes a candidate
        rules.set_alarms(np.array([row]))
    for seq in range(1, 30):
        at = AT + timedelta(seconds=seq)
        columns.equity[:5] = [random.randint(900_000, 1_100_000) for _ in twins]
        beyond = (columns.equity[:5] <= columns.low_alarm[:5]) | (columns.equity[:5] > columns.high_alarm[:5])
        found = rules.follow(np.flatnonzero(beyond), seq, at).tolist()
        for row, twin in enumerate(twins):
            equity = int(columns.equity[row])
            twin.exact = on_mark(twin.exact, Mark(1_000_000, equity, seq, at))
            assert rules.get(row) == twin.exact
            states = zip(twin.specs, twin.exact.states, strict=True)
            broken = any(breached(spec, state.floor_minor, equity) for spec, state in states)
            assert (row in found) == broken


def any_level(number: int, random: Random) -> FloorSpec:
    """Also those that only the exact evaluator moves: ceilings that follow equity, levels that leave something out."""
    spec = level(number, random)
    if random.random() < 0.3:
        spec = replace(spec, holds=WorthParts(commissions=False, floating=random.random() < 0.5))
    if random.random() < 0.2:
        spec = replace(spec, allowance_minor=None, allowance_pct=Decimal("3.14159265358979323846"))
    return replace(spec, direction=random.choice(["floor", "floor", "ceiling"]), ceiling_minor=None)


def exact_alarms(rules: AccountRules, extra: list[int], warned: list[bool], muted: list[bool]) -> tuple[int, int]:
    """(low, high) level by level: an account is a candidate at or below low, above high."""
    low, high = kernels.LOWEST, kernels.HIGHEST
    for index, (spec, state) in enumerate(zip(rules.specs, rules.states, strict=True)):
        if spec.follows_equity:
            high = min(high, state.basis_minor - extra[index])
        if not spec.holds.floating or (muted[index] and not spec.follows_equity):
            continue
        broken = state.floor_minor - extra[index]
        left = 0 if warned[index] else warn_left(spec, state)
        due = broken + left if spec.direction == "floor" else broken - left
        if spec.direction == "floor":
            last = broken if spec.inclusive else broken - 1
            low = max(low, last if warned[index] else max(last, due))
        else:
            first = broken if spec.inclusive else broken + 1
            high = min(high, (first if warned[index] else min(first, due)) - 1)
    return low, high


def at_basis(spec: FloorSpec, basis: int) -> RuleState:
    """Below zero an allowance in percent is negative: the level is then reached before its warning."""
    allowance = spec.allowance(basis)
    floor = basis - allowance if spec.direction == "floor" else basis + allowance
    return replace(opened(spec), basis_minor=basis, floor_minor=floor)


@settings(max_examples=300, deadline=None)
@given(seed=st.integers(0, 2**32))
def test_alarms_are_the_exact_levels(seed: int) -> None:
    random = Random(seed)
    columns = AccountColumns()
    rules = RuleColumns(columns)
    specs = tuple(any_level(number, random) for number in range(random.randint(1, 4)))
    rules.bind(0, specs)
    rows = [columns.add() for _ in range(3)]
    extra = [[0 if spec.holds.everything else random.randint(0, 5_000) for spec in specs] for _ in rows]
    warned, muted = ([[random.random() < 0.5 for _ in specs] for _ in rows] for _ in range(2))
    exact = AccountRules(specs, tuple(at_basis(spec, random.choice([1_000_000, 1_234_567, -98_765])) for spec in specs))
    for row in rows:
        columns.judged[row] = True
        rules.put(row, exact)
        rules.warned[: len(specs), row] = warned[row]
    masks = [sum(1 << index for index, silent in enumerate(each) if silent) for each in muted]
    given_extra = np.zeros((max(2, len(specs)), 3), np.int64)
    given_extra[: len(specs)] = np.array(extra).T
    rules.set_alarms(np.array(rows), given_extra, np.array(masks, np.int64))
    for row in rows:
        found = int(columns.low_alarm[row]), int(columns.high_alarm[row])
        assert found == exact_alarms(exact, extra[row], warned[row], muted[row])


def test_an_account_in_its_time_to_cure_is_judged_at_every_mark_and_an_ended_one_at_none() -> None:
    columns = AccountColumns()
    rules = RuleColumns(columns)
    spec = level(0, Random(3))
    rules.bind(0, (spec,))
    for judged in (True, False):
        row = columns.add()
        rules.put(row, AccountRules((spec,), (opened(spec),)))
        columns.judged[row] = judged
    rules.set_alarms(np.array([0, 1]), None, np.array([kernels.EVERY_MARK, kernels.EVERY_MARK]))
    assert columns.low_alarm[:2].tolist() == [kernels.HIGHEST, kernels.LOWEST]
    assert columns.high_alarm[:2].tolist() == [kernels.HIGHEST, kernels.HIGHEST]


@pytest.mark.parametrize("why", ["not judged", "not known", "already contained"])
def test_a_row_that_must_not_be_judged_is_left_alone(why: str) -> None:
    columns = AccountColumns()
    rules = RuleColumns(columns)
    spec = level(0, Random(3))
    row = columns.add()
    rules.bind(0, (spec,))
    rules.put(row, AccountRules((spec,), (opened(spec),)))
    columns.judged[row] = why != "not judged"
    columns.unknown[row] = why == "not known"
    columns.synced[row] = 9 if why == "already contained" else 0
    columns.low_alarm[row] = columns.high_alarm[row] = columns.equity[row] = 1
    before = rules.get(row)
    assert rules.follow(np.array([row]), 9, AT).size == 0
    assert rules.get(row) == before


@given(steps=st.lists(st.tuples(st.integers(0, 5), st.booleans()), max_size=120))
def test_positions_are_found_again_wherever_they_lie(steps: list[tuple[int, bool]]) -> None:
    columns, arena = AccountColumns(), Arena()
    books = [Book(arena, Instrument(f"S{n}", Decimal(1), "USD"), "USD", loose=False) for n in range(3)]
    for _ in range(6):
        columns.add()
    held: dict[int, dict[str, Position]] = {row: {} for row in range(6)}
    mask = (1 << 32) - 1
    for number, (row, close) in enumerate(steps):
        if close and held[row]:
            reference = next(iter(columns.held(row)))
            book = books[reference >> 32]
            del held[row][book.position_id(reference & mask)]
            columns.release(row, reference)
            moved = book.remove(reference & mask)
            if moved is not None:
                columns.move(moved, book.reference(book.size), reference)
        else:
            book = books[number % 3]
            position = Position(f"p{number}", f"S{number % 3}", "buy", Decimal(1), Decimal(number), AT)
            held[row][position.position_id] = position
            columns.hold(row, book.reference(book.add(row, position)))
        for each in range(6):
            found = [books[ref >> 32].position(ref & mask) for ref in columns.held(each)]
            assert {p.position_id: p for p in found} == held[each]
            assert columns.positions[each] == len(held[each])
    assert SLOTS == 4
