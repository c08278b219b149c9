"""The lifecycle of a purchased challenge: its states, its dates, and the checks of its decisions."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final

from domain.approvals import Actor
from domain.chargebacks import lost_time
from domain.errors import BadInput, Conflict, ExtensionRefused, NotAllowed, OrderRefused, RefundTooLarge
from domain.fees import ACTIVATION_DAYS, OrderKind
from domain.money import Money, is_known, price_step
from domain.selling.price import NO_PRICE
from domain.states import StateMachine
from domain.wording import instant, name, times

if TYPE_CHECKING:  # only annotations need it: commands that ask for a state would wait for every type of rule
    from domain.products.phase import Phase

PAYMENT_WINDOW: Final = timedelta(hours=24)
EXTENDERS: Final = frozenset({"trader", "support", "admin"})  # a trader for a challenge of their own
REFUNDERS: Final = frozenset({"trader", "finance", "admin"})  # a trader for a challenge of their own

PART_REFUNDERS: Final = frozenset({"finance", "admin"})

# A reset begins an evaluation phase again, a buyback the phase of an account that broke a rule. An activation opens the
# funded account.
_ORDERS: Final[Mapping[OrderKind, frozenset[str]]] = {
    "reset": frozenset({"active", "expired"}),
    "buyback": frozenset({"breached", "failed"}),
    "activation": frozenset({"awaiting_activation"}),
}
# Nothing was paid for a challenge in one of these states, or it was paid back.
UNPAID: Final = frozenset({"awaiting_payment", "cancelled", "payment_review", "refunded", "charged_back"})

_AFTER_PAYMENT: Final = (
    *("payment_review", "provisioning", "active", "identity_check", "awaiting_activation", "funded", "breached"),
)

CHALLENGE: Final = StateMachine(
    noun="challenge",
    initial="awaiting_payment",
    table={
        ("awaiting_payment", "payment_settled"): "provisioning",
        ("awaiting_payment", "payment_expired"): "cancelled",
        ("awaiting_payment", "payment_differs"): "payment_review",
        ("payment_review", "refund_granted"): "refunded",
        ("payment_review", "refund_refused"): "payment_review",
        ("provisioning", "phase_started"): "active",
        ("provisioning", "funding_started"): "funded",
        ("active", "phase_passed"): "provisioning",
        ("active", "evaluation_passed"): "identity_check",
        ("active", "breach_detected"): "breached",
        ("active", "time_limit_reached"): "expired",
        ("active", "retake_granted"): "provisioning",
        **{(state, "retake_granted"): "provisioning" for state in ("expired", "breached", "failed")},
        ("active", "extension_granted"): "active",
        ("active", "refund_granted"): "refunded",
        ("active", "refund_refused"): "active",
        ("active", "closed_by_firm"): "closed",
        ("identity_check", "identity_verified"): "provisioning",
        ("identity_check", "activation_due"): "awaiting_activation",
        ("identity_check", "identity_refused"): "closed",
        ("awaiting_activation", "closed_by_firm"): "closed",
        ("awaiting_activation", "activation_expired"): "closed",
        ("identity_check", "closed_by_firm"): "closed",
        ("funded", "account_scaled"): "provisioning",
        ("funded", "breach_detected"): "breached",
        ("funded", "closed_by_firm"): "closed",
        ("breached", "evaluation_reinstated"): "active",
        ("breached", "funding_reinstated"): "funded",
        ("breached", "dispute_window_over"): "failed",
        ("breached", "closed_by_firm"): "closed",
        ("closed", "closing_overturned"): "provisioning",
        **{(state, "part_refunded"): state for state in _AFTER_PAYMENT},
        **{(state, "chargeback_received"): "charged_back" for state in _AFTER_PAYMENT},
        **{(state, "refunded_at_provider"): "refunded" for state in _AFTER_PAYMENT},
    },
    transient=frozenset({"provisioning"}),
    reopens=frozenset({"closed", "expired", "failed"}),
)


def payment_due(bought_at: datetime) -> datetime:
    """Returns the end (market time) of the time in which the fee can be paid."""
    return bought_at + PAYMENT_WINDOW


def activation_due(passed_at: datetime) -> datetime:
    """Returns the end (market time) of the time in which the funded account can be ordered."""
    return passed_at + timedelta(days=ACTIVATION_DAYS)


@dataclass(frozen=True, slots=True)
class Paid:
    """What the provider says was paid, in its own words: `minor` units of any `currency`, also of one that the firm
    does not know."""

    minor: int
    currency: str

    @property
    def in_books(self) -> bool:
        """Whether the books can hold it: an amount of a known currency, and not of zero."""
        return self.minor != 0 and is_known(self.currency)

    @property
    def money(self) -> Money:
        """Raises UnknownCurrency."""
        return Money(minor=self.minor, currency=self.currency)


def payment_difference(due: Money, challenge_id: str, paid: Paid, reference: str) -> str:
    """Returns how a payment differs from what was due, as a sentence for people; empty when it is the fee of this
    challenge. Amounts are written in minor units: the currency of a wrong payment may be any."""
    wrong = []
    if (paid.minor, paid.currency) != (due.minor, due.currency):
        wrong.append(f"{paid.minor} {paid.currency} was paid and {due.minor} {due.currency} was due (minor units)")
    if reference != challenge_id:
        wrong.append(f"the payment names {reference or 'nothing'} and not {challenge_id}")
    return f"{'; '.join(wrong)}." if wrong else ""


def phase_deadline(
    opened_at: datetime,
    limit_days: int | None,
    suspensions: Iterable[tuple[datetime, datetime]],
    extended_days: int = 0,
) -> datetime | None:
    """Returns the instant at which the time of a phase ends; None without a limit.

    `extended_days`: days granted in addition. `suspensions`: spans that the trader could not use:
    (breached, reinstated) of overturned breaches, and those of chargebacks that the firm won.
    """
    if limit_days is None:
        return None
    return opened_at + timedelta(days=limit_days + extended_days) + lost_time(suspensions)


def trigger_of_start(phase_index: int, funded_index: int) -> str:
    return "funding_started" if phase_index == funded_index else "phase_started"


def trigger_of_pass(phase_index: int, funded_index: int) -> str:
    """Returns the trigger of a pass: the last evaluation phase leads to the identity check, the others to the next
    phase."""
    return "evaluation_passed" if phase_index + 1 == funded_index else "phase_passed"


def trigger_of_reinstatement(phase_index: int, funded_index: int) -> str:
    return "funding_reinstated" if phase_index == funded_index else "evaluation_reinstated"


def check_may_extend(actor: Actor, trader_id: str) -> None:
    """Checks that the actor may ask for more time for this trader's challenge. Raises NotAllowed."""
    if actor.role not in EXTENDERS or (actor.role == "trader" and actor.trader_id != trader_id):
        raise NotAllowed("Only the trader, support or admin can ask for more time.")


