"""Chargebacks on real Postgres and Temporal: what is held, suspended, booked, answered, ended and restored."""

from collections.abc import AsyncIterator
from datetime import timedelta
from itertools import permutations
from typing import Any

import pytest
from sqlalchemy import select

from contracts.ids import chargeback_workflow
from domain.approvals import Actor
from domain.errors import AlreadyDecided, ChargebackClosed, Conflict, NotAllowed, OrderRefused
from domain.products.product import Product
from firm import chargeback_answers
from firm.orders import order
from front.subjects.chargeback import CHARGEBACK as SUBJECT
from store import products
from store.models import Chargeback, Wakeup
from store.read import chargebacks, queue
from tests.challenge_world import START, Firm, a_firm, after


@pytest.fixture
async def firm(database_url: str, temporal_address: str) -> AsyncIterator[Firm]:
    async with a_firm(database_url, temporal_address) as found:
        yield found


FEE = 54_000


async def _checkout(firm: Firm, challenge_id: str) -> str:
    return str((await firm.challenge(challenge_id)).checkout_id)


async def _disputed(firm: Firm, challenge_id: str, **state: Any) -> str:
    """The acquirer tells of a chargeback, or of its change. Returns our id of it, once we have read it."""
    checkout_id = await _checkout(firm, challenge_id)
    provider_id = firm.provider.disputes(checkout_id, **state)
    firm.provider.tells("chargeback.changed", provider_id)
    await firm.news()
    found = await _one(firm)
    return found.id


async def _one(firm: Firm) -> Chargeback:
    async with firm.db.transaction() as session:
        return (await session.scalars(select(Chargeback))).one()


async def _is(firm: Firm, state: str, **fields: object) -> None:
    async def so() -> bool:
        row = await _one(firm)
        return row.state == state and all(getattr(row, name) == value for name, value in fields.items())

    await firm.until(so)


async def _enabled(firm: Firm, challenge_id: str) -> bool:
    return firm.venue.seats[(await firm.account(challenge_id)).login or 0].enabled


async def _trading(firm: Firm, challenge_id: str, enabled: bool) -> None:
    async def so() -> bool:
        return await _enabled(firm, challenge_id) == enabled

    await firm.until(so)


async def _over(firm: Firm, chargeback_id: str) -> str:
    return str(await firm.client.get_workflow_handle(chargeback_workflow(chargeback_id)).result())


async def _answers(firm: Firm, chargeback_id: str, verb: str, actor: Actor, key: str = "k1") -> None:
    async with firm.db.transaction() as session:
        await chargeback_answers.decide(
            session,
            chargeback_id,
            verb="accept" if verb == "accept" else "submit",
            actor=actor,
            reason="The customer traded.",
            key=key,
        )


async def _settled(firm: Firm, disputed: int = 0, lost: int = 0, fee: int = 0) -> None:
    books = {"disputed": disputed, "chargebacks": lost, "provider-fees": fee, "fees": -FEE}
    cash = FEE - disputed - lost - fee

    async def so() -> bool:
        now = {name: await firm.balance(name) for name in books}
        return now == books and await firm.balance(f"provider:{firm.provider.name}") == cash

    await firm.until(so)


async def test_a_won_chargeback_restores_trading_money_and_the_time_that_was_lost(firm: Firm) -> None:
    product = await firm.lenient_product()
    challenge_id = await firm.bought(await firm.add_trader("ada"), product)
    async with firm.db.transaction() as session:
        before = (await session.get_one(Wakeup, f"challenge/{challenge_id}")).due_at
    await _disputed(firm, challenge_id, withdrawn=True, fee_minor=1_500)
    await _trading(firm, challenge_id, enabled=False)
    await _settled(firm, disputed=FEE, fee=1_500)
    assert (await firm.challenge(challenge_id)).state == "active"
    await firm.market_time(START + timedelta(days=40))  # far beyond the time of the phase, if its clock ran
    await firm.quiet()
    assert (await firm.challenge(challenge_id)).state == "active"
    chargeback_id = await _disputed(firm, challenge_id, status="won", withdrawn=False, fee_minor=0)
    await _trading(firm, challenge_id, enabled=True)
    await _settled(firm)
    assert await _over(firm, chargeback_id) == "won"
    async with firm.db.transaction() as session:
        row = await session.get_one(Wakeup, f"challenge/{challenge_id}")
    assert row.due_at - before == timedelta(days=40)
    assert row.fired_at is None
    assert (await firm.account(challenge_id)).status == "active"


