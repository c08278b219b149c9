"""The loop of one shard: stream, judge, commit, lock, acknowledge."""

import sys
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from datetime import UTC, datetime
from typing import Any, Final

import psycopg
import structlog
from psycopg import Connection

from domain.errors import PropOSError, Unavailable
from monitor.facts import GateFact, ResumeFact, Verdict
from monitor.handover import Moves
from monitor.record.background_writer import Behind
from monitor.record.checkpoint_rows import AT_ONCE, FEW, checkpoint_rows, take, waiting
from monitor.record.checkpoints import Pending
from monitor.record.rebuild import RecordedAccounts, rebuild, resync
from monitor.record.verdict_rows import verdict_rows
from monitor.shard import Shard
from ports.calendars import NONE, Calendars
from ports.platform import Batch, ClockMark, GapInStream, PlatformStream
from store import version_moves
from store.live import Accounts, shard_record
from store.live_checkpoint import CheckpointWriter
from store.live_write import LiveWriter

CHECKPOINT_SECONDS: Final = 1.0
# Python threads take turns: judging must not wait the usual 5 ms for the one that makes rows.
TURN_SECONDS: Final = 0.0002
AT_ONCE_IN_THE_QUIET: Final = 500  # merely marked accounts that a checkpoint stores while nothing is to be judged

_log = structlog.get_logger(__name__)


class MonitorService:
    """Judges one shard until `stop` is set.

    `open_stream` gives the platform's feed, read under the shard's own name; `heartbeat` is called with the number of the last batch at least once a
    second while the feed is alive, and per account while the shard is built; `feed` names the platform. Everything runs in
    the thread that calls `run`, except that most checkpoints are written behind it.
    """

    def __init__(
        self,
        database_url: str,
        open_stream: Callable[[], PlatformStream],
        shard: int,
        epoch: int,
        stop: threading.Event,
        heartbeat: Callable[[int], None],
        *,
        feed: str = "sandbox",
        calendars: Calendars = NONE,
    ) -> None:
        self._calendars = calendars
        self._database_url, self._open_stream = database_url, open_stream
        self._number, self._epoch, self._feed = shard, epoch, feed
        self._stop, self._heartbeat = stop, heartbeat

    def run(self) -> None:
        """Returns after a last checkpoint when stopped. Raises StaleEpoch when a newer owner judges this shard, and
        Unavailable or OutcomeUnknown when the platform fails: a new attempt goes on from the last checkpoint."""
        sys.setswitchinterval(TURN_SECONDS)
        with (
            psycopg.connect(self._database_url, autocommit=True) as connection,
            closing(self._open_stream()) as stream,
            closing(Behind(self._database_url, self._number, self._epoch)) as behind,
        ):
            run = _Run(
                connection,
                behind,
                self._open_stream,
                stream,
                self._number,
                self._epoch,
                self._feed,
                self._heartbeat,
                self._calendars,
            )
            while not self._stop.is_set():
                try:
                    self._read(run, stream)
                except GapInStream as gap:
                    run.gap(gap)
            run.settle(force=True)

    def _read(self, run: "_Run", stream: PlatformStream) -> None:
        for batch in stream.batches(run.done):
            if batch is None:
                run.settle()
            else:
                run.take(batch)
            self._heartbeat(run.done)
            if self._stop.is_set():
                return