def check_extendable(state: str, phase: "Phase", granted: int, now: datetime, deadline: datetime | None) -> int:
    """Returns the days that are added to the phase. `granted`: the number of earlier extensions. `deadline`: the end of
    the phase without this extension. Raises ExtensionRefused."""
    if not CHALLENGE.allows(state, "extension_granted"):
        raise ExtensionRefused(f"A challenge in the state {name(state)} gets no more time.")
    if phase.extension is None or deadline is None:
        raise ExtensionRefused(f"The phase {phase.name} cannot be extended.", remedy="See the terms of the product.")
    if granted >= phase.extension.times:
        raise ExtensionRefused(
            f"The phase {phase.name} was already extended {times(granted)}.",
            remedy=f"It ends on {instant(deadline)}.",
        )
    if now >= deadline:
        raise ExtensionRefused(f"The time of this phase ended on {instant(deadline)}.")
    return phase.extension.days


def order_of(state: str) -> OrderKind | None:
    """Returns what can be ordered for a challenge in this state; None: nothing."""
    for kind, states in _ORDERS.items():
        if state in states:
            return kind
    return None


def check_orderable(kind: OrderKind, state: str, price_minor: int | None) -> int:
    """Returns the price of the order. `price_minor`: as the product has it. Raises OrderRefused."""
    if price_minor is None:
        raise OrderRefused(f"The product sells no {kind}.", remedy="See the terms of the product.")
    possible = order_of(state)
    if possible != kind:
        other = f"Ask for a {possible}." if possible else "Buy a new challenge."
        raise OrderRefused(
            f"There is no {kind} for a challenge in the state {name(state)}.", field="kind", remedy=other
        )
    return price_minor


def may_retake(phase: "Phase", balance_minor: int, initial_minor: int, *, breached: bool) -> bool:
    """Whether an account without open positions may restart its phase at the end of its time: in profit, no rule
    broken."""
    return phase.free_retake and balance_minor > initial_minor and not breached


def check_may_refund(actor: Actor, trader_id: str) -> None:
    """Checks that the actor may ask for a refund of this trader's fee. Raises NotAllowed."""
    if actor.role not in REFUNDERS or (actor.role == "trader" and actor.trader_id != trader_id):
        raise NotAllowed("Only the trader, finance or admin can ask for this refund.")


def check_may_refund_part(actor: Actor) -> None:
    """Checks that the actor may refund a part of a fee: the firm's goodwill, so no trader. Raises NotAllowed."""
    if actor.role not in PART_REFUNDERS:
        raise NotAllowed("Only finance or admin can refund a part of a fee.")


def check_part(state: str, amount_minor: int, left_minor: int, currency: str) -> None:
    """Checks that a part of the payment can be refunded in this state. `left_minor`: what of it is still with the
    acquirer. Raises Conflict, BadInput, RefundTooLarge."""
    if not CHALLENGE.allows(state, "part_refunded"):
        raise Conflict(f"The fee of a challenge in the state {name(state)} cannot be refunded in part.")
    if amount_minor <= 0:
        raise BadInput("A refund is more than nothing.", field="amount", remedy="Give a positive amount.")
    if amount_minor % price_step(currency):
        why = NO_PRICE.format(currency=currency)
        raise BadInput(f"amount: {why}.", field="amount", remedy="Write 0 as the last digit.")
    if amount_minor >= left_minor:
        raise RefundTooLarge(
            f"{left_minor} minor units of the payment are left.", field="amount", remedy="Give a smaller amount."
        )


def check_refundable(state: str, phase_index: int) -> None:
    """Checks that the state allows a refund: the fee in the first phase, a payment that was not the fee at any time.
    The caller checks that nothing was traded. Raises Conflict."""
    if not CHALLENGE.allows(state, "refund_granted") or (state == "active" and phase_index != 1):
        raise Conflict(
            f"The fee of a challenge in the state {name(state)}, phase {phase_index}, cannot be refunded.",
            remedy="A refund is possible in the first phase, before the first trade.",
        )