async def test_a_lost_chargeback_ends_the_challenge_and_is_written_off(firm: Firm) -> None:
    challenge_id = await firm.bought(await firm.add_trader("ada"))
    await _disputed(firm, challenge_id, withdrawn=True)
    await _trading(firm, challenge_id, enabled=False)
    chargeback_id = await _disputed(firm, challenge_id, status="lost")
    await firm.ends(challenge_id, "charged_back")
    await _settled(firm, lost=FEE)
    assert await _over(firm, chargeback_id) == "lost"
    assert (await firm.account(challenge_id)).status == "closed"
    assert [review.status for review in await firm.reviews("chargeback")] == ["open"]


async def test_the_first_word_holds_the_payouts_of_the_whole_trader_and_a_win_releases_them(firm: Firm) -> None:
    ada, bob = await firm.add_trader("ada", "verified"), await firm.add_trader("bob", "verified")
    asked, other, strangers = [await firm.bought(actor, "instant") for actor in (ada, ada, bob)]
    for challenge_id in (asked, other, strangers):
        await firm.earns(challenge_id, 200_000)
    await firm.market_time(after(days=8))
    payout_id = await firm.ask_payout(other, ada, 100_000)
    await firm.payout_becomes(payout_id, "awaiting_approval")
    chargeback_id = await _disputed(firm, asked, status="inquiry")
    await firm.payout_becomes(payout_id, "in_review")
    held = await firm.payout(payout_id)
    assert held.reason == f"chargeback {chargeback_id} of {asked} is not decided"
    assert held.told == "The payout is under review."
    assert await _enabled(firm, asked), "an inquiry takes no money and stops no trading"
    free = await firm.ask_payout(strangers, bob, 50_000)
    await firm.payout_becomes(free, "sent")
    await _disputed(firm, asked, status="won")
    await firm.payout_becomes(payout_id, "awaiting_approval")


async def test_the_evidence_comes_from_our_record_and_is_sent_once(firm: Firm) -> None:
    ada, fay = await firm.add_trader("ada"), await firm.add_user("fay", "finance")
    sam = await firm.add_user("sam", "support")
    challenge_id = await firm.bought(ada)
    chargeback_id = await _disputed(firm, challenge_id, withdrawn=True, evidence_due_at=after(days=7))
    await _is(firm, "evidence_due")
    with pytest.raises(NotAllowed):
        await _answers(firm, chargeback_id, "submit", sam)
    firm.provider.loses_answers = 1
    await _answers(firm, chargeback_id, "submit", fay)
    await _is(firm, "submitted")
    ((key, evidence),) = firm.provider.answered.values()
    assert key == f"{chargeback_id}/answer"
    assert evidence is not None
    assert challenge_id in evidence.product_description
    assert evidence.service_date == "2014-05-02"
    assert "phase started" in evidence.access_activity_log
    assert evidence.uncategorized_text.startswith("The customer traded.")
    assert "SHA-256" in evidence.uncategorized_text
    assert "ada" not in str(evidence).lower().replace("trade", "")
    await _answers(firm, chargeback_id, "submit", fay)  # the same request again
    with pytest.raises((AlreadyDecided, ChargebackClosed)):
        await _answers(firm, chargeback_id, "accept", fay, "k2")