class _Run:
    """One life of the service: a shard, what of it is stored, and where the stream stands."""

    def __init__(
        self,
        connection: Connection[Any],
        behind: Behind,
        open_stream: Callable[[], PlatformStream],
        stream: PlatformStream,
        number: int,
        epoch: int,
        feed: str,
        heartbeat: Callable[[int], None],
        calendars: Calendars,
    ) -> None:
        self._stream, self._number, self._epoch, self._feed = stream, number, epoch, feed
        self._heartbeat = heartbeat
        self._connection, self._behind = connection, behind
        self._writer = LiveWriter(connection, number, epoch)
        self._checkpoints = CheckpointWriter(connection, number, epoch)
        record = shard_record(connection, number)
        self._accounts = RecordedAccounts(connection, Accounts(feed, number), calendars)
        self._moves = Moves(connection, self._accounts, feed, number, open_stream, self._conclude, self._beat)
        self._gap: GapInStream | None = None
        self.done = self._stored = record.batch
        self._shard: Shard = rebuild(self._accounts, record.feed, stream, self._beat, peaks=record.peaks)
        self._looked_at, self._received_at = time.monotonic(), datetime.now(UTC)
        _log.info("shard rebuilt", shard=number, epoch=epoch, batch=record.batch, accounts=len(self._shard.accounts))

    def take(self, batch: Batch) -> None:
        """Judge a batch, commit and lock what it broke, store what is due, then acknowledge it."""
        self._received_at = datetime.now(UTC)
        if self._gap is None and self._shard.misses(batch):
            _log.warning("events are missing in the stream", shard=self._number, batch=batch.number)
            self._gap = GapInStream(batch.number, batch.number)
        if self._gap is not None:
            at = batch.events[0].at
            resync(self._shard, self._accounts, self._gap, self._stream, self._number, at, self._beat)
            self._gap = None
        self._shard.apply(batch)
        self.done = batch.number
        found = self._shard.harvest.take_found()
        if any(found):
            self._conclude(*found)
        flush = any(isinstance(event, ClockMark) and event.flush for event in batch.events)
        if flush:
            self._moves.look(self.done)
            self._checkpoint()
        else:
            self._checkpoint_behind(AT_ONCE)
        self._acknowledge()

    def _acknowledge(self) -> None:
        self._stream.acknowledge(self.done, self._moves.keep_after(self._stored))

    def _beat(self) -> None:
        self._heartbeat(self.done)

    def _conclude(
        self, verdicts: list[Verdict], resumes: Sequence[ResumeFact] = (), gates: Sequence[GateFact] = ()
    ) -> None:
        rows = verdict_rows(verdicts, self._epoch, self._received_at, resumes, gates)
        waiting = set(self._writer.verdicts(rows))
        placed = self._place([lock for lock in rows.locks if lock["key"] in waiting])
        if placed:
            breaches = [breach_id for lock in placed for breach_id in lock["breach_ids"]]
            self._writer.locked([lock["key"] for lock in placed], breaches)
        for fact in verdicts:
            kind, proof_id = fact.proof["kind"], fact.proof_id
            _log.info("verdict", kind=kind, account_id=fact.account_id, seq=fact.seq, proof_id=proof_id)

    def _place(self, locks: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """Lock at the venue; the locks that took effect. One that the venue refuses stays in the outbox, where the
        relay parks it for a person: it must not keep the others from being judged."""
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

    def settle(self, *, force: bool = False) -> None:
        """While the stream is quiet: store what is not stored yet, so that the venue may forget it, and do what moves
        ask for. Of many accounts some at a time, since the next price may come at any moment."""
        if self._gap is not None:
            return
        if force or (len(self._shard.accounts) <= FEW and self._due()):
            self._looked_at = time.monotonic()
            if self._moves.look(self.done) or self.done > self._stored:
                self._checkpoint()
                self._acknowledge()
        elif self._checkpoint_behind(AT_ONCE_IN_THE_QUIET):
            self._acknowledge()

    def _due(self) -> bool:
        return time.monotonic() - self._looked_at >= CHECKPOINT_SECONDS

    def gap(self, gap: GapInStream) -> None:
        """Go on where the venue's memory begins; its first batch says what time it is there."""
        _log.warning("gap in the stream", shard=self._number, asked=gap.asked, first=gap.first)
        self._gap = gap
        self.done = gap.first - 1

    def _checkpoint_behind(self, at_once: int) -> bool:
        """Take in what was stored behind, and when one is due begin the next checkpoint; whether the first was so."""
        stored = self._behind.written()
        if stored is not None:
            self._stored = stored.batch
            if stored.asked or self._moves.unfinished:
                self._attend()
        if self._due() and not self._behind.busy:
            self._looked_at = time.monotonic()
            if self.done > self._stored or waiting(self._shard):
                taken = take(self._shard, self._number, self.done, self._feed, whole=False, at_once=at_once)
                self._behind.write(taken)
        return stored is not None

    def _attend(self) -> None:
        """Moves are carried out at a checkpoint that nothing is judged behind."""
        moving = self._moves.look(self.done)
        if moving or version_moves.waiting(self._connection, self._number):
            self._checkpoint(whole=moving)

    def _checkpoint(self, *, whole: bool = True) -> None:
        """One that is stored when this returns."""
        self._behind.finish(self._beat)
        self._moves.prepare(self._shard, self.done)
        rows = checkpoint_rows(self._shard, self._number, self.done, self._feed, whole=whole)
        self._checkpoints.write(self._moves.rows(rows))
        self._stored, self._looked_at = self.done, time.monotonic()
        self._moves.stored(self._shard, self.done)
        self._learn_versions()

    def _learn_versions(self) -> None:
        """Accounts that shall go on under another version, known from this checkpoint on: right after it, and before
        anything else is judged, so that a shard rebuilt from it knows the same."""
        for waits in version_moves.take_up(self._connection, self._number, self._epoch, self._stored):
            account = self._shard.by_login.get(waits.login)
            if account is not None:
                terms = self._accounts.terms(waits.product, waits.version, account.terms.phase_index)
                self._shard.versions.expect(account.account_id, Pending(waits.move_id, terms))
