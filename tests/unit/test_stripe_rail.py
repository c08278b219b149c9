"""A payout over Stripe Connect: one transfer to the payee, one payout to its bank, and the way back."""

from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

from adapters.stripe.rail import RailSettings, StripeRail
from domain.errors import BadInput, Conflict, IdempotencyMismatch, NotFound, OutcomeUnknown, RefusedForGood
from ports.rail import Beneficiary, TransferOrder
from tests import stripe_objects as make
from tests.stripe_server import KEY, SECRET, Answer, Call, StripeServer, error, page, serving

JANE = Beneficiary(account="acct_trader", name="Jane Doe")
ORDER = TransferOrder(key="trf-1", reference="po1", amount_minor=26025, currency="USD", beneficiary=JANE)


@pytest.fixture
def server() -> Iterator[StripeServer]:
    with serving() as running:
        yield running


@pytest.fixture
async def rail(server: StripeServer) -> AsyncIterator[StripeRail]:
    settings = {"key": KEY, "url": server.url, "webhook_secrets": SECRET}
    adapter = StripeRail("stripe", RailSettings.model_validate(settings))
    yield adapter
    await adapter.aclose()


def answers(transfer: dict[str, Any] | None, payout: dict[str, Any] | None) -> dict[str, Any]:
    """Stripe with this transfer and payout; a POST makes the missing ones."""
    made: dict[str, Any] = {"transfer": transfer, "payout": payout}

    def make_transfer(call: Call) -> dict[str, Any]:
        made["transfer"] = make.transfer()
        return make.transfer()

    def make_payout(call: Call) -> dict[str, Any]:
        made["payout"] = make.payout()
        return make.payout()

    def rows(kind: str) -> Any:
        return lambda call: page(*([made[kind]] if made[kind] else []))

    return {
        "GET /v1/transfers": rows("transfer"),
        "GET /v1/transfers/*": lambda call: made["transfer"],
        "POST /v1/transfers": make_transfer,
        "GET /v1/payouts": rows("payout"),
        "POST /v1/payouts": make_payout,
    }


async def test_a_transfer_goes_to_the_payee_and_on_to_the_bank(server: StripeServer, rail: StripeRail) -> None:
    server.answers = answers(None, None)
    sent = await rail.create_transfer(ORDER)
    assert (sent.status, sent.key, sent.reference, sent.amount_minor) == ("pending", "trf-1", "po1", 26025)
    transfer, payout = server.of("POST *")
    assert (transfer.given["destination"], transfer.given["transfer_group"]) == ("acct_trader", "trf-1")
    assert (transfer.headers["idempotency-key"], payout.headers["idempotency-key"]) == ("trf-1", "trf-1/pay")
    assert payout.headers["stripe-account"] == "acct_trader"
    assert "stripe-account" not in transfer.headers
    assert payout.given["metadata[propos_transfer]"] == "tr_1"


async def test_a_repeat_after_stripe_forgot_the_key_sends_nothing_twice(server: StripeServer, rail: StripeRail) -> None:
    server.answers = answers(make.transfer(), make.payout())
    assert (await rail.create_transfer(ORDER)).transfer_id == "tr_1"
    assert server.of("POST *") == []


async def test_a_repeat_makes_the_payout_that_is_missing(server: StripeServer, rail: StripeRail) -> None:
    server.answers = answers(make.transfer(), None)
    assert (await rail.create_transfer(ORDER)).status == "pending"
    assert [str(call) for call in server.of("POST *")] == ["POST /v1/payouts"]


@pytest.mark.parametrize("change", [{"amount_minor": 1}, {"reference": "po2"}, {"currency": "EUR"}])
async def test_a_key_is_of_one_order(server: StripeServer, rail: StripeRail, change: dict[str, Any]) -> None:
    server.answers = answers(make.transfer(), make.payout())
    with pytest.raises(IdempotencyMismatch):
        await rail.create_transfer(ORDER.model_copy(update=change))
    assert server.of("POST *") == []


async def test_a_payout_without_an_answer_is_asked_again_with_its_key(server: StripeServer, rail: StripeRail) -> None:
    server.answers = answers(None, None) | {"POST /v1/payouts": Answer(None, cut=True)}
    with pytest.raises(OutcomeUnknown):
        await rail.create_transfer(ORDER)
    assert [call.headers["idempotency-key"] for call in server.of("POST /v1/payouts")] == ["trf-1/pay"] * 3
    found = await rail.find_transfer("trf-1")
    assert found is not None
    assert found.status == "undelivered"


