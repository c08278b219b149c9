"""The Stripe adapters, unchanged, against the sandbox's stateful Stripe."""

import asyncio
import uuid
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, get_args

import pytest

from adapters.stripe.acquirer import StripeAcquirer
from adapters.stripe.client import EventSettings
from adapters.stripe.identity import StripeIdentity
from adapters.stripe.rail import RailSettings, StripeRail
from adapters.stripe.statements import StatementSettings, StripeStatements
from domain.errors import (
    BadSignature,
    Conflict,
    CursorForgotten,
    IdempotencyMismatch,
    InProgress,
    NotFound,
    OutcomeUnknown,
    RefusedForGood,
    Unavailable,
)
from ports.acquirer import Checkout, CheckoutOrder, Evidence
from ports.money import EventKind, WebhookEvent
from ports.rail import Beneficiary, TransferOrder
from tests.contract.fake_stripe import BACK, KEY, Receiver, Shop, open_shop, until

SECRETS = {"account": "whsec_account_1", "connect": "whsec_connect_1", "thin": "whsec_thin_0001"}
KINDS = get_args(EventKind)


@pytest.fixture(scope="module")
def receivers() -> Iterator[dict[str, Receiver]]:
    every = {kind: Receiver() for kind in SECRETS}
    yield every
    for receiver in every.values():
        receiver.close()


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory, receivers: dict[str, Receiver]) -> Iterator[Shop]:
    folder: Path = tmp_path_factory.mktemp("stripe")
    endpoints = [
        {"name": kind, "url": receivers[kind].url, "secret": secret, "kind": kind} for kind, secret in SECRETS.items()
    ]
    with open_shop(folder, stripe_endpoints=endpoints) as opened:
        yield opened


@pytest.fixture(autouse=True)
def no_faults(shop: Shop) -> Iterator[None]:
    yield
    shop.faults()


def settings(shop: Shop) -> dict[str, Any]:
    return {"key": KEY, "url": f"{shop.sandbox.url}/stripe", "webhook_secrets": ",".join(SECRETS.values())}


@pytest.fixture
async def acquirer(shop: Shop) -> AsyncIterator[StripeAcquirer]:
    adapter = StripeAcquirer("stripe", EventSettings.model_validate(settings(shop)))
    yield adapter
    await adapter.aclose()


@pytest.fixture
async def rail(shop: Shop) -> AsyncIterator[StripeRail]:
    adapter = StripeRail("stripe", RailSettings.model_validate(settings(shop)))
    yield adapter
    await adapter.aclose()


@pytest.fixture
async def source(shop: Shop) -> AsyncIterator[StripeStatements]:
    given = settings(shop)
    del given["webhook_secrets"]
    adapter = StripeStatements("stripe", StatementSettings.model_validate(given))
    yield adapter
    await adapter.aclose()


def new(prefix: str) -> str:
    return f"{prefix}-{uuid.uuid4().hex[:20]}"


def order(reference: str, amount_minor: int = 9900, currency: str = "USD") -> CheckoutOrder:
    return CheckoutOrder(
        reference=reference, amount_minor=amount_minor, currency=currency, description="A challenge", return_url=BACK
    )


async def bought(shop: Shop, acquirer: StripeAcquirer, outcome: str = "card", amount_minor: int = 9900) -> Checkout:
    """A checkout that a buyer paid."""
    key = new("pay")
    made = await acquirer.create_checkout(order(new("ch"), amount_minor), key=key)
    assert shop.submit(made.url, outcome=outcome).status_code == 303
    return await acquirer.fetch_checkout(made.checkout_id)


async def payee(shop: Shop, rail: StripeRail) -> str:
    """A trader's account, completed by the trader. Its payouts neither fail nor come back by themselves."""
    key = new("payee")
    made = await rail.create_payee(key=key, reference=new("t"), email="jane@example.com", country="US")
    assert not made.ready
    assert made.needs
    link = await rail.onboarding_link(made.payee_id, return_url=BACK)
    assert shop.submit(link, outcome="complete").status_code == 303
    found = await rail.find_payee(key)
    assert found is not None
    assert (found.payee_id, found.ready, found.needs) == (made.payee_id, True, ())
    return made.payee_id


