"""Payments at the fake Stripe, driven by Stripe's own SDK: checkout, refund, dispute, statement."""

from collections.abc import AsyncIterator, Iterator, Sequence
from typing import Any, cast

import pytest
import stripe

from tests.contract.fake_stripe import BACK, Shop, open_shop

pytestmark = pytest.mark.filterwarnings("ignore:Use 'content=:DeprecationWarning")  # inside the SDK


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    with open_shop(tmp_path_factory.mktemp("payments")) as opened:
        yield opened


@pytest.fixture(autouse=True)
async def _anew(shop: Shop) -> AsyncIterator[None]:
    """Each test begins without faults, and with a client of its own."""
    shop.faults()
    yield
    await shop.aclose()


def _charge(session: stripe.checkout.Session) -> stripe.Charge:
    intent = session.payment_intent
    assert isinstance(intent, stripe.PaymentIntent) and isinstance(intent.latest_charge, stripe.Charge)
    return intent.latest_charge


async def _types(shop: Shop, about: str) -> Sequence[str]:
    """The types of the events about one object, oldest first."""
    events = shop.client().v1.events.list_async({"limit": 100})
    return [event.type async for event in (await events).auto_paging_iter() if event.data.object["id"] == about][::-1]


async def _rows(shop: Shop, source: str) -> list[tuple[str, int, int]]:
    """(reporting category, amount, fee) of an object's balance transactions, oldest first."""
    listed = await shop.client().v1.balance_transactions.list_async({"source": source})
    return [(row.reporting_category, row.amount, row.fee) for row in listed.data][::-1]


async def test_a_session_becomes_a_payment_a_charge_and_a_row_of_the_statement(shop: Shop) -> None:
    made = await shop.session("chl_a")
    assert (made.object, made.status, made.payment_status) == ("checkout.session", "open", "unpaid")
    assert made.payment_intent is None and made["metadata"].to_dict() == {"order": "chl_a"}
    left = shop.submit(str(made.url), outcome="card")
    assert left.headers["location"] == f"{BACK}?session={made.id}"
    v1 = shop.client().v1
    found = await v1.checkout.sessions.retrieve_async(
        made.id, {"expand": ["payment_intent.latest_charge.balance_transaction", "line_items"]}
    )
    assert (found.status, found.payment_status, found.url) == ("complete", "paid", None)
    assert found.line_items is not None and found.line_items.data[0].amount_total == 10_000
    charge = _charge(found)
    assert (charge.amount, charge.paid, charge.refunded, charge.disputed) == (10_000, True, False, False)
    assert (charge.metadata.to_dict(), charge.transfer_group) == ({"order": "chl_a"}, "chl_a")
    row = charge.balance_transaction
    assert isinstance(row, stripe.BalanceTransaction)
    assert (row.amount, row.fee, row.net, row.status, row.type) == (10_000, 320, 9_680, "pending", "charge")
    assert await _types(shop, made.id) == ["checkout.session.completed"]
    by_payment = await v1.checkout.sessions.list_async({"payment_intent": str(charge.payment_intent)})
    assert [one.id for one in by_payment.data] == [made.id]
    by_group = await v1.charges.list_async({"transfer_group": "chl_a"})
    assert [one.id for one in by_group.data] == [charge.id]
    shop.later(days=3)
    assert (await v1.balance_transactions.retrieve_async(row.id)).status == "available"


async def test_a_declined_card_leaves_the_session_open(shop: Shop) -> None:
    made = await shop.session("chl_b")
    page = shop.submit(str(made.url), outcome="declined")
    assert page.headers["location"].endswith("?declined=true")
    found = await shop.client().v1.checkout.sessions.retrieve_async(made.id, {"expand": ["payment_intent"]})
    assert isinstance(found.payment_intent, stripe.PaymentIntent) and found.payment_intent.last_payment_error
    assert found.status == "open" and found.payment_intent.last_payment_error.code == "card_declined"
    assert await _types(shop, found.payment_intent.id) == ["payment_intent.created", "payment_intent.payment_failed"]
    shop.submit(str(made.url), outcome="card")
    again = await shop.client().v1.checkout.sessions.retrieve_async(made.id)
    assert again.payment_status == "paid" and again.payment_intent == found.payment_intent.id