async def test_a_chargeback_that_is_opened_again_is_answered_again_once(firm: Firm) -> None:
    ada, fay = await firm.add_trader("ada"), await firm.add_user("fay", "finance")
    challenge_id = await firm.bought(ada)
    chargeback_id = await _disputed(firm, challenge_id, withdrawn=True, evidence_due_at=after(days=7))
    await _is(firm, "evidence_due", round=1)
    await _answers(firm, chargeback_id, "submit", fay)
    await _is(firm, "submitted")
    await _disputed(firm, challenge_id, status="won", withdrawn=False)
    assert await _over(firm, chargeback_id) == "won"
    await _disputed(firm, challenge_id, status="evidence_due", withdrawn=True, evidence_due_at=after(days=30))
    await _is(firm, "evidence_due", round=2)
    async with firm.db.transaction() as session:
        read = await chargebacks.one(session, chargeback_id)
        waiting = await queue.one(session, "chargeback", SUBJECT.waiting, chargeback_id)
    assert (read.answer, read.evidence) == (None, {}) and waiting is not None
    await _answers(firm, chargeback_id, "submit", fay)  # the same request as in the first round changes nothing
    assert len(firm.provider.all_answers) == 1
    firm.provider.loses_answers = 1
    await _answers(firm, chargeback_id, "submit", fay, "k2")
    await _is(firm, "submitted", round=2)
    assert [key for key, _ in firm.provider.all_answers] == [f"{chargeback_id}/answer", f"{chargeback_id}/answer/2"]
    with pytest.raises((AlreadyDecided, ChargebackClosed)):
        await _answers(firm, chargeback_id, "accept", fay, "k3")
    await _disputed(firm, challenge_id, status="lost", withdrawn=True)
    await firm.ends(challenge_id, "charged_back")
    assert await _over(firm, chargeback_id) == "lost"


async def test_an_accepted_chargeback_is_lost_by_choice(firm: Firm) -> None:
    ada, fay = await firm.add_trader("ada"), await firm.add_user("fay", "finance")
    challenge_id = await firm.bought(ada)
    chargeback_id = await _disputed(firm, challenge_id, withdrawn=True)
    await _is(firm, "evidence_due")
    await _answers(firm, chargeback_id, "accept", fay)
    await firm.ends(challenge_id, "charged_back")
    assert await _over(firm, chargeback_id) == "accepted"
    await _settled(firm, lost=FEE)


async def test_an_answer_that_the_acquirer_refuses_goes_to_people(firm: Firm) -> None:
    ada, fay = await firm.add_trader("ada"), await firm.add_user("fay", "finance")
    challenge_id = await firm.bought(ada)
    chargeback_id = await _disputed(firm, challenge_id, withdrawn=True)
    await _is(firm, "evidence_due")
    firm.provider.refuses = Conflict("Evidence is taken at our desk only.")
    await _answers(firm, chargeback_id, "submit", fay)
    review = await firm.review_opens("chargeback_due")
    assert review.detail["why"] == "Evidence is taken at our desk only."
    await _disputed(firm, challenge_id, status="under_review")
    await _is(firm, "submitted")
    assert [row.status for row in await firm.reviews("chargeback_due")] == ["closed"]


async def test_an_unanswered_chargeback_escalates_a_day_before_its_date(firm: Firm) -> None:
    challenge_id = await firm.bought(await firm.add_trader("ada"))
    await _disputed(firm, challenge_id, withdrawn=True, evidence_due_at=after(days=7))
    await _is(firm, "evidence_due")
    await firm.market_time(after(days=5))
    await firm.quiet()
    assert await firm.reviews("chargeback_due") == []
    await firm.market_time(after(days=6))
    review = await firm.review_opens("chargeback_due")
    assert review.detail["evidence_due_at"] == after(days=7).isoformat()


async def test_a_chargeback_of_the_purchase_stops_what_goes_on_from_it(firm: Firm) -> None:
    ada = await firm.add_trader("ada")
    async with firm.db.transaction() as session:
        body = (await products.newest(session, "two-step")).model_dump(mode="json")
        terms = Product.model_validate(body | {"product": "reset", "fees": {"reset": "300"}})
        await products.publish(session, terms)
    old = await firm.bought(ada, "reset")
    async with firm.db.transaction() as session:
        new = await order(
            session, old, "reset", return_url="https://firm.example/", provider=firm.provider.name, actor=ada
        )
    await firm.until(lambda: firm._has_checkout(new.id))
    await firm.pay(new.id)
    await firm.becomes(new.id, "active")
    await firm.ends(old, "closed")
    await _disputed(firm, old, withdrawn=True)
    await _trading(firm, new.id, enabled=False)
    async with firm.db.transaction() as session:
        with pytest.raises(OrderRefused):
            await order(
                session, new.id, "reset", return_url="https://firm.example/", provider=firm.provider.name, actor=ada
            )
    await _disputed(firm, old, status="won", withdrawn=False)
    await _trading(firm, new.id, enabled=True)
    await _disputed(firm, old, status="lost", withdrawn=True)  # a second presentment
    await firm.ends(new.id, "closed")
    assert (await firm.challenge(old)).state == "closed"
    assert await firm.balance("chargebacks") == FEE


