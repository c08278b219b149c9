"""What every payment provider behind the port must do, and what the fake one can be told to do wrong."""

import asyncio
import json
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from adapters.payments.sandbox import SandboxPayments
from domain.errors import (
    BadInput,
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
from ports.rail import Transfer, TransferOrder
from sandbox.webhooks import sign
from tests.contract.sandbox_process import (
    SECRET,
    TOKEN,
    SandboxProcess,
    at,
    running_sandbox,
    waves,
    write_recording,
)

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
BODY = b'{"id":"ev_00000001","kind":"transfer.paid","object_id":"tr_00000001","created_at":"2024-01-05T01:00:00Z"}'


class Receiver:
    """The firm's webhook endpoint: keeps what it gets; refuses the first `refusals` deliveries."""

    def __init__(self) -> None:
        self.got: list[tuple[bytes, dict[str, str]]] = []
        self.refusals = 0
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                size = int(self.headers["Content-Length"])
                body = self.rfile.read(size)
                if len(body) < size:  # the sender was killed
                    return
                outer.got.append((body, dict(self.headers.items())))
                outer.refusals -= 1
                self.send_response(503 if outer.refusals >= 0 else 202)
                self.end_headers()

            def log_message(self, format: str, *args: object) -> None:
                """Quiet."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}/webhooks/payments/sandbox"
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()

    def ids(self) -> list[str]:
        return [json.loads(body)["id"] for body, _ in self.got]

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    endpoint = Receiver()
    yield endpoint
    endpoint.close()


@pytest.fixture
def sandbox(tmp_path: Path, receiver: Receiver) -> Iterator[SandboxProcess]:
    market = tmp_path / "prices"
    write_recording(market, "EURUSD", waves(1, 110_000, 300, 10, 5))
    settings = {"market_dir": market, "symbols": ("EURUSD",), "webhook_url": receiver.url}
    with running_sandbox(tmp_path, **settings) as process:
        yield process


@pytest.fixture
async def payments(sandbox: SandboxProcess) -> AsyncIterator[SandboxPayments]:
    adapter = SandboxPayments(url=sandbox.url, token=TOKEN, webhook_secret=SECRET)
    yield adapter
    await adapter.aclose()


async def _checkout(payments: SandboxPayments, key: str = "fee-1", **changes: object) -> Checkout:
    order = {
        "reference": "chl_1",
        "amount_minor": 499_00,
        "currency": "USD",
        "description": "Two-step 100k <b>",
        "return_url": "http://127.0.0.1:1/done?a=1",
        **changes,
    }
    return await payments.create_checkout(CheckoutOrder.model_validate(order), key=key)


async def _transfer(payments: SandboxPayments, key: str = "pay_1", **changes: object) -> Transfer:
    order = {"reference": "pay_1", "amount_minor": 800_00, "currency": "USD", "beneficiary": "IBAN-A", **changes}
    order |= {"key": key, "beneficiary": {"account": order["beneficiary"], "name": "Ada Lovelace"}}
    return await payments.create_transfer(TransferOrder.model_validate(order))


def _wait(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.02)


def _pay(sandbox: SandboxProcess, checkout: Checkout, outcome: str = "paid") -> None:
    answer = sandbox.http.post(f"/pay/{checkout.checkout_id}", data={"outcome": outcome}, headers={"Authorization": ""})
    assert (answer.status_code, answer.headers["location"]) == (303, "http://127.0.0.1:1/done?a=1")


async def test_a_fee_is_paid_once_and_can_go_back_once(
    sandbox: SandboxProcess, payments: SandboxPayments, receiver: Receiver
) -> None:
    checkout = await _checkout(payments)
    assert await _checkout(payments) == checkout
    with pytest.raises(IdempotencyMismatch):
        await _checkout(payments, amount_minor=498_00)
    with pytest.raises(Conflict):
        await payments.refund(checkout.checkout_id, key="r")
    for _ in range(2):
        _pay(sandbox, checkout)
    _pay(sandbox, checkout, "cancelled")
    assert (await payments.fetch_checkout(checkout.checkout_id)).status == "paid"
    for _ in range(2):
        assert (await payments.refund(checkout.checkout_id, key="r")).status == "succeeded"
    with pytest.raises(Conflict):
        await payments.refund(checkout.checkout_id, key="r2")
    entries = await payments.entries(None)
    assert [(e.kind, e.amount_minor, e.reference) for e in entries] == [
        ("charge", 499_00, "chl_1"),
        ("refund", -499_00, "chl_1"),
    ]
    assert await payments.entries(entries[0].entry_id) == entries[1:]
    _wait(lambda: len(receiver.got) == 2)
    kinds = [payments.parse_webhook(body, headers, datetime.now(UTC)).kind for body, headers in receiver.got]
    assert kinds == ["checkout.paid", "charge.refunded"]
    assert [e.kind for e in await payments.events(None)] == kinds


async def test_a_cancelled_and_a_disputed_checkout(sandbox: SandboxProcess, payments: SandboxPayments) -> None:
    cancelled, disputed = await _checkout(payments), await _checkout(payments, "fee-2")
    _pay(sandbox, cancelled, "cancelled")
    _pay(sandbox, disputed)
    for _ in range(2):
        sandbox.post(f"/provider/checkouts/{disputed.checkout_id}/dispute", {}).raise_for_status()
    assert (await payments.fetch_checkout(cancelled.checkout_id)).status == "expired"
    assert (await payments.fetch_checkout(disputed.checkout_id)).chargebacks
    assert [e.kind for e in await payments.entries(None)] == ["charge", "dispute", "fee"]
    kinds = [e.kind for e in await payments.events(None)]
    assert kinds == ["checkout.expired", "checkout.paid", "charge.disputed"]


async def test_a_chargeback_is_answered_and_decided(sandbox: SandboxProcess, payments: SandboxPayments) -> None:
    checkout = await _checkout(payments)
    _pay(sandbox, checkout)
    path = f"/provider/checkouts/{checkout.checkout_id}/dispute"
    sandbox.post(path, {"stage": "evidence_due"}).raise_for_status()
    (chargeback_id,) = (await payments.fetch_checkout(checkout.checkout_id)).chargebacks
    asked = await payments.fetch_chargeback(chargeback_id)
    assert (asked.status, asked.withdrawn, asked.reference) == ("evidence_due", True, checkout.reference)
    assert asked.evidence_due_at is not None
    evidence = Evidence(
        product_description="x", service_date="2014-05-02", access_activity_log="y", uncategorized_text="z"
    )
    for _ in range(2):
        sent = await payments.submit_evidence(chargeback_id, evidence, key="answer")
        assert sent.status == "under_review"
    sandbox.post(f"/provider/chargebacks/{chargeback_id}/decide", {"status": "won"}).raise_for_status()
    won = await payments.accept_chargeback(chargeback_id, key="accept")
    assert (won.status, won.withdrawn) == ("won", False), "a decided one does not change"
    assert [entry.kind for entry in await payments.entries(None)] == ["charge", "dispute", "fee", "dispute_won"]
    with pytest.raises(NotFound):
        await payments.fetch_chargeback("cb_co_99999999")


async def test_a_refund_can_fail_days_later(sandbox: SandboxProcess, payments: SandboxPayments) -> None:
    checkout = await _checkout(payments)
    _pay(sandbox, checkout)
    made = await payments.refund(checkout.checkout_id, key="part", amount_minor=1_000)
    assert await payments.find_refund(checkout.checkout_id, "part") == made
    sandbox.post(f"/provider/checkouts/{checkout.checkout_id}/refund-fails", {}).raise_for_status()
    (failed,) = await payments.refunds(checkout.checkout_id)
    assert (failed.status, failed.amount_minor) == ("failed", 1_000)
    assert (await payments.fetch_checkout(checkout.checkout_id)).refunded_minor == 0


async def test_a_refund_at_the_providers_desk(sandbox: SandboxProcess, payments: SandboxPayments) -> None:
    checkout = await _checkout(payments)
    address = f"/provider/checkouts/{checkout.checkout_id}/desk-refund"
    assert sandbox.http.post(address, json={}).status_code == 409, "nothing was paid"
    _pay(sandbox, checkout)
    sandbox.post(address, {"amount_minor": 100_00}).raise_for_status()
    assert (await payments.fetch_checkout(checkout.checkout_id)).status == "paid"
    assert sandbox.http.post(address, json={"amount_minor": 400_00}).status_code == 409, "only 399.00 are left"
    assert (await payments.refund(checkout.checkout_id, key="r")).status == "succeeded"
    assert sandbox.http.post(address, json={}).status_code == 409
    assert [(e.kind, e.amount_minor) for e in await payments.entries(None)] == [
        ("charge", 499_00),
        ("refund", -100_00),
        ("refund", -399_00),
    ]
    assert [e.kind for e in await payments.events(None)] == ["checkout.paid", "charge.refunded", "charge.refunded"]


async def test_a_closed_checkout_cannot_be_paid(sandbox: SandboxProcess, payments: SandboxPayments) -> None:
    unpaid, paid = await _checkout(payments), await _checkout(payments, "fee-2")
    for _ in range(2):
        assert (await payments.expire_checkout(unpaid.checkout_id, key="x")).status == "expired"
    _pay(sandbox, unpaid)
    assert (await payments.fetch_checkout(unpaid.checkout_id)).status == "expired"
    _pay(sandbox, paid)
    assert (await payments.expire_checkout(paid.checkout_id, key="x2")).status == "paid", "the buyer was faster"
    with pytest.raises(NotFound):
        await payments.expire_checkout("co_99999999", key="x3")
    assert [e.kind for e in await payments.entries(None)] == ["charge"]
    assert [e.kind for e in await payments.events(None)] == ["checkout.expired", "checkout.paid"]


async def test_the_hosted_page_escapes_and_knows_its_state(sandbox: SandboxProcess, payments: SandboxPayments) -> None:
    checkout = await _checkout(payments)
    page = sandbox.http.get(checkout.url, headers={"Authorization": ""}).text
    assert "Two-step 100k &lt;b&gt;" in page and "499.00 USD" in page and "<form" in page
    _pay(sandbox, checkout)
    assert "<form" not in sandbox.http.get(checkout.url).text
    assert sandbox.http.get("/pay/co_99999999").status_code == 404


async def test_a_transfer_is_made_once_and_settles_in_market_time(
    sandbox: SandboxProcess, payments: SandboxPayments, receiver: Receiver
) -> None:
    transfer = await _transfer(payments)
    assert await _transfer(payments) == transfer
    for changes in ({"amount_minor": 801_00}, {"beneficiary": "IBAN-B"}):
        with pytest.raises(IdempotencyMismatch):
            await _transfer(payments, **changes)
    assert await payments.find_transfer("pay_1") == transfer
    assert await payments.find_transfer("pay_2") is None
    returned = await _transfer(payments, "pay_2", beneficiary="IBAN closed-account")
    sandbox.advance(at(0, 59))
    assert (await payments.fetch_transfer(transfer.transfer_id)).status == "pending"
    sandbox.advance(at(3, 1))
    assert (await payments.fetch_transfer(transfer.transfer_id)).status == "paid"
    back = await payments.fetch_transfer(returned.transfer_id)
    assert back.status == "returned" and back.failure
    entries = await payments.entries(None)
    assert [(e.kind, e.amount_minor) for e in entries] == [
        ("transfer", -800_00),
        ("transfer", -800_00),
        ("transfer_return", 800_00),
    ]
    assert at(1) <= entries[-1].at <= at(3)
    _wait(lambda: len(receiver.got) == 2)
    _wait(lambda: sandbox.market()["pending_news"] == 0)


async def test_an_answer_lost_after_the_effect_is_found_by_key(
    sandbox: SandboxProcess, payments: SandboxPayments
) -> None:
    sandbox.http.put("/provider/faults", json={"timeout_after_effect": 2, "hold_seconds": 1}).raise_for_status()
    hasty = SandboxPayments(url=sandbox.url, token=TOKEN, webhook_secret=SECRET, timeout=0.3)
    with pytest.raises(OutcomeUnknown):
        await _transfer(hasty)  # the connection times out
    await hasty.aclose()
    with pytest.raises(OutcomeUnknown):
        await _transfer(payments, "pay_2")  # a gateway answers 504
    for key in ("pay_1", "pay_2"):
        found = await payments.find_transfer(key)
        assert found is not None and await _transfer(payments, key) == found
    assert len(await payments.entries(None)) == 2


async def test_a_final_refusal_is_kept_under_its_key(sandbox: SandboxProcess, payments: SandboxPayments) -> None:
    for _ in range(2):
        with pytest.raises(RefusedForGood, match="no account") as refused:
            await _transfer(payments, beneficiary="IBAN unknown-account")
        assert refused.value.key == "pay_1"
        sandbox.kill()
        sandbox.start()
    with pytest.raises(IdempotencyMismatch):
        await _transfer(payments, beneficiary="IBAN-A")
    assert await payments.find_transfer("pay_1") is None
    assert await payments.entries(None) == []
    assert (await _transfer(payments, "pay_2")).status == "pending", "another key is another transfer"


async def test_a_key_is_in_use_while_its_call_is_under_way(sandbox: SandboxProcess, payments: SandboxPayments) -> None:
    sandbox.http.put("/provider/faults", json={"hold_transfers": True}).raise_for_status()
    hasty = SandboxPayments(url=sandbox.url, token=TOKEN, webhook_secret=SECRET, timeout=2)
    with pytest.raises(OutcomeUnknown):
        await _transfer(hasty)
    await hasty.aclose()
    with pytest.raises(InProgress):
        await _transfer(payments)
    assert await payments.find_transfer("pay_1") is None
    sandbox.http.put("/provider/faults", json={}).raise_for_status()
    while await payments.find_transfer("pay_1") is None:
        await asyncio.sleep(0.02)
    assert await _transfer(payments) == await payments.find_transfer("pay_1")
    assert len(await payments.entries(None)) == 1


async def test_a_provider_that_is_down_does_nothing(sandbox: SandboxProcess, payments: SandboxPayments) -> None:
    sandbox.http.put("/provider/faults", json={"unavailable": 1}).raise_for_status()
    with pytest.raises(Unavailable) as down:
        await _transfer(payments)
    assert down.value.type == "unavailable"
    assert await payments.find_transfer("pay_1") is None
    assert (await _transfer(payments)).status == "pending"


async def test_wrong_input_is_refused(payments: SandboxPayments) -> None:
    for changes in ({"amount_minor": -1}, {"amount_minor": 0}, {"currency": "usd"}, {"beneficiary": ""}):
        with pytest.raises(BadInput):
            await _transfer(payments, **changes)
    with pytest.raises(BadInput):
        await _checkout(payments, return_url="javascript:alert(1)")
    with pytest.raises(BadInput, match="There is no currency 'ABC'") as unknown_currency:
        await _checkout(payments, currency="ABC")
    assert unknown_currency.value.field == "currency"
    for unknown in ("tr_1", "../checkouts", "tr_00000001/x"):
        with pytest.raises(NotFound):
            await payments.fetch_transfer(unknown)
    with pytest.raises(CursorForgotten):
        await payments.entries("en_00000009")
    with pytest.raises(CursorForgotten):
        await payments.events("ev_00000009")
    assert await payments.entries(None) == []


async def test_webhooks_are_repeated_doubled_dropped_and_reordered(
    sandbox: SandboxProcess, payments: SandboxPayments, receiver: Receiver
) -> None:
    checkouts = [await _checkout(payments, f"fee-{n}") for n in range(5)]
    receiver.refusals = 1
    _pay(sandbox, checkouts[0])
    _wait(lambda: receiver.ids() == ["ev_00000001"] * 2)  # refused once, then taken

    sandbox.http.put("/provider/faults", json={"duplicate_webhooks": 1}).raise_for_status()
    _pay(sandbox, checkouts[1])
    _wait(lambda: receiver.ids()[2:] == ["ev_00000002"] * 2)

    sandbox.http.put("/provider/faults", json={"drop_webhooks": 1}).raise_for_status()
    _pay(sandbox, checkouts[2])
    _wait(lambda: sandbox.market()["pending_news"] == 0)
    assert "ev_00000003" not in receiver.ids()
    assert [e.event_id for e in await payments.events("ev_00000002")] == ["ev_00000003"]

    receiver.got.clear()
    receiver.refusals = 2  # so that both wait, and are tried again together
    sandbox.http.put("/provider/faults", json={"reorder": True}).raise_for_status()
    for checkout in checkouts[3:]:
        _pay(sandbox, checkout)
    _wait(lambda: len(receiver.got) == 4)
    assert set(receiver.ids()) == {"ev_00000004", "ev_00000005"}


async def test_only_a_fresh_signature_over_this_body_is_trusted(payments: SandboxPayments) -> None:
    unix = int(NOW.timestamp())
    good = sign(BODY, SECRET, unix)

    def refused(body: bytes, headers: dict[str, str], now: datetime = NOW) -> None:
        with pytest.raises(BadSignature):
            payments.parse_webhook(body, headers, now)

    for seconds in (-300, 0, 300):
        event = payments.parse_webhook(BODY, {"propos-SIGNATURE": good}, NOW + timedelta(seconds=seconds))
        assert (event.event_id, event.kind, event.object_id) == ("ev_00000001", "transfer.paid", "tr_00000001")
    for seconds in (-301, 301):
        refused(BODY, {"PropOS-Signature": good}, NOW + timedelta(seconds=seconds))
    for index in range(len(BODY)):
        mutated = bytearray(BODY)
        mutated[index] ^= 1
        refused(bytes(mutated), {"PropOS-Signature": good})
    for index in range(len(good)):
        refused(BODY, {"PropOS-Signature": good[:index] + ("0" if good[index] != "0" else "1") + good[index + 1 :]})
    digest = good.split("v1=")[1]
    for header in (
        "",
        f"t={unix}",
        f"v1={digest}",
        f"t={unix},v1=",
        f"{good},v1={digest}",
        f"t={unix},v1={'0' * 64},v1={digest}",
        f"t={'9' * 5000},v1={digest}",
        f"t=\u00b2,v1={digest}",
        sign(BODY, "another secret", unix),
    ):
        refused(BODY, {"PropOS-Signature": header})
    refused(BODY, {})


@pytest.mark.parametrize(
    "body", [b"", b"[]", b"null", b"{}", b'"x"', b"\xff", b"[" * 50_000, BODY.replace(b'"id"', b'"x"')]
)
def test_a_signed_body_that_is_no_event_is_bad_input(body: bytes) -> None:
    payments = SandboxPayments(url="http://127.0.0.1:1", token=TOKEN, webhook_secret=SECRET)
    headers = {"PropOS-Signature": sign(body, SECRET, int(NOW.timestamp()))}
    with pytest.raises(BadInput):
        payments.parse_webhook(body, headers, NOW)
