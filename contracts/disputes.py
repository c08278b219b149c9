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
    """Collects proof, deals, equity and spread around the breach for the people who decide, and freezes the pack."""
    raise NotImplementedError


@activity.defn(name="disputes.check_deadline")
async def check_deadline(start: DisputeStart) -> DisputeStatus:
    """Raises the dispute to admin when its deadline has passed undecided."""
    raise NotImplementedError


@activity.defn(name="disputes.record_decision")
async def record_decision(step: DisputeStep) -> DecisionResult:
    """Checks that this person may decide, records the decision, and carries it out once enough people agree. A refusal
    is not retried."""
    raise NotImplementedError


@activity.defn(name="disputes.record_reinstatement")
async def record_reinstatement(start: DisputeStart) -> DisputeStatus:
    """Closes the dispute once its breach is overturned."""
    raise NotImplementedError
