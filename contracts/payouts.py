"""Payout activities as workflows call them: each returns the state that the record has afterwards."""

from temporalio import activity

from contracts.messages import DecisionRequest, DecisionResult, Message, PayoutChoice


class PayoutRef(Message):
    payout_id: str


class PayoutStatus(Message):
    state: str


class PayoutDecision(Message):
    """`update_id`: of the update that carried the request; empty in messages older than requests on the record."""

    payout_id: str
    choice: PayoutChoice
    request: DecisionRequest
    update_id: str = ""


@activity.defn(name="payouts.place_hold")
async def place_hold(ref: PayoutRef) -> PayoutStatus:
    """Check the request once more and take its money off the account and onto the firm's books."""
    raise NotImplementedError


@activity.defn(name="payouts.check_risk")
async def check_risk(ref: PayoutRef) -> PayoutStatus:
    """Look at risk, approvals and the deadline; the last thing before the payout waits."""
    raise NotImplementedError


@activity.defn(name="payouts.record_decision")
async def record_decision(decision: PayoutDecision) -> DecisionResult:
    """Record what a person decided, and take the step it leads to."""
    raise NotImplementedError


@activity.defn(name="payouts.send_money")
async def send_money(ref: PayoutRef) -> PayoutStatus:
    """Re-read approvals and risk, then send exactly one transfer."""
    raise NotImplementedError


@activity.defn(name="payouts.follow_transfer")
async def follow_transfer(ref: PayoutRef) -> PayoutStatus:
    """Ask the provider for the status of the transfer."""
    raise NotImplementedError


@activity.defn(name="payouts.settle")
async def settle(ref: PayoutRef) -> PayoutStatus:
    """Tell the platform that the money arrived, and close."""
    raise NotImplementedError


@activity.defn(name="payouts.release_hold")
async def release_hold(ref: PayoutRef) -> PayoutStatus:
    """Return the money to the account and the books, and close."""
    raise NotImplementedError
