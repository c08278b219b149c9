"""Compensations of disputes: one person proposes, finance or admin grants. The policy says which amount one person may
grant alone."""

from datetime import timedelta
from typing import Any, Final

from sqlalchemy import Select
from sqlalchemy.ext.asyncio import AsyncSession

from domain.approvals import DECIDERS, STAFF
from firm import compensations
from front.subjects.subject import Decision, Right, Subject, Taken, Verb
from store.models import Compensation
from store.read.pages import View
from store.read.search import Findable, to_staff
from store.read.waiting import Row, Waiting, waiting_rows

_DECIDE: Final = Right("compensations.decide", DECIDERS["compensation"])
_PROPOSE: Final = Right("compensations.propose", compensations.PROPOSERS)


class CompensationMade(View):
    """A compensation after a step."""

    id: str
    dispute_id: str
    state: str


def _rows() -> Select[Any]:
    return waiting_rows(
        subject_id=Compensation.id,
        state=Compensation.state,
        since=Compensation.proposed_at,
        asked_by=Compensation.proposed_by,
        account_id=Compensation.account_id,
        trader_id=Compensation.trader_id,
        amount_minor=Compensation.amount_minor,
        currency=Compensation.currency,
    ).where(Compensation.state == "proposed")


def _words(row: Row) -> str:
    return f"Compensation {row.amount}"


def answered(made: Compensation) -> CompensationMade:
    return CompensationMade(id=made.id, dispute_id=made.dispute_id, state=made.state)


async def decide(session: AsyncSession, decision: Decision) -> Taken:
    """Grant or reject. Raises what `firm.compensations` refuses with."""
    made = await compensations.decide(
        session,
        decision.subject_id,
        verb="grant" if decision.verb == "grant" else "reject",
        actor=decision.actor,
        reason=decision.reason,
        key=decision.key,
    )
    return Taken(made.state, answered(made))


async def withdraw(session: AsyncSession, decision: Decision) -> Taken:
    """Raises what `firm.compensations` refuses with."""
    made = await compensations.withdraw(session, decision.subject_id, actor=decision.actor, reason=decision.reason)
    return Taken(made.state, answered(made))


COMPENSATION: Final = Subject(
    name="compensation",
    label="compensation",
    plural="compensations",
    waits_as="Compensations to grant",
    waiting=Waiting(_rows, timedelta(hours=72), _words),
    read=Right("compensations.read", STAFF),
    under="/risk",
    page="/compensations",
    api="/compensations",
    verbs=(
        Verb(
            "grant", "Grant the voucher", "Granted", _DECIDE,
            "The firm owes the trader this amount, as a voucher for one purchase. Whoever proposed it cannot grant it.",
            style="primary", path="grant", carry_out=decide, answer=CompensationMade, proof="money",
        ),
        Verb(
            "reject", "Reject", "Rejected", _DECIDE, "Nothing is granted.",
            style="danger", path="reject", carry_out=decide, answer=CompensationMade,
        ),
        Verb(
            "withdraw", "Withdraw", "Withdrawn", _PROPOSE, "Take one's own proposal back, before it is granted.",
            path="withdraw", carry_out=withdraw, answer=CompensationMade,
        ),
    ),
    find=Findable("cmp", Compensation, to_staff),
)  # fmt: skip
