"""Webhooks and the list of events: genuine, of our mode and our accounts, or set aside with the reason."""

import json
import time
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import stripe

from adapters.stripe.acquirer import StripeAcquirer
from adapters.stripe.client import EventSettings
from adapters.stripe.identity import StripeIdentity
from adapters.stripe.rail import RailSettings, StripeRail
from domain.errors import BadInput, BadSignature, CursorForgotten, Unavailable
from ports.money import WebhookEvent
from tests import stripe_objects as make
from tests.stripe_server import KEY, SECRET, StripeServer, error, page, serving

OTHER_SECRET = "whsec_two0123456789"


@pytest.fixture
def server() -> Iterator[StripeServer]:
    with serving() as running:
        yield running


def settings(url: str = "http://stripe.example", **fields: str) -> dict[str, str]:
    return {"key": KEY, "url": url, "webhook_secrets": f"{SECRET}, {OTHER_SECRET}", **fields}


@pytest.fixture
async def acquirer(server: StripeServer) -> AsyncIterator[StripeAcquirer]:
    adapter = StripeAcquirer("stripe", EventSettings.model_validate(settings(server.url, account="acct_firm")))
    yield adapter
    await adapter.aclose()


def now() -> datetime:
    return datetime.now(UTC)


def signed(body: bytes, secret: str = SECRET, at: float | None = None) -> dict[str, str]:
    moment = int(time.time() if at is None else at)
    header = stripe.WebhookSignature.generate_signature_header(body.decode(), secret, moment)
    return {"Stripe-Signature": header}


def parsed(adapter: StripeAcquirer | StripeRail | StripeIdentity, event: dict[str, Any]) -> WebhookEvent | None:
    body = json.dumps(event).encode()
    return adapter.parse_webhook(body, signed(body), now())


def taken(adapter: StripeAcquirer, event: dict[str, Any]) -> WebhookEvent:
    found = parsed(adapter, event)
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("type", "found", "kind", "object_id"),
    [
        ("checkout.session.completed", make.session(), "checkout.paid", "cs_test_1"),
        ("checkout.session.async_payment_succeeded", make.session(), "checkout.paid", "cs_test_1"),
        ("checkout.session.async_payment_failed", make.session(), "checkout.expired", "cs_test_1"),
        ("checkout.session.expired", make.session(), "checkout.expired", "cs_test_1"),
        ("charge.refunded", make.charge(), "charge.refunded", "pi_1"),
        ("refund.failed", make.refund(), "charge.refunded", "pi_1"),
        ("refund.updated", make.refund(payment_intent=None), "charge.refunded", "ch_1"),
        ("charge.dispute.created", make.dispute(), "charge.disputed", "dp_1"),
        ("charge.dispute.closed", make.dispute(), "chargeback.changed", "dp_1"),
        ("charge.dispute.funds_reinstated", make.dispute(), "chargeback.changed", "dp_1"),
        ("transfer.reversed", make.transfer(), "transfer.changed", "tr_1"),
        ("identity.verification_session.verified", make.verification(), "identity.changed", "vs_1"),
        (
            "radar.early_fraud_warning.created",
            {"id": "issfr_1", "charge": "ch_1", "payment_intent": "pi_1"},
            "radar.early_fraud_warning.created",
            "pi_1",
        ),
        ("some.newer.event", {"id": "new_1"}, "some.newer.event", "new_1"),
    ],
)
def test_a_snapshot_event_names_its_object(
    acquirer: StripeAcquirer, type: str, found: dict[str, Any], kind: str, object_id: str
) -> None:
    event = taken(acquirer, make.event(type, found))
    assert (event.event_id, event.kind, event.object_id, event.problem) == ("evt_1", kind, object_id, None)
    assert event.created_at == datetime.fromtimestamp(1_790_000_000, UTC)


@pytest.mark.parametrize(
    ("type", "found", "kind", "object_id"),
    [
        ("payout.paid", make.payout(), "transfer.paid", "tr_1"),
        ("payout.failed", make.payout(), "transfer.changed", "tr_1"),
        ("account.updated", make.account(), "payee.changed", "acct_trader"),
        ("capability.updated", {"id": "transfers", "object": "capability"}, "payee.changed", "acct_trader"),
        ("account.application.deauthorized", {"id": "ca_1", "object": "application"}, "payee.changed", "acct_trader"),
    ],
)
def test_an_event_of_a_payees_account(
    acquirer: StripeAcquirer, type: str, found: dict[str, Any], kind: str, object_id: str
) -> None:
    event = taken(acquirer, make.event(type, found, account="acct_trader"))
    assert (event.kind, event.object_id, event.problem) == (kind, object_id, None)
    for own in ({}, {"account": "acct_firm"}):  # the firm's own payouts are on its statement
        if type.startswith("payout"):
            assert parsed(acquirer, make.event(type, found, **own)) is None


