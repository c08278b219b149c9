"""Activities of workflows `Case` and `Surveillance`."""

from temporalio import activity

from contracts.messages import DecisionRequest, DecisionResult, Message, SurveillanceStart
from domain.surveillance.casework import Verb


class CaseRef(Message):
    case_id: str


class CaseStatus(Message):
    state: str


class CaseDecision(Message):
    """`update_id`: see `PayoutDecision`."""

    case_id: str
    choice: Verb
    request: DecisionRequest
    update_id: str = ""


@activity.defn(name="cases.stand")
async def read_status(ref: CaseRef) -> CaseStatus:
    """Returns the stored state of the case."""
    raise NotImplementedError


@activity.defn(name="cases.record_decision")
async def record_decision(decision: CaseDecision) -> DecisionResult:
    """Records a person's decision: `clear` and `inconclusive` lift the hold on payouts, the other verbs decide the
    proposed action."""
    raise NotImplementedError


@activity.defn(name="cases.check_hold")
async def check_hold(ref: CaseRef) -> CaseStatus:
    """Raises the hold of the case to admin, or ends it, once its date has come."""
    raise NotImplementedError


@activity.defn(name="surveillance.follow_deals")
async def follow_deals(start: SurveillanceStart) -> None:
    """Has every pattern look at the accounts where new deals raise an alarm, and opens a case for each finding. Runs
    for an hour, or until the worker stops."""
    raise NotImplementedError
