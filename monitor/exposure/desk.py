"""The desk of a shard: stores its exposure once a second, answers what-ifs, and watches the firm's limits.

It works in a thread and on a connection of its own, with frozen copies that the judging thread makes between two
batches. A figure that cannot be computed or stored never stops the judging: it is logged, and tried again.
"""

import threading
import time
from collections.abc import Mapping
from datetime import timedelta
from typing import Any, Final

import structlog
from psycopg import Connection

from domain.errors import StaleEpoch
from domain.exposure.history import minute_of
from domain.exposure.owed import Paid
from domain.exposure.policy import NO_POLICY, ExposurePolicy
from domain.exposure.what_if import Question, ShardAnswer
from monitor.exposure import kernels
from monitor.exposure.debts import debts_of
from monitor.exposure.frozen import Frozen
from monitor.exposure.limits import LimitWatch
from monitor.exposure.measure import measure
from monitor.exposure.shocked import ShockedShard
from store import clusters, exposure
from store.db import connect

EVERY_SECONDS: Final = 0.9
_PAUSE: Final = 0.25  # between two looks for a new copy, while no question comes
_WAIT: Final = 1.5  # for a newer copy, before a question is answered with the last one
_PAID_EVERY: Final = 30.0
_POLICY_EVERY: Final = 5.0
_AGAIN: Final = 1.0

_log = structlog.get_logger(__name__)


class ExposureDesk:
    """Used by the judging thread: `wants`, `give`, `flush` and `close`."""

    def __init__(self, database_url: str, shard: int, epoch: int, platform: str) -> None:
        self._database_url, self._shard, self._epoch, self._platform = database_url, shard, epoch, platform
        self._latest: Frozen | None = None
        self._given_at = 0.0
        self._asked, self._fresh, self._over = threading.Event(), threading.Event(), threading.Event()
        kernels.ready()  # before anything is judged: a compilation takes seconds
        self._work = _Work(shard, epoch, platform)
        self._turn = threading.Lock()  # the desk's thread or the judging thread computes, not both
        self._started = False
        self._thread = threading.Thread(target=self._run, name=f"exposure-{shard}", daemon=True)

    def wants(self, batch: int) -> bool:
        """Returns whether a copy of the shard as of `batch` is due."""
        latest = self._latest
        if latest is not None and latest.batch == batch:
            if self._asked.is_set():
                self._fresh.set()  # nothing has happened since
            return False
        return self._asked.is_set() or time.monotonic() - self._given_at >= EVERY_SECONDS

    def give(self, frozen: Frozen) -> None:
        self._latest, self._given_at = frozen, time.monotonic()
        self._fresh.set()
        if not self._started:
            self._started = True
            self._thread.start()

    def flush(self, connection: Connection[Any], frozen: Frozen) -> None:
        """Stores the figures at once, on the caller's connection. Raises StaleEpoch."""
        try:
            with self._turn:
                self._work.store(connection, frozen)
        except StaleEpoch:
            raise
        except Exception:  # noqa: BLE001 -- as in the desk's own thread
            _log.exception("exposure of the shard failed", shard=self._shard)
        self.give(frozen)

    def close(self) -> None:
        self._over.set()
        if self._started:
            self._thread.join()

    def _run(self) -> None:
        while not self._over.is_set():
            try:
                with connect(self._database_url, autocommit=True) as connection:
                    connection.execute(f"LISTEN {exposure.ASKED}")
                    self._serve(connection)
            except StaleEpoch:
                return  # the judging thread finds out by itself
            except Exception:  # noqa: BLE001 -- judging goes on without figures; the log says what is wrong
                _log.exception("exposure of the shard failed", shard=self._shard)
                self._over.wait(_AGAIN)

    def _serve(self, connection: Connection[Any]) -> None:
        stored: Frozen | None = None
        watch = LimitWatch(connection)
        while not self._over.is_set():
            for _ in connection.notifies(timeout=_PAUSE, stop_after=1):
                pass
            self._answer(connection)
            frozen = self._latest
            if frozen is not None and frozen is not stored:
                with self._turn:
                    self._work.store(connection, frozen)
                stored = frozen
            with self._turn:
                self._work.read(connection)
            watch.run(self._work.policy, exposure.parts_now)

    def _answer(self, connection: Connection[Any]) -> None:
        """Answers what was asked, on a copy that is no older than the question."""
        questions = exposure.questions(connection, self._shard)
        if not questions:
            return
        self._fresh.clear()
        self._asked.set()
        self._fresh.wait(_WAIT)
        self._asked.clear()
        frozen = self._latest
        if frozen is None:
            return
        with self._turn:
            shocked = self._work.shocked(connection, frozen)
        for question in questions:
            exposure.answer(connection, self._shard, question.id, _answer(shocked, question.body).model_dump_json())


def _answer(shocked: ShockedShard, body: Mapping[str, Any]) -> ShardAnswer:
    return shocked.answer(Question.model_validate(body).shocks)


class _Work:
    """What the desk has read of the record, and the figures that it computes with it."""

    def __init__(self, shard: int, epoch: int, platform: str) -> None:
        self._shard, self._epoch, self._platform = shard, epoch, platform
        self._paid: dict[str, Paid] = {}
        self._clusters: dict[str, str] = {}
        self._paid_at = self._policy_at = -_PAID_EVERY
        self._policy_number = 0
        self.policy: ExposurePolicy = NO_POLICY

    def store(self, connection: Connection[Any], frozen: Frozen) -> None:
        """Measures and stores. Raises StaleEpoch."""
        self.read(connection)
        figures = measure(frozen, debts_of(frozen, self._paid), self._platform, self._clusters)
        exposure.write_figures(
            connection,
            self._shard,
            self._epoch,
            at=frozen.at,
            body=figures.model_dump_json(),
            minute=frozen.at - timedelta(seconds=frozen.at.second, microseconds=frozen.at.microsecond),
            kept=minute_of(figures).model_dump_json(),
        )

    def shocked(self, connection: Connection[Any], frozen: Frozen) -> ShockedShard:
        self.read(connection)
        return ShockedShard(frozen, debts_of(frozen, self._paid), self.policy.names)

    def read(self, connection: Connection[Any]) -> None:
        """Reads again what people and payouts change, now and then."""
        now = time.monotonic()
        if now - self._paid_at >= _PAID_EVERY:
            self._paid, self._paid_at = exposure.paid_from(connection, self._shard), now
            self._clusters = clusters.read(connection)
        if now - self._policy_at >= _POLICY_EVERY:
            number, terms = exposure.policy_in_force(connection)
            if number != self._policy_number:
                self.policy, self._policy_number = ExposurePolicy.model_validate(terms), number
            self._policy_at = now