@pytest.mark.parametrize(
    ("type", "found", "problem"),
    [
        ("checkout.session.completed", make.session(), "not our account"),
        ("transfer.reversed", make.transfer(), "not our account"),
        ("payout.paid", make.payout(metadata={}), "not made here"),
        ("account.updated", make.account(metadata={}), "not one of our payees"),
        ("account.updated", make.account(id="acct_other"), "not one of our payees"),
    ],
)
def test_an_event_of_an_account_that_is_not_ours_is_set_aside(
    acquirer: StripeAcquirer, type: str, found: dict[str, Any], problem: str
) -> None:
    assert problem in str(taken(acquirer, make.event(type, found, account="acct_stranger")).problem) or (
        problem in str(taken(acquirer, make.event(type, found, account="acct_trader")).problem)
    )


def test_an_event_of_the_firms_own_account_may_name_it(acquirer: StripeAcquirer) -> None:
    assert taken(acquirer, make.event("charge.refunded", make.charge(), account="acct_firm")).problem is None


@pytest.mark.parametrize("livemode", [True, None, "false", 0])
def test_an_event_of_the_other_mode_is_set_aside(acquirer: StripeAcquirer, livemode: object) -> None:
    event = taken(acquirer, make.event("checkout.session.completed", make.session(), livemode=livemode))
    assert event.kind == "checkout.paid"
    assert "livemode" in str(event.problem)
    thin = taken(acquirer, make.thin_event("v2.core.account[requirements].updated", "acct_trader", livemode=livemode))
    assert "livemode" in str(thin.problem)


def test_a_live_key_takes_live_events_only() -> None:
    live = settings("https://stripe.example", key="sk_live_123456")
    adapter = StripeAcquirer("stripe", EventSettings.model_validate(live))
    assert "livemode" in str(taken(adapter, make.event("charge.refunded", make.charge())).problem)
    assert taken(adapter, make.event("charge.refunded", make.charge(), livemode=True)).problem is None


@pytest.mark.parametrize(
    ("type", "kind"),
    [
        ("v2.core.account[requirements].updated", "payee.changed"),
        ("v2.core.account[configuration.recipient].capability_status_updated", "payee.changed"),
        ("v2.money_management.outbound_payment.returned", "v2.money_management.outbound_payment.ret"),
    ],
)
def test_a_thin_event_names_its_object(acquirer: StripeAcquirer, type: str, kind: str) -> None:
    event = taken(acquirer, make.thin_event(type, "acct_trader"))
    assert (event.event_id, event.kind, event.object_id, event.problem) == ("evt_2", kind, "acct_trader", None)
    assert event.created_at == datetime(2026, 11, 2, 10, tzinfo=UTC)
    stranger = taken(acquirer, make.thin_event(type, "acct_trader", context="acct_stranger"))
    assert "not our account" in str(stranger.problem)


def test_each_connection_takes_its_own_events(acquirer: StripeAcquirer) -> None:
    rail = StripeRail("stripe", RailSettings.model_validate(settings()))
    identity = StripeIdentity("stripe", EventSettings.model_validate(settings()))
    paid, back = (
        make.event("checkout.session.completed", make.session()),
        make.event("transfer.reversed", make.transfer()),
    )
    payee = make.thin_event("v2.core.account[requirements].updated", "acct_trader")
    verified = make.event("identity.verification_session.verified", make.verification())
    silent = make.event("payment_intent.payment_failed", make.intent())
    events = (paid, back, payee, verified, silent)
    assert [parsed(acquirer, event) is not None for event in events] == [True, True, True, True, False]
    assert [parsed(rail, event) is not None for event in events] == [False, True, True, False, False]
    assert [parsed(identity, event) is not None for event in events] == [False, False, False, True, False]


@pytest.mark.parametrize(
    ("event", "problem"),
    [
        (make.event("charge.refunded", {}), "object_id"),
        (make.event("charge.refunded", {"id": ["x"]}), "object_id"),
        (make.event("charge.refunded", {"id": "a b"}), "object_id"),
        (make.event("charge.refunded", make.charge(), data="x"), "object_id"),
        (make.event("charge.refunded", make.charge()) | {"type": 7}, "kind"),
        (make.event("charge.refunded", make.charge()) | {"type": ["x"]}, "kind"),
        (make.event("payout.paid", make.payout(metadata=["x"]), account="acct_1"), "object_id"),
        (make.event("charge.refunded", make.charge(), account={"id": "x"}), "account"),
        (make.event("charge.refunded", make.charge(), object="invoice"), "object"),
        (make.thin_event("v2.core.account.updated", "acct_1", related_object=None), "object_id"),
    ],
)
def test_an_odd_event_is_set_aside_with_what_is_wrong(
    acquirer: StripeAcquirer, event: dict[str, Any], problem: str
) -> None:
    found = taken(acquirer, event)
    assert found.event_id == event["id"]
    assert problem in str(found.problem)
    assert "jane" not in str(found.problem)


@pytest.mark.parametrize("body", [b"[]", b"{}", b"7", b"{", b'{"id": 7}', b'{"id": ""}', b"[" * 100_000])
def test_a_body_without_an_event_id_is_bad_input(acquirer: StripeAcquirer, body: bytes) -> None:
    with pytest.raises(BadInput):
        acquirer.parse_webhook(body, signed(body), now())


