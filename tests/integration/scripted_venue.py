"""A venue that plays prepared batches, and accounts on the record that live at it."""

import itertools
import json
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime

import psycopg

from domain.products.product import Product
from monitor.service import MonitorService
from ports.platform import AccountSnapshot, Batch, GapInStream, PlatformStream, SymbolSpec
from store.live import claim_epoch
from tests.unit.venue_story import SPECS

WHEN = datetime(2014, 5, 1, tzinfo=UTC)


class Killed(Exception):
    """Stands for SIGKILL: nothing after it runs."""


class ScriptedVenue:
    """`on_lock` and `on_ack` are called before the call takes effect; they may raise Killed."""

    def __init__(self, batches: list[Batch], first: int = 1) -> None:
        self._batches, self.first = batches, first
        self.upto = 2**62  # what lies beyond has not happened yet
        self.locks: list[tuple[int, str]] = []
        self.acked = 0
        self.keep_after = 0
        self.on_lock: Callable[[], None] = lambda: None
        self.on_ack: Callable[[int], None] = lambda number: None
        self.snapshots: dict[int, AccountSnapshot] = {}
        self.asked: list[int] = []
        self.stop = threading.Event()

    def held(self, after: int) -> Iterator[Batch | None]:
        if after + 1 < self.first:
            raise GapInStream(after, self.first)
        yield from (batch for batch in self._batches if after < batch.number <= self.upto)

    def batches(self, after: int) -> Iterator[Batch | None]:
        yield from self.held(after)
        self.stop.set()
        yield None

    def acknowledge(self, number: int, keep_after: int) -> None:
        self.on_ack(number)
        self.acked, self.keep_after = number, keep_after

    def lock(self, login: int, key: str) -> None:
        self.lock_many([(login, key)])

    def lock_many(self, locks: list[tuple[int, str]]) -> None:
        self.on_lock()
        self.locks += locks

    def snapshot(self, login: int) -> AccountSnapshot:
        self.asked.append(login)
        return self.snapshots[login]

    def symbols(self) -> list[SymbolSpec]:
        return SPECS

    def close(self) -> None:
        self.stop.set()


def judge(
    database_url: str,
    venue: ScriptedVenue,
    epoch: int | None = None,
    heartbeat: Callable[[int], None] = lambda number: None,
    shard: int = 0,
    feed: str = "sandbox",
) -> None:
    """Run the monitor of a shard until the venue has nothing more to tell, or dies."""
    venue.stop.clear()
    epoch = epoch or claim_epoch(database_url, shard)
    streams: Iterator[PlatformStream] = itertools.chain([venue], (_Again(venue) for _ in itertools.count()))
    MonitorService(database_url, lambda: next(streams), shard, epoch, venue.stop, heartbeat, feed=feed).run()


class _Again:
    """A second stream of the same reader, for what it has to read once more; ending it ends nothing else."""

    def __init__(self, venue: ScriptedVenue) -> None:
        self._venue = venue
        self.acknowledge, self.snapshot, self.symbols = venue.acknowledge, venue.snapshot, venue.symbols
        self.lock, self.lock_many = venue.lock, venue.lock_many

    def batches(self, after: int) -> Iterator[Batch | None]:
        return self._venue.held(after)

    def close(self) -> None:
        return None


def on_record(database_url: str, accounts: dict[int, tuple[Product, int]]) -> None:
    """Active accounts acc_LOGIN in phase `accounts[login][1]`, as the lifecycle leaves them before it enables them."""
    with psycopg.connect(database_url) as connection:
        connection.execute(
            "INSERT INTO traders (id, name, email, email_index, country, identity, created_at)"
            " VALUES ('trd_1', '\\x00', '\\x00', 'x', 'CZ', 'verified', %s)",
            (WHEN,),
        )
        for login, (product, phase) in accounts.items():
            connection.execute(
                "INSERT INTO products (product, version, name, content_hash, terms) VALUES (%s, 1, %s, %s, %s)"
                " ON CONFLICT DO NOTHING",
                (product.product, product.name, product.content_hash, json.dumps(product.model_dump(mode="json"))),
            )
            connection.execute(
                "INSERT INTO challenges (id, trader_id, product, version, state, phase_index, fee_minor, currency,"
                " bought_at, changed_at) VALUES (%s, 'trd_1', %s, 1, 'phase', %s, 100, 'USD', %s, %s)",
                (f"chl_{login}", product.product, phase, WHEN, WHEN),
            )
            connection.execute(
                "INSERT INTO accounts (id, challenge_id, trader_id, phase_index, product, version, platform, login,"
                " shard, clock_group, currency, initial_minor, status) VALUES"
                " (%s, %s, 'trd_1', %s, %s, 1, 'sandbox', %s, 0, %s, 'USD', %s, 'active')",
                (
                    *(f"acc_{login}", f"chl_{login}", phase, product.product, login),
                    *(product.clock.group, product.initial_minor),
                ),
            )


def rows(database_url: str, query: str) -> list[tuple[object, ...]]:
    with psycopg.connect(database_url) as connection:
        return connection.execute(query).fetchall()
