"""The figures of a shard: one pass over its positions, the debt of its accounts, the accounts nearest to a level."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from types import MappingProxyType
from typing import Final

import numpy as np

from domain.errors import RateMissing
from domain.exposure.figures import ClusterPart, GroupPart, NearestPart, OwedPart, ShardFigures, SymbolPart, TraderPart
from domain.exposure.firm import MOST_TRADERS, NEAREST
from domain.money import exponent, is_known
from domain.pnl import REPORTING_CURRENCY, conversion_rate
from monitor.columns.account_columns import Floats, Ints
from monitor.columns.books import Book
from monitor.exposure import kernels
from monitor.exposure.debts import Debts
from monitor.exposure.frozen import Frozen, Quotes

_TOLD: Final = 5 * MOST_TRADERS  # traders that a shard tells of: the firm's largest may hold a part of it elsewhere
_PPM: Final = 1_000_000


def rate_into_reporting(currency: str, quotes: Quotes) -> float | None:
    """Returns the minor units of the reporting currency for one minor unit of `currency`; None without a live rate."""
    try:
        rate = conversion_rate(currency, REPORTING_CURRENCY, quotes)
    except RateMissing:
        return None
    if not is_known(currency):
        return None
    return float(rate.scaleb(exponent(REPORTING_CURRENCY) - exponent(currency)))


@dataclass(frozen=True, slots=True)
class _Sums:
    """By symbol, by group, by trader, and the floating profit by symbol. `valued`: which symbols have a live rate."""

    symbols: Floats
    groups: Floats
    traders: Floats
    floating: Floats
    valued: list[float | None]


def measure(
    frozen: Frozen, debts: Debts, platform: str, clusters: Mapping[str, str] = MappingProxyType({})
) -> ShardFigures:
    """Returns the figures of a shard. Accounts that have ended are nothing. `clusters`: trader -> cluster."""
    names = list(frozen.quotes)
    keys = [(terms.product.product, terms.phase_index) for terms in frozen.table]
    groups = list(dict.fromkeys(keys))
    worth = np.minimum(frozen.balance, frozen.equity)
    shares = debts.shares(frozen, frozen.equity)
    found = _sums(frozen, names, np.array([groups.index(key) for key in keys], np.int64), len(groups), shares)
    counting, terms = frozen.counts, frozen.terms
    return ShardFigures(
        platform=platform,
        at=frozen.at,
        accounts=int(counting.sum()),
        open_accounts=int((counting & (frozen.positions > 0)).sum()),
        symbols=tuple(_symbols(frozen, names, found)),
        groups=tuple(_groups(frozen, groups, keys, found.groups, np.bincount(terms[counting], minlength=len(keys)))),
        traders=_traders(frozen, found.traders),
        nearest=tuple(_nearest(frozen)),
        owed=owed_part(frozen, debts, worth),
        clusters=_clusters(frozen, found.traders, clusters),
    )


def _sums(frozen: Frozen, names: list[str], group_of_terms: Ints, groups: int, shares: Floats) -> _Sums:
    place = {name: number for number, name in enumerate(names)}
    books = sorted((book for book in frozen.books if book.size and book.instrument.symbol in place), key=_by_symbol)
    count = len(frozen.books)
    symbol_of, value_of, rate_of = np.zeros(count, np.int64), np.zeros(count), np.zeros(count)
    valued = [_unit_value(frozen, name) for name in names]
    for book in books:
        number = place[book.instrument.symbol]
        symbol_of[book.number] = number
        value_of[book.number] = valued[number] or 0.0
        rate_of[book.number] = rate_into_reporting(book.currency, frozen.quotes) or 0.0
    symbols, group_sums = np.zeros((len(names), kernels.SYMBOL_SUMS)), np.zeros((max(groups, 1), kernels.GROUP_SUMS))
    traders, floating = np.zeros((max(len(frozen.trader_ids), 1), kernels.GROUP_SUMS)), np.zeros(count)
    group_of = group_of_terms[frozen.terms] if len(group_of_terms) else np.zeros(frozen.size, np.int64)
    arena = frozen.arena
    order = np.array([book.number for book in books], np.int64)
    scratch = np.full(frozen.size, -1, np.int64)
    kernels.sums(
        *(order, arena.spans, arena.rows, arena.units, arena.profits, frozen.counts, symbol_of, value_of, rate_of),
        *(group_of, frozen.traders, shares, scratch, symbols, group_sums, traders, floating),
    )
    by_symbol = np.zeros(len(names))
    for book in books:
        by_symbol[symbol_of[book.number]] += floating[book.number] * rate_of[book.number]
    return _Sums(symbols, group_sums, traders, by_symbol, valued)


def _by_symbol(book: Book) -> tuple[str, int]:
    return book.instrument.symbol, book.number


def _unit_value(frozen: Frozen, symbol: str) -> float | None:
    """Returns one unit of a symbol at the middle of its quote, in minor units of the reporting currency."""
    bid, ask = frozen.quotes[symbol]
    instrument = frozen.instruments.get(symbol)
    rate = None if instrument is None else rate_into_reporting(instrument.quote_currency, frozen.quotes)
    if instrument is None or rate is None:
        return None
    return float(bid + ask) / 2 * rate * float(10 ** exponent(instrument.quote_currency))


def _symbols(frozen: Frozen, names: list[str], found: _Sums) -> Iterator[SymbolPart]:
    for number, name in enumerate(names):
        instrument = frozen.instruments.get(name)
        if instrument is None:
            continue
        long, short, accounts, slope = found.symbols[number].tolist()
        bid, ask = frozen.quotes[name]
        value = found.valued[number]
        yield SymbolPart(
            symbol=name,
            contract_size=instrument.contract_size,
            quote_currency=instrument.quote_currency,
            bid=bid,
            ask=ask,
            long_lots=_lots(long, instrument.contract_size),
            short_lots=_lots(short, instrument.contract_size),
            long_minor=None if value is None else round(long * value),
            short_minor=None if value is None else round(short * value),
            accounts=int(accounts),
            floating_minor=round(float(found.floating[number])),
            slope_minor=round(slope / 100),
        )


def _lots(units: float, contract_size: Decimal) -> Decimal:
    return Decimal(f"{units / float(contract_size):.8f}").normalize() + 0


def _groups(
    frozen: Frozen, groups: list[tuple[str, int]], keys: list[tuple[str, int]], sums: Floats, members: Ints
) -> Iterator[GroupPart]:
    for number, (product, phase) in enumerate(groups):
        mine = [terms for terms, key in enumerate(keys) if key == (product, phase)]
        accounts = int(sum(members[terms] for terms in mine))
        if not accounts:
            continue
        size = 0.0
        for terms in mine:
            of = frozen.table[terms]
            size += members[terms] * of.initial_minor * (rate_into_reporting(of.product.currency, frozen.quotes) or 0.0)
        long, short, floating = sums[number].tolist()
        yield GroupPart(
            product=product,
            phase=phase,
            funded=phase == frozen.table[mine[0]].product.funded_index,
            accounts=accounts,
            size_minor=round(size),
            long_minor=round(long),
            short_minor=round(short),
            floating_minor=round(floating),
        )


def _traders(frozen: Frozen, sums: Floats) -> tuple[TraderPart, ...]:
    """The traders with the largest gross positions."""
    gross = sums[:, kernels.LONG_VALUE] + sums[:, kernels.SHORT_VALUE]
    largest = [n for n in np.argsort(-gross, kind="stable")[:_TOLD].tolist() if gross[n] > 0]
    accounts = np.bincount(frozen.traders[frozen.counts], minlength=len(gross))
    return tuple(
        TraderPart(
            trader_id=frozen.trader_ids[n],
            accounts=int(accounts[n]),
            long_minor=round(float(sums[n, kernels.LONG_VALUE])),
            short_minor=round(float(sums[n, kernels.SHORT_VALUE])),
        )
        for n in largest
    )


def _clusters(frozen: Frozen, sums: Floats, clusters: Mapping[str, str]) -> tuple[ClusterPart, ...]:
    """Every cluster with open positions here: a few of many small traders may be the firm's largest hand."""
    members: dict[str, list[int]] = {}
    for n, trader in enumerate(frozen.trader_ids):
        if trader in clusters:
            members.setdefault(clusters[trader], []).append(n)
    accounts = np.bincount(frozen.traders[frozen.counts], minlength=len(sums))
    found = []
    for cluster, traders in sorted(members.items()):
        mine = [n for n in traders if accounts[n]]
        long, short, _ = sums[mine].sum(axis=0).tolist() if mine else (0.0, 0.0, 0.0)
        if long or short:
            found.append(
                ClusterPart(
                    cluster=cluster,
                    trader_ids=tuple(frozen.trader_ids[n] for n in mine),
                    accounts=int(accounts[mine].sum()),
                    long_minor=round(long),
                    short_minor=round(short),
                )
            )
    return tuple(found)


