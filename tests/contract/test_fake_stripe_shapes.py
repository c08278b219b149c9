"""Every kind of request that the fake takes is also taken by stripe-mock, Stripe's own shape server, and the answers
have the same fields of the same types."""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any, Final, cast

import pytest
import stripe

from sandbox.stripe.operations import OPERATIONS
from tests.contract.fake_stripe import BACK, Shop, open_shop
from tests.contract.stripe_mock import stripe_mock

pytestmark = pytest.mark.filterwarnings("ignore:Use 'content=:DeprecationWarning")  # inside the SDK
# Fields that stripe-mock shows and the real API only on request, or only in older versions.
ON_REQUEST: Final = {"refunds", "next_action", "currency_conversion"}
Call = Callable[[Any, dict[str, str]], Awaitable[Any]]

ITEM: Final = {"quantity": 1, "price_data": {"currency": "usd", "unit_amount": 5_000, "product_data": {"name": "C"}}}
CHECKOUT: Final[Any] = {
    "mode": "payment",
    "client_reference_id": "chl_1",
    "success_url": BACK,
    "cancel_url": BACK,
    "line_items": [ITEM],
    "metadata": {"a": "b"},
    "payment_intent_data": {"metadata": {"a": "b"}, "transfer_group": "chl_1"},
    "expand": ["payment_intent"],
}
ACCOUNT: Final[Any] = {
    "type": "express",
    "country": "US",
    "email": "p@example.com",
    "capabilities": {"transfers": {"requested": True}},
    "settings": {"payouts": {"schedule": {"interval": "manual"}}},
    "metadata": {"a": "b"},
}
EVIDENCE: Final[Any] = {"evidence": {"service_date": "2024", "uncategorized_text": "Used."}, "submit": True}
MARK: Final[Any] = {"metadata": {"c": "d"}}

