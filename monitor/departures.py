"""Accounts that leave for another platform, and accounts that come from one, always at a checkpoint.

An account leaves once everything up to its last event at the platform is judged. Its state for the next place, the
proof of the departure and the switch of its record are one transaction with the checkpoint. A shard of the other
platform takes it at one of its own checkpoints, once market time there is later.
"""

from dataclasses import replace
from typing import Any, Final

import structlog
from psycopg import Connection

from contracts.ids import platform_change_workflow
from contracts.messages import MarketTimeReached, stored, wire_name
from domain import change_keys, keys
from domain.platform_changes import why_not_now
from domain.proofs.departure import Departure, Place, carried_on, continues, departure_sheet
from domain.proofs.points import PointFact, PointSubject
from monitor.columns.roster import AccountRow
from monitor.judging.evidence import Trigger, scene_of
from monitor.record.checkpoint_rows import state_for_next_place
from monitor.shard import Shard
from ports.platform import AccountState
from store import platform_changes
from store.live_checkpoint import CheckpointRows
from store.platform_changes import Coming, Departed, Hint, Leaving, PlaceRows

_log: Final = structlog.get_logger(__name__)


class Departures:
    """The departures and arrivals of one shard."""

    def __init__(self, connection: Connection[Any], number: int) -> None:
        self._connection, self._number = connection, number
        self._leaving: list[Leaving] = []
        self._coming: list[Coming] = []
        self._going: list[Leaving] = []

    def read_requests(self, shard: Shard) -> bool:
        """Reads the open requests. Returns whether one can be carried out now."""
        self._leaving = platform_changes.leaving(self._connection, self._number)
        self._coming = platform_changes.coming(self._connection, self._number)
        return any(_is_due(shard, each) for each in self._leaving) or any(_may_come(shard, e) for e in self._coming)

    def add_to(self, shard: Shard, rows: CheckpointRows) -> CheckpointRows:
        """Returns the checkpoint with the accounts that leave and come."""
        departed, refused = list[Departed](), list[tuple[str, str]]()
        for leaving in self._leaving:
            account = shard.state.accounts.find(leaving.login)
            if account is None or account.account_id != leaving.account_id or not _is_due(shard, leaving):
                continue
            if not account.open_positions and account.equity_minor != account.balance_minor:
                continue  # a venue that states the equity has not stated the last one yet
            why = _why_not(account, leaving)
            if why:
                refused.append((leaving.change_id, why))
            else:
                departed.append(_departed(shard, account, leaving))
        taken = [each.change_id for each in self._coming if self._take(shard, each)]
        self._going = [each.leaving for each in departed]
        if not (departed or refused or taken):
            return rows
        changes = [*(each.change_id for each in self._going), *(change for change, _ in refused), *taken]
        hints = {change: _hint(change, "switched" if change in taken else "leaving") for change in changes}
        return replace(rows, places=PlaceRows(shard.state.now, hints, departed, refused, taken))

    def committed(self, shard: Shard) -> None:
        """After the commit of the checkpoint: forgets the accounts that have left."""
        if not self._going:
            return
        gone = platform_changes.have_left(self._connection, [leaving.change_id for leaving in self._going])
        for leaving in self._going:
            account = shard.state.accounts.find(leaving.login)
            if account is not None and leaving.change_id in gone:
                shard.admission.release(account)
                _log.info("account left", change=leaving.change_id, to=leaving.to_platform)
        self._going = []

    def _take(self, shard: Shard, coming: Coming) -> bool:
        """Returns whether the shard judges the account from now on."""
        if not _may_come(shard, coming):
            return False
        if shard.state.accounts.find(coming.login) is None:
            loaded = shard.admission.load(coming.login)
            if loaded is None:
                return False
            shard.admission.admit(loaded, shard.state.now)
            _log.info("account came", change=coming.change_id, account_id=loaded.account_id)
        return True


def _is_due(shard: Shard, leaving: Leaving) -> bool:
    """Whether everything up to the last event of the account at this platform is judged."""
    return shard.last_seq >= leaving.from_seq


def _may_come(shard: Shard, coming: Coming) -> bool:
    """Whether market time here is later than at the departure: no event of the account is older than that."""
    return shard.state.now > coming.since


def _why_not(account: AccountRow, leaving: Leaving) -> str:
    conduct = account.conduct
    return why_not_now(
        ended=account.ended or not account.judged,
        open_positions=account.open_positions,
        balance_minor=account.balance_minor,
        final_minor=leaving.balance_minor,
        resetting=conduct is not None and conduct.resetting is not None,
        currency=account.terms.product.currency,
    )


def _departed(shard: Shard, account: AccountRow, leaving: Leaving) -> Departed:
    """Makes the proof and the state for the next place. Changes nothing of the account: the change may have been
    abandoned by the time this is to be stored."""
    state, balance = shard.state, account.balance_minor
    trigger = Trigger("account", shard.last_seq, state.now)
    conduct, points = account.conduct, list[PointFact]()
    if conduct is not None:
        conduct, now = conduct.model_copy(deep=True), trigger.marked(balance, balance)
        subject = PointSubject(account.account_id, account.terms)
        if conduct.behind:
            points += conduct.catch_up(subject, now)
        points.append(conduct.change_place(subject, now))
    sheet = departure_sheet(
        keys.departure_proof(leaving.change_id),
        scene_of(state, account, trigger, balance),
        account.rules,
        Departure(
            platform=leaving.platform,
            to_platform=leaving.to_platform,
            to_login=leaving.to_login,
            offences=account.offences,
            point=points[-1].name if points else None,
        ),
        state.board,
        state.instruments,
    )
    before = 0 if account.place is None else account.place.base
    place = Place(number=leaving.place + 1, since=state.now, base=before + shard.last_seq, continues=continues(sheet))
    stated = None
    if leaving.to_marks == "states":  # until the venue states something itself: the account is flat
        stated = AccountState(seq=0, at=state.now, login=leaving.to_login, balance_minor=balance, equity_minor=balance)
    rule_state = state_for_next_place(
        account, carried_on(account.rules), conduct, place, synced=leaving.to_seq, at=state.now, stated=stated
    )
    return Departed(leaving, state.now, sheet, [_point(fact) for fact in points], rule_state)


def _point(fact: PointFact) -> dict[str, Any]:
    point = fact.point
    body = point.model_dump_json()
    return {"hash": fact.name.hash, "account_id": point.account_id, "number": point.number, "body": body}


def _hint(change_id: str, state: str) -> Hint:
    message = MarketTimeReached(key=change_keys.hint(change_id, state))
    return Hint(message.key, platform_change_workflow(change_id), wire_name(message), stored(message))
