"""Stripe's own mock server accepts every request that the adapters make.

stripe-mock checks paths and parameters against Stripe's published specification. It keeps no state, so the answers that
steer the adapters are laid over its own.
"""

from collections.abc import Iterator
from typing import Final

import pytest

from adapters.stripe import acquirer, identity, rail, statements
from adapters.stripe.client import API_VERSION
from ports.acquirer import CheckoutOrder, Evidence
from ports.rail import Beneficiary, TransferOrder
from tests import stripe_objects as make
from tests.contract.stripe_mock import stripe_mock
from tests.stripe_server import KEY, SECRET, StripeServer, page, serving

ORDER: Final = CheckoutOrder(
    reference="ch1", amount_minor=9900, currency="USD", description="50K two step", return_url="https://firm.example"
)
EVIDENCE: Final = Evidence(
    product_description="An evaluation", service_date="2026-11-02", access_activity_log="login", uncategorized_text="x"
)
TRANSFER: Final = TransferOrder(
    key="trf-1",
    reference="po1",
    amount_minor=26025,
    currency="USD",
    beneficiary=Beneficiary(account="acct_trader", name="Jane Doe"),
)


@pytest.fixture(scope="module")
def mock_url() -> Iterator[str]:
    with stripe_mock() as url:
        yield url


@pytest.fixture
def stripe(mock_url: str) -> Iterator[StripeServer]:
    """Checks at the end that the mock took every call, in the version that we name."""
    with serving(mock_url) as server:
        yield server
        refused = [f"{call}: {call.answer}" for call in server.calls if call.status != 200]
        assert refused == []
        assert server.calls
        assert {call.headers.get("stripe-version") for call in server.calls} == {API_VERSION}


def settings(server: StripeServer) -> dict[str, str]:
    return {"key": KEY, "url": server.url, "webhook_secrets": SECRET}


async def test_checkouts(stripe: StripeServer) -> None:
    stripe.answers = {
        "POST /v1/checkout/sessions": make.open_session(),
        "GET /v1/checkout/sessions/*": make.open_session(),
        "POST /v1/checkout/sessions/*/expire": make.open_session(status="expired"),
        "GET /v1/checkout/sessions": page(make.open_session()),
        "GET /v1/charges": page(make.charge(metadata={})),
    }
    adapter = acquirer.PLUGIN.build("stripe", acquirer.PLUGIN.settings.model_validate(settings(stripe)))
    assert (await adapter.create_checkout(ORDER, key="pay-ch1")).status == "open"
    assert (await adapter.fetch_checkout("cs_test_1")).amount_minor == 9900
    assert (await adapter.find_checkout("pay-ch1")) is not None
    assert (await adapter.expire_checkout("cs_test_1", key="expire-ch1")).status == "expired"
    assert "test mode" in await adapter.healthy()
    assert await adapter.events(None) is not None
    await adapter.aclose()
    [created] = stripe.of("POST /v1/checkout/sessions")
    assert created.headers["idempotency-key"] == "pay-ch1"
    assert created.given["client_reference_id"] == "ch1"
    assert created.given["payment_intent_data[transfer_group]"] == "pay-ch1"


async def test_an_object_of_a_payment_leads_to_its_checkout(stripe: StripeServer) -> None:
    stripe.answers = {"GET /v1/checkout/sessions": page(make.session())}
    for kind in ("charges", "refunds", "disputes", "radar/early_fraud_warnings"):
        stripe.answers[f"GET /v1/{kind}/*"] = {"payment_intent": "pi_1"}
    adapter = acquirer.PLUGIN.build("stripe", acquirer.PLUGIN.settings.model_validate(settings(stripe)))
    for object_id in ("pi_1", "ch_1", "py_1", "re_1", "dp_1", "du_1", "issfr_1"):
        assert (await adapter.fetch_checkout(object_id)).checkout_id == "cs_test_1"
    await adapter.aclose()


async def test_refunds(stripe: StripeServer) -> None:
    stripe.answers = {
        "GET /v1/checkout/sessions/*": make.session(),
        "POST /v1/refunds": make.refund(),
        "GET /v1/refunds": page(make.refund(metadata={})),
    }
    adapter = acquirer.PLUGIN.build("stripe", acquirer.PLUGIN.settings.model_validate(settings(stripe)))
    assert (await adapter.refund("cs_test_1", key="refund-ch1", amount_minor=4000)).amount_minor == 4000
    assert (await adapter.refund("cs_test_1", key="refund-rest")).status == "succeeded"
    assert [each.key for each in await adapter.refunds("cs_test_1")] == [""]
    await adapter.aclose()
    assert [call.given.get("amount") for call in stripe.of("POST /v1/refunds")] == ["4000", None]


