"""What the firm tells programs of others: the kinds of business events, where each comes from, and what is sent.

An event has ids and no data: whoever receives it asks the API for what it may see. The database writes the event in the
transaction of the change (`store/migrations/versions/0066_business_events.py`): from the audit entry of an action
named here, or from a new row of a table named here. Names of kinds are kept for ever.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

ALL: Final = "*"  # an endpoint that takes every kind
TEST: Final = "webhook.test"


@dataclass(frozen=True, slots=True)
class EventKind:
    """A kind of event. `subject`: the kind of its subject. `actions`: the audit actions that are this event. `table`:
    the table whose new or changed row is this event."""

    name: str
    means: str
    subject: str
    actions: tuple[str, ...] = ()
    table: str = ""


KINDS: Final[tuple[EventKind, ...]] = (
    EventKind("trader.signed_up", "A person became a trader of the firm.", "trader", table="traders"),
    EventKind(
        "identity.decided", "The firm or its checker decided whether a trader is who they claim to be.", "trader",
        ("trader.identity_verified", "trader.identity_refused"),
    ),
    EventKind("order.paid", "The payment of an order arrived and is in the books.", "challenge",
              ("challenge.payment_settled",)),
    EventKind("order.cancelled", "The time to pay an order passed.", "challenge", ("challenge.payment_expired",)),
    EventKind(
        "order.refunded", "Money of an order was paid back, all of it or a part.", "challenge",
        ("challenge.refund_granted", "challenge.part_refunded", "challenge.refunded_at_provider",
         "challenge.refunded_late"),
    ),
    EventKind("chargeback.opened", "A buyer disputes a payment at their bank.", "chargeback", table="chargebacks"),
    EventKind("chargeback.won", "The bank decided for the firm.", "chargeback", ("chargeback.won",)),
    EventKind("chargeback.lost", "The bank decided against the firm, or the firm gave up.", "chargeback",
              ("chargeback.lost", "chargeback.accepted")),
    EventKind("account.opened", "An account at a platform became active.", "account", table="accounts"),
    EventKind("account.warning", "A trader was warned that a limit is near.", "account", table="warnings"),
    EventKind("account.breached", "An account broke a rule that ends its phase.", "breach", table="breaches"),
    EventKind("phase.passed", "An account met the target of its phase.", "account", table="phase_passes"),
    EventKind("challenge.funded", "A challenge reached its funded phase.", "challenge",
              ("challenge.funding_started", "challenge.funding_reinstated")),
    EventKind("challenge.failed", "A breach became final.", "challenge", ("challenge.dispute_window_over",)),
    EventKind("challenge.expired", "The time of a phase ended.", "challenge", ("challenge.time_limit_reached",)),
    EventKind("challenge.closed", "The firm closed a challenge.", "challenge", ("challenge.closed_by_firm",)),
    EventKind("payout.requested", "A trader asked for a payout.", "payout", ("payout.requested",)),
    EventKind("payout.refused", "A payout was refused when its money was to be held.", "payout",
              ("payout.request_refused",)),
    EventKind(
        "payout.held", "A person must look at a payout before it goes on.", "payout",
        ("payout.risk_found", "payout.payout_stopped", "payout.transfer_stalled", "payout.transfer_refused",
         "payout.transfer_stopped", "payout.sent_again"),
    ),
    EventKind("payout.approved", "Enough people approved a payout.", "payout", ("payout.approvals_complete",)),
    EventKind("payout.sent", "The provider accepted the transfer.", "payout",
              ("payout.transfer_accepted", "payout.transfer_found")),
    EventKind("payout.arrived", "The provider says that the money arrived.", "payout", ("payout.transfer_paid",)),
    EventKind("payout.rejected", "A payout was rejected and its money given back to the account.", "payout",
              ("payout.rejection_released",)),
    EventKind("payout.cancelled", "A trader cancelled a payout.", "payout", ("payout.cancellation_released",)),
    EventKind("payout.timed_out", "Nobody decided a payout in time.", "payout", ("payout.timeout_released",)),
    EventKind("payout.returned", "The money of a payout came back.", "payout", ("payout.transfer_returned",)),
    EventKind("ticket.opened", "A trader opened a ticket.", "ticket", ("ticket.opened",)),
    EventKind("ticket.answered", "The firm answered a ticket.", "ticket", ("ticket.firm_replied",)),
    EventKind("ticket.trader_replied", "A trader wrote on a ticket.", "ticket", ("ticket.trader_replied",)),
    EventKind("ticket.solved", "A ticket was solved.", "ticket", ("ticket.ticket_solved",)),
    EventKind("dispute.opened", "A trader disputed a breach, or appealed against an action.", "dispute",
              ("dispute.opened",)),
    EventKind("dispute.decided", "A person decided a dispute or an appeal.", "dispute",
              ("dispute.breach_upheld", "dispute.reinstatement_granted")),
    EventKind("dispute.compensated", "The firm granted the trader of a dispute a voucher.", "dispute",
              ("dispute.compensated",)),
    EventKind(
        "case.decided", "A surveillance case ended.", "case",
        ("case.suspicion_cleared", "case.left_inconclusive", "case.trader_warned", "case.profit_deducted",
         "case.payout_denied", "case.abuse_confirmed"),
    ),
    EventKind("case.overturned", "An appeal overturned what the firm did about a case.", "case",
              ("case.appeal_granted",)),
)  # fmt: skip

BY_NAME: Final[Mapping[str, EventKind]] = {kind.name: kind for kind in KINDS}
SOURCES: Final[Mapping[str, str]] = {action: kind.name for kind in KINDS for action in kind.actions}
_ADDRESS: Final[Mapping[str, str]] = {
    "trader": "/v1/traders", "challenge": "/v1/challenges", "chargeback": "/v1/chargebacks",
    "account": "/v1/accounts", "breach": "/v1/breaches", "payout": "/v1/payouts", "ticket": "/v1/tickets",
    "dispute": "/v1/disputes", "case": "/v1/cases", "endpoint": "/v1/webhook-endpoints",
}  # fmt: skip


def body(
    *,
    kind: str,
    subject_kind: str,
    subject_id: str,
    trader_id: str | None,
    account_id: str | None,
    challenge_id: str | None,
    occurred_at: datetime,
    recorded_at: datetime,
) -> dict[str, Any]:
    """Returns what is sent of an event. `timestamp` is the market time of the change, `recorded_at` the wall time; both
    UTC in ISO 8601. Ids that an event has none of are left out."""
    ids = {"trader_id": trader_id, "account_id": account_id, "challenge_id": challenge_id}
    return {
        "type": kind,
        "timestamp": occurred_at.isoformat(),
        "data": {
            "subject": subject_kind,
            "id": subject_id,
            "href": f"{_ADDRESS[subject_kind]}/{subject_id}",
            **{name: value for name, value in ids.items() if value is not None},
            "recorded_at": recorded_at.isoformat(),
        },
    }
