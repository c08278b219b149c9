"""The measurements on a shard in memory."""

import gc
import time
import tracemalloc
from collections.abc import Callable
from random import Random
from typing import Any, Final

import numpy as np

from cli.bench import baselines
from cli.bench.exact import Followers, broken_at, wrong_equities
from cli.bench.firm import START, Firm, shard_of
from cli.bench.market import Market
from cli.bench.timing import interleaved, rounded
from domain.rules.marking import QuoteBoard
from monitor.columns import kernels
from monitor.columns.account_columns import AccountColumns
from monitor.columns.marks import Marks
from monitor.facts import BreachFact
from ports.platform import Batch, ClockMark, Tick

COPY_BYTES: Final = 114  # bytes per account of the memory copy that re-marking is compared with
_SYMBOL: Final = "US500"
_TICK_SECONDS: Final = 0.0005
_FOLLOWED: Final = 150

Step = Callable[[str], None]


def batch_of(number: int, tick: Tick) -> Batch:
    mark = ClockMark.model_construct(kind="clock", seq=tick.seq, at=tick.at, flush=False)
    return Batch.model_construct(number=number, events=(tick, mark))


def copy_of(accounts: int) -> Callable[[], None]:
    """Returns a numpy memory copy of COPY_BYTES per account."""
    source = np.random.default_rng(1).integers(0, 255, accounts * COPY_BYTES).astype(np.uint8)
    target = np.ones_like(source)
    return lambda: np.copyto(target, source)


def compile_seconds() -> float:
    """Returns the seconds to load the compiled loops, or to compile them if they are not cached."""
    started = time.perf_counter()
    kernels.ready()
    return time.perf_counter() - started


class Columnar:
    """The measured shard and the accounts it was made from."""

    def __init__(self, firm: Firm, step: Step) -> None:
        self.firm, self._step = firm, step
        step("making accounts")
        self.accounts = list(firm.loaded())
        step("admitting them to a shard")
        gc.collect()
        tracemalloc.start()
        self.shard = shard_of(firm, iter(self.accounts))
        gc.collect()
        self._traced = tracemalloc.get_traced_memory()[0]
        tracemalloc.stop()

    def memory(self) -> dict[str, float]:
        """Returns bytes per account: of every column, and of the Python objects that admission created in the shard."""
        shard, n = self.shard, len(self.accounts)
        columns = {
            "columns": shard.state.columns.nbytes(),
            "rules": shard.state.rules.nbytes(),
            "roster": shard.state.accounts.nbytes(),
            "positions": shard.state.marks.nbytes(),
        }
        python = max(0, self._traced - sum(columns.values()))
        parts = {name: rounded(size / n) for name, size in columns.items()}
        return {"total": rounded((sum(columns.values()) + python) / n), **parts, "python_objects": rounded(python / n)}

    def marks(self, rounds: int) -> dict[str, Any]:
        """Measures re-marking of all accounts, of one symbol, and the baselines; checks that all results agree."""
        shard, n = self.shard, len(self.accounts)
        self._step("comparing marks with copy, loop, polars, duckdb")
        frames = baselines.Frames(shard)
        works: dict[str, tuple[Callable[[], Any], int]] = {
            "remark_all_ms": (shard.state.marks.remark, 15),
            "copy_ms": (copy_of(n), 15),
            "one_symbol_tick_ms": (lambda: shard.state.marks.tick(self._symbol()), 15),
            "python_loop_ms": (baselines.python_loop(frames), 1),
        }
        others = {"polars_ms": baselines.polars_query(frames), "duckdb_ms": baselines.duckdb_query(frames)}
        works |= {name: (query, 3) for name, query in others.items() if query is not None}
        taken = interleaved(works, rounds)
        figures: dict[str, Any] = {name: rounded(taken[name]) if name in taken else None for name in (*works, *others)}
        figures["remark_over_copy"] = rounded(taken["remark_all_ms"] / taken["copy_ms"])
        equity = shard.state.columns.equity[: shard.state.columns.size]
        low, high = np.array(frames.low), np.array(frames.high)
        broken = set(np.flatnonzero((equity <= low) | (equity > high)).tolist())
        for name, (query, _) in works.items():
            if name in ("python_loop_ms", "polars_ms", "duckdb_ms"):
                equities, rows = query()
                same = float(np.abs(np.asarray(equities) - equity).max()) <= 3  # floats round ties either way
                figures.setdefault("baselines_agree", True)
                figures["baselines_agree"] &= bool(
                    same and len(set(np.asarray(rows).tolist()) ^ broken) <= n // 1000 + 1
                )
        return figures

    def _symbol(self) -> str:
        return _SYMBOL if _SYMBOL in self.firm.market.by_symbol else self.firm.market.lines[-1].spec.symbol

    def ticks(self, seconds: float) -> dict[str, Any]:
        """Measures mixed ticks one by one and compares a sample, and finally every verdict, with the exact engine."""
        shard, market = self.shard, self.firm.market
        self._step("comparing every verdict with the exact engine")
        expected = {account.login for account in self.accounts if broken_at(shard, account)}
        random = Random(3)
        calm = [account for account in self.accounts if account.login not in expected]
        edge = [self.accounts[account.row] for account in shard.state.accounts if self._near(account.row)]
        sample = random.sample(calm, min(_FOLLOWED, len(calm))) + edge[:_FOLLOWED]
        followers = Followers([a for a in sample if a.login not in expected], self.firm.board, shard)
        # one tick per symbol that repeats its quote: it must find every account that is broken
        for line in market.lines:
            tick = market.tick(line, 0, seconds=_TICK_SECONDS)
            shard.apply(batch_of(tick.seq, tick))
            followers.tick(tick)
        facts = [fact for fact in shard.state.facts.verdicts if isinstance(fact, BreachFact)]
        wrong = len({fact.login for fact in facts} ^ expected) + wrong_equities(shard)
        self._step("processing ticks one by one")
        applied, taken = 0, 0.0
        while taken < seconds:
            ticks = [market.any_tick(_TICK_SECONDS) for _ in range(400)]
            batches = [batch_of(tick.seq, tick) for tick in ticks]
            started = time.perf_counter()
            for batch in batches:
                shard.apply(batch)
            taken += time.perf_counter() - started
            applied += len(ticks)
            if applied <= 2_000:
                for tick in ticks:
                    followers.tick(tick)
                facts = [fact for fact in shard.state.facts.verdicts if isinstance(fact, BreachFact)]
            if applied == 2_000:
                wrong += followers.wrong(shard, facts)
        if applied < 2_000:
            wrong += followers.wrong(shard, facts)
        self._step("comparing every equity with the exact engine")
        wrong += wrong_equities(shard)
        found = {fact.login for fact in shard.state.facts.verdicts}
        return {
            "ticks_per_second": round(applied / taken),
            "ticks": applied,
            "breaches": len(found),
            "near_misses": self.firm.kinds["near_misses"],
            "accounts_with_more_than_three_positions": self.firm.kinds["more_than_three_positions"],
            "wrong": wrong,
        }

    def _near(self, row: int) -> bool:
        return 0 < int(self.shard.state.columns.equity[row] - self.shard.state.columns.low_alarm[row]) < 20_000


