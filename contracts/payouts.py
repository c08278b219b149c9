"""Activities of workflow `Payout`. Each returns the stored state afterwards."""

from temporalio import activity

from contracts.messages import DecisionRequest, DecisionResult, Message, PayoutChoice


class PayoutRef(Message):
    payout_id: str


class PayoutStatus(Message):
    """`steps` that the payout had taken when it was in this state; of two answers, the one with more is newer."""

    state: str
    steps: int = 0


class PayoutDecision(Message):
    """`update_id`: id of the update that carried the request; empty in messages from before requests were stored as
    rows."""

    payout_id: str
    choice: PayoutChoice
    request: DecisionRequest
    update_id: str = ""


@activity.defn(name="payouts.place_hold")
async def place_hold(ref: PayoutRef) -> PayoutStatus:
    """Checks the request again, takes the money off the account and books the hold."""
    raise NotImplementedError


@activity.defn(name="payouts.hold_and_judge")
async def hold_and_judge(ref: PayoutRef) -> PayoutStatus:
    """`place_hold`, then `check_risk` if the money is held."""
    raise NotImplementedError


@activity.defn(name="payouts.check_risk")
async def check_risk(ref: PayoutRef) -> PayoutStatus:
    """Judges risk, approvals and the deadline. Runs last before the payout waits."""
    raise NotImplementedError


@activity.defn(name="payouts.record_decision")
async def record_decision(decision: PayoutDecision) -> DecisionResult:
    """Records a person's decision and moves the payout on."""
    raise NotImplementedError


@activity.defn(name="payouts.send_money")
async def send_money(ref: PayoutRef) -> PayoutStatus:
    """Reads approvals and risk again, then sends exactly one transfer."""
    raise NotImplementedError


@activity.defn(name="payouts.follow_transfer")
async def follow_transfer(ref: PayoutRef) -> PayoutStatus:
    """Asks the provider for the status of the transfer and records it."""
    raise NotImplementedError


@activity.defn(name="payouts.follow_and_settle")
async def follow_and_settle(ref: PayoutRef) -> PayoutStatus:
    """`follow_transfer`, then `settle` if the money arrived."""
    raise NotImplementedError


@activity.defn(name="payouts.settle")
async def settle(ref: PayoutRef) -> PayoutStatus:
    """Tells the platform that the money arrived, and closes the payout."""
    raise NotImplementedError


@activity.defn(name="payouts.release_hold")
async def release_hold(ref: PayoutRef) -> PayoutStatus:
    """Puts the money back on the account, books it, and closes the payout."""
    raise NotImplementedError
