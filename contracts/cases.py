"""Activities of workflows `Case` and `Surveillance`."""

from typing import Literal

from temporalio import activity

from contracts.messages import DecisionRequest, DecisionResult, Message, SurveillanceStart


class CaseRef(Message):
    case_id: str


class CaseStatus(Message):
    state: str


class CaseDecision(Message):
    """`update_id`: see `PayoutDecision`."""

    case_id: str
    choice: Literal["clear", "confirm"]
    request: DecisionRequest
    update_id: str = ""


@activity.defn(name="cases.stand")
async def read_status(ref: CaseRef) -> CaseStatus:
    """Returns the stored state of the case."""
    raise NotImplementedError


@activity.defn(name="cases.record_decision")
async def record_decision(decision: CaseDecision) -> DecisionResult:
    """Records a person's decision: `clear` lifts the hold on the trader's payouts, `confirm` acts on the finding."""
    raise NotImplementedError


@activity.defn(name="surveillance.follow_deals")
async def follow_deals(start: SurveillanceStart) -> None:
    """Feeds new deals to every registered detector and opens a case for each finding. Runs for an hour, or until the
    worker stops."""
    raise NotImplementedError
