"""What Stripe's checkouts, refunds and disputes mean here."""

from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

from adapters.stripe.acquirer import StripeAcquirer
from adapters.stripe.client import EventSettings
from domain.errors import Conflict, IdempotencyMismatch, NotFound, OutcomeUnknown, RefusedForGood
from ports.acquirer import CheckoutOrder, Evidence
from tests import stripe_objects as make
from tests.stripe_server import KEY, SECRET, Answer, StripeServer, error, page, serving

EVIDENCE = Evidence(product_description="a", service_date="b", access_activity_log="c", uncategorized_text="d")


@pytest.fixture
def server() -> Iterator[StripeServer]:
    with serving() as running:
        yield running


@pytest.fixture
async def acquirer(server: StripeServer) -> AsyncIterator[StripeAcquirer]:
    settings = {"key": KEY, "url": server.url, "webhook_secrets": SECRET}
    adapter = StripeAcquirer("stripe", EventSettings.model_validate(settings))
    yield adapter
    await adapter.aclose()


def unpaid(payment: str) -> dict[str, Any]:
    """A completed checkout with an asynchronous payment in this state."""
    return make.session(payment_status="unpaid", payment_intent=make.intent(status=payment))


@pytest.mark.parametrize(
    ("session", "status"),
    [
        (make.open_session(), "open"),
        (make.session(), "paid"),
        (make.session(payment_status="no_payment_required", payment_intent=None), "paid"),
        (make.session(payment_status="unpaid", payment_intent=make.intent(status="processing")), "processing"),
        (
            make.session(payment_status="unpaid", payment_intent=make.intent(status="requires_payment_method")),
            "expired",
        ),
        (make.session(payment_status="unpaid", payment_intent=make.intent(status="canceled")), "expired"),
        (make.open_session(status="expired"), "expired"),
    ],
)
async def test_the_status_of_a_checkout(
    server: StripeServer, acquirer: StripeAcquirer, session: dict[str, Any], status: str
) -> None:
    server.answers = {"GET /v1/checkout/sessions/*": session}
    assert (await acquirer.fetch_checkout("cs_test_1")).status == status


async def test_a_paid_checkout_says_what_was_paid_and_what_went_back(
    server: StripeServer, acquirer: StripeAcquirer
) -> None:
    charge = make.charge(amount_refunded=4000, disputed=True)
    payment = make.intent(amount_received=9800, latest_charge=charge)
    server.answers = {
        "GET /v1/checkout/sessions/*": make.session(payment_intent=payment),
        "GET /v1/disputes": page(make.dispute(id="dp_2"), make.dispute(id="dp_1")),
    }
    checkout = await acquirer.fetch_checkout("cs_test_1")
    assert (checkout.amount_minor, checkout.refunded_minor, checkout.currency) == (9800, 4000, "USD")
    assert (checkout.reference, checkout.key, checkout.chargebacks) == ("ch1", "pay-ch1", ("dp_1", "dp_2"))


async def test_a_checkout_in_a_currency_without_digits(server: StripeServer, acquirer: StripeAcquirer) -> None:
    server.answers = {
        "POST /v1/checkout/sessions": make.open_session(amount_total=1_500_000, currency="isk"),
    }
    order = CheckoutOrder(reference="ch1", amount_minor=15000, currency="ISK", description="x", return_url="https://f")
    assert (await acquirer.create_checkout(order, key="pay-ch1")).amount_minor == 15000
    assert server.calls[0].given["line_items[0][price_data][unit_amount]"] == "1500000"


async def test_a_payment_that_was_not_made_here_is_not_found(server: StripeServer, acquirer: StripeAcquirer) -> None:
    server.answers = {
        "GET /v1/checkout/sessions/*": make.session(metadata={}),
        "GET /v1/disputes/*": make.dispute(payment_intent=make.intent(metadata={})),
    }
    for call in (acquirer.fetch_checkout("cs_test_1"), acquirer.fetch_chargeback("dp_1")):
        with pytest.raises(NotFound):
            await call
    for odd in ("", "cs_", "cus_1", "ch_1/../x", "pi"):
        with pytest.raises(NotFound):
            await acquirer.fetch_checkout(odd)


