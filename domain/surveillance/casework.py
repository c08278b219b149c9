"""What a case can end with: the outcome, the action, who decides it, and which alerts belong to one case."""

import hashlib
import json
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Final, Literal

from domain.states import StateMachine
from domain.surveillance.findings import Severity

# States of a case that ended with an action which an appeal can overturn.
ACTED: Final = frozenset({"warned", "deducted", "denied", "confirmed"})

# An appeal that is granted overturns what the firm did about a case.
CASE: Final = StateMachine(
    noun="case",
    initial="open",
    table={
        ("open", "suspicion_cleared"): "cleared",
        ("open", "left_inconclusive"): "inconclusive",
        ("open", "trader_warned"): "warned",
        ("open", "profit_deducted"): "deducted",
        ("open", "payout_denied"): "denied",
        ("open", "abuse_confirmed"): "confirmed",
        **{(state, "appeal_granted"): "overturned" for state in sorted(ACTED)},
    },
    transient=frozenset(),
    reopens=ACTED,
)

Outcome = Literal["confirmed", "false_positive", "inconclusive"]
Action = Literal["none", "warn", "deduct", "deny", "close"]
ProposedAction = Literal["warn", "deduct", "deny", "close"]
Verb = Literal["clear", "inconclusive", "warn", "deduct", "deny", "confirm"]


@dataclass(frozen=True, slots=True)
class Ending:
    """What a verb makes of a case. `trigger`: of its state machine."""

    trigger: str
    outcome: Outcome
    action: Action


ENDINGS: Final[Mapping[Verb, Ending]] = {
    "clear": Ending("suspicion_cleared", "false_positive", "none"),
    "inconclusive": Ending("left_inconclusive", "inconclusive", "none"),
    "warn": Ending("trader_warned", "confirmed", "warn"),
    "deduct": Ending("profit_deducted", "confirmed", "deduct"),
    "deny": Ending("payout_denied", "confirmed", "deny"),
    "confirm": Ending("abuse_confirmed", "confirmed", "close"),
}

# The verb that decides a proposed action.
VERB_OF: Final[Mapping[ProposedAction, Verb]] = {
    "warn": "warn",
    "deduct": "deduct",
    "deny": "deny",
    "close": "confirm",
}
ACTION_OF: Final[Mapping[Verb, ProposedAction]] = {verb: action for action, verb in VERB_OF.items()}
# What costs a trader money takes a second person.
TWO_PEOPLE: Final[frozenset[ProposedAction]] = frozenset({"deduct", "deny", "close"})
ACTION_WORDS: Final[Mapping[str, str]] = {
    "none": "no action",
    "warn": "warn the trader",
    "deduct": "deduct the profit of the listed trades",
    "deny": "deny the payout",
    "close": "close the account",
}

# Patterns of one family about one owner are one case.
FAMILIES: Final[Mapping[str, frozenset[str]]] = {
    "copying": frozenset({"copy_trading", "hedging"}),
    "identity": frozenset({"shared_identity", "challenge_farming"}),
    "sizing": frozenset({"all_in", "martingale", "grid"}),
    "timing": frozenset({"tick_scalping", "news_straddle", "gap_exploit"}),
    "market_data": frozenset({"latency_arbitrage", "off_market_fill"}),
    "conduct": frozenset({"day_padding", "style_change"}),
}
_FAMILY_OF: Final = {pattern: family for family, patterns in FAMILIES.items() for pattern in patterns}


def family_of(pattern: str) -> str:
    """Returns the family of a pattern. A pattern that is in no family is its own."""
    return _FAMILY_OF.get(pattern, pattern[:40])


def subject_key(owners: Iterable[str]) -> str:
    """Returns the key of an owner or a group of owners (trader ids), the same in any order."""
    return hashlib.sha256("\x1f".join(sorted(set(owners))).encode()).hexdigest()


def joins(owners: Collection[str], case_owners: Collection[str]) -> bool:
    """Whether an alert about these owners joins an open case about those: one group contains the other. Groups that
    only overlap stay apart, so that no chain of weak links makes one case of a whole cluster."""
    mine, theirs = set(owners), set(case_owners)
    return bool(mine) and bool(theirs) and (mine <= theirs or theirs <= mine)


def routed(severity: Severity, link_strength: Decimal, *, hold_from: Decimal, review_from: Decimal) -> Severity:
    """Returns how an alert is treated: by its severity, lowered when the weakest link by which it names an account is
    below `hold_from` (then it is reviewed and holds nothing) or below `review_from` (then it is a note)."""
    if link_strength < review_from:
        return "note"
    if severity == "hold" and link_strength < hold_from:
        return "review"
    return severity


def alert_digest(
    *, key: str, detector: str, score: Decimal, sentence: str, evidence: Mapping[str, object], occurred_at: datetime
) -> str:
    """Returns the digest of an alert as it was when it joined its case: the evidence that is decided on."""
    body = {
        "v": 1,
        "key": key,
        "detector": detector,
        "score": f"{score:.4f}",
        "sentence": sentence,
        "evidence": evidence,
        "at": occurred_at.timestamp(),
    }
    return hashlib.sha256(json.dumps(body, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def seen_digest(case_id: str, alerts: Iterable[str], proposal: str) -> str:
    """Returns the digest of what a person sees of a case: the digests of its alerts and of the proposed action."""
    body = {"v": 1, "case": case_id, "alerts": sorted(alerts), "proposal": proposal}
    return hashlib.sha256(json.dumps(body, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def action_digest(
    case_id: str,
    *,
    action: str,
    rule: str,
    message: str,
    reason: str,
    trades: Iterable[tuple[str, str, int]],
    payouts: Iterable[str],
) -> str:
    """Returns the digest of a proposed action. `trades`: (account id, position id, net profit in minor units) each."""
    body = {
        "v": 1,
        "case": case_id,
        "action": action,
        "rule": rule,
        "message": message,
        "reason": reason,
        "trades": sorted(trades),
        "payouts": sorted(payouts),
    }
    return hashlib.sha256(json.dumps(body, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def after_business_days(start: datetime, days: int) -> datetime:
    """Returns the instant so many business days later (UTC, Monday to Friday): the same time of day."""
    at, left = start, days
    while left > 0:
        at += timedelta(days=1)
        if at.weekday() < 5:
            left -= 1
    return at