# Operation -> its call. `ids` has an object of each kind.
CALLS: Final[dict[str, Call]] = {
    "POST /v1/checkout/sessions": lambda v1, ids: v1.checkout.sessions.create_async(CHECKOUT),
    "GET /v1/checkout/sessions": lambda v1, ids: v1.checkout.sessions.list_async({"payment_intent": ids["pi"]}),
    "GET /v1/checkout/sessions/{}": lambda v1, ids: v1.checkout.sessions.retrieve_async(ids["cs"]),
    "POST /v1/checkout/sessions/{}": lambda v1, ids: v1.checkout.sessions.update_async(ids["cs"], MARK),
    "POST /v1/checkout/sessions/{}/expire": lambda v1, ids: v1.checkout.sessions.expire_async(ids["open"]),
    "GET /v1/checkout/sessions/{}/line_items": lambda v1, ids: v1.checkout.sessions.line_items.list_async(ids["cs"]),
    "GET /v1/payment_intents": lambda v1, ids: v1.payment_intents.list_async({"created": {"gte": 1}}),
    "GET /v1/payment_intents/{}": lambda v1, ids: v1.payment_intents.retrieve_async(ids["pi"]),
    "POST /v1/payment_intents/{}": lambda v1, ids: v1.payment_intents.update_async(ids["pi"], MARK),
    "GET /v1/charges": lambda v1, ids: v1.charges.list_async({"transfer_group": "chl_1"}),
    "GET /v1/charges/{}": lambda v1, ids: v1.charges.retrieve_async(ids["ch"]),
    "POST /v1/charges/{}": lambda v1, ids: v1.charges.update_async(ids["ch"], MARK),
    "POST /v1/refunds": lambda v1, ids: v1.refunds.create_async({"payment_intent": ids["pi"], "amount": 100, **MARK}),
    "GET /v1/refunds": lambda v1, ids: v1.refunds.list_async({"payment_intent": ids["pi"]}),
    "GET /v1/refunds/{}": lambda v1, ids: v1.refunds.retrieve_async(ids["re"]),
    "POST /v1/refunds/{}": lambda v1, ids: v1.refunds.update_async(ids["re"], MARK),
    "GET /v1/disputes": lambda v1, ids: v1.disputes.list_async({"charge": ids["disputed"]}),
    "GET /v1/disputes/{}": lambda v1, ids: v1.disputes.retrieve_async(ids["du"]),
    "POST /v1/disputes/{}": lambda v1, ids: v1.disputes.update_async(ids["du"], EVIDENCE),
    "POST /v1/disputes/{}/close": lambda v1, ids: v1.disputes.close_async(ids["du2"]),
    "GET /v1/radar/early_fraud_warnings": lambda v1, ids: v1.radar.early_fraud_warnings.list_async(),
    "GET /v1/radar/early_fraud_warnings/{}": lambda v1, ids: v1.radar.early_fraud_warnings.retrieve_async(ids["warn"]),
    "GET /v1/balance": lambda v1, ids: v1.balance.retrieve_async(),
    "GET /v1/balance_transactions": lambda v1, ids: v1.balance_transactions.list_async({"expand": ["data.source"]}),
    "GET /v1/balance_transactions/{}": lambda v1, ids: v1.balance_transactions.retrieve_async(ids["txn"]),
    "GET /v1/account": lambda v1, ids: v1.accounts.retrieve_current_async(),
    "POST /v1/accounts": lambda v1, ids: v1.accounts.create_async(ACCOUNT),
    "GET /v1/accounts": lambda v1, ids: v1.accounts.list_async(),
    "GET /v1/accounts/{}": lambda v1, ids: v1.accounts.retrieve_async(ids["acct"]),
    "POST /v1/accounts/{}": lambda v1, ids: v1.accounts.update_async(ids["acct"], MARK),
    "DELETE /v1/accounts/{}": lambda v1, ids: v1.accounts.delete_async(ids["acct2"]),
    "POST /v1/account_links": lambda v1, ids: v1.account_links.create_async(
        {"account": ids["acct"], "type": "account_onboarding", "refresh_url": BACK, "return_url": BACK}
    ),
    "POST /v1/transfers": lambda v1, ids: v1.transfers.create_async(
        {"amount": 500, "currency": "usd", "destination": ids["acct"], "transfer_group": "trf-1", **MARK}
    ),
    "GET /v1/transfers": lambda v1, ids: v1.transfers.list_async({"destination": ids["acct"]}),
    "GET /v1/transfers/{}": lambda v1, ids: v1.transfers.retrieve_async(ids["tr"]),
    "POST /v1/transfers/{}": lambda v1, ids: v1.transfers.update_async(ids["tr"], MARK),
    "POST /v1/transfers/{}/reversals": lambda v1, ids: v1.transfers.reversals.create_async(ids["tr"], {"amount": 100}),
    "GET /v1/transfers/{}/reversals": lambda v1, ids: v1.transfers.reversals.list_async(ids["tr"]),
    "GET /v1/transfers/{}/reversals/{}": lambda v1, ids: v1.transfers.reversals.retrieve_async(ids["tr"], ids["trr"]),
    "POST /v1/payouts": lambda v1, ids: v1.payouts.create_async(
        {"amount": 100, "currency": "usd", **MARK}, {"stripe_account": ids["acct"]}
    ),
    "GET /v1/payouts": lambda v1, ids: v1.payouts.list_async({}, {"stripe_account": ids["acct"]}),
    "GET /v1/payouts/{}": lambda v1, ids: v1.payouts.retrieve_async(ids["po"], {}, {"stripe_account": ids["acct"]}),
    "POST /v1/payouts/{}": lambda v1, ids: v1.payouts.update_async(ids["po"], MARK, {"stripe_account": ids["acct"]}),
    "POST /v1/payouts/{}/cancel": lambda v1, ids: v1.payouts.cancel_async(
        ids["po"], {}, {"stripe_account": ids["acct"]}
    ),
    "POST /v1/identity/verification_sessions": lambda v1, ids: v1.identity.verification_sessions.create_async(
        {"type": "document", "client_reference_id": "trd_1", "return_url": BACK, **MARK}
    ),
    "GET /v1/identity/verification_sessions": lambda v1, ids: v1.identity.verification_sessions.list_async(
        {"client_reference_id": "trd_1"}
    ),
    "GET /v1/identity/verification_sessions/{}": lambda v1, ids: v1.identity.verification_sessions.retrieve_async(
        ids["vs"], {"expand": ["verified_outputs"]}
    ),
    "POST /v1/identity/verification_sessions/{}": lambda v1, ids: v1.identity.verification_sessions.update_async(
        ids["vs"], MARK
    ),
    "POST /v1/identity/verification_sessions/{}/cancel": lambda v1, ids: v1.identity.verification_sessions.cancel_async(
        ids["vs2"]
    ),
    "GET /v1/events": lambda v1, ids: v1.events.list_async({"types": ["charge.refunded"]}),
    "GET /v1/events/{}": lambda v1, ids: v1.events.retrieve_async(ids["evt"]),
}
# stripe-mock does not know these: charges.refunds is gone from the SDK, refunds.cancel refuses, /v2 is not there.
ELSEWHERE: Final = {"GET /v1/charges/{}/refunds", "POST /v1/refunds/{}/cancel"} | {
    name for name in OPERATIONS if " /v2/" in name
}


