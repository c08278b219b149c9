"""Activities of workflow `Challenge`. Each reads the record, applies the table of states and returns the status."""

from temporalio import activity

from contracts.messages import Message, RefundRequest


class ChallengeFact(Message):
    """A fact that may change the challenge's state. A second fact with the same `key` has no effect. `subject_id`: the
    id of the breach, pass, dispute, case or checkout."""

    challenge_id: str
    key: str
    subject_id: str = ""


class ChallengeStatus(Message):
    """The stored state of the challenge. `phase_index`: of the newest account; 0 before the first."""

    state: str
    phase_index: int


class PhaseStep(Message):
    challenge_id: str
    phase_index: int


class RefundStep(Message):
    """`update_id`: see `PayoutDecision`."""

    challenge_id: str
    request: RefundRequest
    update_id: str = ""


@activity.defn(name="challenges.open_checkout")
async def open_checkout(fact: ChallengeFact) -> ChallengeStatus:
    """Opens a checkout for the fee, and registers the wake-up at the end of the time to pay."""
    raise NotImplementedError


@activity.defn(name="challenges.check_payment")
async def check_payment(fact: ChallengeFact) -> ChallengeStatus:
    """Asks the provider; books a paid fee, or cancels a challenge that can no longer be paid."""
    raise NotImplementedError


@activity.defn(name="challenges.open_account")
async def open_account(step: PhaseStep) -> ChallengeStatus:
    """Creates, funds and enables the account of a phase on the platform."""
    raise NotImplementedError


@activity.defn(name="challenges.start_phase")
async def start_phase(step: PhaseStep) -> ChallengeStatus:
    """Records the start of the phase, and registers the wake-up at its time limit."""
    raise NotImplementedError


@activity.defn(name="challenges.record_breach")
async def record_breach(fact: ChallengeFact) -> ChallengeStatus:
    """Records a breach of the current account, and registers the wake-up at the end of the dispute window."""
    raise NotImplementedError


@activity.defn(name="challenges.record_pass")
async def record_pass(fact: ChallengeFact) -> ChallengeStatus:
    """Closes the account of a passed phase and moves the challenge on."""
    raise NotImplementedError


@activity.defn(name="challenges.record_identity")
async def record_identity(fact: ChallengeFact) -> ChallengeStatus:
    """Continues or ends the challenge after the decision on the trader's identity."""
    raise NotImplementedError


@activity.defn(name="challenges.check_deadline")
async def check_deadline(fact: ChallengeFact) -> ChallengeStatus:
    """Acts on a deadline that market time has reached; otherwise registers the wake-up again."""
    raise NotImplementedError


@activity.defn(name="challenges.reinstate_account")
async def reinstate_account(fact: ChallengeFact) -> ChallengeStatus:
    """Overturns the breach, credits the account with room above its floors, enables it, and signals the dispute."""
    raise NotImplementedError


@activity.defn(name="challenges.record_chargeback")
async def record_chargeback(fact: ChallengeFact) -> ChallengeStatus:
    """Asks the provider; locks the account and books the loss when the fee was charged back."""
    raise NotImplementedError


@activity.defn(name="challenges.record_refund")
async def record_refund(fact: ChallengeFact) -> ChallengeStatus:
    """Asks the provider; ends the challenge and books the refund when the fee was refunded at the provider."""
    raise NotImplementedError


@activity.defn(name="challenges.close_account")
async def close_account(fact: ChallengeFact) -> ChallengeStatus:
    """Locks the account and ends the challenge by the firm's decision."""
    raise NotImplementedError


@activity.defn(name="challenges.give_phase_anew")
async def give_phase_anew(fact: ChallengeFact) -> ChallengeStatus:
    """Ends the account of the phase and orders the phase once more, without a fee."""
    raise NotImplementedError


@activity.defn(name="challenges.refund_fee")
async def refund_fee(step: RefundStep) -> ChallengeStatus:
    """Refunds the fee of a challenge without any trade. A refusal is not retried."""
    raise NotImplementedError