def test_each_active_secret_opens(acquirer: StripeAcquirer) -> None:
    body = json.dumps(make.event("charge.refunded", make.charge())).encode()
    for secret in (SECRET, OTHER_SECRET):
        assert acquirer.parse_webhook(body, signed(body, secret), now()) is not None
    with pytest.raises(BadSignature):
        acquirer.parse_webhook(body, signed(body, "whsec_of_another_endpoint"), now())


def test_the_secret_that_replaces_another_signs_beside_it(acquirer: StripeAcquirer) -> None:
    body = json.dumps(make.event("charge.refunded", make.charge())).encode()
    old, new = signed(body, "whsec_expiring_now")["Stripe-Signature"], signed(body)["Stripe-Signature"]
    both = {"stripe-signature": f"{old},{new.partition(',')[2]}"}
    assert acquirer.parse_webhook(body, both, now()) is not None


def test_a_second_signature_header_is_refused(acquirer: StripeAcquirer) -> None:
    body = json.dumps(make.event("charge.refunded", make.charge())).encode()
    signature = signed(body)["Stripe-Signature"]
    with pytest.raises(BadSignature):
        acquirer.parse_webhook(body, {"Stripe-Signature": signature, "stripe-signature": signature}, now())


def test_every_changed_byte_is_noticed(acquirer: StripeAcquirer) -> None:
    body = json.dumps({"id": "evt_1", "object": "event"}).encode()
    headers = signed(body)
    for place in range(len(body)):
        for change in (1, 0x80):
            forged = body[:place] + bytes([body[place] ^ change]) + body[place + 1 :]
            with pytest.raises(BadSignature):
                acquirer.parse_webhook(forged, headers, now())


@pytest.mark.parametrize(
    "header", ["", "t=1", "v1=abc", "t=x,v1=abc", "t,v1", "t=1,v1=é", "t=1=2,v1=abc", f"t={'9' * 5000},v1=abc"]
)
def test_a_malformed_signature_is_refused(acquirer: StripeAcquirer, header: str) -> None:
    for headers in ({"stripe-signature": header}, {}, {"stripe-signature": header, "Stripe-Signature": header}):
        with pytest.raises(BadSignature):
            acquirer.parse_webhook(b"{}", headers, now())


@pytest.mark.parametrize("seconds", [-301, 301, -86400])
def test_an_old_signature_is_refused(acquirer: StripeAcquirer, seconds: int) -> None:
    body = json.dumps(make.event("charge.refunded", make.charge())).encode()
    headers = signed(body, at=now().timestamp() + seconds)
    with pytest.raises(BadSignature):
        acquirer.parse_webhook(body, headers, now())
    assert acquirer.parse_webhook(body, headers, now() + timedelta(seconds=seconds)) is not None


async def test_the_sweep_reads_all_events_oldest_first(server: StripeServer, acquirer: StripeAcquirer) -> None:
    def rows(*numbers: int, has_more: bool = False) -> dict[str, Any]:
        events = [make.event("charge.refunded", make.charge(), id=f"evt_{number}") for number in numbers]
        return page(*events, has_more=has_more, url="/v1/events")

    server.answers = {"GET /v1/events": [rows(5, 4, has_more=True), rows(3, 2)]}
    assert [event.event_id for event in await acquirer.events(None)] == ["evt_2", "evt_3", "evt_4", "evt_5"]
    server.answers = {"GET /v1/events": [rows(4, 3, has_more=True), rows(6, 5)]}
    assert [event.event_id for event in await acquirer.events("evt_2")] == ["evt_3", "evt_4", "evt_5", "evt_6"]
    asked = [call.given.get("ending_before") for call in server.of("GET /v1/events")]
    assert asked == [None, None, "evt_2", "evt_4"]
    types = [value for name, value in server.calls[-1].given.items() if name.startswith("types")]
    assert "checkout.session.completed" in types
    assert len(types) <= 20


async def test_the_sweep_knows_what_stripe_forgot(server: StripeServer, acquirer: StripeAcquirer) -> None:
    for answer in (error(400, code="resource_missing", param="ending_before"), error(404, code="resource_missing")):
        server.answers = {"GET /v1/events": answer}
        with pytest.raises(CursorForgotten):
            await acquirer.events("evt_old")
    server.answers = {"GET /v1/events": {"object": "event"}}
    with pytest.raises(Unavailable):
        await acquirer.events("evt_old")


async def test_an_odd_row_of_the_sweep_stops_nothing(server: StripeServer, acquirer: StripeAcquirer) -> None:
    good = make.event("charge.refunded", make.charge())
    server.answers = {"GET /v1/events": page(good, 7, {"object": "event"}, {"id": "evt_0", "object": "x"})}
    events = await acquirer.events(None)
    assert [event.problem is None for event in events] == [False, False, False, True]
    assert events[2].event_id.startswith("odd_")
    assert (await acquirer.events(None))[2].event_id == events[2].event_id