@pytest.mark.parametrize(("fails", "outcome", "paid"), [(0, "succeeded", "paid"), (1, "failed", "unpaid")])
async def test_a_bank_debit_is_decided_days_later(shop: Shop, fails: int, outcome: str, paid: str) -> None:
    made = await shop.session("chl_c")
    shop.faults(debits_fail=fails)
    shop.submit(str(made.url), outcome="bank_debit")
    v1 = shop.client().v1
    found = await v1.checkout.sessions.retrieve_async(made.id, {"expand": ["payment_intent"]})
    assert isinstance(found.payment_intent, stripe.PaymentIntent)
    assert (found.status, found.payment_status, found.payment_intent.status) == ("complete", "unpaid", "processing")
    shop.later(days=2, minutes=1)
    assert (await v1.checkout.sessions.retrieve_async(made.id)).payment_status == paid
    assert await _types(shop, made.id) == [
        "checkout.session.completed",
        f"checkout.session.async_payment_{outcome}",
    ]


async def test_a_session_expires_by_the_firm_or_after_a_day_and_only_once(shop: Shop) -> None:
    v1 = shop.client().v1
    first, second = await shop.session("chl_d"), await shop.session("chl_e")
    assert (await v1.checkout.sessions.expire_async(first.id)).status == "expired"
    with pytest.raises(stripe.InvalidRequestError, match="Only Checkout Sessions"):
        await v1.checkout.sessions.expire_async(first.id)
    shop.later(hours=25)
    assert (await v1.checkout.sessions.retrieve_async(second.id)).status == "expired"
    assert await _types(shop, first.id) == await _types(shop, second.id) == ["checkout.session.expired"]


async def test_refunds_in_parts_and_no_more_than_was_paid(shop: Shop) -> None:
    charge, v1 = _charge(await shop.paid("chl_f")), shop.client().v1
    part = await v1.refunds.create_async(
        {"payment_intent": str(charge.payment_intent), "amount": 4_000, "metadata": {"key": "one"}}
    )
    assert (part.status, part.amount, part["metadata"].to_dict()) == ("succeeded", 4_000, {"key": "one"})
    with pytest.raises(stripe.InvalidRequestError) as refused:
        await v1.refunds.create_async({"charge": charge.id, "amount": 6_001})
    assert refused.value.param == "amount"
    rest = await v1.refunds.create_async({"charge": charge.id})
    assert rest.amount == 6_000
    with pytest.raises(stripe.InvalidRequestError) as again:
        await v1.refunds.create_async({"charge": charge.id})
    assert again.value.code == "charge_already_refunded"
    changed = await v1.refunds.update_async(part.id, {"metadata": {"key": "", "note": "x"}})
    assert changed["metadata"].to_dict() == {"note": "x"}
    found = await v1.charges.retrieve_async(charge.id, {"expand": ["refunds"]})
    assert found.refunded and found.refunds and [one.id for one in found.refunds.data] == [rest.id, part.id]
    assert await _rows(shop, part.id) == [("refund", -4_000, 0)]
    assert await _types(shop, charge.id) == ["charge.succeeded", "charge.refunded", "charge.refunded"]


async def test_a_refund_that_fails_days_later_brings_the_money_back(shop: Shop) -> None:
    charge, v1 = _charge(await shop.paid("chl_g")), shop.client().v1
    shop.faults(refunds_fail=1)
    made = await v1.refunds.create_async({"charge": charge.id})
    shop.later(days=3, minutes=1)
    failed = await v1.refunds.retrieve_async(made.id)
    assert failed.status == "failed" and failed.failure_balance_transaction
    assert await _rows(shop, made.id) == [("refund", -10_000, 0), ("refund_failure", 10_000, 0)]
    assert (await v1.charges.retrieve_async(charge.id)).amount_refunded == 0
    assert await _types(shop, made.id) == ["refund.created", "refund.updated", "refund.failed"]


