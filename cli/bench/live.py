"""Measures the monitor's service with a real PostgreSQL and platform server, from a tick to its commit and lock."""

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import timedelta
from decimal import Decimal
from functools import partial
from typing import Any, Final

import structlog

from cli.bench.columns import Step
from cli.bench.firm import START, Firm, harmless, loaded, shard_of
from cli.bench.load import MASS, VICTIMS, WARM_SECONDS, LoadStream, Script
from cli.bench.market import Market
from cli.bench.servers import Servers, servers
from cli.bench.timing import once, rounded, spread
from domain.rules.marking import Position, equity_minor
from domain.rules.state import fresh
from monitor.loaded import Loaded
from monitor.record.checkpoint_rows import checkpoint_rows
from monitor.record.rebuild import rebuild
from monitor.record.recorded_accounts import RecordedAccounts
from monitor.service import MonitorService
from store.db import connect
from store.live import AccountSelection, claim_epoch, shard_record
from store.live_checkpoint import CheckpointWriter

_FEED: Final = "sandbox"
_MASS: Final = 1_000
_BARE: Final = 450  # bare calls of each kind, before the load and after it
_PACED: Final = 150  # of those at the pace of the breaches
_PACE_SECONDS: Final = 0.03  # half the time from one breach under load to the next: commits and locks take turns
_PER_SECOND: Final = 25  # accounts that break for each second of load
_FAR: Final = 10_000_000  # logins from here on are unknown to the platform


@dataclass(frozen=True, slots=True)
class LiveOptions:
    accounts: int
    positions: int
    symbols: int
    seconds: float
    seed: int


