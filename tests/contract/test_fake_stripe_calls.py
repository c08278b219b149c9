"""Idempotency, faults, webhooks and kill -9 of the fake Stripe, driven by Stripe's own SDK."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any, cast

import pytest
import stripe

from tests.contract.fake_stripe import Receiver, Shop, code_of, open_shop, until

pytestmark = pytest.mark.filterwarnings("ignore:Use 'content=:DeprecationWarning")  # inside the SDK
REFUND: Any = {"amount": 1_000}
SECRETS = {"account": "whsec_of_the_firm", "connect": "whsec_of_the_payees", "thin": "whsec_of_thin_events"}


@pytest.fixture(scope="module")
def receivers() -> Iterator[dict[str, Receiver]]:
    made = {kind: Receiver() for kind in SECRETS}
    yield made
    for receiver in made.values():
        receiver.close()


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory, receivers: dict[str, Receiver]) -> Iterator[Shop]:
    endpoints = [
        {"name": kind, "url": receivers[kind].url, "secret": secret, "kind": kind} for kind, secret in SECRETS.items()
    ]
    with open_shop(tmp_path_factory.mktemp("calls"), stripe_endpoints=endpoints) as opened:
        yield opened


@pytest.fixture(autouse=True)
async def _anew(shop: Shop, receivers: dict[str, Receiver]) -> AsyncIterator[None]:
    """Each test begins without faults and webhooks, and with a client of its own."""
    shop.faults()
    for receiver in receivers.values():
        receiver.answer = 200
        receiver.got.clear()
    yield
    await shop.aclose()


async def _charge_id(shop: Shop, reference: str) -> str:
    session = await shop.paid(reference)
    assert isinstance(session.payment_intent, stripe.PaymentIntent)
    assert isinstance(session.payment_intent.latest_charge, stripe.Charge)
    return session.payment_intent.latest_charge.id


async def _refund(shop: Shop, charge: str, key: str, amount: int = 1_000) -> stripe.Refund:
    values: Any = {"charge": charge, "amount": amount}
    return await shop.client().v1.refunds.create_async(values, {"idempotency_key": key})


async def _refunded(shop: Shop, charge: str) -> int:
    return (await shop.client().v1.charges.retrieve_async(charge)).amount_refunded


def _is_repeated(error: stripe.StripeError) -> bool:
    return error.headers is not None and error.headers.get("idempotent-replayed") == "true"


# idempotency


async def test_a_key_repeats_its_first_answer_and_refuses_another_input(shop: Shop) -> None:
    charge = await _charge_id(shop, "key_1")
    first = await _refund(shop, charge, "k1")
    again = await _refund(shop, charge, "k1")
    assert first.last_response and again.last_response and again.id == first.id
    assert "idempotent-replayed" not in first.last_response.headers
    assert again.last_response.headers["idempotent-replayed"] == "true"
    with pytest.raises(stripe.IdempotencyError) as refused:
        await _refund(shop, charge, "k1", 2_000)
    assert refused.value.http_status == 400
    assert await _refunded(shop, charge) == 1_000


async def test_a_refusal_is_repeated_too_but_not_one_of_the_parameters(shop: Shop) -> None:
    charge = await _charge_id(shop, "key_2")
    for _ in range(2):
        with pytest.raises(stripe.InvalidRequestError) as refused:
            await _refund(shop, charge, "k2", 99_999)
    assert _is_repeated(refused.value)
    for _ in range(2):
        with pytest.raises(stripe.InvalidRequestError) as unknown:
            await _refund(shop, "ch_none", "k3")
    assert not _is_repeated(unknown.value)


async def test_keys_of_different_accounts_are_different_keys(shop: Shop) -> None:
    payees = [await shop.payee(), await shop.payee()]
    made = set()
    for payee in payees:
        v1 = shop.client().v1
        await v1.transfers.create_async({"amount": 500, "currency": "usd", "destination": payee})
        made.add((
            await v1.payouts.create_async(
                {"amount": 500, "currency": "usd"}, {"stripe_account": payee, "idempotency_key": "same"}
            )
        ).id)  # fmt: skip
    assert len(made) == 2


async def test_a_key_is_forgotten_after_a_day_or_early(shop: Shop) -> None:
    charge = await _charge_id(shop, "key_4")
    await _refund(shop, charge, "k4")
    shop.later(hours=23)
    await _refund(shop, charge, "k4")
    assert await _refunded(shop, charge) == 1_000
    shop.later(hours=2)
    await _refund(shop, charge, "k4")
    assert await _refunded(shop, charge) == 2_000
    shop.faults(forget_keys=True)
    await _refund(shop, charge, "k4")
    await _refund(shop, charge, "k4")
    assert await _refunded(shop, charge) == 4_000


async def test_a_held_call_keeps_its_key_in_use_and_lands_after_its_caller_gave_up(shop: Shop) -> None:
    charge = await _charge_id(shop, "key_5")
    shop.faults(hold=True, only="/v1/refunds")
    held = asyncio.ensure_future(_refund(shop, charge, "k5"))

    async def in_use() -> bool:
        try:
            async with asyncio.timeout(0.5):
                await _refund(shop, charge, "k5")
        except TimeoutError:
            return False
        except stripe.StripeError as error:
            return bool(code_of(error) == "idempotency_key_in_use")
        return False

    await asyncio.sleep(0.2)
    while not await in_use():
        pass
    held.cancel()
    assert await _refunded(shop, charge) == 0
    shop.faults()
    while await _refunded(shop, charge) == 0:
        await asyncio.sleep(0.02)
    await _refund(shop, charge, "k5")
    assert await _refunded(shop, charge) == 1_000


# faults of calls


@pytest.mark.parametrize(
    ("fault", "status", "refunded", "afterwards"),
    [
        ("too_many", 429, 0, 1_000),
        ("error_before", 500, 0, 1_000),
        ("timeout_before", 504, 0, 1_000),
        ("timeout_after", 504, 1_000, 1_000),
    ],
)
async def test_a_call_fails_before_or_after_its_effect(
    shop: Shop, fault: str, status: int, refunded: int, afterwards: int
) -> None:
    charge = await _charge_id(shop, fault)
    shop.faults(**{fault: 1}, only="/v1/refunds")
    with pytest.raises(stripe.StripeError) as failed:
        await _refund(shop, charge, fault)
    assert failed.value.http_status == status
    assert await _refunded(shop, charge) == refunded
    await _refund(shop, charge, fault)
    assert await _refunded(shop, charge) == afterwards


@pytest.mark.parametrize(("fault", "refunded"), [("error_kept", 0), ("error_after", 1_000)])
async def test_a_kept_server_error_is_repeated_under_its_key(shop: Shop, fault: str, refunded: int) -> None:
    charge = await _charge_id(shop, fault)
    shop.faults(**{fault: 1})
    for _ in range(2):
        with pytest.raises(stripe.APIError) as failed:
            await _refund(shop, charge, fault)
    assert _is_repeated(failed.value)
    assert await _refunded(shop, charge) == refunded


async def test_a_fault_concerns_only_the_named_calls(shop: Shop) -> None:
    shop.faults(error_before=1, only="/v1/transfers")
    charge = await _charge_id(shop, "only")
    await _refund(shop, charge, "only")
    payee = await shop.payee()
    with pytest.raises(stripe.APIError):
        await shop.client().v1.transfers.create_async({"amount": 500, "currency": "usd", "destination": payee})


async def test_the_firm_can_be_short_of_money(shop: Shop) -> None:
    payee = await shop.payee()
    shop.faults(short_of_money=1)
    with pytest.raises(stripe.InvalidRequestError) as refused:
        await shop.client().v1.transfers.create_async({"amount": 500, "currency": "usd", "destination": payee})
    assert refused.value.code == "balance_insufficient"


# webhooks


def _verified(posts: list[tuple[bytes, str]], secret: str) -> list[stripe.Event]:
    return [cast(Any, stripe.Webhook).construct_event(body, signature, secret) for body, signature in posts]


def _ids(posts: list[tuple[bytes, str]]) -> list[str]:
    return [json.loads(body)["id"] for body, _ in posts]


async def test_each_endpoint_gets_its_own_events_signed_with_its_own_secret(
    shop: Shop, receivers: dict[str, Receiver]
) -> None:
    session = await shop.paid(
        "hook_1", metadata={"order": "of-the-firm"}, payment_intent_data={"metadata": {"order": "of-the-firm"}}
    )
    assert session.payment_intent
    payee = await shop.payee()
    until(lambda: len(receivers["account"].about("of-the-firm")) == 4)
    until(lambda: len(receivers["connect"].about(payee)) == 2 and len(receivers["thin"].about(payee)) == 2)
    events = _verified(receivers["account"].about("of-the-firm"), SECRETS["account"])
    expected = ["payment_intent.created", "charge.succeeded", "payment_intent.succeeded", "checkout.session.completed"]
    assert [event.type for event in events] == expected
    assert all(not hasattr(event, "account") and event.pending_webhooks == 1 for event in events)
    connected = _verified(receivers["connect"].about(payee), SECRETS["connect"])
    assert [(event.type, event.account) for event in connected] == [
        ("account.updated", payee),
        ("capability.updated", payee),
    ]
    body, signature = receivers["thin"].about(payee)[0]
    told: Any = shop.client().parse_event_notification(body, signature, SECRETS["thin"])
    assert told.type == "v2.core.account[requirements].updated" and told.related_object.id == payee
    with pytest.raises(stripe.SignatureVerificationError):
        _verified(receivers["account"].about("of-the-firm"), SECRETS["connect"])


async def test_a_webhook_is_repeated_until_it_is_accepted(shop: Shop, receivers: dict[str, Receiver]) -> None:
    receiver, made = receivers["account"], await shop.session("hook_2")
    receiver.answer = 500
    await shop.client().v1.checkout.sessions.expire_async(made.id)
    until(lambda: len(receiver.about(made.id)) >= 2)
    receiver.answer = 200
    refused = len(receiver.about(made.id))
    until(lambda: len(receiver.about(made.id)) > refused)
    assert len(set(_ids(receiver.about(made.id)))) == 1


async def test_webhooks_are_lost_and_doubled(shop: Shop, receivers: dict[str, Receiver]) -> None:
    receiver, v1 = receivers["account"], shop.client().v1
    lost, doubled = await shop.session("hook_3"), await shop.session("hook_4")

    def left(fault: str) -> int:
        return int(shop.sandbox.http.get("/stripe/desk/faults").json()[fault])

    shop.faults(drop_webhooks=1)
    await v1.checkout.sessions.expire_async(lost.id)
    until(lambda: left("drop_webhooks") == 0)
    shop.faults(duplicate_webhooks=1)
    await v1.checkout.sessions.expire_async(doubled.id)
    until(lambda: len(receiver.about(doubled.id)) == 2)
    assert len(set(_ids(receiver.about(doubled.id)))) == 1 and receiver.about(lost.id) == []


async def test_webhooks_come_late_and_the_newest_first(shop: Shop, receivers: dict[str, Receiver]) -> None:
    receiver, v1 = receivers["account"], shop.client().v1
    made = [await shop.session(f"hook_{number}") for number in range(5, 8)]
    shop.faults(delay_webhooks=600, reorder=True)
    for session in made:
        await v1.checkout.sessions.expire_async(session.id)
    assert [receiver.about(session.id) for session in made] == [[], [], []]
    shop.faults(reorder=True)
    until(lambda: all(receiver.about(session.id) for session in made))
    about = [session.id for session in made]
    came = [json.loads(body)["data"]["object"]["id"] for body, _ in receiver.got]
    assert [one for one in came if one in about] == about[::-1]


# kill -9


async def test_a_killed_process_forgets_nothing(tmp_path: Path) -> None:
    receiver = Receiver()
    receiver.answer = 500
    endpoints = [{"name": "a", "url": receiver.url, "secret": SECRETS["account"]}]
    with open_shop(tmp_path, stripe_endpoints=endpoints) as shop:
        charge = await _charge_id(shop, "kill")
        payee = await shop.payee()
        v1 = shop.client().v1
        await v1.transfers.create_async({"amount": 500, "currency": "usd", "destination": payee})
        payout = await v1.payouts.create_async({"amount": 500, "currency": "usd"}, {"stripe_account": payee})
        made = await _refund(shop, charge, "kill")
        rows = [row.id for row in (await v1.balance_transactions.list_async()).data]
        events = [event.id for event in (await v1.events.list_async({"limit": 100})).data]
        shop.faults(dispute=3)
        shop.sandbox.kill()
        shop.sandbox.start()
        await shop.aclose()
        v1 = shop.client().v1
        assert (await _refund(shop, charge, "kill")).id == made.id
        assert await _refunded(shop, charge) == 1_000
        assert [row.id for row in (await v1.balance_transactions.list_async()).data] == rows
        assert [event.id for event in (await v1.events.list_async({"limit": 100})).data] == events
        assert shop.sandbox.http.get("/stripe/desk/faults").json()["dispute"] == 3
        receiver.answer = 200
        until(lambda: {json.loads(body)["id"] for body, _ in receiver.got} >= set(events))
        shop.later(hours=4)
        options = stripe.RequestOptions(stripe_account=payee)
        assert (await v1.payouts.retrieve_async(payout.id, options=options)).status in ("paid", "failed")
        await shop.aclose()
    receiver.close()