@pytest.mark.parametrize(("lost", "outcome"), [(False, "won"), (True, "lost")])
async def test_evidence_decides_a_dispute(shop: Shop, lost: bool, outcome: str) -> None:
    charge, v1 = _charge(await shop.paid("chl_h")), shop.client().v1
    made = shop.desk("disputes", payment=charge.id)
    dispute = await v1.disputes.retrieve_async(made["id"])
    assert (dispute.status, dispute.amount, dispute.evidence_details.submission_count) == ("needs_response", 10_000, 0)
    assert [(row.amount, row.fee) for row in dispute.balance_transactions] == [(-10_000, 1_500)]
    assert (await v1.charges.retrieve_async(charge.id)).disputed
    with pytest.raises(stripe.InvalidRequestError) as refused:
        await v1.refunds.create_async({"charge": charge.id})
    assert refused.value.code == "charge_disputed"
    staged = await v1.disputes.update_async(made["id"], {"evidence": {"service_date": "2024"}, "submit": False})
    assert staged.status == "needs_response" and staged.evidence_details.has_evidence
    shop.faults(disputes_lost=lost)
    sent = await v1.disputes.update_async(made["id"], {"evidence": {"uncategorized_text": "Used."}, "submit": True})
    assert sent.status == "under_review" and sent.evidence.service_date == "2024"
    with pytest.raises(stripe.InvalidRequestError):
        await v1.disputes.update_async(made["id"], {"evidence": {"service_date": "2025"}})
    shop.later(days=3, minutes=1)
    assert (await v1.disputes.retrieve_async(made["id"])).status == outcome
    back = [] if lost else [("dispute_reversal", 10_000, 0)]
    assert await _rows(shop, made["id"]) == [("dispute", -10_000, 1_500), *back]
    assert await _types(shop, made["id"]) == [
        *("charge.dispute.created", "charge.dispute.funds_withdrawn", "charge.dispute.updated"),
        *("charge.dispute.updated", "charge.dispute.closed"),
        *([] if lost else ["charge.dispute.funds_reinstated"]),
    ]


async def test_a_dispute_without_evidence_is_lost_when_its_time_is_over(shop: Shop) -> None:
    charge, v1 = _charge(await shop.paid("chl_i")), shop.client().v1
    unanswered = shop.desk("disputes", payment=charge.id)
    closed = shop.desk("disputes", payment=_charge(await shop.paid("chl_j")).id)
    assert (await v1.disputes.close_async(closed["id"])).status == "lost"
    shop.later(days=9, minutes=1)
    found = await v1.disputes.retrieve_async(unanswered["id"])
    assert found.status == "lost" and found.evidence_details.past_due


async def test_an_inquiry_takes_no_money_until_it_becomes_a_dispute(shop: Shop) -> None:
    charge, v1 = _charge(await shop.paid("chl_k")), shop.client().v1
    made = shop.desk("disputes", payment=charge.id, inquiry=True)
    found = await v1.disputes.retrieve_async(made["id"])
    assert (found.status, found.balance_transactions, found.is_charge_refundable) == (
        "warning_needs_response",
        [],
        True,
    )
    shop.later(days=9, minutes=1)
    assert (await v1.disputes.retrieve_async(made["id"])).status == "needs_response"
    assert await _rows(shop, made["id"]) == [("dispute", -10_000, 1_500)]
    answered = shop.desk("disputes", payment=_charge(await shop.paid("chl_l")).id, inquiry=True)
    await v1.disputes.update_async(answered["id"], {"evidence": {"uncategorized_text": "Used."}, "submit": True})
    shop.later(days=3, minutes=1)
    assert (await v1.disputes.retrieve_async(answered["id"])).status == "warning_closed"
    assert await _rows(shop, answered["id"]) == []


async def test_a_marked_payment_is_disputed_by_itself(shop: Shop) -> None:
    charge = _charge(await shop.paid("chl_m", metadata={"order": "simulate-dispute"}))
    shop.later(days=2, minutes=1)
    listed = await shop.client().v1.disputes.list_async({"charge": charge.id})
    assert [one.reason for one in listed.data] == ["fraudulent"]


