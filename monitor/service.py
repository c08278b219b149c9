"""The loop of one shard: read the stream, judge, commit, lock, acknowledge."""

import sys
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

import structlog
from psycopg import Connection

from domain.proofs.points import PointFact
from monitor.departures import Departures
from monitor.exposure.desk import ExposureDesk
from monitor.exposure.frozen import freeze
from monitor.facts import GateFact, ResumeFact, StrayFact, VerdictFact
from monitor.handover import Handover
from monitor.loaded import Pending
from monitor.record.background_writer import BackgroundWriter
from monitor.record.checkpoint_rows import AT_ONCE, FEW, accounts_waiting, checkpoint_rows, take_checkpoint
from monitor.record.rebuild import rebuild
from monitor.record.recorded_accounts import RecordedAccounts
from monitor.record.resync import resync
from monitor.record.verdict_writer import Verdicts, VerdictWriter
from monitor.shard import Shard
from monitor.venue_clock import ClockKeeper
from ports.calendars import NONE, Calendars
from ports.platform import Batch, ClockMark, GapInStream, PlatformStream
from store import version_moves
from store.db import connect
from store.live import AccountSelection, shard_record
from store.live_checkpoint import CheckpointWriter

CHECKPOINT_SECONDS: Final = 1.0
# Python threads take turns: judging must not wait the usual 5 ms for the thread that makes rows.
TURN_SECONDS: Final = 0.0002
AT_ONCE_IN_THE_QUIET: Final = 500  # only marked accounts that a checkpoint stores while nothing is to be judged

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class _Owner:
    """The shard that is judged, by which epoch, and its ways to the outside. `feed` names the platform."""

    database_url: str
    open_stream: Callable[[], PlatformStream]
    shard: int
    epoch: int
    heartbeat: Callable[[int], None]
    feed: str
    calendars: Calendars


