"""Activities of workflow `Challenge`. Each reads the record, decides by the domain's table and returns the status."""

from temporalio import activity

from contracts.messages import Message, RefundRequest


class ChallengeFact(Message):
    """Something that may move the challenge. `key` makes acting on it twice the same as once; `subject_id` names the
    breach, pass, dispute, case or checkout behind it."""

    challenge_id: str
    key: str
    subject_id: str = ""


class ChallengeStatus(Message):
    """Where the record says the challenge is. `phase_index` is that of the newest account, 0 before the first."""

    state: str
    phase_index: int


class PhaseStep(Message):
    challenge_id: str
    phase_index: int


class RefundStep(Message):
    """`update_id` as in PayoutDecision."""

    challenge_id: str
    request: RefundRequest
    update_id: str = ""


@activity.defn(name="challenges.open_checkout")
async def open_checkout(fact: ChallengeFact) -> ChallengeStatus:
    """Make sure that the buyer has somewhere to pay, and wake when the time for it is over."""
    raise NotImplementedError


@activity.defn(name="challenges.check_payment")
async def check_payment(fact: ChallengeFact) -> ChallengeStatus:
    """Ask the provider; book a paid fee, or cancel what will not be paid."""
    raise NotImplementedError


@activity.defn(name="challenges.open_account")
async def open_account(step: PhaseStep) -> ChallengeStatus:
    """Create, fund and enable the account of a phase on the platform."""
    raise NotImplementedError


@activity.defn(name="challenges.start_phase")
async def start_phase(step: PhaseStep) -> ChallengeStatus:
    """Record that the phase has begun, and wake at its time limit."""
    raise NotImplementedError


@activity.defn(name="challenges.record_breach")
async def record_breach(fact: ChallengeFact) -> ChallengeStatus:
    """Record a breach of the current account, and wake when it can no longer be disputed."""
    raise NotImplementedError


@activity.defn(name="challenges.record_pass")
async def record_pass(fact: ChallengeFact) -> ChallengeStatus:
    """Close the account of a passed phase and record what comes next."""
    raise NotImplementedError


@activity.defn(name="challenges.record_identity")
async def record_identity(fact: ChallengeFact) -> ChallengeStatus:
    """Go on or end by what the record says of the trader's identity."""
    raise NotImplementedError


@activity.defn(name="challenges.check_deadline")
async def check_deadline(fact: ChallengeFact) -> ChallengeStatus:
    """Act on a date that market time has reached, if any; else set the wake-up again."""
    raise NotImplementedError


@activity.defn(name="challenges.reinstate_account")
async def reinstate_account(fact: ChallengeFact) -> ChallengeStatus:
    """Overturn the breach, give the account room, enable it, and tell the dispute."""
    raise NotImplementedError


@activity.defn(name="challenges.record_chargeback")
async def record_chargeback(fact: ChallengeFact) -> ChallengeStatus:
    """Ask the provider; lock the account and book the loss of a fee that was charged back."""
    raise NotImplementedError


@activity.defn(name="challenges.record_refund")
async def record_refund(fact: ChallengeFact) -> ChallengeStatus:
    """Ask the provider; end the challenge when its fee went back there, and book it."""
    raise NotImplementedError


@activity.defn(name="challenges.close_account")
async def close_account(fact: ChallengeFact) -> ChallengeStatus:
    """Lock the account and end the challenge on the firm's decision."""
    raise NotImplementedError


@activity.defn(name="challenges.refund_fee")
async def refund_fee(step: RefundStep) -> ChallengeStatus:
    """Refund the fee when nothing was ever traded. A refusal is not retried."""
    raise NotImplementedError
