"""Accounts that leave a shard or come to it, at a checkpoint and nowhere else.

The source stores an account as of batch B, lets it go in the same transaction, and judges nothing of it after B. The
target builds a shard of its own from exactly that, lets it run through the stream from B to where the target stands, and
takes the accounts over in the transaction of its own checkpoint there. So every event is judged by one shard; a crash
anywhere leaves the move where its row says, and the next attempt goes on. While a move is under way the source keeps
the venue from forgetting the batches after B.
"""

from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from typing import Any

import structlog
from psycopg import Connection

from domain.errors import Unavailable
from monitor.facts import GateFact, ResumeFact, Verdict
from monitor.record.checkpoint_rows import checkpoint_rows
from monitor.record.rebuild import RecordedAccounts, rebuild, resync
from monitor.shard import Shard
from ports.platform import GapInStream, PlatformStream
from store import live
from store.live import Accounts, MoveRecord
from store.live_checkpoint import CheckpointRows

_log = structlog.get_logger(__name__)

Conclude = Callable[[list[Verdict], list[ResumeFact], list[GateFact]], None]


class Moves:
    """The moves of one shard. `conclude` commits and locks what was found while catching up."""

    def __init__(
        self,
        connection: Connection[Any],
        accounts: RecordedAccounts,
        platform: str,
        number: int,
        open_stream: Callable[[], PlatformStream],
        conclude: Conclude,
        beat: Callable[[], None],
    ) -> None:
        self._connection, self._accounts = connection, accounts
        self._platform, self._number = platform, number
        self._open_stream, self._conclude, self._beat = open_stream, conclude, beat
        self._unfinished: list[MoveRecord] = []
        self._leaving: list[MoveRecord] = []
        self._coming: list[tuple[MoveRecord, Shard]] = []

    def look(self, done: int) -> bool:
        """Read what is asked for; whether there is something to do at batch `done`."""
        self._unfinished = live.unfinished_moves(self._connection, self._number) if done else []
        return any(self._leaves(move) or self._comes(move, done) for move in self._unfinished)

    def _leaves(self, move: MoveRecord) -> bool:
        return move.from_shard == self._number and move.state == "requested"

    def _comes(self, move: MoveRecord, done: int) -> bool:
        return move.to_shard == self._number and move.state == "released" and move.batch <= done

    @property
    def unfinished(self) -> bool:
        """Whether a move from or to this shard was not done when it was looked at last."""
        return bool(self._unfinished)

    def keep_after(self, stored: int) -> int:
        """What the venue may forget: nothing that the target of a move may still have to read."""
        return min([stored, *(m.batch for m in self._unfinished if m.from_shard == self._number and m.batch)])

    def prepare(self, shard: Shard, done: int) -> None:
        """Make ready for a checkpoint at batch `done`: coming accounts are caught up with it."""
        self._leaving = [move for move in self._unfinished if self._leaves(move)]
        coming = [move for move in self._unfinished if self._comes(move, done)]
        self._coming = [(move, self._caught_up(move, shard, done)) for move in coming]

    def rows(self, rows: CheckpointRows) -> CheckpointRows:
        """The checkpoint with what comes and goes by it."""
        parts = [checkpoint_rows(guests, self._number, rows.batch, rows.feed_name) for _, guests in self._coming]
        if not parts and not self._leaving:
            return rows
        # What is everybody's (exposures, corrections of the feed) the shard's own rows say already.
        whose = ("live", "deals", "operations", "snapshots", "bars", "warnings", "version_moves")
        known = {key for _, key, *_ in rows.reviews}
        notes = {row[1]: row for part in parts for row in part.reviews if row[1] not in known}
        together: dict[str, Any] = {
            name: [row for each in (rows, *parts) for row in getattr(each, name)] for name in whose
        }
        return replace(
            rows,
            **together,
            reviews=[*rows.reviews, *notes.values()],
            released=[move.move_id for move in self._leaving],
            taken=[move.move_id for move, _ in self._coming],
        )

    def stored(self, shard: Shard, done: int) -> None:
        """The checkpoint is committed: let go of what left, admit what came."""
        for move in self._leaving:
            for account in _members(shard, move):
                shard.dismiss(account)
            _log.info(
                "accounts released", move=move.move_id, to=move.to_shard, accounts=len(move.account_ids), batch=done
            )
        for move, _ in self._coming:
            source = self._accounts.of(Accounts(self._platform, self._number, move.move_id))
            for loaded in source.checkpointed():
                shard.admit(loaded, shard.now)
                self._beat()
            _log.info("accounts taken", move=move.move_id, accounts=len(move.account_ids), after=move.batch, batch=done)
        if self._coming:
            shard.forget_foreign()  # some of them may have been met while they were nobody's
        if self._leaving or self._coming:
            self._leaving, self._coming = [], []
            self.look(done)

    def _caught_up(self, move: MoveRecord, shard: Shard, done: int) -> Shard:
        """The accounts of a move, as they stand after batch `done`."""
        source = self._accounts.of(Accounts(self._platform, self._number, move.move_id))
        with closing(self._open_stream()) as stream:
            guests = rebuild(source, move.feed, stream, self._beat)
            at = move.batch
            while at < done:
                try:
                    before, at = at, self._replayed(guests, stream, at, done)
                    if at == before:
                        raise Unavailable(f"The platform's stream ended at batch {at}, before {done}.")
                except GapInStream as gap:
                    resync(guests, source, gap, stream, self._number, shard.now, self._beat)
                    at = min(done, gap.first - 1)
        return guests

    def _replayed(self, guests: Shard, stream: PlatformStream, at: int, done: int) -> int:
        for batch in stream.batches(at):
            self._beat()
            if batch is None:
                continue
            guests.apply(batch)
            at = batch.number
            found = guests.harvest.take_found()
            if any(found):
                self._conclude(*found)
            if at >= done:
                break
        return at


def _members(shard: Shard, move: MoveRecord) -> list[Any]:
    wanted = set(move.account_ids)
    return [account for account in shard.by_login.values() if account.account_id in wanted]
