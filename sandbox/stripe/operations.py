"""Every call that the fake knows, by method and path. `{}` in a path is an id."""

from collections.abc import Callable, Mapping
from typing import Final

from sandbox.stripe.calls import Call
from sandbox.stripe.errors import ApiError
from sandbox.stripe.objects import (
    accounts,
    checkouts,
    disputes,
    events,
    identity,
    money,
    payments,
    payouts,
    refunds,
    transfers,
    warnings,
)
from sandbox.stripe.objects.common import retrieve, update
from sandbox.stripe.state import Object

Operation = Callable[[Call], Object]

OPERATIONS: Final[Mapping[str, Operation]] = {
    "POST /v1/checkout/sessions": checkouts.create,
    "GET /v1/checkout/sessions": checkouts.list_sessions,
    "GET /v1/checkout/sessions/{}": retrieve("checkout.session"),
    "POST /v1/checkout/sessions/{}": update("checkout.session"),
    "POST /v1/checkout/sessions/{}/expire": checkouts.expire,
    "GET /v1/checkout/sessions/{}/line_items": checkouts.line_items,
    "GET /v1/payment_intents": payments.list_intents,
    "GET /v1/payment_intents/{}": payments.intent,
    "POST /v1/payment_intents/{}": update("payment_intent", described=True),
    "GET /v1/charges": payments.list_charges,
    "GET /v1/charges/{}": retrieve("charge"),
    "POST /v1/charges/{}": update("charge", described=True),
    "GET /v1/charges/{}/refunds": payments.list_refunds_of_charge,
    "POST /v1/refunds": refunds.create,
    "GET /v1/refunds": refunds.list_refunds,
    "GET /v1/refunds/{}": retrieve("refund"),
    "POST /v1/refunds/{}": update("refund", tells="refund.updated"),
    "POST /v1/refunds/{}/cancel": refunds.cancel,
    "GET /v1/disputes": disputes.list_disputes,
    "GET /v1/disputes/{}": retrieve("dispute"),
    "POST /v1/disputes/{}": disputes.update,
    "POST /v1/disputes/{}/close": disputes.close,
    "GET /v1/radar/early_fraud_warnings": warnings.list_warnings,
    "GET /v1/radar/early_fraud_warnings/{}": retrieve("radar.early_fraud_warning"),
    "GET /v1/balance": money.balance,
    "GET /v1/balance_transactions": money.list_transactions,
    "GET /v1/balance_transactions/{}": retrieve("balance_transaction"),
    "GET /v1/account": accounts.own,
    "POST /v1/accounts": accounts.create,
    "GET /v1/accounts": accounts.list_accounts,
    "GET /v1/accounts/{}": accounts.retrieve,
    "POST /v1/accounts/{}": accounts.update,
    "DELETE /v1/accounts/{}": accounts.delete,
    "POST /v1/account_links": accounts.create_link,
    "POST /v1/transfers": transfers.create,
    "GET /v1/transfers": transfers.list_transfers,
    "GET /v1/transfers/{}": retrieve("transfer"),
    "POST /v1/transfers/{}": update("transfer", tells="transfer.updated"),
    "POST /v1/transfers/{}/reversals": transfers.reverse,
    "GET /v1/transfers/{}/reversals": transfers.list_reversals,
    "GET /v1/transfers/{}/reversals/{}": transfers.reversal,
    "POST /v1/payouts": payouts.create,
    "GET /v1/payouts": payouts.list_payouts,
    "GET /v1/payouts/{}": retrieve("payout"),
    "POST /v1/payouts/{}": update("payout", tells="payout.updated"),
    "POST /v1/payouts/{}/cancel": payouts.cancel,
    "POST /v1/identity/verification_sessions": identity.create,
    "GET /v1/identity/verification_sessions": identity.list_sessions,
    "GET /v1/identity/verification_sessions/{}": retrieve("identity.verification_session"),
    "POST /v1/identity/verification_sessions/{}": update("identity.verification_session"),
    "POST /v1/identity/verification_sessions/{}/cancel": identity.cancel,
    "GET /v1/events": events.list_events,
    "GET /v1/events/{}": retrieve("event"),
    "GET /v2/core/events": events.list_thin_events,
    "GET /v2/core/events/{}": events.thin_event,
    "GET /v2/core/accounts/{}": accounts.retrieve_v2,
}
_SPLIT: Final = [(name.split("/"), operation) for name, operation in OPERATIONS.items()]


def operation(method: str, path: str) -> tuple[Operation, tuple[str, ...]]:
    """Returns the operation and the ids in the path. Raises ApiError for an unknown address."""
    parts = f"{method} {path}".split("/")
    for template, found in _SPLIT:
        if len(template) == len(parts) and all(
            part in ("{}", given) for part, given in zip(template, parts, strict=True)
        ):
            return found, tuple(given for part, given in zip(template, parts, strict=True) if part == "{}")
    raise ApiError(f"Unrecognized request URL ({method}: {path}).", status=404, kept=False)
