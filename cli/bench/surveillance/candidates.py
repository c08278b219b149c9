"""Copy candidates: openings of two accounts in one symbol and direction within seconds, by duckdb and by us."""

import importlib
import time
from typing import Any, Final

import numpy as np

from surveillance.book import SECOND, Trades
from surveillance.candidates import openings, pairs
from surveillance.positions import positions

WITHIN: Final = 5 * SECOND
_THREADS: Final = 2
# A join on an equality, which duckdb hashes: each opening meets those of its own bucket and of the next one.
_JOIN: Final = f"""
CREATE OR REPLACE TEMP TABLE candidates AS
SELECT a.row AS earlier, b.row AS later
FROM buckets a JOIN openings b ON a.symbol = b.symbol AND a.side = b.side AND a.bucket = b.opened // {WITHIN}
WHERE a.account <> b.account AND b.opened - a.opened BETWEEN 0 AND {WITHIN} AND (b.opened > a.opened OR a.row < b.row)
"""
_BUCKETS: Final = f"""
CREATE OR REPLACE TEMP TABLE buckets AS
SELECT *, opened // {WITHIN} AS bucket FROM openings UNION ALL SELECT *, opened // {WITHIN} + 1 FROM openings
"""


def ours(trades: Trades, rounds: int) -> tuple[int, float]:
    """Returns (pairs, the seconds of the fastest round) from the columns of trades to the list of pairs."""
    found, seconds = 0, []
    found_openings = positions(trades)
    pairs(openings(found_openings), WITHIN)  # compiles, or loads what was compiled
    for _ in range(rounds):
        began = time.perf_counter()
        earlier, _ = pairs(openings(found_openings), WITHIN)
        seconds.append(time.perf_counter() - began)
        found = len(earlier)
    return found, min(seconds)


def by_duckdb(trades: Trades, rounds: int) -> tuple[int, float] | None:
    """Does the same in duckdb with two threads; None if it is not installed."""
    try:
        duckdb: Any = importlib.import_module("duckdb")
        pandas: Any = importlib.import_module("pandas")
    except ImportError:
        return None
    found = positions(trades)
    table = pandas.DataFrame(
        {
            "row": np.arange(len(found), dtype=np.int64),
            "account": found.account,
            "symbol": found.symbol,
            "side": found.side,
            "opened": found.opened,
        }
    )
    connection = duckdb.connect(config={"threads": _THREADS})
    try:
        connection.register("given", table)
        connection.execute("CREATE TEMP TABLE openings AS SELECT * FROM given")
        seconds = []
        for _ in range(rounds):
            began = time.perf_counter()
            connection.execute(_BUCKETS)
            connection.execute(_JOIN)
            seconds.append(time.perf_counter() - began)
        (count,) = connection.execute("SELECT count(*) FROM candidates").fetchone()
    finally:
        connection.close()
    return int(count), min(seconds)