class MonitorService:
    """Judges one shard until `stop` is set.

    `open_stream` opens the platform's feed, read under the shard's own name. `heartbeat` is called with the number of
    the last batch, at least once a second while the feed is alive, and per account while the shard is built. `feed`
    names the platform. Everything runs in the thread that calls `run`, except that most checkpoints are written in the
    background.
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
        self._owner = _Owner(database_url, open_stream, shard, epoch, heartbeat, feed, calendars)
        self._stop = stop

    def run(self) -> None:
        """Returns after a last checkpoint when stopped. Raises StaleEpoch when a newer owner judges this shard, and
        Unavailable or OutcomeUnknown when the platform fails: a new attempt continues from the last checkpoint."""
        sys.setswitchinterval(TURN_SECONDS)
        owner = self._owner
        with (
            connect(owner.database_url, autocommit=True) as connection,
            closing(owner.open_stream()) as stream,
            closing(BackgroundWriter(owner.database_url, owner.shard, owner.epoch)) as background,
            closing(VerdictWriter(owner.database_url, owner.shard, owner.epoch, stream)) as verdicts,
            closing(ExposureDesk(owner.database_url, owner.shard, owner.epoch, owner.feed)) as exposure,
            closing(ClockKeeper(owner.database_url, owner.feed, stream)),
        ):
            run = _Run(owner, connection, background, verdicts, exposure, stream)
            while not self._stop.is_set():
                try:
                    self._read(run, stream)
                except GapInStream as gap:
                    run.gap(gap)
            run.idle(force=True)

    def _read(self, run: "_Run", stream: PlatformStream) -> None:
        for batch in stream.batches(run.done):
            if batch is None:
                run.idle()
            else:
                run.take(batch)
            self._owner.heartbeat(run.done)
            if self._stop.is_set():
                return


class _Run:
    """One run of the service: a shard, the last batch that is `done`, and the last one that is stored."""

    def __init__(
        self,
        owner: _Owner,
        connection: Connection[Any],
        background: BackgroundWriter,
        verdicts: VerdictWriter,
        exposure: ExposureDesk,
        stream: PlatformStream,
    ) -> None:
        self._owner, self._stream, self._exposure = owner, stream, exposure
        self._connection, self._background = connection, background
        self._verdicts = verdicts
        self._checkpoints = CheckpointWriter(connection, owner.shard, owner.epoch)
        record = shard_record(connection, owner.shard)
        self._accounts = RecordedAccounts(connection, AccountSelection(owner.feed, owner.shard), owner.calendars)
        self._handover = Handover(
            connection, self._accounts, owner.feed, owner.shard, owner.open_stream, self._commit, self._beat
        )
        self._departures = Departures(connection, owner.shard)
        self._gap: GapInStream | None = None
        self.done = self._stored = record.batch
        self._shard: Shard = rebuild(self._accounts, record.feed, stream, self._beat, peaks=record.peaks)
        self._shard.state.facts.store_many = self._commit_part
        self._looked_at, self._received_at = time.monotonic(), datetime.now(UTC)
        accounts = len(self._shard.state.accounts)
        if self.done:  # the acknowledgement of what is stored may have been lost: a venue in lockstep waits for it
            self._handover.read_requests(self.done)
            self._acknowledge()
        _log.info("shard rebuilt", shard=owner.shard, epoch=owner.epoch, batch=record.batch, accounts=accounts)

    def take(self, batch: Batch) -> None:
        """Judges a batch, commits and locks what it broke, stores what is due, then acknowledges it."""
        shard, number = self._shard, self._owner.shard
        self._received_at = datetime.now(UTC)
        if self._gap is None and shard.lacks_events(batch):
            _log.warning("events are missing in the stream", shard=number, batch=batch.number)
            self._gap = GapInStream(batch.number, batch.number)
        if self._gap is not None:
            resync(shard, self._accounts, self._gap, self._stream, number, batch.events[0].at, self._beat)
            self._gap = None
        shard.apply(batch)
        self.done = batch.number
        found = shard.state.facts.take_verdicts()
        if any(found):
            self._commit(*found)
        self._verdicts.finish()
        if any(isinstance(event, ClockMark) and event.flush for event in batch.events):
            self._read_requests()
            self._checkpoint()
        else:
            self._checkpoint_in_background(AT_ONCE)
        self._acknowledge()
        self._give_exposure()

    def _acknowledge(self) -> None:
        self._stream.acknowledge(self.done, self._handover.deletable_to(self._stored))

    def _beat(self) -> None:
        self._owner.heartbeat(self.done)

    def _commit(
        self,
        verdicts: list[VerdictFact],
        resumes: Sequence[ResumeFact] = (),
        gates: Sequence[GateFact] = (),
        points: Sequence[PointFact] = (),
        strays: Sequence[StrayFact] = (),
    ) -> None:
        """Commits verdicts and the points that their proofs name, then places their locks at the venue."""
        self._verdicts.write(Verdicts(self._received_at, verdicts, resumes, gates, points, strays))

    def _commit_part(self) -> None:
        """While a batch is judged: begins to commit what it has broken so far."""
        self._verdicts.begin_part(Verdicts(self._received_at, *self._shard.state.facts.take_verdicts()))

    # checkpoints

    def idle(self, *, force: bool = False) -> None:
        """While the stream is quiet: stores what is not stored yet, so that the venue may delete it, and carries out
        handovers. A large shard stores some accounts at a time, since the next price may come at any moment."""
        if self._gap is not None:
            return
        if force or (len(self._shard.state.accounts) <= FEW and self._due()):
            self._looked_at = time.monotonic()
            if self._read_requests() or self.done > self._stored:
                self._checkpoint()
                self._acknowledge()
        elif self._checkpoint_in_background(AT_ONCE_IN_THE_QUIET):
            self._acknowledge()
        self._give_exposure()

    def _give_exposure(self) -> None:
        """Gives the desk a copy of the shard when it wants one."""
        if self._exposure.wants(self.done):
            self._exposure.give(freeze(self._shard.state, self.done))

    def _read_requests(self) -> bool:
        """Reads which accounts leave and come. Returns whether some can now."""
        moving = self._handover.read_requests(self.done)
        return self._departures.read_requests(self._shard) or moving

    def _due(self) -> bool:
        return time.monotonic() - self._looked_at >= CHECKPOINT_SECONDS

    def gap(self, gap: GapInStream) -> None:
        """Goes on where the venue's memory begins. Its first batch has the market time there."""
        _log.warning("gap in the stream", shard=self._owner.shard, asked=gap.asked, first=gap.first)
        self._gap = gap
        self.done = gap.first - 1

    def _checkpoint_in_background(self, at_once: int) -> bool:
        """Takes note of a checkpoint that was written, and begins the next when it is due. Returns whether one was
        written."""
        written = self._background.written()
        if written is not None:
            self._stored = written.batch
            if written.moves_waiting or self._handover.unfinished:
                self._carry_out_moves()
        if self._due() and not self._background.busy:
            self._looked_at = time.monotonic()
            if self.done > self._stored or accounts_waiting(self._shard):
                owner = self._owner
                self._background.write(
                    take_checkpoint(self._shard, owner.shard, self.done, owner.feed, whole=False, at_once=at_once)
                )
        return written is not None

    def _carry_out_moves(self) -> None:
        """Handovers and changes of version are carried out at a checkpoint during which nothing is judged."""
        moving = self._read_requests()
        if moving or version_moves.approved_moves(self._connection, self._owner.shard):
            self._checkpoint(whole=moving)

    def _checkpoint(self, *, whole: bool = True) -> None:
        """Writes a checkpoint; it is stored when this returns."""
        self._background.finish(self._beat)
        self._handover.prepare(self._shard, self.done)
        rows = checkpoint_rows(self._shard, self._owner.shard, self.done, self._owner.feed, whole=whole)
        self._checkpoints.write(self._departures.add_to(self._shard, self._handover.add_to(rows)))
        self._exposure.flush(self._connection, freeze(self._shard.state, self.done))
        self._stored, self._looked_at = self.done, time.monotonic()
        self._handover.committed(self._shard, self.done)
        self._departures.committed(self._shard)
        self._learn_version_moves()

    def _learn_version_moves(self) -> None:
        """Reads which accounts change to another version. Done right after a checkpoint and before anything else is
        judged, so that a shard rebuilt from that checkpoint knows the same."""
        owner = self._owner
        for waiting in version_moves.take_approved_moves(self._connection, owner.shard, owner.epoch, self._stored):
            account = self._shard.state.accounts.find(waiting.login)
            if account is not None:
                terms = self._accounts.terms(
                    waiting.product, waiting.version, account.terms.phase_index, account.terms.initial_minor
                )
                self._shard.versions.expect(account.account_id, Pending(waiting.move_id, terms))