async def test_a_payment_of_any_age_is_found_by_its_key(server: StripeServer, acquirer: StripeAcquirer) -> None:
    server.answers = {
        "GET /v1/charges": page(make.charge()),
        "GET /v1/checkout/sessions": page(make.session()),
    }
    found = await acquirer.find_checkout("pay-ch1")
    assert found is not None
    assert found.status == "paid"
    assert server.of("GET /v1/charges")[0].given["transfer_group"] == "pay-ch1"


async def test_an_unpaid_checkout_of_the_last_day_is_found_by_its_key(
    server: StripeServer, acquirer: StripeAcquirer
) -> None:
    now, others = 1_790_000_000, {"propos_key": "pay-other", "propos_reference": "ch2"}
    rows = [make.open_session(id=f"cs_{n}", created=now - n * 3600, metadata=others) for n in range(60)]
    server.answers = {
        "GET /v1/charges": page(),
        "GET /v1/checkout/sessions": page(*rows, has_more=True, url="/v1/checkout/sessions"),
    }
    assert await acquirer.find_checkout("pay-ch1") is None
    assert len(server.calls) == 2  # it stops at a session that cannot be open any more
    rows[20] = make.open_session(created=now - 20 * 3600)
    server.answers["GET /v1/checkout/sessions/*"] = make.open_session()
    server.answers["GET /v1/checkout/sessions"] = page(*rows, has_more=True, url="/v1/checkout/sessions")
    found = await acquirer.find_checkout("pay-ch1")
    assert found is not None
    assert found.url.startswith("https://checkout.stripe.com/")


async def test_the_buyer_was_faster_than_the_expiry(server: StripeServer, acquirer: StripeAcquirer) -> None:
    server.answers = {
        "GET /v1/checkout/sessions/*": [make.open_session(), make.session()],
        "POST /v1/checkout/sessions/*/expire": error(400, code="checkout_session_not_open"),
    }
    assert (await acquirer.expire_checkout("cs_test_1", key="expire-ch1")).status == "paid"
    assert (await acquirer.expire_checkout("cs_test_1", key="expire-ch1")).status == "paid"
    assert len(server.of("POST *")) == 1


async def test_a_refund_whose_key_stripe_has_forgotten_is_not_made_twice(
    server: StripeServer, acquirer: StripeAcquirer
) -> None:
    server.answers = {"GET /v1/checkout/sessions/*": make.session(), "GET /v1/refunds": page(make.refund())}
    assert (await acquirer.refund("cs_test_1", key="refund-ch1", amount_minor=4000)).refund_id == "re_1"
    assert (await acquirer.refund("cs_test_1", key="refund-ch1")).refund_id == "re_1"
    with pytest.raises(IdempotencyMismatch):
        await acquirer.refund("cs_test_1", key="refund-ch1", amount_minor=5000)
    assert server.of("POST *") == []


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (error(400, param="amount"), Conflict),
        (error(400, code="charge_already_refunded"), Conflict),
        (error(400, param="amount", headers={"idempotent-replayed": "true"}), RefusedForGood),
        (error(500, type="api_error"), OutcomeUnknown),
    ],
)
async def test_a_refund_that_is_refused(
    server: StripeServer, acquirer: StripeAcquirer, answer: Answer, expected: type[Exception]
) -> None:
    server.answers = {
        "GET /v1/checkout/sessions/*": make.session(),
        "GET /v1/refunds": page(),
        "POST /v1/refunds": answer,
    }
    with pytest.raises(expected) as raised:
        await acquirer.refund("cs_test_1", key="refund-ch1", amount_minor=990000)
    assert type(raised.value) is expected


