"""Ids and business keys, all in one place.

An id is a noun's prefix and 26 characters that say nothing of a person; a fresh one sorts by creation time. A business
key makes doing the same thing twice the same as doing it once. Stored rows carry these values: they never change.
"""

import hashlib
import os
import time
from datetime import date, datetime
from typing import Final, Literal

Noun = Literal[
    "trd", "usr", "chl", "acc", "pay", "brc", "psg", "dsp", "cas", "alr",
    "tkt", "msg", "rev", "ord", "off", "prf", "ses", "ppr", "mov", "smv",
]  # fmt: skip

_ALPHABET: Final = "0123456789abcdefghjkmnpqrstvwxyz"


_PAIRS: Final = tuple(high + low for high in _ALPHABET for low in _ALPHABET)


def _base32(value: int) -> str:
    """26 digits of 5 bits, the highest first; two at a time, because every breach needs several ids at once."""
    return "".join([_PAIRS[value >> shift & 1023] for shift in range(120, -1, -10)])


def new_id(noun: Noun) -> str:
    """A fresh id such as `acc_01k…`: 48 bits of milliseconds, 80 random bits."""
    millis = time.time_ns() // 1_000_000
    return f"{noun}_{_base32((millis << 80) | int.from_bytes(os.urandom(10), 'big'))}"


def derived_id(noun: Noun, *parts: str | int) -> str:
    """The id that the business key `parts` always has: making it twice makes the same row."""
    digest = hashlib.sha256("\x1f".join(str(p) for p in parts).encode()).digest()
    return f"{noun}_{_base32(int.from_bytes(digest[:16], 'big'))}"


# ids of rows


def account_id(challenge_id: str, phase_index: int, attempt: int) -> str:
    """The account of an attempt at a phase; the first attempt, 1, is not part of the key."""
    return derived_id("acc", challenge_id, phase_index, *([attempt] if attempt > 1 else []))


def breach_id(account_id: str, phase_index: int, rule_id: str, offence: int) -> str:
    return derived_id("brc", account_id, phase_index, rule_id, offence)


def offence_id(account_id: str, phase_index: int, rule_id: str, offence: int) -> str:
    return derived_id("off", account_id, phase_index, rule_id, offence)


def pass_id(account_id: str, phase_index: int) -> str:
    return derived_id("psg", account_id, phase_index)


def review_id(key: str) -> str:
    return derived_id("rev", key)


def alert_id(key: str) -> str:
    return derived_id("alr", key)


def case_id(key: str) -> str:
    return derived_id("cas", key)


def violation_proof(account_id: str, phase_index: int, rule_id: str, offence: int) -> str:
    """The proof sheet of a broken rule, whether or not it ends the phase."""
    return derived_id("prf", account_id, phase_index, rule_id, offence)


def pass_proof(account_id: str, phase_index: int) -> str:
    return derived_id("prf", account_id, phase_index, "pass")


def gate_proof(account_id: str, phase_index: int, gate_id: str, at: datetime) -> str:
    return derived_id("prf", account_id, phase_index, gate_id, at.isoformat())


def refusal_proof(account_id: str, digest: str) -> str:
    """The proof sheet of a refused payout request; `digest` is that of the request and its facts."""
    return derived_id("prf", account_id, "payout_refusal", digest)


# messages in the outbox


def start_message(workflow_id: str) -> str:
    return f"start/{workflow_id}"


def restart_message(workflow_id: str, number: int) -> str:
    return f"restart/{workflow_id}/{number}"


def wakeup_message(workflow_id: str, fired_at: datetime) -> str:
    """Wall time makes the key new: the same date may be set again after it fired."""
    return f"wakeup/{workflow_id}/{fired_at.timestamp():.6f}"


def lock_message(subject_id: str) -> str:
    """`subject_id`: the breach, pass or offence that locks the account."""
    return f"lock/{subject_id}"


def close_message(offence_id: str) -> str:
    return f"close/{offence_id}"


def resume_message(offence_id: str) -> str:
    return f"resume/{offence_id}"


RESET_BALANCE: Final = "reset_balance/"


def reset_balance(offence_id: str) -> str:
    """The message, and the operation that brings the balance back to the initial one."""
    return f"{RESET_BALANCE}{offence_id}"


def breach_message(breach_id: str) -> str:
    """Also the key of the challenge's step, and the cause for which payouts are judged again."""
    return f"breach/{breach_id}"


def overturned_breach(breach_id: str) -> str:
    """The cause for which payouts are judged again when a breach is overturned."""
    return f"breach/{breach_id}/overturned"


def pass_message(pass_id: str) -> str:
    """Also the key of the challenge's step."""
    return f"pass/{pass_id}"


def provider_event(provider: str, event_id: str) -> str:
    """A payment provider's event, as it is named in messages about it."""
    return f"{provider}/{event_id}"


def odd_entry(entry_id: str) -> str:
    """The inbox event that shows a provider's odd movement of money to a person."""
    return f"odd-entry/{entry_id}"


def inbox_message(event: str) -> str:
    """`event`: see `provider_event`."""
    return f"inbox/{event}"


def transfer_message(event: str) -> str:
    """`event`: see `provider_event`."""
    return f"transfer/{event}"


def risk_message(payout_id: str, cause: str) -> str:
    """`cause`: what changed, itself a business key."""
    return f"risk/{payout_id}/{cause}"


def identity_message(challenge_id: str, request_key: str) -> str:
    return f"identity/{challenge_id}/{request_key}"


def identity_decision(trader_id: str, request_key: str) -> str:
    """The cause for which a trader's payouts are judged again."""
    return f"identity/{trader_id}/{request_key}"