def measure_live(options: LiveOptions, step: Step) -> dict[str, Any]:
    """Measures bare commits and locks, a rebuild, ticks to commits and locks under load, and a mass breach."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(40))
    step("starting PostgreSQL and the simulated platform")
    with servers() as at:
        mass = min(_MASS, options.accounts // 4)
        step("opening accounts at the platform")
        logins = [at.open_account(number) for number in range(int(options.seconds + 4) * _PER_SECOND)]
        masses = [at.open_account(1_000_000 + number) for number in range(mass)]
        bare = [at.open_account(2_000_000 + number) for number in range(_BARE)]
        bare_mass = [at.open_account(3_000_000 + number) for number in range(mass)]
        firm = Firm(Market(options.symbols, options.seed, START), options.accounts, options.positions, options.seed)
        step("recording the firm")
        accounts = list(_accounts(firm, logins, masses))
        batch = _record(at, firm, accounts)
        step("measuring bare commits and locks")
        first = _bare(at, bare)
        step("rebuilding the shard")
        rebuilt = _rebuild(at, firm)
        step("running the service under load")
        # halfway through, a minute of market time ends and every account gets a bar
        minute = START + timedelta(minutes=1)
        firm.market.at = minute - timedelta(seconds=(WARM_SECONDS + options.seconds / 2) % 60)
        script = Script(firm.market, options.seconds, minute)
        _serve(at, script, batch)
        step("measuring bare commits and locks again")
        again = _bare(at, [at.open_account(4_000_000 + number) for number in range(_BARE)])
        return {"rebuild_seconds": rounded(rebuilt)} | _figures(at, script, first, again, bare_mass, set(masses))


def _accounts(firm: Firm, victims: list[int], masses: list[int]) -> Iterator[Loaded]:
    """Yields accounts that break one by one in the steady fall, those of the mass breach, and the harmless rest."""
    terms = firm.terms[0]
    rules, initial = fresh(terms.specs), terms.product.initial_minor
    edge = firm.at_the_edge(rules)
    for index, login in enumerate(victims):
        position = _position(firm, login, VICTIMS, Decimal(100))
        floating = equity_minor(0, [position], firm.board, firm.instruments, terms.product.currency)
        # a point is worth 100 minor units: the fall by point number index + 1 passes the edge
        yield loaded(login, terms, rules, edge + 100 * index + 50 - floating, (position,))
    for login in masses:
        yield loaded(login, terms, rules, initial, (_position(firm, login, MASS, Decimal(5)),))
    for number, account in enumerate(firm.loaded()):
        if number >= firm.accounts - len(victims) - len(masses):
            return
        yield harmless(replace(account, login=account.login + _FAR))


def _position(firm: Firm, login: int, symbol: str, lots: Decimal) -> Position:
    line = firm.market.by_symbol[symbol]
    return Position(f"{login}-1", symbol, "buy", lots, line.quote()[0], START)


def _record(at: Servers, firm: Firm, accounts: list[Loaded]) -> int:
    """Stores the accounts as the lifecycle does, and a first checkpoint of their shard; returns its batch number."""
    with connect(at.database_url) as connection:
        connection.execute(
            "INSERT INTO traders (id, name, email, email_index, country, identity, created_at)"
            " VALUES ('trd_1', '\\x00', '\\x00', 'x', 'CZ', 'verified', %s)",
            (START,),
        )
        for product in {a.terms.product.product: a.terms.product for a in accounts}.values():
            connection.execute(
                "INSERT INTO products (product, version, name, content_hash, terms) VALUES (%s, 1, %s, %s, %s)",
                (product.product, product.name, product.content_hash, json.dumps(product.model_dump(mode="json"))),
            )
        with connection.cursor() as cursor:
            with cursor.copy(
                "COPY challenges (id, trader_id, product, version, state, phase_index, fee_minor, currency, bought_at,"
                " changed_at) FROM STDIN"
            ) as copy:
                for a in accounts:
                    product, phase = a.terms.product, a.terms.phase_index
                    copy.write_row(
                        (a.challenge_id, "trd_1", product.product, 1, "phase", phase, 100, "USD", START, START)
                    )
            with cursor.copy(
                "COPY accounts (id, challenge_id, trader_id, phase_index, product, version, platform, login, shard,"
                " clock_group, currency, initial_minor, status) FROM STDIN"
            ) as copy:
                for a in accounts:
                    product, phase = a.terms.product, a.terms.phase_index
                    row = (a.account_id, a.challenge_id, "trd_1", phase, product.product, 1, _FEED, a.login, 0)
                    copy.write_row((*row, product.clock.group, "USD", product.initial_minor, "active"))
    epoch = claim_epoch(at.database_url, 0)
    shard = shard_of(firm, iter(accounts))
    shard.state.columns.dirty[: shard.state.columns.size] = True
    with connect(at.database_url, autocommit=True) as connection:
        CheckpointWriter(connection, 0, epoch).write(checkpoint_rows(shard, 0, 1, _FEED))
        connection.execute("ANALYZE")
    return 1


def _bare(at: Servers, logins: list[int]) -> dict[str, list[float]]:
    """Returns milliseconds of single-row commits and of lock calls on an idle machine.

    Most run back to back. The paced ones come as often as breaches do under load, and alternate as a breach does,
    when the caches of the processor are cold.
    """

    def spaced(work: Callable[[], Any]) -> float:
        time.sleep(_PACE_SECONDS)
        return once(work)

    rapid = len(logins) - _PACED
    with connect(at.database_url, autocommit=True) as connection, closing(at.platform.open_stream()) as venue:
        connection.execute("CREATE TABLE IF NOT EXISTS bench_commits (number bigint PRIMARY KEY, body text)")
        connection.execute("TRUNCATE bench_commits")
        insert = "INSERT INTO bench_commits VALUES (%s, 'one row')"
        commits = [partial(connection.execute, insert, (number,)) for number in range(len(logins))]
        locks = [partial(venue.lock, login, f"bare/{login}") for login in logins]
        paced = [(spaced(commit), spaced(lock)) for commit, lock in zip(commits[rapid:], locks[rapid:], strict=True)]
        return {
            "commits": [once(commit) for commit in commits[:rapid]],
            "locks": [once(lock) for lock in locks[:rapid]],
            "paced_commits": [commit for commit, _ in paced],
            "paced_locks": [lock for _, lock in paced],
        }


def _rebuild(at: Servers, firm: Firm) -> float:
    """Returns the seconds to rebuild a shard from the database."""
    script = Script(firm.market, 0, START)
    stream = LoadStream(script, at.platform.open_stream(), threading.Event(), 0)
    with connect(at.database_url, autocommit=True) as connection, closing(stream):
        started = time.perf_counter()
        record = shard_record(connection, 0)
        shard = rebuild(
            RecordedAccounts(connection, AccountSelection(_FEED, 0)),
            record.feed,
            stream,
            lambda: None,
            peaks=record.peaks,
        )
        assert len(shard.state.accounts) == firm.accounts
        return time.perf_counter() - started


def _serve(at: Servers, script: Script, batch: int) -> None:
    """Runs the monitor in a thread, as its worker does, until the script ends."""
    stop = threading.Event()
    epoch = claim_epoch(at.database_url, 0)

    def open_stream() -> LoadStream:
        return LoadStream(script, at.platform.open_stream(), stop, batch)

    service = MonitorService(at.database_url, open_stream, 0, epoch, stop, lambda _: None, feed=_FEED)
    failures: list[Exception] = []

    def run() -> None:
        try:
            service.run()
        except Exception as error:  # noqa: BLE001 -- raised again in the waiting thread
            failures.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    if failures:
        raise failures[0]


def _figures(
    at: Servers,
    script: Script,
    bare: dict[str, list[float]],
    again: dict[str, list[float]],
    bare_mass: list[int],
    masses: set[int],
) -> dict[str, Any]:
    with connect(at.database_url) as connection:
        found = connection.execute(
            "SELECT a.login, min(b.seq) FROM breaches b JOIN accounts a ON a.id = b.account_id GROUP BY a.login"
        ).fetchall()
    seqs = {int(login): int(seq) for login, seq in found}
    steady = [lock for lock in script.locks if lock.login not in masses]
    dues = [(lock, script.due[seqs[lock.login]]) for lock in steady]
    timed = [(lock, due) for lock, due in dues if due >= script.measured_from]
    mass = [lock for lock in script.locks if lock.login in masses]
    with closing(at.platform.open_stream()) as venue:
        bare_many = once(lambda: venue.lock_many([(login, f"bare/{login}") for login in bare_mass]))
    paced_commit = spread(bare["paced_commits"] + again["paced_commits"])
    paced_lock = spread(bare["paced_locks"] + again["paced_locks"])
    commit = spread([(lock.asked - due) * 1000 for lock, due in timed])
    placed = spread([(lock.placed - due) * 1000 for lock, due in timed])
    # a lock is asked for when its verdict is committed: the last one asked for is the last one committed
    committed = (max((lock.asked for lock in mass), default=script.mass_due) - script.mass_due) * 1000
    locked = (max((lock.placed for lock in mass), default=script.mass_due) - script.mass_due) * 1000
    return {
        "bare_commit_ms": spread(bare["commits"] + again["commits"]),
        "bare_lock_ms": spread(bare["locks"] + again["locks"]),
        "paced_commit_ms": paced_commit,
        "paced_lock_ms": paced_lock,
        "tick_to_commit_ms": commit,
        "tick_to_lock_ms": placed,
        "commit_over_paced": _ratio(commit, paced_commit),
        "lock_over_paced": _ratio(placed, paced_commit, paced_lock),
        "breaches_under_load": len(timed),
        "ticks_under_load": script.ticks,
        "longest_wait_ms": rounded(script.behind * 1000),
        "minute_end_ms": rounded(script.behind_at_minute_end * 1000),
        "mass_breach": {
            "accounts": len(mass),
            "commit_ms": rounded(committed),
            "lock_ms": rounded(locked),
            "bare_lock_ms": rounded(bare_many),
        },
        "mass_lock_over_bare": rounded((locked - committed) / bare_many),
    }


def _ratio(measured: dict[str, float] | None, *bare: dict[str, float] | None) -> float | None:
    """Returns the 99th percentile as a multiple of the sum of those of bare calls."""
    known = [each["p99"] for each in bare if each is not None]
    return None if measured is None or len(known) < len(bare) else rounded(measured["p99"] / sum(known))