async def test_a_refused_payout_leaves_the_money_at_the_rail(server: StripeServer, rail: StripeRail) -> None:
    server.answers = answers(None, None) | {"POST /v1/payouts": error(400, code="payouts_not_allowed")}
    sent = await rail.create_transfer(ORDER)
    assert sent.status == "undelivered"
    assert "payouts_not_allowed" in str(sent.failure)


@pytest.mark.parametrize(("headers", "expected"), [({}, Conflict), ({"idempotent-replayed": "true"}, RefusedForGood)])
async def test_a_refused_transfer_sends_nothing(
    server: StripeServer, rail: StripeRail, headers: dict[str, str], expected: type[Exception]
) -> None:
    refused = error(400, code="balance_insufficient", headers=headers)
    server.answers = answers(None, None) | {"POST /v1/transfers": refused}
    with pytest.raises(expected) as raised:
        await rail.create_transfer(ORDER)
    assert type(raised.value) is expected
    assert server.of("POST /v1/payouts") == []


async def test_a_payee_in_another_currency_is_paid_what_arrived(server: StripeServer, rail: StripeRail) -> None:
    arrived = {"id": "py_1", "balance_transaction": {"id": "txn_9", "net": 22410, "currency": "eur"}}
    server.answers = answers(None, None) | {"POST /v1/transfers": make.transfer(destination_payment=arrived)}
    await rail.create_transfer(ORDER)
    [payout] = server.of("POST /v1/payouts")
    assert (payout.given["amount"], payout.given["currency"]) == ("22410", "eur")


@pytest.mark.parametrize(
    ("transfer", "payout", "status", "failure"),
    [
        ({}, {"status": "in_transit"}, "pending", None),
        ({}, {"status": "paid"}, "paid", None),
        ({}, {"status": "failed", "failure_code": "account_closed"}, "undelivered", "account_closed"),
        ({}, {"status": "canceled"}, "undelivered", None),
        ({"reversed": True}, {"status": "failed", "failure_code": "no_account"}, "returned", "no_account"),
        ({"amount_reversed": 100}, {"status": "paid"}, "paid", None),
    ],
)
async def test_the_status_of_a_transfer(
    server: StripeServer,
    rail: StripeRail,
    transfer: dict[str, Any],
    payout: dict[str, Any],
    status: str,
    failure: str | None,
) -> None:
    server.answers = answers(make.transfer(**transfer), make.payout(**payout))
    found = await rail.fetch_transfer("tr_1")
    assert (found.status, found.failure) == (status, failure)


async def test_the_payouts_of_other_transfers_do_not_count(server: StripeServer, rail: StripeRail) -> None:
    other = make.payout(status="paid", metadata={"propos_key": "trf-2", "propos_transfer": "tr_2"})
    server.answers = answers(make.transfer(), other)
    assert (await rail.fetch_transfer("tr_1")).status == "undelivered"


async def test_an_undelivered_transfer_is_taken_back_once(server: StripeServer, rail: StripeRail) -> None:
    failed = make.payout(status="failed", failure_code="account_closed")
    server.answers = {
        "GET /v1/transfers/tr_1": [make.transfer(), make.transfer(reversed=True, amount_reversed=26025)],
        "GET /v1/payouts": page(failed),
        "POST /v1/transfers/tr_1/reversals": {"id": "trr_1", "object": "transfer_reversal"},
    }
    for _ in range(2):
        assert (await rail.cancel_transfer("tr_1")).status == "returned"
    [reversal] = server.of("POST *")
    assert reversal.given["metadata[propos_key]"] == "trf-1"


async def test_a_refused_way_back_is_asked_again(server: StripeServer, rail: StripeRail) -> None:
    server.answers = {
        "GET /v1/transfers/tr_1": [make.transfer(), make.transfer(), make.transfer(), make.transfer(reversed=True)],
        "GET /v1/payouts": page(make.payout(status="failed", failure_code="account_closed")),
        "POST /v1/transfers/tr_1/reversals": [
            error(400, code="balance_insufficient"),
            Answer({"id": "trr_1", "object": "transfer_reversal"}),
        ],
    }
    assert (await rail.cancel_transfer("tr_1")).status == "undelivered"
    assert (await rail.cancel_transfer("tr_1")).status == "returned"
    first, second = server.of("POST *")
    assert first.headers["idempotency-key"] != second.headers["idempotency-key"]


