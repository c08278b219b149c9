"""A payout: its states, whether it may be requested, and what it amounts to."""

import hashlib
import json
import re
from datetime import datetime, timedelta
from typing import Final

from pydantic import BaseModel, ConfigDict

from domain.money import Money, from_minor, to_minor
from domain.products import PayoutTerms
from domain.states import StateMachine

_OPEN_TO_PEOPLE: Final = ("in_review", "awaiting_approval")

PAYOUT: Final = StateMachine(
    noun="payout",
    initial="requested",
    table={
        ("requested", "request_refused"): "refused",
        ("requested", "hold_placed"): "reserved",
        ("reserved", "risk_found"): "in_review",
        ("reserved", "risk_clear"): "awaiting_approval",
        ("in_review", "risk_clear"): "awaiting_approval",
        ("awaiting_approval", "risk_found"): "in_review",
        ("awaiting_approval", "approvals_complete"): "approved",
        ("approved", "risk_found"): "in_review",
        ("approved", "transfer_accepted"): "sent",
        ("approved", "transfer_refused"): "in_review",
        ("sent", "transfer_paid"): "settling",
        ("sent", "transfer_returned"): "releasing",
        ("settling", "payout_settled"): "paid",
        **{
            (state, trigger): "releasing"
            for state in _OPEN_TO_PEOPLE
            for trigger in ("payout_rejected", "payout_cancelled", "decision_timed_out")
        },
        ("releasing", "rejection_released"): "rejected",
        ("releasing", "cancellation_released"): "cancelled",
        ("releasing", "timeout_released"): "timed_out",
        ("releasing", "return_released"): "returned",
    },
    transient=frozenset({"requested", "reserved", "approved", "settling", "releasing"}),
)


class PayoutFacts(BaseModel):
    """What eligibility depends on, as of market time `now`. Money in minor units of the account's currency."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    now: datetime
    challenge_state: str
    funded_at: datetime | None
    last_payout_at: datetime | None
    balance_minor: int
    initial_minor: int
    open_positions: int
    open_payout_id: str | None
    beneficiary_known: bool


def available_minor(facts: PayoutFacts, terms: PayoutTerms, currency: str) -> int:
    """The most that can be requested: profit above the initial balance, within the cap."""
    profit = max(0, facts.balance_minor - facts.initial_minor)
    return profit if terms.cap_per_request is None else min(profit, to_minor(terms.cap_per_request, currency))


def eligible_from(facts: PayoutFacts, terms: PayoutTerms) -> datetime | None:
    """The first instant of market time at which a request is in time; None before funding."""
    if facts.last_payout_at is not None:
        return facts.last_payout_at + timedelta(days=terms.every_days)
    return None if facts.funded_at is None else facts.funded_at + timedelta(days=terms.first_after_days)


def refusals(facts: PayoutFacts, terms: PayoutTerms, gross: Money) -> list[str]:
    """Why this request cannot be made, each a clause for people; empty when it can."""
    currency = gross.currency
    reasons: list[str] = []
    if facts.challenge_state != "funded":
        reasons.append(f"the account is not funded but {facts.challenge_state.replace('_', ' ')}")
    since = eligible_from(facts, terms)
    if since is not None and facts.now < since:
        reasons.append(f"the next payout can be requested from {since:%Y-%m-%d %H:%M} UTC")
    if facts.open_positions:
        reasons.append(f"close all positions first ({facts.open_positions} open)")
    available = available_minor(facts, terms, currency)
    if gross.minor > available:
        reasons.append(f"{gross} is more than the {Money(minor=available, currency=currency)} available")
    minimum = Money(minor=to_minor(terms.min_request, currency), currency=currency)
    if gross < minimum:
        reasons.append(f"the smallest request is {minimum}")
    if not facts.beneficiary_known:
        reasons.append("add the bank account that the money goes to")
    return reasons


def split(gross: Money, terms: PayoutTerms) -> tuple[Money, Money]:
    """(trader's share rounded half up, firm's share: the rest)."""
    trader = gross.share(terms.split_pct)
    return trader, gross - trader


def approvers_needed(trader_share: Money, terms: PayoutTerms) -> int:
    """How many distinct people the policy band of this amount asks for (0, 1 or 2)."""
    amount = from_minor(trader_share.minor, trader_share.currency)
    return next(band.approvers for band in terms.bands if band.up_to is None or amount <= band.up_to)


def terms_digest(*, payout_id: str, trader_share: Money, beneficiary_index: str, product_hash: str) -> str:
    """What an approval is for: change the amount, the currency, the beneficiary or the rules, and it no longer counts.

    `beneficiary_index` is a keyed digest of the beneficiary. The result rests in plain sight, and there are few enough
    account numbers to try them all against a digest without a key.
    """
    body = {
        "v": 1,
        "payout": payout_id,
        "amount_minor": trader_share.minor,
        "currency": trader_share.currency,
        "beneficiary": beneficiary_index,
        "product": product_hash,
    }
    return hashlib.sha256(json.dumps(body, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def without_beneficiary(text: str, beneficiary: str) -> str:
    """What a provider says, fit for the record: the beneficiary struck out, however it is spaced."""
    symbols = [re.escape(symbol) for symbol in beneficiary if symbol.isalnum()]
    return re.sub(r"[\s-]*".join(symbols), "(the beneficiary)", text, flags=re.IGNORECASE) if symbols else text
