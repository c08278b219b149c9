"""The kinds of reviews: how people call each, who closes it, and what it holds until then.

A review says that something is doubtful and that a person has to look. Kinds are stored: never rename one.
"""

from dataclasses import dataclass
from typing import Final, Literal

# person: whoever looked closes it. decision: confirming or dismissing does. refund: giving the money back does.
ClosedBy = Literal["person", "decision", "refund"]
# account: the payouts of the account it is about. trader: every payout of its trader. None: no payout.
Holds = Literal["account", "trader"] | None


@dataclass(frozen=True, slots=True)
class KindOfReview:
    words: str
    holds: Holds
    closed_by: ClosedBy = "person"
    repeats: bool = False  # each one about the same account or symbol says the same: people see and close them together


KINDS: Final[dict[str, KindOfReview]] = {
    # found by the monitor: the money of the account is in doubt. One about the feed alone names no account, holds none.
    "bad_tick": KindOfReview("bad tick", "account", repeats=True),
    "out_of_order": KindOfReview("out of order", "account", repeats=True),
    "stale": KindOfReview("stale", "account", repeats=True),
    "stale_feed": KindOfReview("stale feed", "account", repeats=True),
    "gap": KindOfReview("gap", "account", repeats=True),
    "estimated": KindOfReview("estimated", "account", repeats=True),
    "equity_drift": KindOfReview("equity drift", "account"),
    "missed_reset": KindOfReview("missed reset", "account"),
    "move_refused": KindOfReview("move refused", "account"),
    "unknown_symbol": KindOfReview("unknown symbol", "account"),
    "left_place": KindOfReview("money at a platform that the account left", "account"),
    "doubtful_breach": KindOfReview("doubtful breach", "account", "decision"),
    "offence": KindOfReview("offence", "account"),
    "venue_locked": KindOfReview("locked by the venue", "account"),
    # about what all traders hold together
    "exposure_limit": KindOfReview("exposure beyond a limit", None),
    # about the payment of a challenge
    "chargeback": KindOfReview("chargeback", "trader"),
    "chargeback_due": KindOfReview("chargeback due", None),
    "refund_failed": KindOfReview("refund failed", None),
    "unclear_refund": KindOfReview("unclear refund", "trader"),
    "payment_differs": KindOfReview("payment differs", None, "refund"),
    "refund_cut_off": KindOfReview("refund cut off", None),
    "refund_refused": KindOfReview("refund refused", None),
    # about an account of a challenge at its platform
    "platform_refused": KindOfReview("platform refused", None),
    # about the transfer of a payout
    "stray_transfer": KindOfReview("stray transfer", None),
    # about a ticket that was not answered or solved in time; the system closes it when it is
    "service_late": KindOfReview("ticket that is late", None),
    # about a ticket that became, at the desk of a third party, one of somebody else, or got articles of another one
    "other_customer": KindOfReview("ticket that went to another customer", None),
    "doubtful_articles": KindOfReview("articles that may be another customer's", None),
    # about the running of the firm itself
    "message_dropped": KindOfReview("message dropped", None),
    "workflow_stuck": KindOfReview("workflow stuck", None),
    "workflow_restarted": KindOfReview("workflow restarted", None),
    "source_unread": KindOfReview("source that cannot be read", None),
    "subject_waits": KindOfReview("step that takes too long", None),
    "webhook_disabled": KindOfReview("webhook endpoint disabled", None),
    "mail_flood": KindOfReview("too many mails of one sender", None),
    "notification_failed": KindOfReview("notification that could not be made", None),
}


def holding(what: Literal["account", "trader"]) -> frozenset[str]:
    """Returns the kinds that hold payouts of the account, or of the trader."""
    return frozenset(name for name, kind in KINDS.items() if kind.holds == what)
