"""Baselines that compute the same result, every account's equity and its broken levels, from data in memory.

Each returns (equity by row, broken rows). Conversion rates and prices are given per symbol, and the highest floor per
account, so that a baseline does only the necessary work.
"""

import importlib
from collections.abc import Callable
from typing import Any

import numpy as np

from domain.pnl import conversion_rate
from monitor.shard import Shard

Result = tuple[list[int], list[int]]
Floats = np.ndarray[Any, np.dtype[np.float64]]


class Frames:
    """A shard as plain columns of positions, symbols and accounts."""

    def __init__(self, shard: Shard) -> None:
        size = shard.state.columns.size
        rows, symbols, units, opens = (list[Any]() for _ in range(4))
        self.bid, self.ask, self.factor = (list[float]() for _ in range(3))
        for number, book in enumerate(shard.state.marks.books()):
            positions = [book.position(index) for index in range(book.size)]
            rows += book.rows.tolist()
            symbols += [number] * book.size
            units += book.units.tolist()
            opens += [float(p.open_price) for p in positions]
            bid, ask = shard.state.board.prices[book.instrument.symbol]
            rate = conversion_rate(book.instrument.quote_currency, book.currency, shard.state.board.prices)
            self.bid.append(float(bid))
            self.ask.append(float(ask))
            self.factor.append(float(rate * book.scale))
        order = np.argsort(np.array(rows), kind="stable")
        self.rows, self.symbols, self.units, self.opens = (
            np.array(column)[order] for column in (rows, symbols, units, opens)
        )
        self.balance = shard.state.columns.balance[:size].copy()
        self.low, self.high = self._levels(shard)

    @staticmethod
    def _levels(shard: Shard) -> tuple[list[int], list[int]]:
        """Returns, per account, the equity at or below which a floor breaks, and that above which a ceiling breaks."""
        low, high = [], []
        for account in shard.state.accounts:
            rules = shard.state.rules.get(account.row)
            levels = list(zip(rules.specs, rules.states, strict=True))
            floors = [s.floor_minor - (not spec.inclusive) for spec, s in levels if spec.direction == "floor"]
            ceilings = [s.floor_minor - spec.inclusive for spec, s in levels if spec.direction == "ceiling"]
            low.append(max(floors, default=-(2**62)))
            high.append(min(ceilings, default=2**62))
        return low, high


def python_loop(frames: Frames) -> Callable[[], Result]:
    """Returns a Python loop over accounts and their positions."""
    accounts: list[list[tuple[int, float, float]]] = [[] for _ in frames.balance]
    for row, symbol, units, opened in zip(
        *(c.tolist() for c in (frames.rows, frames.symbols, frames.units, frames.opens)), strict=True
    ):
        accounts[row].append((symbol, units, opened))
    quotes = list(zip(frames.bid, frames.ask, frames.factor, strict=True))
    balance, low, high = frames.balance.tolist(), frames.low, frames.high

    def run() -> Result:
        equities, broken = [], []
        for row, positions in enumerate(accounts):
            equity = balance[row]
            for symbol, units, opened in positions:
                bid, ask, factor = quotes[symbol]
                equity += round(((bid if units > 0 else ask) - opened) * units * factor)
            equities.append(equity)
            if equity <= low[row] or equity > high[row]:
                broken.append(row)
        return equities, broken

    return run


def polars_query(frames: Frames) -> Callable[[], Result] | None:
    """Returns the query in polars; None if polars is not installed."""
    try:
        pl = importlib.import_module("polars")
    except ImportError:
        return None
    positions = pl.DataFrame(
        {"row": frames.rows, "symbol": frames.symbols, "units": frames.units, "open": frames.opens},
        schema_overrides={"row": pl.Int32, "symbol": pl.Int16},
    )
    accounts = pl.DataFrame(
        {"row": np.arange(len(frames.balance)), "balance": frames.balance, "low": frames.low, "high": frames.high},
        schema_overrides={"row": pl.Int32},
    )
    symbols = {"symbol": range(len(frames.bid)), "bid": frames.bid, "ask": frames.ask, "factor": frames.factor}
    quotes = pl.DataFrame(symbols, schema_overrides={"symbol": pl.Int16})
    price = pl.when(pl.col("units") > 0).then(pl.col("bid")).otherwise(pl.col("ask"))
    profit = ((price - pl.col("open")) * pl.col("units") * pl.col("factor")).round().cast(pl.Int64)
    equity = pl.col("balance") + pl.col("profit").fill_null(0)
    query = (
        accounts.lazy()
        .join(
            positions.lazy().join(quotes.lazy(), on="symbol").group_by("row").agg(profit.sum().alias("profit")),
            on="row",
            how="left",
            maintain_order="left",
        )
        .select("row", "low", "high", equity=equity)
        .select("row", "equity", broken=(pl.col("equity") <= pl.col("low")) | (pl.col("equity") > pl.col("high")))
    )

    def run() -> Result:
        found = query.collect()
        return found["equity"], found.filter("broken")["row"]

    return run


def duckdb_query(frames: Frames) -> Callable[[], Result] | None:
    """Returns the query in duckdb; None if duckdb is not installed."""
    try:
        duckdb = importlib.import_module("duckdb")
    except ImportError:
        return None
    connection = duckdb.connect()
    tables = {
        "positions": {"row": frames.rows, "symbol": frames.symbols, "units": frames.units, "open": frames.opens},
        "quotes": {
            "symbol": np.arange(len(frames.bid)),
            **{name: np.array(getattr(frames, name)) for name in ("bid", "ask", "factor")},
        },
        "accounts": {
            "row": np.arange(len(frames.balance)),
            "balance": frames.balance,
            "low": np.array(frames.low),
            "high": np.array(frames.high),
        },
    }
    for name, columns in tables.items():
        connection.register("given", columns)
        connection.execute(f"CREATE TABLE {name} AS SELECT * FROM given")
        connection.unregister("given")

    def run() -> Result:
        found = connection.execute(
            """
            SELECT a.row, a.balance + coalesce(p.profit, 0) AS equity,
                   a.balance + coalesce(p.profit, 0) <= a.low OR a.balance + coalesce(p.profit, 0) > a.high AS broken
              FROM accounts a LEFT JOIN (
                SELECT p.row, sum(round(((CASE WHEN units > 0 THEN bid ELSE ask END) - open) * units * factor)::BIGINT)
                       ::BIGINT AS profit
                  FROM positions p JOIN quotes q USING (symbol) GROUP BY p.row) p USING (row)
             ORDER BY a.row
            """
        ).fetchnumpy()
        return found["equity"], found["row"][found["broken"]]

    return run
