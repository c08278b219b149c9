"""Commits verdicts, places their locks at the venue, and records which locks took effect.

A few verdicts are done at once, in the thread that judges. Of many, part after part is committed in one thread and
locked in another while the shard judges on: when a price breaks a thousand accounts, database and venue work while the
last of them are judged. Each part is a transaction of its own. After a kill between two parts the shard judges the
batch again, and finds the verdicts of the first part recorded.
"""

from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import structlog

from domain.errors import PropOSError, Unavailable
from domain.proofs.points import PointFact
from monitor.facts import GateFact, ResumeFact, StrayFact, VerdictFact
from monitor.record.verdict_rows import verdict_rows
from ports.platform import PlatformStream
from store.db import connect
from store.live_write import LiveWriter

Lock = dict[str, Any]

_log: Final = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Verdicts:
    """What was found and must be committed at once. `received_at`: the wall time at which its batch arrived."""

    received_at: datetime
    verdicts: list[VerdictFact]
    resumes: Sequence[ResumeFact] = ()
    gates: Sequence[GateFact] = ()
    points: Sequence[PointFact] = ()
    strays: Sequence[StrayFact] = ()


class VerdictWriter:
    """Used by one thread, for one owner of one shard. Locks are placed through `stream`."""

    def __init__(self, database_url: str, shard: int, epoch: int, stream: PlatformStream) -> None:
        self._epoch, self._stream = epoch, stream
        self._connection = connect(database_url, autocommit=True)
        self._writer = LiveWriter(self._connection, shard, epoch)
        self._commits = ThreadPoolExecutor(1, thread_name_prefix=f"verdicts-{shard}")
        self._locks = ThreadPoolExecutor(1, thread_name_prefix=f"locks-{shard}")
        self._parts: list[Future[Future[list[Lock]]]] = []  # each committed, then locked

    def write(self, found: Verdicts) -> None:
        """Commits verdicts, then places their locks. Parts that were begun are done first. Raises StaleEpoch, and
        Unavailable or OutcomeUnknown when the platform fails."""
        self.finish()
        self._record(self._place(self._commit(found)))

    def begin_part(self, found: Verdicts) -> None:
        """Begins to commit a part of the verdicts of a batch, and to place their locks. Its errors are raised by
        `write` or `finish`."""
        self._parts.append(self._commits.submit(self._commit_and_place, found))

    def finish(self) -> None:
        """Returns when every part that was begun is committed and locked. Raises as `write`."""
        if self._parts:
            parts, self._parts = self._parts, []
            placing = [part.result() for part in parts]
            self._record([lock for part in placing for lock in part.result()])

    def close(self) -> None:
        """Waits for parts that were begun, and ignores their outcome."""
        self._commits.shutdown(wait=True)
        self._locks.shutdown(wait=True)
        self._connection.close()

    def _commit_and_place(self, found: Verdicts) -> Future[list[Lock]]:
        return self._locks.submit(self._place, self._commit(found))

    def _commit(self, found: Verdicts) -> list[Lock]:
        """Commits verdicts. Returns the locks that still have to be placed."""
        rows = verdict_rows(
            *(found.verdicts, self._epoch, found.received_at, found.resumes, found.gates, found.points, found.strays)
        )
        waiting = set(self._writer.commit_verdicts(rows))
        for fact in found.verdicts:
            kind, proof_id = fact.proof["kind"], fact.proof_id
            _log.info("verdict", kind=kind, account_id=fact.account_id, seq=fact.seq, proof_id=proof_id)
        return [lock for lock in rows.locks if lock["key"] in waiting]

    def _place(self, locks: list[Lock]) -> list[Lock]:
        """Places locks at the venue. Returns those that took effect. One that the venue refuses stays in the outbox,
        where the relay parks it for a person: it must not stop the judging of others."""
        try:
            if len(locks) == 1:
                self._stream.lock(locks[0]["login"], locks[0]["key"])
            elif locks:
                self._stream.lock_many([(lock["login"], lock["key"]) for lock in locks])
        except Unavailable:
            raise
        except PropOSError as refusal:
            if len(locks) > 1:
                return [placed for lock in locks for placed in self._place([lock])]
            _log.error("lock refused", account_id=locks[0]["account_id"], error=refusal.message)
            return []
        return locks

    def _record(self, placed: list[Lock]) -> None:
        if placed:
            breaches = [breach_id for lock in placed for breach_id in lock["breach_ids"]]
            self._writer.record_locks([lock["key"] for lock in placed], breaches)
