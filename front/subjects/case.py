"""Surveillance cases, decided by risk. Staff only, so that nobody learns that they are watched."""

from datetime import timedelta
from typing import Any, Final

from sqlalchemy import Select, and_, case, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from contracts.ids import case_workflow
from domain.approvals import DECIDERS, STAFF
from domain.surveillance.casework import CASE as MACHINE
from domain.surveillance.names import pattern_name
from firm import case_actions
from front.subjects.subject import Decision, Right, Subject, Taken, Verb, Workflow
from store import case_evidence
from store.models import Alert, Case, CaseAccount, CaseAction
from store.read import cases
from store.read.pages import View
from store.read.search import Findable, to_staff
from store.read.waiting import Row, Waiting, by_calendar, waiting_rows
from store.scope import Scope

_RAISED: Final = ", escalated to admin"
_HOLD_ENDED: Final = ", hold ended without a decision"
_DECIDE: Final = Right("cases.decide", DECIDERS["case"])


def _rows() -> Select[Any]:
    """The deadline is that of the hold: until it is escalated to admin, and then until it ends. A case is listed under
    the first account that it blames, or the first that it names."""
    first_account = (
        select(CaseAccount.account_id)
        .where(CaseAccount.case_id == Case.id)
        .order_by(CaseAccount.blamed.desc(), CaseAccount.account_id)
        .limit(1)
        .correlate(Case)
        .scalar_subquery()
    )
    holds = and_(Case.hold_until.is_not(None), Case.hold_ended_at.is_(None))
    hold_ends = case((and_(holds, Case.escalated_at.is_(None)), Case.escalate_at), (holds, Case.hold_until))
    rows = waiting_rows(
        subject_id=Case.id,
        state=Case.state,
        since=Case.opened_at,
        deadline=by_calendar("case", Case.id, hold_ends),
        account_id=first_account,
        note=case(
            (and_(holds, Case.escalated_at.is_not(None)), func.concat(Alert.detector, _RAISED)),
            (Case.hold_ended_at.is_not(None), func.concat(Alert.detector, _HOLD_ENDED)),
            else_=Alert.detector,
        ),
    )
    return rows.join(Alert, Alert.id == Case.alert_id).where(Case.state == "open")


def _words(row: Row) -> str:
    """The name of the pattern, and how the hold stands."""
    pattern, comma, hold = str(row.note).partition(",")
    return f"{pattern_name(pattern)}{comma}{hold}"


async def _state(session: AsyncSession, _: Scope, case_id: str) -> str:
    return await cases.state(session, case_id)


class ActionProposed(View):
    """A proposed action after a step. An approval carries `seen`. `message`: as the traders will read it, with
    placeholders for their own accounts and trades."""

    id: str
    action: str
    state: str
    message: str
    seen: str


async def proposed(session: AsyncSession, row: CaseAction) -> ActionProposed:
    """What the API answers about a proposal."""
    known = await case_evidence.of(session, row.case_id)
    return ActionProposed(
        id=row.id, action=row.action, state=row.state, message=row.message, seen=known.seen(row.case_id, row)
    )


async def withdraw(session: AsyncSession, decision: Decision) -> Taken:
    """Raises what `firm.case_actions` refuses with."""
    row = await case_actions.withdraw(session, decision.subject_id, actor=decision.actor, reason=decision.reason)
    found = await session.get_one(Case, decision.subject_id)
    return Taken(found.state, await proposed(session, row))


CASE: Final = Subject(
    name="case",
    label="case",
    plural="cases",
    waits_as="Surveillance cases",
    waiting=Waiting(_rows, timedelta(hours=24), _words),
    read=Right("cases.read", STAFF),
    under="/risk",
    page="/cases",
    api="/cases",
    verbs=(
        Verb(
            "clear", "Clear suspicion", "Cleared", _DECIDE,
            "Close the case as a false alert. No action is taken, and payouts that the case held continue.",
            path="clear",
        ),
        Verb(
            "inconclusive", "Leave inconclusive", "Left inconclusive", _DECIDE,
            "Close the case because the evidence does not decide it. No action is taken, and held payouts continue.",
            path="inconclusive",
        ),
        Verb(
            "warn", "Send the warning", "Warned", _DECIDE,
            "Send the proposed warning to the trader. A warning takes no money, so whoever proposed it may send it.",
            style="primary", path="warn",
        ),
        Verb(
            "deduct", "Approve the deduction", "Deduction approved", _DECIDE,
            "Approve the proposed deduction: the profit of exactly the named trades does not count for payouts, and "
            "the challenge goes on. Whoever proposed it cannot approve it. `seen` is that of the case.",
            style="danger", path="deduct", proof="money",
        ),
        Verb(
            "deny", "Approve the denial", "Denial approved", _DECIDE,
            "Approve the proposed denial: the named payouts are rejected, and the challenge goes on. Whoever proposed "
            "it cannot approve it. `seen` is that of the case.",
            style="danger", path="deny", proof="money",
        ),
        Verb(
            "confirm", "Confirm abuse", "Confirmed", _DECIDE,
            "Approve the proposed closing: the challenges of the blamed accounts are closed and their payouts are "
            "rejected. Whoever proposed it cannot approve it. `seen` is that of the case. A case about a verdict is "
            "confirmed by one person and without a proposal: the breach is disputed for the trader.",
            style="danger", path="confirm", proof="money",
        ),
        Verb(
            "withdraw", "Withdraw the proposal", "Withdrawn", _DECIDE,
            "Withdraw the proposed action. The case stays open.",
            path="withdraw", carry_out=withdraw, answer=ActionProposed,
        ),
    ),
    workflow=Workflow("case", case_workflow, MACHINE, _state),
    find=Findable("cas", Case, to_staff),
)  # fmt: skip
