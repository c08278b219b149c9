"""The types of Stripe's events, and our kinds for them. Needs nothing of Stripe's library."""

from typing import Final

_CHECKOUTS: Final = {
    "checkout.session.completed": "checkout.paid",
    "checkout.session.async_payment_succeeded": "checkout.paid",
    "checkout.session.async_payment_failed": "checkout.expired",
    "checkout.session.expired": "checkout.expired",
    "charge.refunded": "charge.refunded",
    "refund.updated": "charge.refunded",
    "refund.failed": "charge.refunded",
    "charge.dispute.created": "charge.disputed",
    "charge.dispute.updated": "chargeback.changed",
    "charge.dispute.closed": "chargeback.changed",
    "charge.dispute.funds_withdrawn": "chargeback.changed",
    "charge.dispute.funds_reinstated": "chargeback.changed",
    # no kind of ours: a person looks at it
    "radar.early_fraud_warning.created": "radar.early_fraud_warning.created",
}
_TRANSFERS: Final = {"transfer.updated": "transfer.changed", "transfer.reversed": "transfer.changed"}
_IDENTITY: Final = {
    "identity.verification_session.verified": "identity.changed",
    "identity.verification_session.requires_input": "identity.changed",
    "identity.verification_session.canceled": "identity.changed",
}
# Events of the payees' accounts. Stripe lists them under each payee, so a sweep of our own list does not have them.
PAYOUTS: Final = {
    "payout.paid": "transfer.paid",
    "payout.failed": "transfer.changed",
    "payout.canceled": "transfer.changed",
    "payout.updated": "transfer.changed",
}
PAYEES: Final = {
    "account.updated": "payee.changed",
    "account.application.deauthorized": "payee.changed",
    "account.external_account.created": "payee.changed",
    "account.external_account.updated": "payee.changed",
    "account.external_account.deleted": "payee.changed",
    "capability.updated": "payee.changed",
}
THIN_PAYEES: Final = "v2.core.account"
# Genuine and without news: another event tells of the same.
SILENT: Final = frozenset(
    {
        *("charge.refund.updated", "charge.succeeded", "charge.updated", "payment_intent.created", "refund.created"),
        *("payment_intent.payment_failed", "payment_intent.processing", "payment_intent.succeeded", "payout.created"),
        *("payout.reconciliation_completed", "transfer.created", "balance.available"),
        *("identity.verification_session.created", "identity.verification_session.processing"),
    }
)

RAIL_KINDS: Final = _TRANSFERS | PAYOUTS | PAYEES
IDENTITY_KINDS: Final = _IDENTITY
ALL_KINDS: Final = _CHECKOUTS | _IDENTITY | RAIL_KINDS
OF_PAYEES: Final = PAYOUTS.keys() | PAYEES.keys()
# What the endpoints for the firm's own account and for its payees' accounts subscribe to.
OWN_TYPES: Final = tuple(sorted(ALL_KINDS.keys() - OF_PAYEES))
PAYEE_TYPES: Final = tuple(sorted(OF_PAYEES))
