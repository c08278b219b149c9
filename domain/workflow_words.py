"""Names of activities and messages of workflows, as people read them in a history."""

from collections.abc import Mapping
from typing import Final

_ACTIVITIES: Final[Mapping[str, str]] = {
    "challenges.open_checkout": "Opens the checkout",
    "challenges.check_payment": "Asks the provider about the payment",
    "challenges.open_account": "Opens the account at the platform",
    "challenges.start_phase": "Starts the phase",
    "challenges.record_breach": "Records a breach",
    "challenges.record_pass": "Records a passed phase",
    "challenges.record_identity": "Reads the identity decision",
    "challenges.check_deadline": "Checks a deadline",
    "challenges.reinstate_account": "Reinstates the account",
    "challenges.record_chargeback": "Records a lost chargeback",
    "challenges.record_refund": "Records a refund",
    "challenges.close_account": "Closes the account",
    "challenges.refund_fee": "Refunds the fee",
    "payouts.place_hold": "Takes the money out of the account",
    "payouts.hold_and_judge": "Takes the money out of the account and checks the payout",
    "payouts.check_risk": "Checks the payout",
    "payouts.record_decision": "Records a decision",
    "payouts.send_money": "Sends the money",
    "payouts.follow_transfer": "Asks the rail about the transfer",
    "payouts.follow_and_settle": "Asks the rail about the transfer and settles the payout",
    "payouts.release_hold": "Returns the money to the account",
    "payouts.settle": "Settles the payout in the books",
    "disputes.assemble_evidence": "Collects the evidence",
    "disputes.record_decision": "Records a decision",
    "disputes.record_reinstatement": "Records the reinstatement",
    "disputes.check_deadline": "Checks a deadline",
}


def activity_words(name: str) -> str:
    """Returns what an activity does, such as "Opens the account at the platform"; its name for one without words."""
    return _ACTIVITIES.get(name) or name


def message_words(name: str) -> str:
    """Returns the name of a signal or an update as words: "phase_passed" becomes "phase passed"."""
    return name.replace("_", " ")