async def test_disputes(stripe: StripeServer) -> None:
    stripe.answers = {
        "GET /v1/checkout/sessions/*": make.session(
            payment_intent=make.intent(latest_charge=make.charge(disputed=True))
        ),
        "GET /v1/checkout/sessions": page(make.session()),
        "GET /v1/disputes": page(make.dispute()),
        "GET /v1/disputes/*": make.dispute(),
        "POST /v1/disputes/*/close": make.dispute(status="lost"),
        "POST /v1/disputes/*": make.dispute(status="under_review"),
    }
    adapter = acquirer.PLUGIN.build("stripe", acquirer.PLUGIN.settings.model_validate(settings(stripe)))
    assert (await adapter.fetch_checkout("cs_test_1")).chargebacks == ("dp_1",)
    assert (await adapter.submit_evidence("dp_1", EVIDENCE, key="evidence-dp1")).status == "under_review"
    assert (await adapter.accept_chargeback("dp_1", key="accept-dp1")).status == "lost"
    await adapter.aclose()


async def test_transfers(stripe: StripeServer) -> None:
    stripe.answers = {
        "GET /v1/transfers": page(make.transfer(metadata={})),
        "POST /v1/transfers": make.transfer(),
        "GET /v1/transfers/*": make.transfer(),
        "GET /v1/payouts": page(make.payout(metadata={})),
        "POST /v1/payouts": make.payout(),
    }
    adapter = rail.StripeRail("stripe", rail.PLUGIN.settings.model_validate(settings(stripe)))
    assert (await adapter.create_transfer(TRANSFER)).transfer_id == "tr_1"
    stripe.answers["GET /v1/payouts"] = page(make.payout())
    assert (await adapter.cancel_transfer("tr_1")).transfer_id == "tr_1"
    stripe.answers["GET /v1/transfers"] = page(make.transfer())
    assert (await adapter.find_transfer("trf-1")) is not None
    assert await adapter.events(None) is not None
    await adapter.aclose()
    assert [str(call) for call in stripe.calls if call.method == "POST"] == [
        "POST /v1/transfers",
        "POST /v1/payouts",
        "POST /v1/payouts/po_1/cancel",
        "POST /v1/transfers/tr_1/reversals",
    ]
    assert {call.headers.get("stripe-account") for call in stripe.of("* /v1/payouts*")} == {"acct_trader"}


async def test_payees(stripe: StripeServer) -> None:
    stripe.answers = {
        "GET /v1/accounts": page(make.account()),
        "GET /v1/accounts/*": make.account(),
        "POST /v1/accounts": make.account(payouts_enabled=False),
    }
    given = settings(stripe) | {"service_agreement": "recipient"}
    adapter = rail.StripeRail("stripe", rail.PLUGIN.settings.model_validate(given))
    payee = await adapter.create_payee(key="payee-t1", reference="t1", email="jane@example.com", country="DE")
    assert (payee.payee_id, payee.ready) == ("acct_trader", False)
    assert await adapter.find_payee("payee-t1") == await adapter.fetch_payee("acct_trader")
    assert (await adapter.onboarding_link("acct_trader", return_url="https://firm.example")).startswith("https://")
    await adapter.aclose()


async def test_statements(stripe: StripeServer) -> None:
    given = {"key": KEY, "url": stripe.url, "since": "2026-01-01"}
    source = statements.PLUGIN.build("stripe", statements.PLUGIN.settings.model_validate(given))
    assert await source.entries(None)
    assert await source.entries("txn_1:fee", limit=5)
    assert await source.balances()
    await source.aclose()
    assert [call.given.get("ending_before") for call in stripe.of("GET /v1/balance_transactions")] == [None, "txn_1"]


async def test_identity(stripe: StripeServer) -> None:
    stripe.answers = {
        "POST /v1/identity/verification_sessions": make.verification(),
        "GET /v1/identity/verification_sessions/*": make.verification(),
        "GET /v1/identity/verification_sessions": page(make.verification()),
    }
    checker = identity.PLUGIN.build("stripe", identity.PLUGIN.settings.model_validate(settings(stripe)))
    started = await checker.start(key="kyc-t1", reference="t1", return_url="https://firm.example")
    assert started == await checker.fetch("vs_1") == await checker.find("kyc-t1")
    assert await checker.events(None) is not None
    await checker.aclose()