async def test_two_chargebacks_of_one_payment_are_two_lives(firm: Firm) -> None:
    challenge_id = await firm.bought(await firm.add_trader("ada"))
    checkout_id = await _checkout(firm, challenge_id)
    first = firm.provider.disputes(checkout_id, amount_minor=20_000, withdrawn=True)
    second = firm.provider.disputes(checkout_id, number=2, amount_minor=34_000, withdrawn=True)
    firm.provider.tells("charge.disputed", checkout_id)
    await firm.news()
    await _trading(firm, challenge_id, enabled=False)
    await _settled(firm, disputed=FEE)
    firm.provider.disputes(checkout_id, status="won", withdrawn=False)
    firm.provider.tells("chargeback.changed", first)
    await firm.news()
    await _settled(firm, disputed=34_000)
    assert not await _enabled(firm, challenge_id), "the other one is not decided"
    firm.provider.disputes(checkout_id, number=2, status="won", withdrawn=False)
    firm.provider.tells("chargeback.changed", second)
    await firm.news()
    await _settled(firm)
    await _trading(firm, challenge_id, enabled=True)


_LIFE: tuple[dict[str, Any], ...] = (
    {"status": "inquiry"},
    {"status": "evidence_due", "withdrawn": True, "fee_minor": 1_500},
    {"status": "under_review"},
    {"status": "won", "withdrawn": False},
)


@pytest.mark.parametrize("seed", range(4))
async def test_events_in_any_order_and_doubled_end_in_the_same_state(firm: Firm, seed: int) -> None:
    """Every order of the events of a life, each with a copy, all on one firm: a challenge for each."""
    orders = list(permutations(range(len(_LIFE))))[seed::4]
    ada = await firm.add_trader("ada")
    bought = {order: await firm.bought(ada) for order in orders}
    for sequence, challenge_id in bought.items():
        checkout_id = await _checkout(firm, challenge_id)
        provider_id = ""
        for state in _LIFE:
            provider_id = firm.provider.disputes(checkout_id, **state)
        for number in sequence:
            kind = "charge.disputed" if number == 0 else "chargeback.changed"
            about = checkout_id if number == 0 else provider_id
            for copy in ("a", "b"):
                assert await firm.webhook(f"ev_{challenge_id}_{number}{copy}", kind, about)
        await firm.news()
    for challenge_id in bought.values():
        await _trading(firm, challenge_id, enabled=True)
        assert (await firm.challenge(challenge_id)).state == "active"

    async def all_won() -> bool:
        async with firm.db.transaction() as session:
            rows = (await session.scalars(select(Chargeback))).all()
        return [row.state for row in rows] == ["won"] * len(orders)

    await firm.until(all_won)
    assert (await firm.balance("disputed"), await firm.balance("chargebacks")) == (0, 0)
    assert await firm.balance("provider-fees") == 1_500 * len(orders)


async def test_a_chargeback_that_is_lost_before_an_odd_payment_was_booked_is_no_loss_of_the_firm(firm: Firm) -> None:
    challenge_id = await firm.buy(await firm.add_trader("ada"))
    checkout_id = await _checkout(firm, challenge_id)
    firm.provider.takes(checkout_id, amount_minor=FEE - 1)
    await _disputed(firm, challenge_id, status="lost", withdrawn=True)
    await firm.ends(challenge_id, "charged_back")
    books = {name: await firm.balance(name) for name in ("suspense", "disputed", "chargebacks", "provider:fakepay")}
    assert books == dict.fromkeys(books, 0)


async def test_a_chargeback_before_the_payment_was_booked_opens_an_account_that_does_not_trade(firm: Firm) -> None:
    challenge_id = await firm.buy(await firm.add_trader("ada"))
    await _disputed(firm, challenge_id, withdrawn=True)
    await firm.becomes(challenge_id, "active")
    assert not await _enabled(firm, challenge_id)
    await _settled(firm, disputed=FEE)
    await _disputed(firm, challenge_id, status="won", withdrawn=False)
    await _trading(firm, challenge_id, enabled=True)
