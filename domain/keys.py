"""Ids and business keys, all in one place.

An id is a noun's prefix and 26 characters that say nothing of a person; a fresh one sorts by creation time. A business
key makes doing the same thing twice the same as doing it once. Stored rows carry these values: they never change.
"""

import hashlib
import os
import time
from datetime import datetime
from typing import Final, Literal

Noun = Literal[
    "trd", "usr", "sch", "chl", "acc", "pay", "brc", "psg", "dsp", "cmp", "cas", "alr",
    "tkt", "msg", "rev", "ord", "off", "prf", "ses", "ppr", "mov", "smv", "ben", "scr", "sht", "snv",
    "idc", "cbk", "trf", "rcp", "brk", "stm", "ded", "hlt", "crd", "plc", "act", "nte", "pch", "wif",
    "mrg", "mac", "fil", "crt", "dft", "imp",
    "key", "whk", "evt",
    "mai", "mad", "ima", "att", "ntf",
    "psk", "fch", "stp", "frz", "itv",
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


def screening_id(trader_id: str, lists_digest: str, name_index: str) -> str:
    return derived_id("scr", trader_id, lists_digest, name_index)


def sanction_hit_id(trader_id: str, list_name: str, ref: str, entry_digest: str, name_index: str) -> str:
    return derived_id("sht", trader_id, list_name, ref, entry_digest, name_index)


def statement_posting(source: str, entry_id: str) -> str:
    """The posting that an entry of a statement makes by itself."""
    return derived_id("stm", source, entry_id)


def sanction_hit_decided(hit_id: str, state: str) -> str:
    return f"{hit_id}/{state}"


def alert_id(key: str) -> str:
    return derived_id("alr", key)


def case_id(key: str) -> str:
    return derived_id("cas", key)


def chargeback_id(acquirer: str, provider_id: str) -> str:
    """`provider_id`: the acquirer's id. Two acquirers may use the same one."""
    return derived_id("cbk", acquirer, provider_id)


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


def told_ticket(subject_id: str) -> str:
    """The message to the trader about a change of platform, or about an intervention."""
    return derived_id("tkt", subject_id)


def departure_proof(change_id: str) -> str:
    """The proof sheet of an account that leaves a platform."""
    return derived_id("prf", change_id, "departure")


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


def close_again_message(account_id: str, deal_id: str) -> str:
    """`deal_id`: of the deal that opened a position on an account that has ended."""
    return f"close/{account_id}/{deal_id}"


def resume_message(offence_id: str) -> str:
    """`offence_id`: the offence that paused the account, or what made a person order it."""
    return f"resume/{offence_id}"


RESET_BALANCE: Final = "reset_balance/"


def reset_balance(offence_id: str) -> str:
    """The message, and the operation that brings the balance back to the initial one."""
    return f"{RESET_BALANCE}{offence_id}"


def credential_id(account_id: str, number: int) -> str:
    return derived_id("crd", account_id, number)


def credentials_message(subject_id: str) -> str:
    """`subject_id`: of the credentials, or of their account as the target of the message."""
    return f"credentials/{subject_id}"


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


def case_ticket(case_id: str, trader_id: str) -> str:
    """The message to a trader about what was decided."""
    return derived_id("tkt", case_id, trader_id)


def dispute_ticket(*about: str) -> str:
    """What the trader is told about a dispute, an appeal or a compensation, with the order its voucher is back from."""
    return derived_id("tkt", *about)


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


def review_wakes(review_id: str) -> str:
    """The news to a challenge that the review which it waited for is closed."""
    return f"{review_id}/wakes"


def review_closed(review_id: str) -> str:
    """The cause for which payouts are judged again."""
    return f"{review_id}/closed"


def chargeback_event(chargeback_id: str, event: str | int) -> str:
    """A change of a chargeback: its step, a message about it, the cause for which payouts are judged again."""
    return f"{chargeback_id}/{event}"


ANSWER: Final = "/answer"


def payee(trader_id: str, rail: str) -> str:
    """The trader's account at a rail that keeps accounts of its own."""
    return f"{trader_id}/payee/{rail}"


def chargeback_answer(chargeback_id: str, number: int = 1) -> str:
    """The intent of the firm's one answer in a round, and the key under which the acquirer gets it. `number`: of the
    round."""
    return f"{chargeback_id}{ANSWER}" if number == 1 else f"{chargeback_id}{ANSWER}/{number}"


def suspension(account_id: str, number: int, change: Literal["suspend", "restore"]) -> str:
    """Under which trading is switched off, or on again, for suspensions of a challenge; `number` counts them."""
    return f"{account_id}/{change}/{number}"


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


def after_refusals(key: str, refused: int) -> str:
    """A key for the step of `key` that was refused for good so many times. A refused key is never used again."""
    return f"{key}/try/{refused + 1}" if refused else key


def first_try(key: str) -> str:
    """Returns the key that `after_refusals` made this one from; a key of a first try unchanged."""
    return key.partition("/try/")[0]


def trading(key: str, change: Literal["enable", "freeze", "thaw", "shut"]) -> str:
    """`key`: the account, or the decision, for which trading is switched on or off."""
    return f"{key}/{change}"


def account_lock(account_id: str, why: str) -> str:
    return f"{account_id}/{why}"


def venue_limits(account_id: str, cause: str) -> str:
    """The message that sends an account's loss limits to its venue, and the order in which they are sent. `cause`: what
    may have changed them."""
    return f"limits/{account_id}/{cause}"


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


def released(hold: str) -> str:
    """`hold`: see `payout_hold`. Returns the key of its release; for the key of another amount, the one of `back`."""
    return payout_release(hold.removesuffix(HOLD)) if hold.endswith(HOLD) else back(hold)


def payout_undo(payout_id: str) -> str:
    """The decision that this request is refused and that all that was taken comes back."""
    return f"{payout_id}/undo"


def back(key: str) -> str:
    """Under which what was taken under `key` comes back."""
    return f"{key}/back"


def transfer(payout_id: str, number: int) -> str:
    """Id of a payout's attempt to send the money, and its key at the rail. A bank file can carry it: 30 characters of
    the SEPA set."""
    return derived_id("trf", payout_id, number).replace("_", "-")


def payout_settled(payout_id: str) -> str:
    return f"{payout_id}/settled"