def scaling(accounts: int, symbols: int, positions: int, rounds: int) -> dict[str, Any]:
    """Measures marks alone with another number of accounts; the live columns are filled in bulk."""
    market = Market(symbols, 7, START)
    board = QuoteBoard()
    for line in market.lines:
        bid, ask = line.quote()
        board.put(line.spec.symbol, bid, ask, 1, START)
    columns = AccountColumns(accounts)
    columns.size = accounts
    columns.balance[:] = 10_000_000
    columns.low_alarm[:], columns.high_alarm[:] = 9_000_000, kernels.HIGHEST
    marks = Marks(columns, board, market.instruments())
    _fill(marks, market, accounts, positions)
    marks.remark()
    taken = interleaved({"remark": (marks.remark, 5), "copy": (copy_of(accounts), 5)}, rounds)
    return {
        "accounts": accounts,
        "remark_all_ms": rounded(taken["remark"]),
        "copy_ms": rounded(taken["copy"]),
        "remark_over_copy": rounded(taken["remark"] / taken["copy"]),
        "ns_per_account": rounded(taken["remark"] * 1e6 / accounts),
        "copy_ns_per_account": rounded(taken["copy"] * 1e6 / accounts),
    }


def _fill(marks: Marks, market: Market, accounts: int, positions: int) -> None:
    """Draws the open positions of every account in one step."""
    generator = np.random.default_rng(5)
    owners = np.repeat(np.arange(accounts), positions)
    symbols = generator.integers(0, len(market.lines), len(owners))
    for number, line in enumerate(market.lines):
        rows = owners[symbols == number]
        digits = line.spec.digits
        lots = generator.integers(1, 100, len(rows)) / 100 * generator.choice([-1, 1], len(rows))
        book = marks.book(line.spec.symbol, "USD")
        span = marks.arena.claim(book.number, len(rows))
        marks.arena.rows[span] = rows
        marks.arena.units[span] = lots * float(line.spec.contract_size)
        marks.arena.opens[span] = (line.points + generator.integers(-20, 20, len(rows))) / 10**digits