def transfer_order(account: str, amount_minor: int = 26025) -> TransferOrder:
    return TransferOrder(
        key=new("trf"),
        reference=new("po"),
        amount_minor=amount_minor,
        currency="USD",
        beneficiary=Beneficiary(account=account, name="Jane Doe"),
    )


async def test_a_checkout_is_made_once_and_found_by_its_key(shop: Shop, acquirer: StripeAcquirer) -> None:
    key, wanted = new("pay"), order(new("ch"))
    made = await acquirer.create_checkout(wanted, key=key)
    assert (made.status, made.amount_minor, made.reference, made.key) == ("open", 9900, wanted.reference, key)
    assert await acquirer.create_checkout(wanted, key=key) == made
    assert await acquirer.find_checkout(key) == made
    assert await acquirer.find_checkout(new("pay")) is None
    with pytest.raises(IdempotencyMismatch):
        await acquirer.create_checkout(order(wanted.reference, 1), key=key)
    assert shop.submit(made.url, outcome="card").status_code == 303
    paid = await acquirer.fetch_checkout(made.checkout_id)
    assert (paid.status, paid.refunded_minor, paid.chargebacks) == ("paid", 0, ())
    shop.later(days=3)
    assert await acquirer.find_checkout(key) == paid  # Stripe has forgotten the key, and the list is read by charges


async def test_a_checkout_that_is_expired_cannot_be_paid(shop: Shop, acquirer: StripeAcquirer) -> None:
    made = await acquirer.create_checkout(order(new("ch")), key=new("pay"))
    assert (await acquirer.expire_checkout(made.checkout_id, key=new("exp"))).status == "expired"
    paid = await bought(shop, acquirer)
    assert (await acquirer.expire_checkout(paid.checkout_id, key=new("exp"))).status == "paid"


async def test_a_bank_debit_is_processing_until_it_settles(shop: Shop, acquirer: StripeAcquirer) -> None:
    waiting = await bought(shop, acquirer, "bank_debit")
    assert waiting.status == "processing"
    shop.later(days=10)
    assert (await acquirer.fetch_checkout(waiting.checkout_id)).status == "paid"
    shop.faults(debits_fail=1)
    failing = await bought(shop, acquirer, "bank_debit")
    shop.later(days=10)
    assert (await acquirer.fetch_checkout(failing.checkout_id)).status == "expired"


async def test_refunds(shop: Shop, acquirer: StripeAcquirer) -> None:
    paid, key = await bought(shop, acquirer), new("refund")
    part = await acquirer.refund(paid.checkout_id, key=key, amount_minor=4000)
    assert (part.status, part.amount_minor, part.key) == ("succeeded", 4000, key)
    shop.faults(forget_keys=True)
    assert await acquirer.refund(paid.checkout_id, key=key, amount_minor=4000) == part  # not made twice
    shop.faults()
    with pytest.raises((Conflict, RefusedForGood)):
        await acquirer.refund(paid.checkout_id, key=new("refund"), amount_minor=6000)
    desk = shop.desk("refunds", payment=paid.checkout_id, amount=900)
    rest = await acquirer.refund(paid.checkout_id, key=new("refund"))
    assert rest.amount_minor == 5000
    refunds = await acquirer.refunds(paid.checkout_id)
    assert [each.refund_id for each in refunds] == [part.refund_id, desk["id"], rest.refund_id]
    assert refunds[1].key == ""
    assert (await acquirer.fetch_checkout(paid.checkout_id)).refunded_minor == 9900
    with pytest.raises(Conflict):
        await acquirer.refund(paid.checkout_id, key=new("refund"))
    assert (await acquirer.fetch_checkout(desk["id"])).checkout_id == paid.checkout_id


async def test_a_refund_that_fails_later(shop: Shop, acquirer: StripeAcquirer) -> None:
    paid, key = await bought(shop, acquirer), new("refund")
    shop.faults(refunds_fail=1)
    await acquirer.refund(paid.checkout_id, key=key)
    shop.later(days=10)
    found = await acquirer.find_refund(paid.checkout_id, key)
    assert found is not None
    assert (found.status, bool(found.failure)) == ("failed", True)
    assert (await acquirer.fetch_checkout(paid.checkout_id)).refunded_minor == 0


