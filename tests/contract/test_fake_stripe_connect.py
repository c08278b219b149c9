"""Payees, transfers, payouts and identity checks at the fake Stripe, driven by Stripe's own SDK."""

from collections.abc import AsyncIterator, Iterator
from hashlib import sha256
from typing import Any

import pytest
import stripe

from tests.contract.fake_stripe import BACK, Shop, code_of, open_shop

pytestmark = pytest.mark.filterwarnings("ignore:Use 'content=:DeprecationWarning")  # inside the SDK


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    with open_shop(tmp_path_factory.mktemp("connect")) as opened:
        yield opened


@pytest.fixture(autouse=True)
async def _anew(shop: Shop) -> AsyncIterator[None]:
    """Each test begins without faults, and with a client of its own."""
    shop.faults()
    yield
    await shop.aclose()


async def _pay_in(shop: Shop, payee: str, amount: int = 5_000, group: str = "trf-1") -> stripe.Transfer:
    return await shop.client().v1.transfers.create_async(
        {
            "amount": amount,
            "currency": "usd",
            "destination": payee,
            "transfer_group": group,
            "metadata": {"key": group},
        }
    )


async def _pay_out(shop: Shop, payee: str, amount: int = 5_000) -> stripe.Payout:
    return await shop.client().v1.payouts.create_async(
        {"amount": amount, "currency": "usd", "metadata": {"key": "trf-1"}}, {"stripe_account": payee}
    )


async def _available(shop: Shop, payee: str) -> int:
    balance = await shop.client().v1.balance.retrieve_async(options={"stripe_account": payee})
    return sum(part.amount for part in balance.available)


async def _good_payee(shop: Shop, **params: Any) -> str:
    """A payee whose payouts arrive by themselves."""
    while True:
        payee = await shop.payee(**params)
        if sha256(payee.encode()).digest()[4] % 8:
            return payee


async def test_a_payee_completes_the_account_on_the_hosted_page(shop: Shop) -> None:
    v1 = shop.client().v1
    made = await v1.accounts.create_async(
        {
            "type": "express",
            "country": "DE",
            "email": "p@example.com",
            "capabilities": {"transfers": {"requested": True}},
            "metadata": {"trader": "trd_1"},
        }
    )
    assert (made.payouts_enabled, made.default_currency, made.type) == (False, "eur", "express")
    assert made.requirements and made.requirements.currently_due and made.requirements.disabled_reason
    assert made["capabilities"].to_dict() == {"transfers": "inactive"}
    with pytest.raises(stripe.InvalidRequestError) as early:
        await _pay_in(shop, made.id)
    assert early.value.code == "insufficient_capabilities_for_transfer"
    link = await v1.account_links.create_async(
        {"account": made.id, "type": "account_onboarding", "refresh_url": BACK, "return_url": BACK}
    )
    assert shop.submit(link.url, outcome="leave").headers["location"] == BACK
    assert not (await v1.accounts.retrieve_async(made.id)).payouts_enabled
    shop.submit(link.url, outcome="complete")
    found = await v1.accounts.retrieve_async(made.id)
    assert found.payouts_enabled and found.details_submitted and found.requirements
    assert found["capabilities"].to_dict() == {"transfers": "active"} and found.requirements.currently_due == []
    assert found.external_accounts and len(found.external_accounts.data) == 1
    told = await v1.events.list_async({"type": "account.updated"}, {"stripe_account": made.id})
    assert [(event.account, event.data.object["id"]) for event in told.data] == [(made.id, made.id)]
    shop.later(minutes=6)
    assert shop.sandbox.http.get(link.url.removeprefix(shop.sandbox.url)).status_code == 404
    shop.desk(f"accounts/{made.id}", stage="restricted")
    assert not (await v1.accounts.retrieve_async(made.id)).payouts_enabled
    assert made.id in {one.id async for one in (await v1.accounts.list_async()).auto_paging_iter()}
    changed = await v1.accounts.update_async(made.id, {"metadata": {"tier": "2"}})
    assert changed["metadata"].to_dict() == {"trader": "trd_1", "tier": "2"}


