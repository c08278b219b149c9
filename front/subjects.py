"""What people decide through a workflow: how its kind is found, and where its state stands."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Final, NamedTuple

from pydantic import BaseModel
from sqlalchemy.ext.asyncio import AsyncSession

from contracts.ids import case_workflow, dispute_workflow, payout_workflow
from contracts.messages import DecisionResult
from domain.decision_requests import DecidedKind
from domain.disputes import CASE, DISPUTE
from domain.payouts.payout import PAYOUT
from domain.states import StateMachine
from front.once import Check, Once
from store.read import cases, disputes, payouts
from store.read.pages import Scope, scope_of


class Subject(NamedTuple):
    """How a decision reaches its workflow. `state` raises NotFound for what the caller may not see."""

    workflow: Callable[[str], str]
    machine: StateMachine
    state: Callable[[AsyncSession, Scope, str], Awaitable[str]]


async def _payout_state(session: AsyncSession, scope: Scope, payout_id: str) -> str:
    return (await payouts.one(session, scope, payout_id)).state


async def _dispute_state(session: AsyncSession, scope: Scope, dispute_id: str) -> str:
    return (await disputes.one(session, scope, dispute_id)).state


async def _case_state(session: AsyncSession, scope: Scope, case_id: str) -> str:
    return (await cases.one(session, case_id)).state


SUBJECTS: Final[Mapping[str, Subject]] = {
    "payout": Subject(payout_workflow, PAYOUT, _payout_state),
    "dispute": Subject(dispute_workflow, DISPUTE, _dispute_state),
    "case": Subject(case_workflow, CASE, _case_state),
}


async def decide(
    kind: DecidedKind,
    subject_id: str,
    update: str,
    reason: str,
    *,
    body: BaseModel,
    once: Once,
    check: Check | None = None,
) -> DecisionResult:
    """Have the subject's workflow take a decision of the person behind `once`; `body` is what they sent, `check` a
    condition of the caller's own. Raises NotFound and everything that the workflow refuses with."""
    subject = SUBJECTS[kind]

    async def state_of(session: AsyncSession) -> str:
        return await subject.state(session, scope_of(once.actor), subject_id)

    return await once.decide(
        kind,
        subject_id,
        subject.workflow(subject_id),
        update,
        reason,
        body=body,
        machine=subject.machine,
        state_of=state_of,
        result=DecisionResult,
        check=check,
    )
