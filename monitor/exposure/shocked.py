"""A shard at shocked prices: which phases end, which are passed, and what the firm would owe.

Plain levels are judged in whole minor units by a compiled loop, which is exact. Every other account beyond an alarm is
judged by the exact evaluator, one by one.
"""

import time
from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

import numpy as np
import numpy.typing as npt

from domain.errors import RateMissing
from domain.exposure.shocks import NOTHING, Quotes, Shock, shocked
from domain.exposure.symbols import NO_SYNONYMS, Synonyms
from domain.exposure.what_if import MOST_NAMED, Affected, Outcome, ShardAnswer
from domain.pnl import conversion_rate, position_profit_minor
from domain.products.target import target_reached
from domain.rules import history
from domain.rules.events import Moment, OpenResult
from domain.rules.marking import conversion_symbol
from monitor.columns.account_columns import Bools, Floats, Ints, Narrow
from monitor.columns.books import Book, digits_of
from monitor.columns.kernels import HIGHEST, doubtful_positions
from monitor.columns.rule_columns import movable
from monitor.exposure import kernels
from monitor.exposure.debts import Debts
from monitor.exposure.exact import Verdict, alike, judged_by_conduct, judged_exactly
from monitor.exposure.frozen import Frozen
from monitor.exposure.measure import reported_total

_PASS: Final = 3  # beside the states of the kernel
_OFFENCE: Final = 4
_ASKS: Final = 2  # terms with a level of a symbol or position


@dataclass(frozen=True, slots=True)
class _Marked:
    """Every account at some prices, by row."""

    sums: Ints
    realised: Ints
    open_left: Ints
    closed: int


@dataclass(frozen=True, slots=True)
class _Found:
    """`status`: by row, CALM, BREACH, _PASS or _OFFENCE. `rules`: by row, the rule of a breach or offence where the
    first level that breaks, `level`, does not tell it."""

    equity: Ints
    status: Ints
    level: npt.NDArray[np.int8]
    rules: dict[int, str]
    confirmed: int


