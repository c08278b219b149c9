"""Activities of workflow `Dispute`: evidence, a person's decision, reinstatement."""

from collections.abc import Awaitable, Callable, Sequence

from sqlalchemy.ext.asyncio import AsyncSession
from temporalio import activity

from activities.decisions import DeliveredDecision, carry_out
from activities.deps import Deps
from activities.refusals import refusals_are_final
from contracts.disputes import DisputeStatus, DisputeStep
from contracts.messages import DecisionResult, DisputeStart
from domain import dispute_pack, keys, record_keys
from domain.lifecycle import CHALLENGE
from firm import appeals, challenges, dispute_evidence, dispute_voting, disputes, people
from firm.dispute_voting import Spoken
from firm.payouts import signals
from store import transitions
from store.models import Dispute


class DisputeActivities:
    def __init__(self, deps: Deps) -> None:
        self._db = deps.db

    def all(self) -> Sequence[Callable[..., Awaitable[object]]]:
        return [self.assemble_evidence, self.check_deadline, self.record_decision, self.record_reinstatement]

    @activity.defn(name="disputes.assemble_evidence")
    async def assemble_evidence(self, start: DisputeStart) -> DisputeStatus:
        async with self._db.transaction() as session:
            dispute = await disputes.lock(session, start.dispute_id)
            if dispute.state == "opened":
                of = appeals.evidence if dispute.case_id else dispute_evidence.of_breach
                dispute.evidence = await of(session, dispute)
                frozen = await dispute_evidence.freeze(session, dispute)
                dispute.evidence = dispute.evidence | {dispute_pack.FIELD: frozen}
                about = "action_id" if dispute.case_id else "proof_id"
                detail = {about: dispute.evidence[about]}
                await disputes.move(session, dispute, "evidence_assembled", key="evidence", detail=detail)
            return DisputeStatus(state=dispute.state)

    @activity.defn(name="disputes.check_deadline")
    async def check_deadline(self, start: DisputeStart) -> DisputeStatus:
        async with self._db.transaction() as session:
            dispute = await disputes.lock(session, start.dispute_id)
            await disputes.raise_late(session, dispute)
            return DisputeStatus(state=dispute.state)

    @activity.defn(name="disputes.record_decision")
    async def record_decision(self, step: DisputeStep) -> DecisionResult:
        request = step.request
        delivered = DeliveredDecision("dispute", step.dispute_id, step.decision, request, step.update_id)

        async def work(session: AsyncSession) -> DecisionResult:
            challenge_id = (await session.get_one(Dispute, step.dispute_id)).challenge_id
            await challenges.lock(session, challenge_id)  # locked before the dispute, as everywhere
            dispute = await disputes.lock(session, step.dispute_id)
            actor = await people.current_actor(session, request.actor.user_id)
            decide = appeals.decide if dispute.case_id else dispute_voting.decide
            tally = await decide(
                session, dispute, Spoken(step.decision, actor, request.reason, request.message, request.key)
            )
            return DecisionResult(
                subject_id=dispute.id,
                state=dispute.state,
                decision=step.decision,
                approvals=tally.agree if tally else 0,
                approvals_needed=tally.needed if tally else 0,
            )

        with refusals_are_final():
            return await carry_out(self._db, delivered, DecisionResult, work)

    @activity.defn(name="disputes.record_reinstatement")
    async def record_reinstatement(self, start: DisputeStart) -> DisputeStatus:
        async with self._db.transaction() as session:
            challenge_id = (await session.get_one(Dispute, start.dispute_id)).challenge_id
            challenge = await challenges.lock(session, challenge_id)
            dispute = await disputes.lock(session, start.dispute_id)
            done = await transitions.was_applied(
                session, "challenge", challenge_id, record_keys.reinstatement(dispute.id)
            )
            over = challenge.state in CHALLENGE.terminal
            if dispute.state != "reinstating" or dispute.breach_id is None or not (done or over):
                return DisputeStatus(state=dispute.state)
            if over and not done:  # the account is not reinstated, but the breach is still overturned
                await challenges.overturn(session, dispute.breach_id)
            cause = keys.dispute_event(dispute.id, "reinstated")
            await signals.send_risk_changed(session, cause=cause, trader_ids=[dispute.trader_id])
            detail = {"challenge_state": challenge.state}
            await disputes.move(session, dispute, "account_reinstated", key="reinstated", detail=detail)
            return DisputeStatus(state=dispute.state)