async def test_refunds_and_warnings_at_the_desk_are_told(shop: Shop) -> None:
    charge, v1 = _charge(await shop.paid("chl_n")), shop.client().v1
    made = shop.desk("refunds", payment=charge.id, amount=1_000)
    assert (await v1.refunds.retrieve_async(made["id"])).amount == 1_000
    warning = shop.desk("warnings", payment=charge.id)
    found = await v1.radar.early_fraud_warnings.retrieve_async(warning["id"])
    assert found.payment_intent == charge.payment_intent
    assert await _types(shop, made["id"]) == ["refund.created"]


async def test_the_balance_is_the_sum_of_its_rows(shop: Shop) -> None:
    await shop.paid("chl_o")
    v1 = shop.client().v1
    rows = await v1.balance_transactions.list_async({"limit": 7, "expand": ["data.source"]})
    everything = [row async for row in rows.auto_paging_iter()]
    assert len({row.id for row in everything}) == len(everything) > 7
    assert all(isinstance(row.source, stripe.StripeObject) for row in everything)
    balance = await v1.balance.retrieve_async()
    held = sum(part["amount"] for part in [*balance["available"], *balance["pending"]])
    assert held == sum(row.net for row in everything)


async def test_lists_go_in_pages_both_ways_and_by_time(shop: Shop) -> None:
    v1 = shop.client().v1
    ids = [(await shop.session(f"page_{number}")).id for number in range(5)]
    newest = await v1.checkout.sessions.list_async({"limit": 2})
    assert [one.id for one in newest.data] == [ids[4], ids[3]] and newest.has_more
    older = await v1.checkout.sessions.list_async({"limit": 2, "starting_after": ids[3]})
    assert [one.id for one in older.data] == [ids[2], ids[1]]
    newer = await v1.checkout.sessions.list_async({"limit": 2, "ending_before": ids[0]})
    assert [one.id for one in newer.data] == [ids[2], ids[1]] and newer.has_more
    shop.later(hours=1)
    late = await shop.session("late")
    since = await v1.checkout.sessions.list_async({"created": {"gte": late.created}})
    assert [one.id for one in since.data] == [late.id]
    with pytest.raises(stripe.InvalidRequestError) as unknown:
        await v1.checkout.sessions.list_async({"starting_after": "cs_test_none"})
    assert unknown.value.code == "resource_missing"


async def test_wrong_requests_are_refused_as_the_real_api_does(shop: Shop) -> None:
    v1 = shop.client().v1
    with pytest.raises(stripe.InvalidRequestError) as missing:
        await v1.charges.retrieve_async("ch_none")
    assert (missing.value.http_status, missing.value.code, missing.value.param) == (404, "resource_missing", "id")
    with pytest.raises(stripe.InvalidRequestError) as unknown:
        await v1.refunds.create_async(cast(Any, {"charge": "ch_none", "amonut": 1}))
    assert unknown.value.http_status == 400
    with pytest.raises(stripe.InvalidRequestError) as odd:
        await shop.session(amount=0)
    assert odd.value.param == "line_items[0][price_data][unit_amount]"
    with pytest.raises(stripe.InvalidRequestError):
        await shop.session(currency="kwd", amount=10_001)
    with pytest.raises(stripe.InvalidRequestError) as not_expandable:
        await v1.balance.retrieve_async({"expand": ["livemode"]})
    assert not_expandable.value.param == "expand"
    with pytest.raises(stripe.InvalidRequestError):
        await v1.customers.list_async()
    with pytest.raises(stripe.AuthenticationError):
        await shop.client("sk_test_other").v1.balance.retrieve_async()


async def test_events_are_kept_for_thirty_days(shop: Shop) -> None:
    made = await shop.session("chl_p")
    await shop.client().v1.checkout.sessions.expire_async(made.id)
    v1 = shop.client().v1
    newest = await v1.events.list_async({"limit": 1, "types": ["checkout.session.expired"]})
    event = newest.data[0]
    assert event.data.object["id"] == made.id and event.api_version == "2026-10-28.endive"
    assert (await v1.events.retrieve_async(event.id)).id == event.id
    shop.later(days=31)
    with pytest.raises(stripe.InvalidRequestError):
        await v1.events.retrieve_async(event.id)
    left = (await v1.events.list_async({"limit": 100})).data
    assert all(one.created > event.created for one in left)