class ShockedShard:
    """Answers what-ifs on one frozen shard. What does not depend on the shock is computed once."""

    def __init__(self, frozen: Frozen, debts: Debts, synonyms: Synonyms = NO_SYNONYMS) -> None:
        kernels.ready()
        self._frozen, self._debts, self._synonyms = frozen, debts, synonyms
        self._quoted_in = {name: each.quote_currency for name, each in frozen.instruments.items()}
        quoted = (book for book in frozen.books if book.size and book.instrument.symbol in frozen.quotes)
        self._order = np.array([book.number for book in quoted], np.int64)
        self._kind = _kinds(frozen)
        self._known_verdicts: dict[Hashable, Verdict] = {}  # of accounts that are alike
        self._plain_pass = self._enough_days()
        self._exits = self._places_with_exits()
        self._by_row: tuple[Narrow, Ints, Ints] | None = None
        self._odd = np.array([_oddity(frozen, number) for number in range(len(frozen.table))], np.int8)
        levels = [len(specs) if all(map(movable, specs)) else -1 for specs in frozen.levels.specs]
        self._levels_of = np.array(levels, np.int64)
        passing = [terms.passing_minor for terms in frozen.table]
        self._passing = np.array([HIGHEST if each is None else each for each in passing], np.int64)
        self._now = self._mark(frozen.quotes, "none")
        self._before: _Found | None = None
        self._at_rest = self._before = self._judge(self._now, NOTHING, frozen.quotes)

    def answer(self, shocks: Sequence[Shock]) -> ShardAnswer:
        """Answers each shock by itself. Raises BadInput for moves that contradict one another."""
        started = time.perf_counter()
        outcomes = tuple(self.outcome(shock) for shock in shocks)
        frozen = self._frozen
        return ShardAnswer(
            at=frozen.at,
            accounts=int(frozen.counts.sum()),
            owed_minor=self._owed(self._at_rest),
            outcomes=outcomes,
            took_us=round((time.perf_counter() - started) * 1e6),
        )

    def outcome(self, shock: Shock) -> Outcome:
        """Returns what one shock does."""
        frozen = self._frozen
        quotes = shocked(frozen.quotes, self._quoted_in, shock, self._synonyms)
        marked = self._mark(quotes, shock.stops)
        found = self._judge(marked, shock, quotes)
        changed = {
            state: np.flatnonzero((found.status == state) & (self._at_rest.status != state))
            for state in (kernels.BREACH, _OFFENCE, _PASS)
        }
        counting = np.flatnonzero(frozen.counts & frozen.known)
        floating, _ = reported_total(frozen, counting, (marked.sums - self._now.sums)[counting])
        return Outcome(
            breaches=len(changed[kernels.BREACH]),
            offences=len(changed[_OFFENCE]),
            passes=len(changed[_PASS]),
            breached=tuple(self._named(changed[kernels.BREACH], found)),
            offending=tuple(self._named(changed[_OFFENCE], found)),
            passing=tuple(self._named(changed[_PASS], found)),
            floating_minor=floating,
            owed_minor=self._owed(found, quotes),
            closed=marked.closed,
            confirmed=found.confirmed,
            unknown=int((frozen.counts & ~frozen.known).sum()),
            estimated=int((frozen.counts & frozen.stated & (frozen.positions > 0)).sum()),
        )

    def broken_rows(self, shock: Shock) -> Ints:
        """Returns the rows of the accounts that a shock ends."""
        quotes = shocked(self._frozen.quotes, self._quoted_in, shock, self._synonyms)
        found = self._judge(self._mark(quotes, shock.stops), shock, quotes)
        return np.flatnonzero((found.status == kernels.BREACH) & (self._at_rest.status != kernels.BREACH))

    # marks

    def _mark(self, quotes: Quotes, stops: str) -> _Marked:
        frozen, arena, size = self._frozen, self._frozen.arena, self._frozen.size
        lines, priced = self._lines(quotes)
        order = self._order[priced[self._order]]
        fresh, doubtful = np.zeros(len(arena.rows)), np.zeros(len(frozen.books), np.int64)
        kernels.mark(order, arena.spans, lines, arena.units, arena.opens, fresh, doubtful)
        for number in np.flatnonzero(doubtful).tolist():
            book, start = frozen.books[number], int(arena.spans[number, 0])
            for index in self._doubtful_places(number, lines).tolist():
                fresh[start + index] = self._exact_profit(book, start + index, quotes, "none")[0]
        sums, realised, closing = (np.zeros(size, np.int64) for _ in range(3))
        closed = 0
        if stops != "none":
            closed = self._close(lines, priced, quotes, stops, fresh, realised, closing)
        kernels.add_up(order, arena.spans, arena.rows, fresh, sums)
        return _Marked(sums, realised, frozen.positions - closing, closed)

    def _places_with_exits(self) -> tuple[Ints, Ints]:
        """Returns (places, books) of the positions that have a stop loss or a take profit."""
        arena, places, books = self._frozen.arena, [np.zeros(0, np.int64)], [np.zeros(0, np.int64)]
        for number in self._order.tolist():
            start, count = arena.spans[number].tolist()
            span = slice(start, start + count)
            found = np.flatnonzero((arena.stops[span] > 0) | (arena.targets[span] > 0)) + start
            places.append(found)
            books.append(np.full(len(found), number))
        return np.concatenate(places), np.concatenate(books)

    def _doubtful_places(self, number: int, lines: Floats) -> Ints:
        start, count = self._frozen.arena.spans[number].tolist()
        span, found = slice(start, start + count), np.zeros(count, np.int64)
        arena = self._frozen.arena
        n = doubtful_positions(arena.units[span], arena.opens[span], lines[number], found)
        return found[:n]

    def _close(
        self,
        lines: Floats,
        priced: Bools,
        quotes: Quotes,
        stops: str,
        fresh: Floats,
        realised: Ints,
        closing: Ints,
    ) -> int:
        """Closes the positions whose stop or take profit is reached. Returns how many, of accounts that count."""
        frozen, arena = self._frozen, self._frozen.arena
        places, books = self._exits
        places, books = places[priced[books]], books[priced[books]]
        reached, walk = np.zeros(len(places), np.int64), stops == "walk"
        n = kernels.reach(
            *(places, books, lines, arena.units, arena.opens, arena.stops, arena.targets, walk, fresh, reached)
        )
        at = places[reached[:n]]
        for k in reached[:n][np.isnan(fresh[at])].tolist():
            place, number = int(places[k]), int(books[k])
            fresh[place] = self._exact_profit(frozen.books[number], place, quotes, stops)[0]
        rows = arena.rows[at]
        np.add.at(realised, rows, fresh[at].astype(np.int64))
        np.add.at(closing, rows, 1)
        return int(frozen.counts[rows].sum())

    def _lines(self, quotes: Quotes) -> tuple[Floats, Bools]:
        """Returns the quote of each book as the kernels take it, and which books have one."""
        frozen = self._frozen
        lines, priced = np.zeros((len(frozen.books), 4)), np.zeros(len(frozen.books), np.bool_)
        for number in self._order.tolist():
            book = frozen.books[number]
            quoted, (bid, ask) = book.instrument.quote_currency, quotes[book.instrument.symbol]
            try:
                rate = conversion_rate(quoted, book.currency, quotes)
            except RateMissing:
                continue
            converts = conversion_symbol(quoted, book.currency, quotes)
            digits = 0 if converts is None else digits_of(rate) if converts == quoted + book.currency else None
            lines[number] = book.line(bid, ask, rate, digits)
            priced[number] = True
        return lines, priced

    def _exact_profit(self, book: Book, place: int, quotes: Quotes, stops: str) -> tuple[int, bool]:
        """Returns the profit of one position as the exact evaluator computes it, and whether it closes."""
        arena = self._frozen.arena
        index = place - int(arena.spans[book.number, 0])
        side, lots, opened = book.terms(index)
        bid, ask = quotes[book.instrument.symbol]
        price, closes = exit_price(side, bid if side == "buy" else ask, *book.exits(index), stops)
        rate = conversion_rate(book.instrument.quote_currency, book.currency, quotes)
        contract = book.instrument.contract_size
        return position_profit_minor(side, lots, contract, opened, price, rate, book.currency), closes

    def _results(self, row: int, quotes: Quotes, stops: str) -> tuple[OpenResult, ...]:
        """Returns what each open position of an account makes at these prices."""
        found = []
        for place, number in self._places_of(row):
            book = self._frozen.books[number]
            profit, closes = self._exact_profit(book, place, quotes, stops)
            index = place - int(self._frozen.arena.spans[number, 0])
            if not closes:
                found.append(
                    OpenResult(position_id=book.position_id(index), symbol=book.instrument.symbol, pnl_minor=profit)
                )
        return tuple(found)

    def _places_of(self, row: int) -> list[tuple[int, int]]:
        """Returns (place, book) of the positions of a row."""
        if self._by_row is None:
            spans = [(number, *self._frozen.arena.spans[number].tolist()) for number in self._order.tolist()]
            places = np.concatenate([np.arange(start, start + size) for _, start, size in spans])
            books = np.concatenate([np.full(size, number) for number, _, size in spans])
            rows = self._frozen.arena.rows[places]
            order = np.argsort(rows, kind="stable")
            self._by_row = rows[order], places[order], books[order]
        rows, places, books = self._by_row
        start, end = np.searchsorted(rows, [row, row + 1]).tolist()
        return list(zip(places[start:end].tolist(), books[start:end].tolist(), strict=True))

    # verdicts

    def _judge(self, marked: _Marked, shock: Shock, quotes: Quotes) -> _Found:
        frozen, levels = self._frozen, self._frozen.levels
        equity = frozen.equity + (marked.sums - self._now.sums)
        balance = frozen.balance + marked.realised
        status, level = np.zeros(frozen.size, np.int8), np.zeros(frozen.size, np.int8)
        broken = np.zeros(frozen.size, np.int64)
        kernels.verdicts(
            *(equity, balance, marked.realised, frozen.counts, frozen.judged, frozen.known, self._kind, self._odd),
            *(frozen.low_alarm, frozen.high_alarm, frozen.terms, self._levels_of, levels.table),
            *(levels.basis, levels.floor, levels.locked, status, level, broken),
        )
        before, rules = self._before, dict[int, str]()
        same = np.zeros(frozen.size, np.bool_)
        if before is not None:  # an account whose money is the same has the same verdict
            same = (equity == frozen.equity) & (marked.realised == 0)
            again = same & (status == kernels.JUDGE)
            status[again] = np.where(before.status[again] == _PASS, kernels.CALM, before.status[again])
            level[again] = before.level[again]
            rules |= {row: before.rules[row] for row in np.flatnonzero(again).tolist() if row in before.rules}
        waiting = np.flatnonzero(status == kernels.JUDGE).tolist()
        for row in waiting:
            verdict = self._verdict(row, int(balance[row]), int(equity[row]), int(broken[row]), quotes, shock.stops)
            status[row] = _state_of(verdict)
            if verdict.rule:
                rules[row] = verdict.rule
        self._pass(marked, shock, balance, equity, status, same)
        return _Found(equity, status.astype(np.int64), level, rules, len(waiting))

    def _verdict(self, row: int, balance: int, equity: int, broken: int, quotes: Quotes, stops: str) -> Verdict:
        """Asks the exact evaluator about an account, or once about all that are alike. `broken`: the levels that break,
        negative when they were not compared."""
        frozen = self._frozen
        if broken == 0:
            return judged_by_conduct(frozen, row, balance, equity)
        key = alike(frozen, row, broken) if broken > 0 else None
        if key is not None and key in self._known_verdicts:
            return self._known_verdicts[key]
        asks = self._odd[frozen.terms[row]] == _ASKS and not frozen.stated[row]
        results = self._results(row, quotes, stops) if asks else None
        verdict = judged_exactly(frozen, row, balance, equity, results)
        if key is not None:
            self._known_verdicts[key] = verdict
        return verdict

    def _enough_days(self) -> Bools:
        """By row: an account without a state of conduct that has the trading days of its phase."""
        frozen = self._frozen
        needed = [terms.min_trading_days for terms in frozen.table]
        days = np.fromiter((len(each) for each in frozen.days[: frozen.size]), np.int64, frozen.size)
        found = days >= np.array(needed, np.int64)[frozen.terms] if needed else np.zeros(frozen.size, np.bool_)
        if frozen.conduct:
            found[np.fromiter(frozen.conduct, np.int64, len(frozen.conduct))] = False
        return np.asarray(found)

    def _pass(
        self,
        marked: _Marked,
        shock: Shock,
        balance: Ints,
        equity: Ints,
        status: npt.NDArray[np.int8],
        same: Bools,
    ) -> None:
        """Marks the accounts that pass: after closing everything at these prices, or only those that are flat. `same`:
        those whose money is as it was before the shock."""
        frozen = self._frozen
        if not len(frozen.table):
            return
        worth = equity if shock.passes == "closing" else balance
        may = frozen.counts & frozen.judged & frozen.known & (status == kernels.CALM)
        if shock.passes == "flat":
            may &= marked.open_left == 0
        may &= worth >= self._passing[frozen.terms]
        status[may & self._plain_pass] = _PASS
        if not frozen.conduct:
            return
        conduct = np.zeros(frozen.size, np.bool_)
        conduct[np.fromiter(frozen.conduct, np.int64, len(frozen.conduct))] = True
        asked = may & conduct
        if self._before is not None and shock.passes == NOTHING.passes:
            asked &= ~same
            status[may & conduct & same & (self._before.status == _PASS)] = _PASS
        for row in np.flatnonzero(asked).tolist():
            state = frozen.conduct[row]
            money = int(worth[row])
            now = Moment(seq=0, at=frozen.at, balance_minor=money, equity_minor=money)
            if state.resetting is None and target_reached(
                frozen.terms_of(row), now, 0, len(frozen.days[row]), state.history
            ):
                status[row] = _PASS

    def _owed(self, found: _Found, quotes: Quotes | None = None) -> int:
        """Returns what the firm owes if everything is closed at these prices. A broken account is owed nothing."""
        frozen = self._frozen
        rows, amounts = self._debts.owed(frozen, found.equity)
        amounts = np.where(found.status[rows] == kernels.BREACH, 0, amounts) if rows.size else amounts
        total, _ = reported_total(frozen, rows, amounts, quotes)
        return total

    def _rule(self, row: int, found: _Found) -> str:
        if row in found.rules:
            return found.rules[row]
        if found.status[row] != kernels.BREACH:
            return ""
        return self._frozen.levels.specs[int(self._frozen.terms[row])][int(found.level[row])].rule_id

    def _named(self, rows: Ints, found: _Found) -> Iterator[Affected]:
        frozen = self._frozen
        for row in rows[:MOST_NAMED].tolist():
            yield Affected(
                account_id=frozen.account_id(row),
                rule=self._rule(row, found),
                equity_minor=int(found.equity[row]),
                currency=frozen.terms_of(row).product.currency,
            )


