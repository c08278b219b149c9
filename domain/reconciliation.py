"""How the books and the outside agree: what matches what, which differences there are, and how people close them.

Kinds of breaks:

missing_in_books       the source shows money that the books do not have
missing_at_source      the books have a movement that the source does not show
amount_differs         both show a movement of the same subject and kind, with two amounts
currency_differs       likewise, in two currencies
duplicate              the source shows the same movement again
balance_differs        the source's own balance is not the sum of the movements that it showed
venue_account_unknown  the platform has an account that the record does not know
venue_account_missing  the platform does not have an account that may trade on the record
venue_balance_differs  the platform's balance of a trading account is not the one on the record
venue_positions_differ the open lots of a trading account at the platform are not those on the record
venue_still_trades     a trading account that has ended on the record may trade at the platform
venue_trade_disabled   a trading account that may trade on the record may not at the platform
venue_limits_differ    the platform holds other loss limits of a trading account than it was sent
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, Literal

BreakKind = Literal[
    "missing_in_books",
    "missing_at_source",
    "amount_differs",
    "currency_differs",
    "duplicate",
    "balance_differs",
    "venue_account_unknown",
    "venue_account_missing",
    "venue_balance_differs",
    "venue_positions_differ",
    "venue_still_trades",
    "venue_trade_disabled",
    "venue_limits_differ",
]
WORDS: Final[Mapping[str, str]] = {
    "missing_in_books": "Money at the source that the books do not have",
    "missing_at_source": "A posting that the source does not show",
    "amount_differs": "The amounts differ",
    "currency_differs": "The currencies differ",
    "duplicate": "The source shows the same movement again",
    "balance_differs": "The source's balance differs from its movements",
    "venue_account_unknown": "An account at the platform that the record does not know",
    "venue_account_missing": "An account that the platform does not have",
    "venue_balance_differs": "The platform's balance differs from the record",
    "venue_positions_differ": "The platform's open positions differ from the record",
    "venue_still_trades": "An account that has ended may trade at the platform",
    "venue_trade_disabled": "An account that may trade is disabled at the platform",
    "venue_limits_differ": "The platform holds other loss limits than it was sent",
}
NOT_MONEY: Final = frozenset(
    {
        *("venue_account_unknown", "venue_account_missing", "venue_positions_differ"),
        *("venue_still_trades", "venue_trade_disabled", "venue_limits_differ"),
    }
)
# What a person can have done again at the platform; the break closes when the two agree.
Again = Literal["lock_again", "push_again", "enable_again"]
AGAIN: Final[Mapping[str, Again]] = {
    "venue_still_trades": "lock_again",
    "venue_limits_differ": "push_again",
    "venue_trade_disabled": "enable_again",
}

# Kinds of ledger transactions that an entry can match, by the entry's kind. No ledger kind is in two of them.
LEDGER_KINDS: Final[Mapping[str, tuple[str, ...]]] = {
    "charge": ("fee_paid", "payment_suspended"),
    "refund": ("fee_refunded", "fee_partly_refunded", "suspense_refunded", "suspense_partly_refunded"),
    "refund_failed": ("fee_refund_failed", "suspense_refund_failed"),
    "dispute": ("chargeback_taken", "fee_charged_back", "suspense_charged_back"),
    "dispute_won": ("chargeback_given_back",),
    "fee": ("chargeback_fee", "chargeback_fee_returned", "provider_fee"),
    "transfer": ("payout_settled", "payout_sent"),  # earlier versions took the money when it was sent
    "transfer_return": ("payout_return_settled", "payout_returned"),
    "settlement": ("settlement_sent", "settlement_received"),
}

PATIENCE: Final = timedelta(days=1)  # market time for the other side to show a movement
TRANSIT_PATIENCE: Final = timedelta(days=5)  # the same for money between two accounts: weekends and holidays

Resolution = Literal["match", "write_off", "fee", "suspense", "explain"]
# The account that takes the difference.
AGAINST: Final[Mapping[str, str]] = {"write_off": "write-offs", "fee": "provider-fees", "suspense": "suspense"}
BY_ITSELF: Final = "resolved"


@dataclass(frozen=True, slots=True)
class Counterpart:
    """An open line of the books about the subject of an entry."""

    posting_id: int
    amount_minor: int
    currency: str


@dataclass(frozen=True, slots=True)
class Difference:
    """`amount_minor`: what the source has more than the books. `posting_id`: of the open line that it is about."""

    kind: BreakKind
    amount_minor: int
    posting_id: int | None = None


def classify(amount_minor: int, currency: str, counterpart: Counterpart | None, *, repeats: bool) -> Difference:
    """Returns how an entry without a match differs from the books. `repeats`: an equal entry has its match already."""
    if counterpart is not None and counterpart.currency == currency and counterpart.amount_minor != amount_minor:
        return Difference("amount_differs", amount_minor - counterpart.amount_minor, counterpart.posting_id)
    if counterpart is not None and counterpart.currency != currency:
        return Difference("currency_differs", amount_minor, counterpart.posting_id)
    return Difference("duplicate" if repeats else "missing_in_books", amount_minor)


def resolutions(kind: str, *, can_match: bool) -> tuple[Resolution, ...]:
    """Returns how a person may close a break of this kind."""
    if kind == "venue_still_trades":
        return ()
    if kind.startswith("venue_"):
        return ("explain",)
    posting: tuple[Resolution, ...] = ("write_off", "fee", "suspense")
    return ("match", *posting) if can_match else posting


_BANDS: Final = ((1, "less than a day"), (3, "1 to 3 days"), (7, "3 to 7 days"), (30, "7 to 30 days"))
OLDEST_BAND: Final = "more than 30 days"
BANDS: Final = (*(words for _, words in _BANDS), OLDEST_BAND)


def age_band(first_seen: datetime, now: datetime) -> str:
    """Returns the age of a break in words: one of BANDS."""
    days = (now - first_seen) / timedelta(days=1)
    return next((words for limit, words in _BANDS if days < limit), OLDEST_BAND)
