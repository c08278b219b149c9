"""Surveillance and its cases as workflows call them."""

from typing import Literal

from temporalio import activity

from contracts.messages import DecisionRequest, DecisionResult, Message, SurveillanceStart


class CaseRef(Message):
    case_id: str


class CaseStatus(Message):
    state: str


class CaseDecision(Message):
    """`update_id` as in PayoutDecision."""

    case_id: str
    choice: Literal["clear", "confirm"]
    request: DecisionRequest
    update_id: str = ""


@activity.defn(name="cases.stand")
async def read_status(ref: CaseRef) -> CaseStatus:
    """Returns the state that the record has."""
    raise NotImplementedError


@activity.defn(name="cases.record_decision")
async def record_decision(decision: CaseDecision) -> DecisionResult:
    """Record what a person decided; free what the case held, or act on what it found."""
    raise NotImplementedError


@activity.defn(name="surveillance.follow_deals")
async def follow_deals(start: SurveillanceStart) -> None:
    """Feed the deals to every registered detector as they come, and open a case for each finding; runs until its worker
    stops or its hour is over."""
    raise NotImplementedError
