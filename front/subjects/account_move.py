"""Moves of accounts to another version of their product: a second person approves them. Decided by risk."""

from datetime import timedelta
from typing import Any, Final

from sqlalchemy import Select, Text, cast
from sqlalchemy.ext.asyncio import AsyncSession

from firm.products import version_moves
from front.subjects.product_version import DECIDE, PROPOSE, READ
from front.subjects.subject import Decision, Subject, Taken, Verb
from store.models import AccountMove
from store.read.pages import View
from store.read.search import Findable, to_staff
from store.read.waiting import Row, Waiting, waiting_rows


class Moving(View):
    """A move after a step."""

    id: str
    state: str


def _rows() -> Select[Any]:
    return waiting_rows(
        subject_id=AccountMove.id,
        state=AccountMove.state,
        since=AccountMove.proposed_at,
        asked_by=AccountMove.proposed_by,
        note=AccountMove.product + " to version " + cast(AccountMove.to_version, Text),
    ).where(AccountMove.state == "proposed")


def _words(row: Row) -> str:
    return f"Move of accounts: {row.note}"


async def decide(session: AsyncSession, decision: Decision) -> Taken:
    """Approve or reject. Raises what `firm.products.version_moves` refuses with."""
    row = await version_moves.decide(
        session,
        decision.subject_id,
        verdict="approve" if decision.verb == "approve" else "reject",
        actor=decision.actor,
        reason=decision.reason,
        key=decision.key,
    )
    return Taken(row.state, Moving(id=row.id, state=row.state))


async def withdraw(session: AsyncSession, decision: Decision) -> Taken:
    """Raises what `firm.products.version_moves` refuses with."""
    row = await version_moves.withdraw(session, decision.subject_id, actor=decision.actor, reason=decision.reason)
    return Taken(row.state, Moving(id=row.id, state=row.state))


ACCOUNT_MOVE: Final = Subject(
    name="account_move",
    label="account move",
    plural="account moves",
    waits_as="Account moves to approve",
    waiting=Waiting(_rows, timedelta(hours=72), _words),
    read=READ,
    under="/products",
    page="/moves",
    api="/account-moves",
    verbs=(
        Verb(
            "approve", "Approve the move", "Approved", DECIDE,
            "Agree to move exactly these accounts. Whoever proposed the move cannot approve it.",
            style="primary", path="approve", carry_out=decide, answer=Moving,
        ),
        Verb(
            "reject", "Reject", "Rejected", DECIDE, "Refuse the move; the accounts keep their version.",
            style="danger", path="reject", carry_out=decide, answer=Moving,
        ),
        Verb(
            "withdraw", "Withdraw", "Withdrawn", PROPOSE, "Take one's own proposal back, before it is approved.",
            path="withdraw", carry_out=withdraw, answer=Moving,
        ),
    ),
    find=Findable("mov", AccountMove, to_staff),
)  # fmt: skip