async def test_a_payout_that_the_bank_has_cannot_be_stopped(server: StripeServer, rail: StripeRail) -> None:
    server.answers = answers(make.transfer(), make.payout(status="in_transit"))
    assert (await rail.cancel_transfer("tr_1")).status == "pending"
    assert server.of("POST *") == []
    server.answers = {  # it left between the look and the call
        "GET /v1/transfers/tr_1": make.transfer(),
        "GET /v1/payouts": [page(make.payout()), page(make.payout(status="paid"))],
        "POST /v1/payouts/po_1/cancel": error(400, code="payout_not_cancelable"),
    }
    assert (await rail.cancel_transfer("tr_1")).status == "paid"
    assert len(server.of("POST *")) == 1


async def test_a_stop_without_an_answer_is_unknown(server: StripeServer, rail: StripeRail) -> None:
    server.answers = answers(make.transfer(), make.payout()) | {"POST /v1/payouts/po_1/cancel": Answer(None, cut=True)}
    with pytest.raises(OutcomeUnknown):
        await rail.cancel_transfer("tr_1")


async def test_a_transfer_that_was_not_made_here_is_not_found(server: StripeServer, rail: StripeRail) -> None:
    server.answers = answers(make.transfer(metadata={}), None)
    assert await rail.find_transfer("trf-1") is None
    for odd in ("tr_1", "", "po_1", "tr_1/reversals"):
        with pytest.raises(NotFound):
            await rail.fetch_transfer(odd)


@pytest.mark.parametrize(
    ("fields", "ready", "needs"),
    [
        ({}, True, ()),
        ({"payouts_enabled": False}, False, ()),
        ({"capabilities": {"transfers": "pending"}}, False, ()),
        (
            {
                "payouts_enabled": False,
                "requirements": {
                    "currently_due": ["external_account", "individual.dob"],
                    "past_due": ["external_account"],
                    "disabled_reason": "requirements.past_due",
                },
            },
            False,
            ("external_account", "individual.dob", "requirements.past_due"),
        ),
    ],
)
async def test_a_payee_is_ready_when_stripe_pays_it(
    server: StripeServer, rail: StripeRail, fields: dict[str, Any], ready: bool, needs: tuple[str, ...]
) -> None:
    server.answers = {"GET /v1/accounts/*": make.account(**fields)}
    payee = await rail.fetch_payee("acct_trader")
    assert (payee.reference, payee.ready, payee.needs) == ("t1", ready, needs)


async def test_payees_are_found_page_after_page(server: StripeServer, rail: StripeRail) -> None:
    others = page(make.account(id="acct_2", metadata={}), has_more=True, url="/v1/accounts")
    server.answers = {"GET /v1/accounts": [others, page(make.account())]}
    found = await rail.find_payee("payee-t1")
    assert found is not None
    assert found.payee_id == "acct_trader"
    server.answers = {
        "GET /v1/accounts": page(make.account(metadata={})),
        "GET /v1/accounts/*": make.account(metadata={}),
    }
    assert await rail.find_payee("payee-t1") is None
    with pytest.raises(NotFound):
        await rail.fetch_payee("acct_other")


async def test_a_payee_is_paid_only_when_asked(server: StripeServer, rail: StripeRail) -> None:
    server.answers = {"POST /v1/accounts": make.account()}
    await rail.create_payee(key="payee-t1", reference="t1", email="jane@example.com", country="DE")
    [made] = server.calls
    assert made.given["settings[payouts][schedule][interval]"] == "manual"
    assert "tos_acceptance[service_agreement]" not in made.given


@pytest.mark.parametrize(
    ("account", "currency"), [("DE89370400440532013000", "EUR"), ("acct_", "EUR"), ("acct_1", "CLF"), ("acct_1", "XXX")]
)
def test_a_beneficiary_that_cannot_be_paid_is_refused(rail: StripeRail, account: str, currency: str) -> None:
    with pytest.raises(BadInput) as raised:
        rail.check_beneficiary(Beneficiary(account=account, name="Jane"), currency)
    assert raised.value.field == "beneficiary"
    assert account not in str(raised.value)