async def test_a_transfer_becomes_money_of_the_payee_and_a_payout(shop: Shop) -> None:
    v1, payee = shop.client().v1, await _good_payee(shop)
    made = await _pay_in(shop, payee)
    assert (made.amount_reversed, made.reversed, made.destination) == (0, False, payee)
    listed = await v1.transfers.list_async({"transfer_group": "trf-1", "destination": payee})
    assert [one.id for one in listed.data] == [made.id]
    found = await v1.transfers.retrieve_async(made.id, {"expand": ["balance_transaction", "destination_payment"]})
    assert isinstance(found.balance_transaction, stripe.BalanceTransaction)
    assert (found.balance_transaction.amount, found.balance_transaction.type) == (-5_000, "transfer")
    assert isinstance(found.destination_payment, stripe.Charge) and found.destination_payment.amount == 5_000
    assert await _available(shop, payee) == 5_000
    with pytest.raises(stripe.InvalidRequestError) as short:
        await _pay_out(shop, payee, 5_001)
    assert short.value.code == "balance_insufficient"
    payout = await _pay_out(shop, payee)
    assert (payout.status, await _available(shop, payee)) == ("pending", 0)
    with pytest.raises(stripe.InvalidRequestError):
        await v1.payouts.retrieve_async(payout.id)
    options: stripe.RequestOptions = {"stripe_account": payee}
    shop.later(minutes=20)
    assert (await v1.payouts.retrieve_async(payout.id, options=options)).status == "in_transit"
    with pytest.raises(stripe.InvalidRequestError):
        await v1.payouts.cancel_async(payout.id, options=options)
    shop.later(hours=3)
    assert (await v1.payouts.retrieve_async(payout.id, options=options)).status == "paid"
    events = await v1.events.list_async({"types": ["payout.created", "payout.updated", "payout.paid"]}, options)
    assert [event.type for event in events.data] == ["payout.paid", "payout.updated", "payout.created"]


async def test_a_reversal_takes_back_what_the_payee_still_has(shop: Shop) -> None:
    v1, payee = shop.client().v1, await _good_payee(shop)
    made = await _pay_in(shop, payee)
    await _pay_out(shop, payee, 2_000)
    with pytest.raises(stripe.InvalidRequestError) as gone:
        await v1.transfers.reversals.create_async(made.id)
    assert gone.value.code == "balance_insufficient"
    part = await v1.transfers.reversals.create_async(made.id, {"amount": 3_000, "metadata": {"why": "x"}})
    found = await v1.transfers.retrieve_async(made.id)
    assert (found.amount_reversed, found.reversed) == (3_000, False)
    assert [one.id for one in found.reversals.data] == [part.id]
    assert (await v1.transfers.reversals.retrieve_async(made.id, part.id)).amount == 3_000
    listed = await v1.transfers.reversals.list_async(made.id)
    assert [one.id for one in listed.data] == [part.id]
    rows = await v1.balance_transactions.list_async({"source": part.id})
    assert [(row.amount, row.reporting_category) for row in rows.data] == [(3_000, "transfer_reversal")]
    with pytest.raises(stripe.InvalidRequestError) as more:
        await v1.transfers.reversals.create_async(made.id, {"amount": 2_001})
    assert more.value.param == "amount"


@pytest.mark.parametrize(("mark", "first"), [("closed-account", "failed"), ("returned-later", "paid")])
async def test_a_payout_fails_on_arrival_or_comes_back_days_later(shop: Shop, mark: str, first: str) -> None:
    v1, payee = shop.client().v1, await shop.payee(email=f"{mark}@example.com")
    made = await _pay_in(shop, payee)
    payout, options = await _pay_out(shop, payee), stripe.RequestOptions(stripe_account=payee)
    shop.later(hours=4)
    assert (await v1.payouts.retrieve_async(payout.id, options=options)).status == first
    shop.later(days=2)
    found = await v1.payouts.retrieve_async(payout.id, options=options)
    assert (found.status, found.failure_code) == ("failed", "account_closed") and found.failure_balance_transaction
    assert await _available(shop, payee) == 5_000
    told = await v1.events.list_async({"type": "payout.failed"}, options)
    assert [event.data.object["metadata"]["key"] for event in told.data] == ["trf-1"]
    await v1.transfers.reversals.create_async(made.id)
    assert await _available(shop, payee) == 0


