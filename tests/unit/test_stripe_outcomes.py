"""Each answer of Stripe is one of the five outcomes, and no message of Stripe's is repeated."""

import socket
import traceback
from collections.abc import AsyncIterator, Iterator
from importlib.metadata import entry_points

import pytest

from adapters.stripe.acquirer import StripeAcquirer
from adapters.stripe.client import EventSettings
from domain.errors import (
    BadInput,
    Conflict,
    IdempotencyMismatch,
    InProgress,
    NotFound,
    OutcomeUnknown,
    PropOSError,
    RefusedForGood,
    Unavailable,
)
from ports.acquirer import CheckoutOrder
from tests import stripe_objects as make
from tests.stripe_server import KEY, SECRET, Answer, StripeServer, error, page, serving

ORDER = CheckoutOrder(
    reference="ch1", amount_minor=9900, currency="USD", description="50K", return_url="https://firm.example"
)
REPLAYED = {"idempotent-replayed": "true"}


@pytest.fixture
def server() -> Iterator[StripeServer]:
    with serving() as running:
        yield running


@pytest.fixture
async def acquirer(server: StripeServer) -> AsyncIterator[StripeAcquirer]:
    adapter = StripeAcquirer("stripe", EventSettings.model_validate(settings(server.url)))
    yield adapter
    await adapter.aclose()


def settings(url: str) -> dict[str, str]:
    return {"key": KEY, "url": url, "webhook_secrets": SECRET}


async def _created(acquirer: StripeAcquirer) -> PropOSError:
    with pytest.raises(PropOSError) as raised:
        await acquirer.create_checkout(ORDER, key="pay-ch1")
    assert "jane" not in "".join(traceback.format_exception(raised.value)) + str(raised.value.remedy)
    return raised.value


async def _fetched(acquirer: StripeAcquirer) -> PropOSError:
    with pytest.raises(PropOSError) as raised:
        await acquirer.fetch_checkout("cs_test_1")
    assert "jane" not in "".join(traceback.format_exception(raised.value)) + str(raised.value.remedy)
    return raised.value


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (error(400, code="parameter_invalid_integer", param="amount"), BadInput),
        (error(404, code="resource_missing"), NotFound),
        (error(402, type="card_error", code="card_declined", decline_code="insufficient_funds"), Conflict),
        (error(400, code="balance_insufficient"), Conflict),
        (error(402, type="card_error", code="card_declined", headers=REPLAYED), RefusedForGood),
        (error(400, code="balance_insufficient", headers={**REPLAYED, "idempotency-key": "pay-ch1"}), RefusedForGood),
        (error(400, code="balance_insufficient", headers={**REPLAYED, "idempotency-key": "pay-other"}), Conflict),
        (error(400, type="idempotency_error"), IdempotencyMismatch),
        (error(409, type="idempotency_error", code="idempotency_key_in_use"), InProgress),
        (error(429, code="lock_timeout"), Unavailable),
        (error(401), Unavailable),
        (error(403), Unavailable),
        (error(500, type="api_error"), OutcomeUnknown),
        (error(503, type="api_error"), OutcomeUnknown),
        (error(500, type="api_error", headers=REPLAYED), OutcomeUnknown),
        (Answer(b"<html>bad gateway</html>", 502), OutcomeUnknown),
        (Answer(b"not JSON"), OutcomeUnknown),
        (Answer([]), OutcomeUnknown),
        (Answer({"id": "cs_test_1"}), OutcomeUnknown),
        (Answer(make.open_session(amount_total=99.0)), OutcomeUnknown),
        (Answer({"error": ["odd"]}, 400), OutcomeUnknown),
        (Answer(None, cut=True), OutcomeUnknown),
    ],
)
async def test_a_call_that_changes_something(
    server: StripeServer, acquirer: StripeAcquirer, answer: Answer, expected: type[PropOSError]
) -> None:
    server.answers = {"POST /v1/checkout/sessions": answer}
    assert type(await _created(acquirer)) is expected
    assert len(server.calls) == 1  # the SDK repeats nothing


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (error(404, code="resource_missing"), NotFound),
        (error(429), Unavailable),
        (error(500, type="api_error"), Unavailable),
        (Answer(b"not JSON"), Unavailable),
        (Answer({"id": "cs_test_1"}), Unavailable),
        (Answer(make.session(status="dreaming")), Unavailable),
        (Answer(None, cut=True), Unavailable),
    ],
)
async def test_a_call_that_changes_nothing(
    server: StripeServer, acquirer: StripeAcquirer, answer: Answer, expected: type[PropOSError]
) -> None:
    server.answers = {"GET /v1/checkout/sessions/*": answer}
    assert type(await _fetched(acquirer)) is expected


