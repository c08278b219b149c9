"""Activities of workflow `Dispute`."""

from typing import Literal

from temporalio import activity

from contracts.messages import DecisionRequest, DecisionResult, DisputeStart, Message

DisputeDecision = Literal["uphold", "reinstate"]


class DisputeStatus(Message):
    state: str


class DisputeStep(Message):
    """`update_id`: see `PayoutDecision`."""

    dispute_id: str
    decision: DisputeDecision
    request: DecisionRequest
    update_id: str = ""


@activity.defn(name="disputes.assemble_evidence")
async def assemble_evidence(start: DisputeStart) -> DisputeStatus:
    """Collects proof, deals, equity and spread around the breach for the person who decides."""
    raise NotImplementedError


@activity.defn(name="disputes.record_decision")
async def record_decision(step: DisputeStep) -> DecisionResult:
    """Checks that this person may decide, and records the decision. A refusal is not retried."""
    raise NotImplementedError


@activity.defn(name="disputes.record_reinstatement")
async def record_reinstatement(start: DisputeStart) -> DisputeStatus:
    """Closes the dispute once its breach is overturned."""
    raise NotImplementedError
