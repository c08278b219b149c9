"""Accounts that are handed over to another shard or come from one, always at a checkpoint.

The source stores an account as of batch B, releases it in the same transaction, and judges nothing of it after B. The
target builds a shard of its own from exactly that state, applies the stream from B to its own batch, and admits the
accounts in the transaction of its own checkpoint. So every event is judged by one shard. After a crash at any point the
row of the handover is as it was, and the next attempt continues. Until the handover is done the source keeps the venue
from deleting the batches after B.
"""

from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from typing import Any

import structlog
from psycopg import Connection

from domain.errors import Unavailable
from domain.proofs.points import PointFact
from monitor.columns.roster import AccountRow
from monitor.facts import GateFact, ResumeFact, StrayFact, VerdictFact
from monitor.record.checkpoint_rows import checkpoint_rows
from monitor.record.rebuild import rebuild
from monitor.record.recorded_accounts import RecordedAccounts
from monitor.record.resync import resync
from monitor.shard import Shard
from ports.platform import GapInStream, PlatformStream
from store import live
from store.live import AccountSelection, ShardMoveRecord
from store.live_checkpoint import CheckpointRows

_log = structlog.get_logger(__name__)

Commit = Callable[[list[VerdictFact], list[ResumeFact], list[GateFact], list[PointFact], list[StrayFact]], None]


class Handover:
    """The handovers of one shard. `commit` stores and locks what is found while catching up."""

    def __init__(
        self,
        connection: Connection[Any],
        accounts: RecordedAccounts,
        platform: str,
        number: int,
        open_stream: Callable[[], PlatformStream],
        commit: Commit,
        beat: Callable[[], None],
    ) -> None:
        self._connection, self._accounts = connection, accounts
        self._platform, self._number = platform, number
        self._open_stream, self._commit, self._beat = open_stream, commit, beat
        self._unfinished: list[ShardMoveRecord] = []
        self._leaving: list[ShardMoveRecord] = []
        self._coming: list[tuple[ShardMoveRecord, Shard]] = []

    def read_requests(self, done: int) -> bool:
        """Reads the open requests. Returns whether one can be carried out at batch `done`."""
        self._unfinished = live.unfinished_shard_moves(self._connection, self._number) if done else []
        return any(self._leaves(move) or self._comes(move, done) for move in self._unfinished)

    def _leaves(self, move: ShardMoveRecord) -> bool:
        return move.from_shard == self._number and move.state == "requested"

    def _comes(self, move: ShardMoveRecord, done: int) -> bool:
        return move.to_shard == self._number and move.state == "released" and move.batch <= done

    @property
    def unfinished(self) -> bool:
        """Returns whether a handover from or to this shard was not done when the requests were read last."""
        return bool(self._unfinished)

    def deletable_to(self, stored: int) -> int:
        """Returns the batch up to which the venue may delete: the target of a handover may need later ones."""
        return min([stored, *(m.batch for m in self._unfinished if m.from_shard == self._number and m.batch)])

    def prepare(self, shard: Shard, done: int) -> None:
        """Before a checkpoint at batch `done`: brings accounts that come to that batch."""
        self._leaving = [move for move in self._unfinished if self._leaves(move)]
        coming = [move for move in self._unfinished if self._comes(move, done)]
        self._coming = [(move, self._caught_up(move, shard, done)) for move in coming]

    def add_to(self, rows: CheckpointRows) -> CheckpointRows:
        """Returns the checkpoint with the accounts that leave and come."""
        parts = [checkpoint_rows(guests, self._number, rows.batch, rows.feed_name) for _, guests in self._coming]
        if not parts and not self._leaving:
            return rows
        # Exposures and corrections of the feed are not per account: the shard's own rows have them already.
        per_account = ("live", "deals", "operations", "snapshots", "bars", "warnings", "version_moves")
        known = {key for _, key, *_ in rows.reviews}
        notes = {row[1]: row for part in parts for row in part.reviews if row[1] not in known}
        together: dict[str, Any] = {
            name: [row for each in (rows, *parts) for row in getattr(each, name)] for name in per_account
        }
        return replace(
            rows,
            **together,
            reviews=[*rows.reviews, *notes.values()],
            released=[move.move_id for move in self._leaving],
            taken=[move.move_id for move, _ in self._coming],
        )

    def committed(self, shard: Shard, done: int) -> None:
        """After the commit of the checkpoint: releases the accounts that left, admits those that came."""
        for move in self._leaving:
            for account in _members(shard, move):
                shard.admission.release(account)
            _log.info(
                "accounts released", move=move.move_id, to=move.to_shard, accounts=len(move.account_ids), batch=done
            )
        for move, _ in self._coming:
            source = self._accounts.of(AccountSelection(self._platform, self._number, move.move_id))
            for loaded in source.checkpointed():
                shard.admission.admit(loaded, shard.state.now)
                self._beat()
            _log.info("accounts taken", move=move.move_id, accounts=len(move.account_ids), after=move.batch, batch=done)
        if self._coming:
            shard.admission.forget_foreign()  # the stream may have named some of them before they came
        if self._leaving or self._coming:
            self._leaving, self._coming = [], []
            self.read_requests(done)

    def _caught_up(self, move: ShardMoveRecord, shard: Shard, done: int) -> Shard:
        """Returns a shard of the accounts of a move, as of batch `done`."""
        source = self._accounts.of(AccountSelection(self._platform, self._number, move.move_id))
        with closing(self._open_stream()) as stream:
            guests = rebuild(source, move.feed, stream, self._beat)
            at = move.batch
            while at < done:
                try:
                    before, at = at, self._replay(guests, source, stream, at, done)
                    if at == before:
                        raise Unavailable(f"The platform's stream ended at batch {at}, before {done}.")
                except GapInStream as gap:
                    resync(guests, source, gap, stream, self._number, shard.state.now, self._beat)
                    at = min(done, gap.first - 1)
        return guests

    def _replay(self, guests: Shard, source: RecordedAccounts, stream: PlatformStream, at: int, done: int) -> int:
        """Applies the stream from batch `at` to `done`. Returns the last batch applied."""
        for batch in stream.batches(at):
            self._beat()
            if batch is None:
                continue
            if guests.lacks_events(batch):
                gap = GapInStream(batch.number, batch.number)
                resync(guests, source, gap, stream, self._number, batch.events[0].at, self._beat)
            guests.apply(batch)
            at = batch.number
            found = guests.state.facts.take_verdicts()
            if any(found):
                self._commit(*found)
            if at >= done:
                break
        return at


def _members(shard: Shard, move: ShardMoveRecord) -> list[AccountRow]:
    wanted = set(move.account_ids)
    return [account for account in shard.state.accounts.present() if account.account_id in wanted]