async def test_a_call_that_was_never_sent_had_no_effect() -> None:
    with socket.create_server(("127.0.0.1", 0)) as closing:
        url = f"http://127.0.0.1:{closing.getsockname()[1]}"
    adapter = StripeAcquirer("stripe", EventSettings.model_validate(settings(url)))
    assert type(await _created(adapter)) is Unavailable
    assert type(await _fetched(adapter)) is Unavailable
    await adapter.aclose()


async def test_a_refusal_names_codes_and_the_request(server: StripeServer, acquirer: StripeAcquirer) -> None:
    server.answers = {
        "POST /v1/checkout/sessions": error(402, type="card_error", code="card_declined", decline_code="lost_card")
    }
    assert "(card_declined, lost_card, req_1)" in str(await _created(acquirer))


@pytest.mark.parametrize("body", [{"object": "balance"}, [1], {"object": "list", "data": [3]}, {"object": "list"}])
async def test_an_answer_that_is_no_list_is_unavailable(
    server: StripeServer, acquirer: StripeAcquirer, body: object
) -> None:
    server.answers = {"GET /v1/checkout/sessions/*": make.session(), "GET /v1/refunds": Answer(body)}
    with pytest.raises(Unavailable):
        await acquirer.refunds("cs_test_1")


async def test_a_list_that_does_not_end_is_unavailable(server: StripeServer, acquirer: StripeAcquirer) -> None:
    again = page(make.refund(id="re_2"), make.refund(), has_more=True, url="/v1/refunds")
    server.answers = {"GET /v1/checkout/sessions/*": make.session(), "GET /v1/refunds": again}
    with pytest.raises(Unavailable):
        await acquirer.refunds("cs_test_1")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"key": "pk_test_123456"}, "secret or restricted key"),
        ({"key": "sk_live_123456", "url": "http://stripe.example"}, "https only"),
        ({"webhook_secrets": "whsec_one0123456789,"}, "separated by commas"),
        ({"account": "firm"}, "account"),
        ({"keys": "x"}, "keys"),
    ],
)
def test_wrong_settings_are_refused_without_showing_a_secret(change: dict[str, str], said: str) -> None:
    with pytest.raises(ValueError, match=said) as raised:
        EventSettings.model_validate(settings("https://stripe.example") | change)
    assert KEY not in str(raised.value)
    assert SECRET not in str(raised.value)


@pytest.mark.parametrize(
    ("group", "fields"),
    [
        ("propos.acquirers", {"webhook_secrets": SECRET}),
        ("propos.payment_rails", {"webhook_secrets": SECRET, "service_agreement": "recipient"}),
        ("propos.statement_sources", {"since": "2026-11-01"}),
        ("propos.identity_checkers", {"webhook_secrets": SECRET, "account": "acct_firm"}),
    ],
)
async def test_each_adapter_is_found_by_its_entry_point(group: str, fields: dict[str, str]) -> None:
    [found] = entry_points(group=group, name="stripe")
    plugin = found.load()
    adapter = plugin.build("cards", plugin.settings.model_validate({"key": KEY, "timeout": "5"} | fields))
    assert adapter.name == "cards"
    await adapter.aclose()


async def test_a_key_of_the_other_mode_is_not_healthy(server: StripeServer, acquirer: StripeAcquirer) -> None:
    server.answers = {"GET /v1/balance": {"object": "balance", "livemode": True, "available": [], "pending": []}}
    with pytest.raises(Unavailable, match="another mode"):
        await acquirer.healthy()
    server.answers = {"GET /v1/balance": {"object": "balance", "livemode": False, "available": [], "pending": []}}
    assert await acquirer.healthy() == "test mode, no real money"
