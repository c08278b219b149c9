"""A made-up firm for the benchmark: accounts, owners, trades, orders, identity facts, releases. Nobody cheats, but for
a few accounts that copy others, so that the way of a finding is measured, too.

3 % of all openings are in the minute of a release, 20 % at the opening of a candle: about threefold clustering.
"""

from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from cli.bench.surveillance.market import SECONDS_A_DAY, SYMBOLS, Days, paths, trading_days
from surveillance.book import NEVER, SECOND, UNKNOWN, Accounts, Book, Events, Floats, Identities, Ints, Orders, Quotes
from surveillance.build import accounts_table, events_table, identities_table, orders_table, trades_table
from surveillance.symbols import SymbolTable, symbol_table

DAYS: Final = 22
_RELEASES_A_DAY: Final = 3
_AT_RELEASE: Final = 0.03
_AT_CANDLE: Final = 0.20
_CANDLE: Final = 300
_PENDING: Final = 0.2  # of all positions, those that a pending order opened
_COPIERS: Final = 0.002  # of all accounts
_COPY_LAG: Final = 2 * SECOND
_LOT_VALUE: Final = {"XAUUSD": 100.0, "NAS100": 1.0, "US30": 1.0, "BTCUSD": 1.0, "DE40": 1.0, "USDJPY": 645.0}
_SHARED: Final = {"ip": 0.3, "device": 0.03, "card": 0.01, "document": 0.001}  # of all facts
_STOP: Final = 0.002  # of the price away from the opening


@dataclass
class _Trades:
    """Columns in the making, one row per trade. `second`, `lasted`: seconds of trading. `risk`: share of the account's
    size that is lost at the stop."""

    account: Ints
    symbol: Ints
    side: Ints
    risk: Floats
    second: Ints
    fraction: Ints
    lasted: Ints
    open_price: Floats
    close_price: Floats


def made_up_book(accounts: int, deals: int, seed: int) -> Book:
    """Returns the book of a firm with this many accounts and trades. The same seed makes the same book."""
    generator = np.random.default_rng(seed)
    days = trading_days(DAYS)
    releases = _releases(generator)
    table = symbol_table([name for name, *_ in SYMBOLS])
    owners = _accounts(accounts, days, generator)
    made = _openings(accounts, deals, days, releases, generator)
    _let_some_copy(made, accounts, generator)
    quotes: dict[str, Quotes] = {}
    for number, (name, bid, ask, told) in enumerate(paths(days, releases, generator)):
        mine = np.flatnonzero(made.symbol == number)
        opened, closed = made.second[mine], np.minimum(made.second[mine] + made.lasted[mine], days.seconds - 1)
        long = made.side[mine] > 0
        made.open_price[mine] = np.where(long, ask[opened], bid[opened])
        made.close_price[mine] = np.where(long, bid[closed], ask[closed])
        quotes[name] = told
    return _book(made, owners, table, days, releases, generator, quotes)


def _releases(generator: np.random.Generator) -> Ints:
    hours = generator.integers(7, 19, (DAYS, _RELEASES_A_DAY)) * 3600 + 1800
    return np.unique((np.arange(DAYS)[:, None] * SECONDS_A_DAY + hours).ravel()).astype(np.int64)