async def test_a_payout_can_be_cancelled_before_it_leaves_and_failed_at_the_desk(shop: Shop) -> None:
    v1, payee = shop.client().v1, await _good_payee(shop)
    await _pay_in(shop, payee)
    options = stripe.RequestOptions(stripe_account=payee)
    cancelled = await v1.payouts.cancel_async((await _pay_out(shop, payee)).id, options=options)
    assert (cancelled.status, await _available(shop, payee)) == ("canceled", 5_000)
    again = await _pay_out(shop, payee)
    shop.later(hours=4)
    assert shop.desk(f"payouts/{again.id}/fail")["status"] == "failed"
    assert await _available(shop, payee) == 5_000


async def test_automatic_payouts_name_the_rows_they_pay(shop: Shop) -> None:
    v1 = shop.client().v1
    payee = await _good_payee(shop, settings={})
    options = stripe.RequestOptions(stripe_account=payee)
    await _pay_in(shop, payee, 2_000, "trf-2")
    await _pay_in(shop, payee, 3_000, "trf-3")
    shop.later(days=1, hours=4)
    (made,) = (await v1.payouts.list_async(options=options)).data
    assert (made.amount, made.automatic, made.status) == (5_000, True, "paid")
    assert made.reconciliation_status == "completed"
    rows = await v1.balance_transactions.list_async({"payout": made.id}, options)
    assert sorted(row.amount for row in rows.data) == [-5_000, 2_000, 3_000]


async def test_the_firm_pays_its_own_balance_out(shop: Shop) -> None:
    shop.desk("topups", amount=100_000, currency="usd")
    v1 = shop.client().v1
    made = await v1.payouts.create_async({"amount": 40_000, "currency": "usd"})
    shop.later(days=1, minutes=1)
    assert (await v1.payouts.retrieve_async(made.id)).status == "paid"
    rows = await v1.balance_transactions.list_async({"source": made.id})
    assert [(row.type, row.amount) for row in rows.data] == [("payout", -40_000)]


async def test_a_person_is_verified_minutes_after_the_hosted_page(shop: Shop) -> None:
    v1 = shop.client().v1
    made = await v1.identity.verification_sessions.create_async(
        {"type": "document", "client_reference_id": "trd_1", "return_url": BACK, "metadata": {"key": "k"}}
    )
    assert made.status == "requires_input" and made.url
    url = made.url
    assert shop.submit(url, outcome="fail", name="Ann Lee").headers["location"] == BACK
    shop.later(minutes=3)
    failed = await v1.identity.verification_sessions.retrieve_async(made.id)
    assert failed.status == "requires_input" and failed.last_error and failed.last_error.code
    shop.submit(url, outcome="complete", name="Ann Mary Lee")
    assert (await v1.identity.verification_sessions.retrieve_async(made.id)).status == "processing"
    shop.later(minutes=3)
    found = await v1.identity.verification_sessions.retrieve_async(made.id, {"expand": ["verified_outputs"]})
    assert found.status == "verified" and found.url is None and found.verified_outputs
    assert (found.verified_outputs.first_name, found.verified_outputs.last_name) == ("Ann Mary", "Lee")
    listed = await v1.identity.verification_sessions.list_async({"client_reference_id": "trd_1"})
    assert [one.id for one in listed.data] == [made.id]
    other = await v1.identity.verification_sessions.create_async({"type": "document"})
    assert (await v1.identity.verification_sessions.cancel_async(other.id)).status == "canceled"


async def test_thin_events_name_the_account(shop: Shop) -> None:
    payee, v2 = await shop.payee(), shop.client().v2
    events = (await v2.core.events.list_async({"object_id": payee})).data
    assert [event.type for event in events] == [
        "v2.core.account[configuration.recipient].capability_status_updated",
        "v2.core.account[requirements].updated",
    ]
    one = await v2.core.events.retrieve_async(events[0].id)
    assert one.object == "v2.core.event" and one["related_object"]["id"] == payee
    account = await v2.core.accounts.retrieve_async(payee, {"include": ["configuration.recipient", "requirements"]})
    assert account.configuration and account.configuration.recipient and account.requirements
    assert account.configuration.recipient.capabilities
    balance = account.configuration.recipient.capabilities.stripe_balance
    assert balance and balance.stripe_transfers and balance.stripe_transfers.status == "active"


async def test_another_firms_account_is_refused(shop: Shop) -> None:
    with pytest.raises(stripe.PermissionError) as refused:
        await shop.client().v1.balance.retrieve_async(options={"stripe_account": "acct_none"})
    assert code_of(refused.value) == "account_invalid"
    assert (await shop.client().v1.accounts.retrieve_current_async()).id == "acct_sandbox"
