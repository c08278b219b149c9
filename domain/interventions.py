"""Interventions: what the firm does to one account by hand, proposed by one person and approved by another.

An adjustment corrects the balance at the platform. A closing ends the challenge without a case. A free reset gives the
same phase anew without a fee.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal

from domain.adjustments import Adjusted
from domain.approvals import DECIDERS
from domain.errors import BadInput
from domain.money import Money
from domain.states import StateMachine
from domain.wording import name

Kind = Literal["adjust", "close", "reset"]
Direction = Literal["credit", "debit"]
Verb = Literal["approve", "reject"]
KINDS: Final[tuple[Kind, ...]] = ("adjust", "close", "reset")
PROPOSERS: Final = DECIDERS["intervention"] | {"support"}
TRIGGERS: Final[Mapping[Verb, str]] = {"approve": "intervention_approved", "reject": "intervention_rejected"}
WITHDRAWN: Final = "intervention_withdrawn"  # by who proposed it
DONE: Final = "intervention_done"
LAPSED: Final = "intervention_lapsed"
OPEN: Final = ("proposed", "approved")  # an account has at most one in these states

INTERVENTION: Final = StateMachine(
    noun="intervention",
    initial="proposed",
    table={
        ("proposed", TRIGGERS["approve"]): "approved",
        ("proposed", TRIGGERS["reject"]): "rejected",
        ("proposed", WITHDRAWN): "withdrawn",
        ("approved", DONE): "done",
        ("approved", LAPSED): "lapsed",  # it could not be carried out any more; the step says why
    },
    transient=frozenset({"approved"}),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class InterventionFacts:
    """An account as the record has it. `current`: its challenge has no later account. `state`: of its challenge.
    `evaluates`: its phase is not the funded one. `payout`, `dispute`, `case`, `order`, `change`, `reset`: something
    of this account waits that must end first. `spent`: nothing goes on from this challenge any more, because a payment
    went back or a case blames it. `moves_balances`: what its platform does for programs. `waits`: the state of another
    intervention of it that is open. `judged`: a breach or pass is stored, whether or not the challenge has moved."""

    status: str
    current: bool
    state: str
    evaluates: bool
    payout: bool
    dispute: bool
    case: bool
    order: bool
    change: bool
    reset: bool
    spent: bool
    waits: str
    judged: bool
    known: bool
    moves_balances: bool
    platform: str


def why_not(kind: Kind, facts: InterventionFacts) -> str:
    """Returns why it cannot be proposed, or carried out, now: a sentence; empty when it can."""
    if not facts.current:
        return "The account has ended. Choose the current account of its challenge."
    if facts.waits == "approved":
        return "Another change of this account is approved and is being carried out. Wait until it is done."
    if facts.waits:
        return "Another change of this account is waiting for approval. Decide that first."
    if facts.payout:
        return "A payout of the account is open. Decide that first."
    if facts.change:
        return "The account is on its way to another platform."
    if facts.case:
        return "An open case names this account. Decide the case: it can close the account."
    if facts.dispute:
        return "A dispute of the account is open. Decide that first."
    return {"adjust": _not_adjusted, "close": _not_closed, "reset": _not_reset}[kind](facts)


_JUDGED: Final = "The account broke a rule or passed its phase, and its challenge is still being updated."


def _not_adjusted(facts: InterventionFacts) -> str:
    if facts.judged and facts.state in ("active", "funded"):
        return _JUDGED
    if facts.status != "active":
        return "Only an active account has a balance to adjust."
    if not facts.moves_balances:
        return f"{facts.platform} does not let programs change balances."
    if not facts.known:
        return "The balance of the account is not known yet."
    return "The balance is being reset to the initial balance." if facts.reset else ""


_CLOSABLE: Final = frozenset({"active", "identity_check", "awaiting_activation", "funded", "breached"})
_RESETTABLE: Final = frozenset({"active", "expired", "breached", "failed"})


def _not_closed(facts: InterventionFacts) -> str:
    if facts.state not in _CLOSABLE:
        return f"A challenge that is {name(facts.state)} cannot be closed."
    return "An order that continues this challenge is open or paid." if facts.order else ""


def _not_reset(facts: InterventionFacts) -> str:
    if facts.state not in _RESETTABLE:
        return f"A challenge that is {name(facts.state)} cannot be reset."
    if facts.state == "active" and facts.judged:
        return _JUDGED
    if not facts.evaluates:
        return "Only an evaluation phase can be reset."
    if facts.order:
        return "The trader ordered a reset or buyback of this challenge already."
    return "A payment for this challenge went back, or a case against it was confirmed." if facts.spent else ""


HAD_ENDED: Final = "The account had ended before."
HAD_JUDGED: Final = "The account had broken a rule or passed its phase before."
GIVEN_UP: Final = "It could not be delivered, and a person gave up the message."


def had_ended(state: str) -> str:
    """Returns why nothing is carried out in a challenge that is in this state, as a sentence for staff."""
    return f"The challenge had ended before: it is {name(state)}."


def why_lapsed(kind: str, *, state: str, over: bool, current: bool) -> str:
    """Returns why an approved closing or free reset can never be carried out any more, as a sentence for staff; empty
    while it can be. `state`: of its challenge; `over`: it has ended; `current`: the account is still its present
    one."""
    if over:
        return had_ended(state)
    return HAD_ENDED if kind == "reset" and not current else ""


def signed(amount: Money, direction: Direction) -> Money:
    """Returns the change of the balance: negative for a debit."""
    return amount if direction == "credit" else Money(minor=-amount.minor, currency=amount.currency)


def check_change(ahead: Adjusted) -> None:
    """Refuses an adjustment that would break a rule by itself. Raises BadInput."""
    change = ahead.change
    if not change.minor:
        raise BadInput("An adjustment cannot be zero.", field="amount", remedy="Give a positive amount.")
    if ahead.balance_after.minor <= 0:
        raise BadInput(
            f"The balance is {ahead.balance}; nothing would be left.", field="amount", remedy="Give a smaller amount."
        )
    for room in ahead.after:
        if change.minor < 0 and room.limited and room.is_none:
            raise BadInput(
                f"The account would break {name(room.spec.rule_id)} by this adjustment alone.",
                field="amount",
                remedy="Give a smaller amount, or close the account.",
            )


def digest(intervention_id: str, kind: str, account_id: str, change_minor: int | None) -> str:
    """Returns the hash of what exactly is decided on."""
    body = {"v": 1, "intervention": intervention_id, "kind": kind, "account": account_id, "change": change_minor}
    return hashlib.sha256(json.dumps(body, sort_keys=True, separators=(",", ":")).encode()).hexdigest()