def _accounts(count: int, days: Days, generator: np.random.Generator) -> Accounts:
    numbers = np.arange(count)
    size = generator.choice(np.array([1_000_000, 2_500_000, 5_000_000, 10_000_000]), count)
    phase = generator.choice(np.array(["1", "2", "funded"], dtype=object), count, p=[0.6, 0.2, 0.2])
    text = np.array([f"{number:06d}" for number in numbers], dtype=object)
    return accounts_table(
        {
            "id": "a" + text,
            "owner": "o" + text[numbers * 8 // 10],
            "challenge": "c" + text[numbers * 8 // 10],
            "phase": phase,
            "product": np.where(phase == "funded", "two-step-funded", "two-step").astype(object),
            "currency": np.full(count, "USD", dtype=object),
            "zone": np.full(count, "Europe/Prague", dtype=object),
            "size_minor": size,
            "daily_loss_minor": size // 20,
            "max_loss_minor": size // 10,
            "target_minor": np.where(phase == "funded", UNKNOWN, size // 10),
            "min_days": np.full(count, 4),
            "opened": np.full(count, days.starts[0]),
            "ended": np.full(count, NEVER),
            "outcome": np.full(count, "open", dtype=object),
        }
    )


def _openings(accounts: int, deals: int, days: Days, releases: Ints, generator: np.random.Generator) -> _Trades:
    weight = generator.lognormal(0.0, 1.0, accounts)
    account = np.sort(generator.choice(accounts, deals, p=weight / weight.sum()))
    share = np.array([share for _, share, *_ in SYMBOLS])
    favourite = generator.choice(len(SYMBOLS), accounts, p=share / share.sum())
    other = generator.choice(len(SYMBOLS), deals, p=share / share.sum())
    hour = np.clip(generator.normal(12.5, 4.0, deals), 0, 23.99)
    second = generator.integers(0, DAYS, deals) * SECONDS_A_DAY + (hour * 3600).astype(np.int64)
    way = generator.random(deals)
    late = generator.exponential(4.0, deals).astype(np.int64)
    second = np.where(way < _AT_CANDLE, second // _CANDLE * _CANDLE + late, second)
    news = (way >= _AT_CANDLE) & (way < _AT_CANDLE + _AT_RELEASE)
    second[news] = generator.choice(releases, int(news.sum())) + generator.integers(0, 60, int(news.sum()))
    usual = generator.lognormal(7.5, 1.2, accounts)  # seconds that an account holds a position: half an hour
    usual_risk = generator.lognormal(-5.6, 0.4, accounts)  # of the size of the account: 0.4 % to the stop
    return _Trades(
        account=account,
        symbol=np.where(generator.random(deals) < 0.6, favourite[account], other),
        side=generator.choice(np.array([1, -1]), deals),
        risk=usual_risk[account] * generator.lognormal(0.0, 0.25, deals),
        second=np.minimum(second, days.seconds - 2),
        fraction=generator.integers(0, SECOND // 1000, deals) * 1000,
        lasted=np.maximum(1, (usual[account] * generator.lognormal(0.0, 0.8, deals)).astype(np.int64)),
        open_price=np.zeros(deals),
        close_price=np.zeros(deals),
    )


def _let_some_copy(made: _Trades, accounts: int, generator: np.random.Generator) -> None:
    """The copiers repeat as many openings of another account as both have."""
    begins = np.searchsorted(made.account, np.arange(accounts + 1))
    chosen = generator.permutation(accounts)[: 2 * round(accounts * _COPIERS)]
    for leader, copier in chosen.reshape(-1, 2):
        size = min(begins[leader + 1] - begins[leader], begins[copier + 1] - begins[copier])
        source = slice(begins[leader], begins[leader] + size)
        target = slice(begins[copier], begins[copier] + size)
        for column in (made.symbol, made.side, made.second, made.lasted):
            column[target] = column[source]
        made.second[target] += _COPY_LAG // SECOND


def _book(
    made: _Trades,
    accounts: Accounts,
    table: SymbolTable,
    days: Days,
    releases: Ints,
    generator: np.random.Generator,
    quotes: dict[str, Quotes],
) -> Book:
    names = np.array([name for name, *_ in SYMBOLS], dtype=object)
    value = np.array([_LOT_VALUE.get(name, 100_000.0) for name in names])[made.symbol]
    opened = days.at(made.second) + made.fraction
    closed = days.at(np.minimum(made.second + made.lasted, days.seconds - 1)) + SECOND
    size = accounts.size_minor[made.account] / 100
    lots = np.maximum(0.01, np.round(size * made.risk / (_STOP * made.open_price * value), 2))
    profit = made.side * lots * value * (made.close_price - made.open_price)
    count = len(made.account)
    ids = np.array([f"t{number}" for number in range(count)], dtype=object)
    stop = made.open_price * (1 - made.side * _STOP)
    told = {
        "id": ids,
        "account": accounts.id[made.account],
        "symbol": names[made.symbol],
        "side": made.side,
        "lots": lots,
        "opened": opened,
        "closed": closed,
        "open_price": made.open_price,
        "close_price": made.close_price,
        "profit_minor": np.rint(profit * 100).astype(np.int64),
        "stop": np.where(generator.random(count) < 0.6, stop, np.nan),
        "reason": generator.choice(np.array(["client", "mobile", "expert", "stop", "target"], dtype=object), count),
    }
    trades = trades_table(told, accounts, table)
    return Book(
        trades=trades,
        accounts=accounts,
        symbols=table.symbols,
        orders=_orders(told, accounts, table, trades.positions, generator),
        identities=_identities(accounts, generator),
        events=_events(days.at(releases)),
        quotes=quotes,
    )


def _orders(
    told: dict[str, np.ndarray[Any, Any]],
    accounts: Accounts,
    table: SymbolTable,
    positions: tuple[str, ...],
    generator: np.random.Generator,
) -> Orders:
    """The pending orders that opened a part of the positions, placed within the hour before."""
    count = len(told["id"])
    pending = np.flatnonzero(generator.random(count) < _PENDING)
    chosen = {name: values[pending] for name, values in told.items()}
    return orders_table(
        {
            "id": "o" + chosen["id"],
            "account": chosen["account"],
            "symbol": chosen["symbol"],
            "side": chosen["side"],
            "type": generator.choice(np.array(["limit", "stop"], dtype=object), len(pending)),
            "lots": chosen["lots"],
            "price": chosen["open_price"],
            "placed": chosen["opened"] - generator.integers(1, 3600, len(pending)) * SECOND,
            "done": chosen["opened"],
            "state": np.full(len(pending), "filled", dtype=object),
            "position": chosen["id"],
        },
        accounts,
        table,
        positions,
    )


def _identities(accounts: Accounts, generator: np.random.Generator) -> Identities:
    count = len(accounts)
    facts = []
    for kind, strange in _SHARED.items():  # mostly the owner's own, else one of a few that strangers share
        own = accounts.owner.astype(np.int64)
        value = np.where(generator.random(count) < strange, -generator.integers(1, max(2, count // 5), count), own)
        facts.append((np.full(count, kind, dtype=object), value.astype(str).astype(object)))
    return identities_table(
        {
            "account": np.tile(accounts.id, len(facts)),
            "kind": np.concatenate([kind for kind, _ in facts]),
            "value": np.concatenate([value for _, value in facts]),
            "at": np.tile(accounts.opened, len(facts)),
        },
        accounts,
    )


def _events(at: Ints) -> Events:
    count = len(at)
    return events_table(
        {
            "at": at,
            "currency": np.full(count, "USD", dtype=object),
            "impact": np.full(count, 3),
            "title": np.array([f"Release {number}" for number in range(count)], dtype=object),
        }
    )