def _kinds(frozen: Frozen) -> npt.NDArray[np.int8]:
    """By row, what the rules of an account are, as the kernel takes them."""
    found = np.zeros(frozen.size, np.int8)
    follow = np.array([history.follows_equity(terms.history_rules) for terms in frozen.table], np.bool_)
    if frozen.conduct:
        rows = np.fromiter(frozen.conduct, np.int64, len(frozen.conduct))
        found[rows] = np.where(follow[frozen.terms[rows]], kernels.MONEY_TOO, kernels.BY_LEVELS)
    if frozen.costs:
        found[np.fromiter(frozen.costs, np.int64, len(frozen.costs))] = kernels.EXACT
    return found


def exit_price(side: str, price: Decimal, stop: float, target: float, stops: str) -> tuple[Decimal, bool]:
    """Returns the price at which a position is valued, and whether its stop or take profit is reached. 0: none."""
    if stops == "none":
        return price, False
    low, high = (stop, target) if side == "buy" else (target, stop)
    fell, rose = bool(low) and price <= Decimal(repr(low)), bool(high) and price >= Decimal(repr(high))
    if not (fell or rose):
        return price, False
    hit_stop = fell if side == "buy" else rose
    return (Decimal(repr(stop if hit_stop else target)) if stops == "walk" else price), True


def _oddity(frozen: Frozen, number: int) -> int:
    specs = frozen.levels.specs[number]
    if any(spec.per != "account" for spec in specs):
        return _ASKS
    return int(any(spec.moves_at_marks and not spec.follows_equity for spec in specs))


def _state_of(verdict: Verdict) -> int:
    return {"breach": kernels.BREACH, "offence": _OFFENCE, "": kernels.CALM}[verdict.kind]