async def test_a_chargeback_that_is_answered_and_won(shop: Shop, acquirer: StripeAcquirer) -> None:
    paid = await bought(shop, acquirer)
    dispute = shop.desk("disputes", payment=paid.checkout_id)
    found = await acquirer.fetch_chargeback(dispute["id"])
    assert (found.status, found.withdrawn, found.amount_minor) == ("evidence_due", True, 9900)
    assert (found.reference, found.checkout_id) == (paid.reference, paid.checkout_id)
    assert found.fee_minor > 0
    assert found.evidence_due_at is not None
    assert (await acquirer.fetch_checkout(dispute["id"])).chargebacks == (dispute["id"],)
    evidence = Evidence(
        product_description="An evaluation",
        service_date="2024-01-05",
        access_activity_log="login",
        uncategorized_text="",
    )
    sent = await acquirer.submit_evidence(dispute["id"], evidence, key=new("evidence"))
    assert sent.status == "under_review"
    shop.desk(f"disputes/{dispute['id']}/decide", outcome="won")
    won = await acquirer.accept_chargeback(dispute["id"], key=new("accept"))
    assert (won.status, won.withdrawn) == ("won", False)


async def test_a_chargeback_that_is_given_up_and_an_inquiry(shop: Shop, acquirer: StripeAcquirer) -> None:
    first, second = await bought(shop, acquirer), await bought(shop, acquirer)
    dispute = shop.desk("disputes", payment=first.checkout_id)
    assert (await acquirer.accept_chargeback(dispute["id"], key=new("accept"))).status == "lost"
    inquiry = shop.desk("disputes", payment=second.checkout_id, inquiry=True)
    found = await acquirer.fetch_chargeback(inquiry["id"])
    assert (found.status, found.withdrawn) == ("inquiry", False)


async def test_a_transfer_arrives(shop: Shop, rail: StripeRail) -> None:
    account = await payee(shop, rail)
    wanted = transfer_order(account)
    sent = await rail.create_transfer(wanted)
    assert (sent.status, sent.amount_minor, sent.reference) == ("pending", 26025, wanted.reference)
    shop.faults(forget_keys=True)
    assert await rail.create_transfer(wanted) == sent
    with pytest.raises(IdempotencyMismatch):
        await rail.create_transfer(wanted.model_copy(update={"amount_minor": 1}))
    shop.faults()
    shop.later(hours=1)
    assert (await rail.cancel_transfer(sent.transfer_id)).status in ("pending", "paid")  # the bank has it
    assert await rail.find_transfer(new("trf")) is None


async def test_a_transfer_that_did_not_arrive_is_taken_back(shop: Shop, rail: StripeRail) -> None:
    account = await payee(shop, rail)
    shop.faults(payouts_fail=1)
    sent = await rail.create_transfer(transfer_order(account))
    shop.later(hours=6)
    failed = await rail.fetch_transfer(sent.transfer_id)
    assert (failed.status, failed.failure) == ("undelivered", "account_closed")
    for _ in range(2):
        assert (await rail.cancel_transfer(sent.transfer_id)).status == "returned"


async def test_a_transfer_that_comes_back_days_later(shop: Shop, rail: StripeRail) -> None:
    account = await payee(shop, rail)
    shop.faults(payouts_return=1)
    sent = await rail.create_transfer(transfer_order(account))
    shop.later(hours=6)
    assert (await rail.fetch_transfer(sent.transfer_id)).status == "paid"
    shop.later(days=3)
    assert (await rail.fetch_transfer(sent.transfer_id)).status == "undelivered"
    assert (await rail.cancel_transfer(sent.transfer_id)).status == "returned"


async def test_a_transfer_is_stopped_before_the_bank_has_it(shop: Shop, rail: StripeRail) -> None:
    sent = await rail.create_transfer(transfer_order(await payee(shop, rail)))
    for _ in range(2):
        assert (await rail.cancel_transfer(sent.transfer_id)).status == "returned"