@pytest.fixture(scope="module")
def mock() -> Iterator[str]:
    with stripe_mock() as url:
        yield url


@pytest.fixture
async def shop(tmp_path: Path) -> AsyncIterator[Shop]:
    with open_shop(tmp_path) as opened:
        yield opened
        await opened.aclose()


async def _objects(shop: Shop) -> dict[str, str]:
    """One object of each kind."""
    v1, paid, disputed = shop.client().v1, await shop.paid("chl_1"), await shop.paid("chl_2")
    intents = [cast(stripe.PaymentIntent, one.payment_intent) for one in (paid, disputed, await shop.paid("chl_3"))]
    charges = [cast(stripe.Charge, intent.latest_charge).id for intent in intents]
    refund = await v1.refunds.create_async({"charge": charges[0], "amount": 100})
    payee = await shop.payee()
    await v1.transfers.create_async({"amount": 900, "currency": "usd", "destination": payee})
    transfer = await v1.transfers.create_async({"amount": 900, "currency": "usd", "destination": payee})
    reversal = await v1.transfers.reversals.create_async(transfer.id, {"amount": 100})
    payout = await v1.payouts.create_async({"amount": 100, "currency": "usd"}, {"stripe_account": payee})
    checks = [await v1.identity.verification_sessions.create_async({"type": "document"}) for _ in range(2)]
    return {
        "cs": paid.id,
        "open": (await shop.session("chl_4")).id,
        "pi": intents[0].id,
        "ch": charges[0],
        "disputed": charges[1],
        "re": refund.id,
        "du": shop.desk("disputes", payment=charges[1])["id"],
        "du2": shop.desk("disputes", payment=charges[2])["id"],
        "warn": shop.desk("warnings", payment=charges[0])["id"],
        "txn": str(refund.balance_transaction),
        "acct": payee,
        "acct2": await shop.payee(),
        "tr": transfer.id,
        "trr": reversal.id,
        "po": payout.id,
        "vs": checks[0].id,
        "vs2": checks[1].id,
        "evt": (await v1.events.list_async({"limit": 1})).data[0].id,
    }


def _differences(operation: str, fake: dict[str, Any], mock: dict[str, Any], known: set[str]) -> list[str]:
    """What of the fake's answer no caller of the real API would expect."""
    found = [f"{operation}: no {name}" for name in mock.keys() - fake.keys() - ON_REQUEST]
    found += [f"{operation}: unknown {name}" for name in fake.keys() - mock.keys() - known]
    for name in fake.keys() & mock.keys():
        ours, theirs = fake[name], mock[name]
        if None not in (ours, theirs) and type(ours) is not type(theirs):
            found.append(f"{operation}: {name} is {type(ours).__name__}, not {type(theirs).__name__}")
    return found


def test_every_operation_has_a_call() -> None:
    assert CALLS.keys() | ELSEWHERE == OPERATIONS.keys()


async def test_stripe_mock_takes_every_request_and_answers_in_the_same_shape(shop: Shop, mock: str) -> None:
    ids = await _objects(shop)
    transport = stripe.HTTPXClient(timeout=30)
    other = stripe.StripeClient("sk_test_123", base_addresses={"api": mock}, http_client=transport).v1
    found: list[str] = []
    for operation, call in CALLS.items():
        ours, theirs = await call(shop.client().v1, ids), await call(other, ids)
        fake, shape = (answer.last_response.data for answer in (ours, theirs))
        assert isinstance(fake, dict) and isinstance(shape, dict)
        if fake.get("object") == "list" and fake["data"] and shape["data"]:
            row, fake_row, shape_row = ours.data[0], fake["data"][0], shape["data"][0]
            found += _differences(f"{operation} row", fake_row, shape_row, set(type(row).__annotations__))
        found += _differences(operation, fake, shape, set(type(ours).__annotations__))
    await cast(Any, transport).close_async()
    assert not found, "\n".join(found)