async def test_an_unpaid_checkout_cannot_be_refunded(server: StripeServer, acquirer: StripeAcquirer) -> None:
    server.answers = {"GET /v1/checkout/sessions/*": make.open_session()}
    with pytest.raises(Conflict):
        await acquirer.refund("cs_test_1", key="refund-ch1")
    assert await acquirer.refunds("cs_test_1") == []


async def test_refunds_are_told_oldest_first_page_after_page(server: StripeServer, acquirer: StripeAcquirer) -> None:
    server.answers = {
        "GET /v1/checkout/sessions/*": make.session(),
        "GET /v1/refunds": [
            page(make.refund(id="re_3", metadata={}, status="pending"), has_more=True, url="/v1/refunds"),
            page(make.refund(id="re_2", status="failed", failure_reason="lost_or_stolen_card"), make.refund()),
        ],
    }
    refunds = await acquirer.refunds("cs_test_1")
    assert [(each.refund_id, each.status, each.key, each.failure) for each in refunds] == [
        ("re_1", "succeeded", "refund-ch1", None),
        ("re_2", "failed", "refund-ch1", "lost_or_stolen_card"),
        ("re_3", "pending", "", None),
    ]
    assert [call.given.get("starting_after") for call in server.of("GET /v1/refunds")] == [None, "re_3"]


@pytest.mark.parametrize(
    ("fields", "status", "withdrawn", "fee"),
    [
        ({"status": "warning_needs_response", "balance_transactions": []}, "inquiry", False, 0),
        ({"status": "warning_under_review", "balance_transactions": []}, "under_review", False, 0),
        ({"status": "warning_closed", "balance_transactions": []}, "won", False, 0),
        ({}, "evidence_due", True, 1500),
        ({"evidence_details": {"past_due": True}}, "under_review", True, 1500),
        ({"evidence_details": {"submission_count": 1}}, "under_review", True, 1500),
        ({"status": "under_review"}, "under_review", True, 1500),
        ({"status": "lost"}, "lost", True, 1500),
        (
            {"status": "won", "balance_transactions": [make.movement(-9900, 1500), make.movement(9900, 0)]},
            "won",
            False,
            1500,
        ),
        ({"status": "prevented", "balance_transactions": []}, "won", False, 0),
        ({"status": "lost", "balance_transactions": [make.movement(-9100, 1400, "eur")]}, "lost", True, 0),
    ],
)
async def test_the_status_of_a_chargeback(
    server: StripeServer, acquirer: StripeAcquirer, fields: dict[str, Any], status: str, withdrawn: bool, fee: int
) -> None:
    server.answers = {
        "GET /v1/disputes/*": make.dispute(**fields),
        "GET /v1/checkout/sessions": page(make.session()),
    }
    found = await acquirer.fetch_chargeback("dp_1")
    assert (found.status, found.withdrawn, found.fee_minor) == (status, withdrawn, fee)
    assert (found.checkout_id, found.reference, found.amount_minor) == ("cs_test_1", "ch1", 9900)


async def test_evidence_is_sent_once(server: StripeServer, acquirer: StripeAcquirer) -> None:
    server.answers = {
        "GET /v1/disputes/*": [make.dispute(), make.dispute(status="under_review")],
        "GET /v1/checkout/sessions": page(make.session()),
        "POST /v1/disputes/*": make.dispute(status="under_review"),
    }
    for _ in range(2):
        assert (await acquirer.submit_evidence("dp_1", EVIDENCE, key="evidence-dp1")).status == "under_review"
    [sent] = server.of("POST *")
    assert (sent.given["submit"], sent.given["evidence[service_date]"]) == ("true", "b")


async def test_a_decided_chargeback_is_not_given_up(server: StripeServer, acquirer: StripeAcquirer) -> None:
    server.answers = {
        "GET /v1/disputes/*": make.dispute(status="won"),
        "GET /v1/checkout/sessions": page(make.session()),
    }
    assert (await acquirer.accept_chargeback("dp_1", key="accept-dp1")).status == "won"
    assert server.of("POST *") == []