async def test_a_refused_transfer_is_refused_for_good_when_repeated(shop: Shop, rail: StripeRail) -> None:
    wanted = transfer_order(await payee(shop, rail))
    shop.faults(short_of_money=1)
    with pytest.raises(Conflict) as first:
        await rail.create_transfer(wanted)
    assert type(first.value) is Conflict
    with pytest.raises(RefusedForGood):
        await rail.create_transfer(wanted)
    assert await rail.find_transfer(wanted.key) is None


@pytest.mark.parametrize(
    ("fault", "expected", "effect"),
    [
        ({"too_many": 1}, Unavailable, False),
        ({"timeout_before": 1}, OutcomeUnknown, False),
        ({"timeout_after": 1}, OutcomeUnknown, True),
        ({"error_before": 1}, OutcomeUnknown, False),
        ({"error_after": 1}, OutcomeUnknown, True),
        ({"error_kept": 1}, OutcomeUnknown, False),
    ],
)
async def test_each_fault_of_a_transfer_has_its_outcome(
    shop: Shop, rail: StripeRail, fault: dict[str, int], expected: type[Exception], effect: bool
) -> None:
    wanted = transfer_order(await payee(shop, rail))
    shop.faults(only="/v1/transfers", **fault)
    with pytest.raises(expected) as raised:
        await rail.create_transfer(wanted)
    assert type(raised.value) is expected
    shop.faults()
    found = await rail.find_transfer(wanted.key)
    assert (found is not None) == effect
    if found is not None:
        assert found.status == "undelivered"
        assert (await rail.create_transfer(wanted)).transfer_id == found.transfer_id  # and now it has its payout
        again = await rail.find_transfer(wanted.key)
        assert again is not None
        assert again.status == "pending"


@pytest.mark.parametrize("fault", [{"timeout_after": 2}, {"error_before": 2}, {"too_many": 2}, {"timeout_before": 2}])
async def test_a_lost_answer_of_the_payout_is_asked_again_at_once(
    shop: Shop, rail: StripeRail, fault: dict[str, int]
) -> None:
    wanted = transfer_order(await payee(shop, rail))
    shop.faults(only="/v1/payouts", **fault)
    assert (await rail.create_transfer(wanted)).status == "pending"


async def test_a_key_in_use_is_in_progress(shop: Shop, acquirer: StripeAcquirer) -> None:
    key, wanted = new("pay"), order(new("ch"))
    shop.faults(hold=True, only="/v1/checkout")
    calls = [asyncio.create_task(acquirer.create_checkout(wanted, key=key)) for _ in range(2)]
    [refused], [waiting] = await asyncio.wait(calls, return_when=asyncio.FIRST_COMPLETED)
    assert isinstance(refused.exception(), InProgress)
    shop.faults()
    made = await waiting
    assert await acquirer.find_checkout(key) == made


async def test_the_statement_adds_up_and_continues(
    shop: Shop, acquirer: StripeAcquirer, rail: StripeRail, source: StripeStatements
) -> None:
    paid = await bought(shop, acquirer)
    await acquirer.refund(paid.checkout_id, key=new("refund"), amount_minor=900)
    shop.desk("disputes", payment=(await bought(shop, acquirer)).checkout_id)
    shop.desk("refunds", payment=(await bought(shop, acquirer, amount_minor=7700)).checkout_id)
    wanted = transfer_order(await payee(shop, rail))
    await rail.cancel_transfer((await rail.create_transfer(wanted)).transfer_id)
    entries, after = [], None
    while True:
        batch = await source.entries(after, limit=3)
        if not batch:
            break
        entries += batch
        after = batch[-1].entry_id
    assert len({entry.entry_id for entry in entries}) == len(entries)
    assert [entry.at for entry in entries] == sorted(entry.at for entry in entries)
    assert all(entry.problem is None for entry in entries)
    [balance] = await source.balances()
    assert sum(entry.amount_minor for entry in entries) == balance.amount_minor
    ours = {(entry.kind, entry.amount_minor) for entry in entries if entry.reference == paid.reference}
    assert {("charge", 9900), ("refund", -900)} <= ours
    moved = [(entry.kind, entry.amount_minor) for entry in entries if entry.reference == wanted.key]
    assert moved == [("transfer", -26025), ("transfer_return", 26025)]
    unknown = [entry for entry in entries if not entry.reference and entry.kind not in ("fee", "settlement")]
    assert unknown == []
    with pytest.raises(CursorForgotten):
        await source.entries("txn_gone")