def case_event(case_id: str, event: str) -> str:
    """The cause for which payouts are judged again: a case was opened, or decided."""
    return f"{case_id}/{event}"


def case_closes(case_id: str, challenge_id: str) -> str:
    return f"{case_id}/closes/{challenge_id}"


def correction_alert(feed: str, seq: int, proof_id: str) -> str:
    return f"correction/{feed}/{seq}/{proof_id}"


def dispute_event(dispute_id: str, event: str) -> str:
    """A dispute was opened, decided or ended: the message to its challenge, the cause for which payouts are judged."""
    return f"dispute/{dispute_id}/{event}"


def dispute_decision(request_key: str) -> str:
    """The dispute's step."""
    return f"decision/{request_key}"


def reinstated_message(dispute_id: str) -> str:
    return f"reinstated/{dispute_id}"


def review_closed(review_id: str) -> str:
    """The cause for which payouts are judged again."""
    return f"{review_id}/closed"


def chargeback(challenge_id: str) -> str:
    """The cause for which the trader's payouts are judged again."""
    return f"chargeback/{challenge_id}"


def unclear_refund(challenge_id: str, number: int) -> str:
    """The cause for which the trader's payouts are judged again."""
    return f"unclear_refund/{challenge_id}/{number}"


# reviews


def restarted_review(workflow_id: str) -> str:
    return f"restarted/{workflow_id}"


def stuck_review(workflow_id: str) -> str:
    return f"stuck/{workflow_id}"


def repeated_review(key: str, again: str) -> str:
    """The review of trouble that goes on after a person has closed the review `key`. `again`: a day or number."""
    return f"{key}/{again}"


def dropped_review(workflow_id: str, why: str) -> str:
    return f"dropped/{workflow_id}/{why}"


def missed_reset_review(account_id: str, day: date) -> str:
    return f"missed_reset/{account_id}/{day}"


def offence_review(offence_id: str) -> str:
    return f"offence/{offence_id}"


def payment_review(kind: str, challenge_id: str, about: str = "") -> str:
    """`about`: what tells several reviews of one kind and challenge apart."""
    return f"{kind}/{challenge_id}/{about}" if about else f"{kind}/{challenge_id}"


# steps of a challenge, payout or ticket


def counted_step(taken: int, trigger: str) -> str:
    """A step that can be taken many times: `taken` steps were taken before it."""
    return f"{taken}/{trigger}"


def phase_start(account_id: str) -> str:
    return f"start/{account_id}"


def phase_expired(account_id: str) -> str:
    return f"expired/{account_id}"


def account_grown(account_id: str) -> str:
    return f"grown/{account_id}"


def challenge_replaced(challenge_id: str) -> str:
    return f"replaced/{challenge_id}"


def phase_extension(request_key: str) -> str:
    return f"extension/{request_key}"


def phase_identity(phase_index: int) -> str:
    return f"identity/{phase_index}"


def reinstatement(dispute_id: str) -> str:
    return f"reinstate/{dispute_id}"


def window_over(breach_id: str) -> str:
    return f"window/{breach_id}"


def refund_step(request_key: str) -> str:
    return f"refund/{request_key}"


def refund_refused(refund_key: str) -> str:
    return f"refused/{refund_key}"


def payment_charged_back(challenge_id: str) -> str:
    """The fact that the fee was charged back before its payment was booked."""
    return f"{challenge_id}/payment/charged-back"


def refund_charged_back(refund_key: str) -> str:
    """The fact that the fee was charged back while its refund was asked for."""
    return f"{refund_key}/charged-back"


# calls to the platform and the payment provider, and the intents behind them


def checkout(challenge_id: str) -> str:
    return f"{challenge_id}/checkout"


def checkout_expiry(challenge_id: str) -> str:
    return f"{challenge_id}/expire"


def refund(challenge_id: str, number: int) -> str:
    """Under which the provider is asked for the refund. A refused key is never used again: a provider that remembers
    its refusal would repeat it."""
    return f"{challenge_id}/refund" if number == 1 else f"{challenge_id}/refund/{number}"


def account_creation(challenge_id: str, phase_index: int, attempt: int) -> str:
    again = f"/{attempt}" if attempt > 1 else ""
    return f"{challenge_id}/{phase_index}{again}"


def initial_deposit(account_id: str) -> str:
    return f"{account_id}/initial"


def trading(key: str, change: Literal["enable", "freeze", "thaw"]) -> str:
    """`key`: the account, or the decision, for which trading is switched on or off."""
    return f"{key}/{change}"


def account_lock(account_id: str, why: str) -> str:
    return f"{account_id}/{why}"


def goodwill(dispute_id: str) -> str:
    """The credit that gives a reinstated account room above its floors."""
    return f"dispute/{dispute_id}"


HOLD: Final = "/hold"
RELEASE: Final = "/release"


def payout_hold(payout_id: str) -> str:
    return f"{payout_id}{HOLD}"


def payout_release(payout_id: str) -> str:
    """Under which the money that was held comes back."""
    return f"{payout_id}{RELEASE}"


def payout_forfeit(payout_id: str) -> str:
    return f"{payout_id}/forfeit"


def payout_closes(payout_id: str) -> str:
    """The news that a payout that closes its account is paid."""
    return f"{payout_id}/closes"


def payout_undo(payout_id: str) -> str:
    """The decision that this request is refused and that all that was taken comes back."""
    return f"{payout_id}/undo"


def back(key: str) -> str:
    """Under which what was taken under `key` comes back."""
    return f"{key}/back"


def payout_transfer(payout_id: str) -> str:
    """Under which the provider is asked to send the money: one key, so at most one transfer."""
    return f"{payout_id}/transfer"


def payout_settled(payout_id: str) -> str:
    return f"{payout_id}/settled"