def _nearest(frozen: Frozen) -> Iterator[NearestPart]:
    """Per rule, the accounts with open positions and the least room to its floor, as a share of their size. Floors that
    leave out costs or open profit, or that are of a symbol or position, are left out."""
    by_rule: dict[str, list[tuple[Ints, Ints, Ints]]] = {}
    for number, specs in enumerate(frozen.levels.specs):
        rows = np.flatnonzero(
            frozen.counts & frozen.judged & frozen.known & (frozen.positions > 0) & (frozen.terms == number)
        )
        if not rows.size:
            continue
        size = frozen.table[number].initial_minor
        for index, spec in enumerate(specs):
            if spec.per != "account" or not spec.counts_everything or spec.is_ceiling:
                continue
            room = frozen.equity[rows] - frozen.levels.floor[index, rows]
            least = np.argpartition(room, NEAREST)[:NEAREST] if len(room) > NEAREST else np.arange(len(room))
            by_rule.setdefault(spec.key, []).append((rows[least], room[least], room[least] * _PPM // size))
    for rule, parts in sorted(by_rule.items()):
        rows, room, ppm = (np.concatenate(each) for each in zip(*parts, strict=True))
        for place in np.argsort(ppm, kind="stable")[:NEAREST].tolist():
            row = int(rows[place])
            yield NearestPart(
                rule=rule,
                account_id=frozen.account_id(row),
                currency=frozen.terms_of(row).product.currency,
                room_minor=int(room[place]),
                room_ppm=int(ppm[place]),
            )


def owed_part(frozen: Frozen, debts: Debts, worth: Ints) -> OwedPart:
    """`worth`: by row, what payouts count of each account."""
    rows, now = debts.owed(frozen, worth)
    _, closed = debts.owed(frozen, frozen.equity)
    now_minor, unknown = reported_total(frozen, rows, now)
    closed_minor, _ = reported_total(frozen, rows, closed)
    return OwedPart(
        accounts=len(rows),
        owing=int(np.count_nonzero(closed)),
        now_minor=now_minor,
        closed_minor=closed_minor,
        unknown=unknown,
    )


def reported_total(frozen: Frozen, rows: Ints, amounts: Ints, quotes: Quotes | None = None) -> tuple[int, int]:
    """Returns (the sum of amounts in the reporting currency, how many rows are left out). Amounts are summed exactly in
    each currency, and each sum is converted once. `quotes`: others than those of the moment."""
    total, unknown = 0, int(np.count_nonzero(~frozen.known[rows]))
    currencies = [terms.product.currency for terms in frozen.table]
    of_rows = frozen.terms[rows]
    for currency in sorted(set(currencies)):
        terms = [number for number, each in enumerate(currencies) if each == currency]
        mine = np.isin(of_rows, terms) & frozen.known[rows]
        if not mine.any():
            continue
        rate = rate_into_reporting(currency, frozen.quotes if quotes is None else quotes)
        if rate is None:
            unknown += int(mine.sum())
        else:
            total += round(int(amounts[mine].sum()) * rate)
    return total, unknown