async def test_webhooks_of_all_kinds_are_taken(
    shop: Shop, acquirer: StripeAcquirer, rail: StripeRail, receivers: dict[str, Receiver]
) -> None:
    def taken(kind: str) -> list[WebhookEvent]:
        got, now = list(receivers[kind].got), datetime.now(UTC)
        every = [acquirer.parse_webhook(body, {"Stripe-Signature": signature}, now) for body, signature in got]
        return [event for event in every if event is not None and event.kind in KINDS]

    def has_come(kind: str, *wanted: tuple[str, str]) -> bool:
        return set(wanted) <= {(event.kind, event.object_id) for event in taken(kind)}

    paid = await bought(shop, acquirer)
    account = await payee(shop, rail)
    sent = await rail.create_transfer(transfer_order(account))
    await rail.cancel_transfer(sent.transfer_id)
    moved = ("transfer.changed", sent.transfer_id)
    until(lambda: has_come("account", ("checkout.paid", paid.checkout_id), moved))
    until(lambda: has_come("connect", ("payee.changed", account), moved))
    until(lambda: has_come("thin", ("payee.changed", account)))
    assert [event for kind in SECRETS for event in taken(kind) if event.problem is not None] == []
    body, signature = receivers["account"].got[-1]
    with pytest.raises(BadSignature):
        acquirer.parse_webhook(body + b" ", {"Stripe-Signature": signature}, datetime.now(UTC))


async def test_the_sweep_finds_every_event_once(shop: Shop, acquirer: StripeAcquirer) -> None:
    before = await acquirer.events(None)
    paid = await bought(shop, acquirer)
    shop.desk("disputes", payment=paid.checkout_id)
    every = await acquirer.events(None)
    newer = await acquirer.events(before[-1].event_id if before else None)
    assert every == [*before, *newer]
    assert [event.kind for event in newer] == ["checkout.paid", "charge.disputed", "chargeback.changed"]
    assert await acquirer.events(every[-1].event_id) == []
    shop.later(days=31)
    with pytest.raises(CursorForgotten):
        await acquirer.events(every[-1].event_id)


async def test_an_identity_check(shop: Shop) -> None:
    checker = StripeIdentity("stripe", EventSettings.model_validate(settings(shop)))
    key = new("kyc")
    started = await checker.start(key=key, reference="t1", return_url=BACK)
    assert (started.status, started.reference) == ("pending", "t1")
    assert await checker.find(key) == started
    shop.submit(started.url, outcome="fail")
    shop.later(hours=1)
    failed = await checker.fetch(started.session_id)
    assert (failed.status, bool(failed.why)) == ("failed", True)
    again = await checker.start(key=new("kyc"), reference="t1", return_url=BACK)
    shop.submit(again.url, outcome="complete", name="Jane Doe")
    shop.later(hours=1)
    verified = await checker.fetch(again.session_id)
    assert (verified.status, verified.full_name, verified.url) == ("verified", "Jane Doe", "")
    await checker.aclose()


async def test_unknown_ids_and_another_key(shop: Shop, acquirer: StripeAcquirer, rail: StripeRail) -> None:
    for unknown in ("cs_test_0", "pi_0", "ch_0", "re_0", "dp_0"):
        with pytest.raises(NotFound):
            await acquirer.fetch_checkout(unknown)
    with pytest.raises(NotFound):
        await rail.fetch_transfer("tr_0")
    wrong = StripeAcquirer("stripe", EventSettings.model_validate(settings(shop) | {"key": "sk_test_wrong"}))
    with pytest.raises(Unavailable, match="does not allow our key"):
        await wrong.healthy()
    await wrong.aclose()
    assert "test mode" in await acquirer.healthy()
