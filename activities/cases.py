"""Activities of workflow `Case`: a person decides about a finding."""

from collections.abc import Awaitable, Callable, Sequence

from sqlalchemy.ext.asyncio import AsyncSession
from temporalio import activity

from activities.decisions import DeliveredDecision, carry_out
from activities.deps import Deps
from activities.refusals import refusals_are_final
from contracts.cases import CaseDecision, CaseRef, CaseStatus
from contracts.messages import DecisionResult
from firm import case_holds, cases, people


class CaseActivities:
    def __init__(self, deps: Deps) -> None:
        self._db = deps.db

    def all(self) -> Sequence[Callable[..., Awaitable[object]]]:
        return [self.read_status, self.record_decision, self.check_hold]

    @activity.defn(name="cases.stand")
    async def read_status(self, ref: CaseRef) -> CaseStatus:
        async with self._db.transaction() as session:
            return CaseStatus(state=(await cases.locked(session, ref.case_id)).state)

    @activity.defn(name="cases.check_hold")
    async def check_hold(self, ref: CaseRef) -> CaseStatus:
        async with self._db.transaction() as session:
            case = await cases.locked(session, ref.case_id)
            await case_holds.check(session, case)
            return CaseStatus(state=case.state)

    @activity.defn(name="cases.record_decision")
    async def record_decision(self, decision: CaseDecision) -> DecisionResult:
        request = decision.request
        delivered = DeliveredDecision("case", decision.case_id, decision.choice, request, decision.update_id)

        async def work(session: AsyncSession) -> DecisionResult:
            case = await cases.locked(session, decision.case_id)
            actor = await people.current_actor(session, request.actor.user_id)
            await cases.decide(
                session, case, decision=decision.choice, actor=actor, reason=request.reason, key=request.key
            )
            return DecisionResult(
                subject_id=case.id, state=case.state, decision=decision.choice, approvals=1, approvals_needed=1
            )

        with refusals_are_final():
            return await carry_out(self._db, delivered, DecisionResult, work)
