"""Breaks of reconciliation: what the books and a source have different. Closed by finance with a posting or a match."""

from datetime import timedelta
from typing import Any, Final

from sqlalchemy import Select
from sqlalchemy.ext.asyncio import AsyncSession

from domain.approvals import DECIDERS, STAFF, Actor
from domain.errors import NotFound
from domain.reconciliation import AGAIN, NOT_MONEY, WORDS, Again
from domain.step_up import ActionClass
from firm.reconciliation import again as again_at_platform
from firm.reconciliation import deciding
from front.subjects.subject import BulkItem, Decision, Right, Subject, Taken, Verb
from store.models import ReconciliationBreak
from store.read.pages import View
from store.read.search import Findable, to_staff
from store.read.waiting import Row, Waiting, waiting_rows

_DECIDE: Final = Right("breaks.decide", DECIDERS["break"])
_AGAIN: Final = Right("breaks.again", again_at_platform.MAY)


class BreakDecided(View):
    """`state`: open until as many people as the policy asks for agree."""

    id: str
    state: str
    owner: str | None


def _rows() -> Select[Any]:
    return waiting_rows(
        subject_id=ReconciliationBreak.id,
        state=ReconciliationBreak.state,
        since=ReconciliationBreak.first_seen_at,
        account_id=ReconciliationBreak.account_id,
        amount_minor=ReconciliationBreak.amount_minor,
        currency=ReconciliationBreak.currency,
        round_now=ReconciliationBreak.round,
        note=ReconciliationBreak.kind,
    ).where(ReconciliationBreak.state == "open")


def _words(row: Row) -> str:
    kind = str(row.note)
    return WORDS[kind] if kind in NOT_MONEY else f"{WORDS[kind]}: {row.amount}"


def answer(row: ReconciliationBreak) -> BreakDecided:
    return BreakDecided(id=row.id, state=row.state, owner=row.owner)


async def decide(session: AsyncSession, decision: Decision) -> Taken:
    """Raises what `firm.reconciliation.deciding` refuses with."""
    choices: dict[str, deciding.Choice] = {
        "match": "match",
        "write_off": "write_off",
        "fee": "fee",
        "suspense": "suspense",
        "explain": "explain",
        "reopen": "reopen",
    }
    row = await deciding.decide(
        session,
        break_id=decision.subject_id,
        choice=choices[decision.verb],
        actor=decision.actor,
        reason=decision.reason,
        key=decision.key,
    )
    return Taken(row.state, answer(row))


async def again(session: AsyncSession, decision: Decision) -> Taken:
    """Raises what `firm.reconciliation.again` refuses with."""
    orders: dict[str, Again] = {name: name for name in AGAIN.values()}
    row = await again_at_platform.again(
        session,
        break_id=decision.subject_id,
        what=orders[decision.verb],
        actor=decision.actor,
        reason=decision.reason,
    )
    return Taken(row.state, answer(row))


async def take(session: AsyncSession, decision: Decision) -> Taken:
    """Raises what `firm.reconciliation.deciding` refuses with."""
    row = await deciding.take(session, break_id=decision.subject_id, actor=decision.actor)
    return Taken(row.state, answer(row))


async def _in_bulk(session: AsyncSession, break_id: str, actor: Actor) -> BulkItem:
    row = await session.get(ReconciliationBreak, break_id)
    if row is None:
        raise NotFound
    alone = "You are its owner already." if row.owner == actor.user_id else ""
    return BulkItem(alone if row.state == "open" else f"It is {row.state}.", "Makes you its owner.")


def _verb(name: str, label: str, done: str, means: str, style: str = "") -> Verb:
    path = None if name == "match" else name.replace("_", "-")  # a match by hand has a route that takes a target
    proof: ActionClass | None = "money" if name == "write_off" else None
    return Verb(name, label, done, _DECIDE, means, style, path, decide, BreakDecided, proof=proof)


def _again(name: Again, label: str, done: str, means: str, style: str = "primary") -> Verb:
    path = name.replace("_", "-")
    return Verb(name, label, done, _AGAIN, means, style, path, again, BreakDecided)


BREAK: Final = Subject(
    name="break",
    label="reconciliation break",
    plural="reconciliation breaks",
    waits_as="Reconciliation breaks",
    waiting=Waiting(_rows, timedelta(hours=48), _words),
    read=Right("breaks.read", STAFF),
    under="/payouts",
    page="/breaks",
    api="/breaks",
    verbs=(
        _verb("match", "Match", "Matched", "The entry and the posting are the same money.", "primary"),
        _verb("fee", "Book as a fee", "Booked as a fee", "The difference is a fee of the provider or bank."),
        _verb("suspense", "Move to suspense", "Moved to suspense", "Nobody knows yet whose money the difference is."),
        _verb("write_off", "Write off", "Written off", "The firm loses, or keeps, the difference.", "danger"),
        _verb("explain", "Accept", "Accepted", "The difference is known and stays; a new one opens a new break."),
        _verb("reopen", "Open again", "Opened again", "The posting that closed it is reversed, and it is open again."),
        _again("lock_again", "Lock again", "Locked again", "The platform locks the account and closes everything."),
        _again("push_again", "Push again", "Pushed again", "Our loss limits are sent to the platform again."),
        _again("enable_again", "Let it trade again", "Enabled again", "The account may trade at the platform again."),
        Verb(
            "take", "Take it over", "Taken over", _DECIDE, "You are the owner of this break.",
            path="take", carry_out=take, answer=BreakDecided, bulk=_in_bulk,
        ),
    ),
    find=Findable("brk", ReconciliationBreak, to_staff),
)  # fmt: skip
