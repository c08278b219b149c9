"""Money that comes in and goes back, on real Postgres and Temporal: who refunded it, how much, and what follows."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta

import pytest
from sqlalchemy import select
from temporalio.client import WorkflowUpdateFailedError
from temporalio.exceptions import ApplicationError

from contracts.messages import DecisionRequest, RefundRequest
from domain import ledger as entries
from domain.approvals import Actor
from domain.errors import Conflict
from domain.money import Money
from firm import reviews
from store import ledger
from store.models import AuditEntry, Intent
from store.reconciliation import breaks
from tests.asked import ask_for
from tests.challenge_world import START, Firm, a_firm, after


@pytest.fixture
async def firm(database_url: str, temporal_address: str) -> AsyncIterator[Firm]:
    async with a_firm(database_url, temporal_address) as found:
        yield found


async def _refund(firm: Firm, challenge_id: str, actor: Actor, key: str = "r1") -> str:
    request = RefundRequest(key=key, actor=actor, reason="I will not have the time.")
    await ask_for(firm.db, "challenge", challenge_id, "refund", request)
    result = await firm.handle(challenge_id).execute_update("refund", request, id=key)
    return str(result["state"])


async def _refusal(firm: Firm, challenge_id: str, actor: Actor, key: str = "r1") -> ApplicationError:
    with pytest.raises(WorkflowUpdateFailedError) as refused:
        await _refund(firm, challenge_id, actor, key)
    assert isinstance(refused.value.cause, ApplicationError)
    return refused.value.cause


async def _checkout(firm: Firm, challenge_id: str) -> str:
    return str((await firm.challenge(challenge_id)).checkout_id)


async def _actions(firm: Firm, challenge_id: str) -> list[str]:
    async with firm.db.transaction() as session:
        rows = select(AuditEntry.action).where(AuditEntry.subject_id == challenge_id).order_by(AuditEntry.seq)
        return list(await session.scalars(rows))


NOTHING = {"provider": 0, "fees": 0, "chargebacks": 0}


# refunded at the provider


@pytest.mark.parametrize("stage", ["active", "breached", "funded"])
async def test_a_refund_at_the_providers_desk_ends_the_challenge(firm: Firm, stage: str) -> None:
    challenge_id = await firm.bought(await firm.add_trader("ada"), "instant" if stage == "funded" else "two-step")
    if stage == "breached":
        await firm.breach(challenge_id)
        await firm.becomes(challenge_id, "breached")
    firm.provider.refund_at_desk(await _checkout(firm, challenge_id))
    await firm.news()
    await firm.ends(challenge_id, "refunded")
    assert await firm.books() == NOTHING
    account = await firm.account(challenge_id)
    assert (account.status, firm.venue.seats[account.login or 0].enabled) == ("closed", False)
    assert (await firm.steps("challenge", challenge_id))[-1] == "refunded_at_provider"


async def test_no_phase_opens_on_a_fee_that_went_back(firm: Firm) -> None:
    """The news of the refund comes while the pass is recorded: the workflow has it before it opens the next account."""
    challenge_id = await firm.bought(await firm.add_trader("ada"))
    checkout_id = await _checkout(firm, challenge_id)

    async def refunded() -> None:
        firm.provider.refund_at_desk(checkout_id)
        await firm.handle(challenge_id).signal("fee_refunded", {"key": "ev", "checkout_id": checkout_id})

    firm.venue.before_lock = refunded
    await firm.passes(challenge_id)
    await firm.ends(challenge_id, "refunded")
    assert [seat.enabled for seat in firm.venue.seats.values()] == [False], "one account, and it is shut"
    assert await firm.books() == NOTHING


async def test_one_refund_under_several_events_is_one_refund_and_late_news_change_nothing(firm: Firm) -> None:
    challenge_id = await firm.bought(await firm.add_trader("ada"))
    checkout_id = await _checkout(firm, challenge_id)
    firm.provider.refund_at_desk(checkout_id)
    firm.provider.tells("charge.refunded", checkout_id)
    firm.provider.tells("checkout.paid", checkout_id)
    await firm.news()
    await firm.ends(challenge_id, "refunded")
    await firm.webhook("ev_late", "charge.refunded", checkout_id)
    await firm.news()
    assert await firm.books() == NOTHING
    assert (await firm.steps("challenge", challenge_id)).count("refunded_at_provider") == 1


async def test_the_echo_of_our_own_refund_changes_nothing(firm: Firm) -> None:
    ada = await firm.add_trader("ada")
    challenge_id = await firm.bought(ada)
    assert await _refund(firm, challenge_id, ada) == "refunded"
    await firm.webhook("ev_1", "charge.refunded", await _checkout(firm, challenge_id))
    await firm.news()
    await firm.ends(challenge_id, "refunded")
    assert await firm.books() == NOTHING
    assert (await firm.steps("challenge", challenge_id))[-1] == "refund_granted"
    assert "challenge.refunded_late" not in await _actions(firm, challenge_id)


async def test_a_rumour_of_a_refund_asks_a_person_and_ends_nothing(firm: Firm) -> None:
    """The checkout counts as paid: a part went back, and nobody here decided it."""
    challenge_id = await firm.bought(await firm.add_trader("ada"))
    checkout_id = await _checkout(firm, challenge_id)
    firm.provider.moves("charge", checkout_id, 54_000)
    firm.provider.refund_at_desk(checkout_id, 10_000)
    await firm.news()
    review = await firm.review_opens("unclear_refund")
    assert (review.status, review.detail["challenge_id"]) == ("open", challenge_id)
    assert (await firm.challenge(challenge_id)).state == "active"
    await firm.books_say(provider=44_000, fees=-44_000, chargebacks=0)
    assert (await firm.reconcile()).unreconciled == 0
    firm.provider.refund_at_desk(checkout_id)
    firm.provider.past.clear()
    await firm.reconcile()  # no webhook and no event: the movement alone
    await firm.news()
    await firm.ends(challenge_id, "refunded")
    assert (await firm.books(), (await firm.reconcile()).unreconciled) == (NOTHING, 0)
    assert len(await firm.reviews("unclear_refund")) == 1


async def test_a_partial_refund_that_a_person_has_cleared_is_not_asked_about_again_after_a_restart(firm: Firm) -> None:
    ada, rosa = await firm.add_trader("ada"), await firm.add_user("rosa", "risk")
    challenge_id = await firm.bought(ada)
    checkout_id = await _checkout(firm, challenge_id)
    firm.provider.refund_at_desk(checkout_id, 10_000)
    firm.provider.tells("charge.refunded", checkout_id)  # a second event of the same refund
    await firm.news()
    review = await firm.review_opens("unclear_refund")
    async with firm.db.transaction() as session:
        await reviews.close(session, review_id=review.id, actor=rosa, reason="A discount that was agreed.")
    await firm.handle(challenge_id).terminate("by hand")
    await firm.redrive.step()
    await firm.becomes_running(challenge_id)
    await firm.quiet()
    assert [row.status for row in await firm.reviews("unclear_refund")] == ["closed"]
    firm.provider.refund_at_desk(checkout_id, 5_000)
    await firm.news()

    async def asked_again() -> bool:
        return len(await firm.reviews("unclear_refund")) == 2

    await firm.until(asked_again)


async def test_a_refund_without_any_event_is_found_by_reconciliation(firm: Firm) -> None:
    challenge_id = await firm.bought(await firm.add_trader("ada"))
    checkout_id = await _checkout(firm, challenge_id)
    firm.provider.moves("charge", checkout_id, 54_000)
    firm.provider.refund_at_desk(checkout_id)
    firm.provider.past.clear()
    assert (await firm.reconcile()).unreconciled == 1
    await firm.news()
    await firm.ends(challenge_id, "refunded")
    assert (await firm.books(), (await firm.reconcile()).unreconciled) == (NOTHING, 0)


# refunds of ours


async def test_a_refund_that_the_provider_refuses_lets_the_account_trade_again(firm: Firm) -> None:
    ada, fay = await firm.add_trader("ada"), await firm.add_user("fay", "finance")
    challenge_id = await firm.bought(ada)
    seat = firm.venue.seats[(await firm.account(challenge_id)).login or 0]
    firm.provider.refuses = Conflict("The card was closed.")
    refusal = await _refusal(firm, challenge_id, ada)
    assert refusal.message == (
        "The payment provider refused the refund: The card was closed. The account trades again."
    )
    assert seat.enabled
    assert (await firm.challenge(challenge_id)).state == "active"
    assert (await firm.steps("challenge", challenge_id))[-1] == "refund_refused"
    assert "challenge.refund_refused" in await _actions(firm, challenge_id)
    (review,) = await firm.reviews("refund_refused")
    assert (review.status, review.detail["why"]) == ("open", "The card was closed.")
    # asked again by somebody else, under a key of its own at the provider
    assert await _refund(firm, challenge_id, fay, "r2") == "refunded"
    assert firm.provider.refunded == [f"{challenge_id}/refund/2"]
    assert (await firm.books(), seat.enabled) == (NOTHING, False)


async def test_a_refund_made_and_not_answered_is_looked_up_and_booked(firm: Firm) -> None:
    ada = await firm.add_trader("ada")
    challenge_id = await firm.bought(ada)
    firm.provider.loses_answers = 1
    firm.provider.refuses = None
    assert await _refund(firm, challenge_id, ada) == "refunded"
    assert (firm.provider.refunded, await firm.books()) == ([f"{challenge_id}/refund"], NOTHING)


async def test_a_refund_that_was_made_by_hand_before_ours_counts_as_made(firm: Firm) -> None:
    ada = await firm.add_trader("ada")
    challenge_id = await firm.bought(ada)
    firm.provider.becomes(await _checkout(firm, challenge_id), "refunded")  # our own request is refused for it
    assert await _refund(firm, challenge_id, ada) == "refunded"
    assert (firm.provider.refunded, await firm.books()) == ([], NOTHING)


async def test_a_refund_of_what_was_charged_back_is_a_chargeback(firm: Firm) -> None:
    ada = await firm.add_trader("ada")
    challenge_id = await firm.bought(ada)
    firm.provider.becomes(await _checkout(firm, challenge_id), "charged_back")
    refusal = await _refusal(firm, challenge_id, ada)
    assert "taken the fee back through the bank" in refusal.message
    await firm.becomes(challenge_id, "charged_back")
    assert not firm.venue.seats[(await firm.account(challenge_id)).login or 0].enabled
    await firm.webhook("ev_1", "charge.disputed", await _checkout(firm, challenge_id))
    await firm.news()
    assert (await firm.books())["chargebacks"] == 54_000


async def test_a_refund_that_lands_after_it_was_refused_ends_the_challenge(firm: Firm) -> None:
    ada = await firm.add_trader("ada")
    challenge_id = await firm.bought(ada)
    firm.provider.refuses = Conflict("Another request with this key is under way.")
    await _refusal(firm, challenge_id, ada)
    firm.provider.refund_at_desk(await _checkout(firm, challenge_id))  # the first call, after all
    await firm.news()
    await firm.ends(challenge_id, "refunded")
    assert await firm.books() == NOTHING


async def test_a_refund_that_is_cut_off_is_told_to_people_and_finished_when_asked_for_again(firm: Firm) -> None:
    ada, fay = await firm.add_trader("ada"), await firm.add_user("fay", "finance")
    challenge_id = await firm.bought(ada)
    seat = firm.venue.seats[(await firm.account(challenge_id)).login or 0]
    firm.provider.away = True
    asked = asyncio.create_task(_refund(firm, challenge_id, ada))

    async def under_way() -> bool:
        async with firm.db.transaction() as session:
            return await session.get(Intent, f"{challenge_id}/refund") is not None

    await firm.until(under_way)
    await firm.handle(challenge_id).terminate("by hand")
    await asyncio.gather(asked, return_exceptions=True)
    await firm.redrive.step()
    await firm.becomes_running(challenge_id)
    assert not seat.enabled
    (review,) = await firm.reviews("refund_cut_off")
    assert (review.status, review.detail["refund"]) == ("open", f"{challenge_id}/refund")
    firm.provider.away = False
    assert await _refund(firm, challenge_id, fay, "r2") == "refunded"
    assert (firm.provider.refunded, await firm.books()) == ([f"{challenge_id}/refund"], NOTHING)
    assert [row.status for row in await firm.reviews("refund_cut_off")] == ["closed"]


async def test_an_account_that_was_frozen_before_the_refund_was_asked_for_is_told_to_people(firm: Firm) -> None:
    """The workflow ends right after the freeze, before anything names the refund."""
    ada, fay = await firm.add_trader("ada"), await firm.add_user("fay", "finance")
    challenge_id = await firm.bought(ada)
    seat = firm.venue.seats[(await firm.account(challenge_id)).login or 0]
    frozen = asyncio.Event()

    async def freezes() -> None:
        frozen.set()
        await asyncio.Event().wait()  # the worker never hears that the freeze was made

    firm.venue.after_freeze = freezes
    asked = asyncio.create_task(_refund(firm, challenge_id, ada))
    await frozen.wait()
    firm.venue.after_freeze = None
    await firm.handle(challenge_id).terminate("by hand")
    await asyncio.gather(asked, return_exceptions=True)
    await firm.redrive.step()
    await firm.becomes_running(challenge_id)
    assert not seat.enabled
    (review,) = await firm.reviews("refund_cut_off")
    assert (review.status, review.detail["refund"]) == ("open", f"{challenge_id}/refund")
    assert await _refund(firm, challenge_id, fay, "r2") == "refunded"
    assert (firm.provider.refunded, await firm.books()) == ([f"{challenge_id}/refund"], NOTHING)
    assert [row.status for row in await firm.reviews("refund_cut_off")] == ["closed"]


async def _part(firm: Firm, challenge_id: str, actor: Actor, amount_minor: int, key: str = "p1") -> str:
    request = RefundRequest(key=key, actor=actor, reason="A goodwill.", amount_minor=amount_minor)
    await ask_for(firm.db, "challenge", challenge_id, "refund", request)
    result = await firm.handle(challenge_id).execute_update("refund", request, id=key)
    return str(result["state"])


async def test_a_part_of_the_fee_goes_back_and_the_challenge_goes_on(firm: Firm) -> None:
    ada, fay = await firm.add_trader("ada"), await firm.add_user("fay", "finance")
    challenge_id = await firm.bought(ada)
    firm.provider.loses_answers = 1
    assert await _part(firm, challenge_id, fay, 10_000) == "active"
    assert firm.venue.seats[(await firm.account(challenge_id)).login or 0].enabled
    assert await firm.books() == {"provider": 44_000, "fees": -44_000, "chargebacks": 0}
    assert (await firm.steps("challenge", challenge_id))[-1] == "part_refunded"
    assert await firm.reviews("unclear_refund") == [], "a person here decided it"
    for actor, amount, why in ((ada, 1, "Only finance"), (fay, 44_000, "44000 minor units"), (fay, 0, "more than")):
        with pytest.raises(WorkflowUpdateFailedError) as refused:
            await _part(firm, challenge_id, actor, amount, f"p-{actor.user_id}-{amount}")
        assert why in str(refused.value.cause)
    assert await _refund(firm, challenge_id, ada) == "refunded"  # the rest, before the first trade
    assert await firm.books() == NOTHING


async def test_a_part_whose_answer_was_lost_goes_back_once_though_the_acquirer_forgets_keys(firm: Firm) -> None:
    ada, fay = await firm.add_trader("ada"), await firm.add_user("fay", "finance")
    challenge_id = await firm.bought(ada)
    firm.provider.loses_answers, firm.provider.forgets_keys = 1, True
    assert await _part(firm, challenge_id, fay, 10_000) == "active"
    assert firm.provider.refunded == [f"{challenge_id}/refund"]
    assert firm.provider.checkouts[await _checkout(firm, challenge_id)].refunded_minor == 10_000
    assert await firm.books() == {"provider": 44_000, "fees": -44_000, "chargebacks": 0}


async def test_a_refund_that_the_books_have_from_before_it_had_a_row_is_not_booked_again(firm: Firm) -> None:
    challenge_id = await firm.bought(await firm.add_trader("ada"))
    checkout_id = await _checkout(firm, challenge_id)
    part = Money(minor=10_000, currency="USD")
    async with firm.db.transaction() as session:
        entry = entries.refund_made(challenge_id, part, firm.provider.name, "before", suspended=False)
        await ledger.post(session, entry, occurred_at=START)
    firm.provider.refund_at_desk(checkout_id, 10_000)  # the same one, which now gets its row
    firm.provider.refund_at_desk(checkout_id, 5_000)  # only this one is new
    await firm.news()
    await firm.books_say(provider=39_000, fees=-39_000, chargebacks=0)


async def test_a_refund_that_fails_days_later_is_money_again_and_work_for_people(firm: Firm) -> None:
    ada = await firm.add_trader("ada")
    challenge_id = await firm.bought(ada)
    checkout_id = await _checkout(firm, challenge_id)
    assert await _refund(firm, challenge_id, ada) == "refunded"
    await firm.ends(challenge_id, "refunded")
    firm.provider.refund_fails(checkout_id)
    await firm.news()
    review = await firm.review_opens("refund_failed")
    assert (review.detail["amount_minor"], review.detail["why"]) == (54_000, "account closed")
    assert await firm.books() == {"provider": 54_000, "fees": -54_000, "chargebacks": 0}
    assert "challenge.refund_failed" in await _actions(firm, challenge_id)
    firm.provider.tells("charge.refunded", checkout_id)  # told again
    firm.provider.refund_at_desk(checkout_id)  # another way
    await firm.news()
    await firm.books_say(**NOTHING)
    assert len(await firm.reviews("refund_failed")) == 1


@pytest.mark.parametrize(("shown", "differences"), [(False, 0), (True, 1)])
async def test_a_refund_that_fails_without_a_movement_is_at_most_one_difference(
    firm: Firm, shown: bool, differences: int
) -> None:
    """`shown`: a statement had it before it failed, and shows no money back."""
    challenge_id = await firm.bought(await firm.add_trader("ada"))
    fay, checkout_id = await firm.add_user("fay", "finance"), await _checkout(firm, challenge_id)
    assert await _part(firm, challenge_id, fay, 10_000) == "active"
    firm.provider.moves("charge", checkout_id, 54_000)
    if shown:
        firm.provider.moves("refund", checkout_id, -10_000)
    await firm.market_time(START + timedelta(days=2))
    await firm.reconcile()
    assert await _unreconciled(firm, days=2) == (0 if shown else 1), "the refund is pending"
    firm.provider.refund_fails(checkout_id)
    await firm.news()
    await firm.books_say(provider=54_000, fees=-54_000, chargebacks=0)
    for days in (4, 6):
        await firm.market_time(START + timedelta(days=days))
        await firm.reconcile()
        assert await _unreconciled(firm, days=days) == differences


async def _unreconciled(firm: Firm, *, days: int) -> int:
    async with firm.db.transaction() as session:
        return await breaks.unreconciled(session, START + timedelta(days=days))


async def test_a_payment_that_is_processing_is_waited_for_beyond_its_time(firm: Firm) -> None:
    paid, failed = [await firm.buy(await firm.add_trader(name)) for name in ("ada", "bob")]
    for challenge_id in (paid, failed):
        firm.provider.processes(await _checkout(firm, challenge_id))
    await firm.market_time(after(days=2))
    await firm.quiet()
    assert [(await firm.challenge(each)).state for each in (paid, failed)] == ["awaiting_payment"] * 2
    await firm.pay(paid)
    await firm.becomes(paid, "active")
    firm.provider.becomes(await _checkout(firm, failed), "expired")
    firm.provider.tells("checkout.expired", await _checkout(firm, failed))
    await firm.news()
    await firm.ends(failed, "cancelled")


# what was paid is not what was due


@pytest.mark.parametrize(
    ("paid", "currency", "amount"),
    [
        ({"amount_minor": 1, "currency": "JPY"}, "JPY", 1),
        ({"amount_minor": 53_999}, "USD", 53_999),
        ({"amount_minor": 54_001}, "USD", 54_001),
        ({"reference": "chl_other"}, "USD", 54_000),
    ],
)
async def test_a_payment_that_is_not_the_fee_opens_no_account_and_can_be_refunded(
    firm: Firm, paid: dict[str, object], currency: str, amount: int
) -> None:
    ada, fay = await firm.add_trader("ada"), await firm.add_user("fay", "finance")
    rosa = await firm.add_user("rosa", "risk")
    challenge_id = await firm.buy(ada)
    checkout_id = await _checkout(firm, challenge_id)
    firm.provider.takes(checkout_id, **paid)
    firm.provider.tells("checkout.paid", checkout_id)
    await firm.news()
    review = await firm.review_opens("payment_differs")
    assert ((await firm.challenge(challenge_id)).state, len(firm.venue.seats)) == ("payment_review", 0)
    assert (review.detail["due_minor"], review.detail["due_currency"]) == (54_000, "USD")
    assert (review.detail["paid_minor"], review.detail["paid_currency"]) == (amount, currency)
    assert await firm.balance("suspense", currency) == -amount
    assert await firm.balance(f"provider:{firm.provider.name}", currency) == amount
    assert await firm.balance("fees") == 0
    async with firm.db.transaction() as session:
        with pytest.raises(Conflict, match="still with the firm"):
            await reviews.close(session, review_id=review.id, actor=rosa, reason="Looked at it.")
    assert await _refund(firm, challenge_id, fay) == "refunded"
    await firm.ends(challenge_id, "refunded")
    assert await firm.balance("suspense", currency) == 0
    assert await firm.balance(f"provider:{firm.provider.name}", currency) == 0
    assert [row.status for row in await firm.reviews("payment_differs")] == ["closed"]
    assert len(firm.venue.seats) == 0


@pytest.mark.parametrize("back", ["refunded by us", "refunded at the provider", "charged back"])
async def test_a_payment_in_an_unknown_currency_is_shown_to_a_person(firm: Firm, back: str) -> None:
    """Nobody knows its minor units, so the books cannot hold it; what the provider says is shown as it says it."""
    challenge_id, fay = await firm.buy(await firm.add_trader("ada")), await firm.add_user("fay", "finance")
    checkout_id = await _checkout(firm, challenge_id)
    firm.provider.takes(checkout_id, amount_minor=54_000, currency="XTS")
    firm.provider.tells("checkout.paid", checkout_id)
    await firm.news()
    review = await firm.review_opens("payment_differs")
    assert ((await firm.challenge(challenge_id)).state, len(firm.venue.seats)) == ("payment_review", 0)
    assert (review.detail["paid_minor"], review.detail["paid_currency"]) == (54_000, "XTS")
    assert review.detail["difference"] == "54000 XTS was paid and 54000 USD was due (minor units)."
    assert await firm.books() == NOTHING
    if back == "refunded by us":
        assert await _refund(firm, challenge_id, fay) == "refunded"
        firm.provider.tells("charge.refunded", checkout_id)
    elif back == "refunded at the provider":
        firm.provider.refund_at_desk(checkout_id)
    else:
        firm.provider.becomes(checkout_id, "charged_back")
        firm.provider.tells("charge.disputed", checkout_id)
    await firm.news()
    await firm.ends(challenge_id, "charged_back" if back == "charged back" else "refunded")
    assert (await firm.books(), await firm.balance("suspense")) == (NOTHING, 0)
    assert [row.status for row in await firm.reviews("payment_differs")] == ["closed"]


async def test_a_wrong_payment_that_is_taken_back_is_no_loss(firm: Firm) -> None:
    challenge_id = await firm.buy(await firm.add_trader("ada"))
    checkout_id = await _checkout(firm, challenge_id)
    firm.provider.takes(checkout_id, amount_minor=1)
    firm.provider.tells("checkout.paid", checkout_id)
    await firm.news()
    await firm.becomes(challenge_id, "payment_review")
    firm.provider.becomes(checkout_id, "charged_back")
    firm.provider.tells("charge.disputed", checkout_id)
    await firm.news()
    await firm.ends(challenge_id, "charged_back")
    assert (await firm.books(), await firm.balance("suspense")) == (NOTHING, 0)
    assert [row.status for row in await firm.reviews("payment_differs")] == ["closed"]


async def test_an_intent_of_today_is_finished_under_its_key(firm: Firm) -> None:
    """One that was declared before attempts had numbers and named their request."""
    ada = await firm.add_trader("ada")
    challenge_id = await firm.bought(ada)
    payload = {"checkout_id": await _checkout(firm, challenge_id), "user_id": ada.user_id, "role": "trader"}
    async with firm.db.transaction() as session:
        session.add(Intent(key=f"{challenge_id}/refund", kind="payments.refund", payload=payload))
    assert await _refund(firm, challenge_id, ada) == "refunded"
    assert firm.provider.refunded == [f"{challenge_id}/refund"]


async def test_a_payment_that_was_charged_back_before_we_looked_opens_no_account(firm: Firm) -> None:
    challenge_id = await firm.buy(await firm.add_trader("ada"))
    checkout_id = await _checkout(firm, challenge_id)
    firm.provider.becomes(checkout_id, "charged_back")
    firm.provider.tells("checkout.paid", checkout_id)  # the news of the chargeback is still on its way
    await firm.news()
    await firm.ends(challenge_id, "charged_back")
    assert len(firm.venue.seats) == 0
    assert [review.status for review in await firm.reviews("chargeback")] == ["open"]
    firm.provider.tells("charge.disputed", checkout_id)
    await firm.news()
    assert await firm.books() == {"provider": 0, "fees": -54_000, "chargebacks": 54_000}
    assert len(await firm.reviews("chargeback")) == 1


# the trader's other money


async def _two_funded(firm: Firm, actor: Actor) -> tuple[str, str]:
    """Two funded challenges of one trader, with a profit on each that can be paid out."""
    first, second = await firm.bought(actor, "instant"), await firm.bought(actor, "instant")
    for challenge_id in (first, second):
        await firm.earns(challenge_id, 200_000)
    await firm.market_time(after(days=8))
    return first, second


async def _charge_back(firm: Firm, challenge_id: str) -> None:
    checkout_id = await _checkout(firm, challenge_id)
    firm.provider.becomes(checkout_id, "charged_back")
    firm.provider.tells("charge.disputed", checkout_id)
    await firm.news()


async def test_a_chargeback_holds_every_payout_of_the_trader_until_a_person_closes_its_review(firm: Firm) -> None:
    ada, bob = await firm.add_trader("ada", "verified"), await firm.add_trader("bob", "verified")
    rosa = await firm.add_user("rosa", "risk")
    others = await firm.bought(bob, "instant")
    await firm.earns(others, 200_000)
    first, second = await _two_funded(firm, ada)
    doomed, waiting = await firm.ask_payout(first, ada, 100_000), await firm.ask_payout(second, ada, 100_000)
    for payout_id in (doomed, waiting):
        await firm.payout_becomes(payout_id, "awaiting_approval")
    await _charge_back(firm, first)
    await firm.becomes(first, "charged_back")
    await firm.payout_becomes(doomed, "cancelled")
    await firm.payout_becomes(waiting, "in_review")
    review = await firm.review_opens("chargeback")

    async def held_by_review() -> bool:
        return review.id in str((await firm.payout(waiting)).reason)

    await firm.until(held_by_review)
    held = await firm.payout(waiting)
    assert held.checks["payments"]["ok"] is False
    assert review.id in str(held.checks["payments"]["words"])
    assert held.told == "The payout is under review."
    assert held.reason == f"review {review.id} is open: the fee of {first} was charged back"
    unaffected = await firm.ask_payout(others, bob, 50_000)
    await firm.payout_becomes(unaffected, "sent")
    # a new request is held as well, however small
    handle = firm.client.get_workflow_handle(f"payout/{waiting}")
    cancel = DecisionRequest(key="c1", actor=ada, reason="")
    await ask_for(firm.db, "payout", waiting, "cancel", cancel)
    await handle.execute_update("cancel", cancel, id="c1")
    await firm.payout_becomes(waiting, "cancelled")
    small = await firm.ask_payout(second, ada, 50_000)
    await firm.payout_becomes(small, "in_review")
    async with firm.db.transaction() as session:
        await reviews.close(session, review_id=review.id, actor=rosa, reason="The bank made a mistake; Ada paid again.")
    await firm.payout_becomes(small, "sent")


async def test_a_chargeback_that_comes_after_the_approval_still_stops_the_money(firm: Firm) -> None:
    ada, fay = await firm.add_trader("ada", "verified"), await firm.add_user("fay", "finance")
    first, second = await _two_funded(firm, ada)
    payout_id = await firm.ask_payout(second, ada, 100_000)
    await firm.payout_becomes(payout_id, "awaiting_approval")
    firm.venue.before_lock = lambda: _approve(firm, payout_id, fay)  # while the account of the other is being locked
    await _charge_back(firm, first)
    await firm.becomes(first, "charged_back")
    await firm.payout_becomes(payout_id, "in_review")
    assert firm.provider.transfers == {}


async def _approve(firm: Firm, payout_id: str, actor: Actor) -> None:
    handle = firm.client.get_workflow_handle(f"payout/{payout_id}")
    approve = DecisionRequest(key="a1", actor=actor, reason="Fine.")
    await ask_for(firm.db, "payout", payout_id, "approve", approve)
    try:
        await handle.execute_update("approve", approve, id="a1")
    except WorkflowUpdateFailedError:
        return  # it was held in time


async def test_a_refund_at_the_providers_desk_stops_the_payouts_of_its_challenge(firm: Firm) -> None:
    ada = await firm.add_trader("ada", "verified")
    first, second = await _two_funded(firm, ada)
    stopped, goes_on = await firm.ask_payout(first, ada, 100_000), await firm.ask_payout(second, ada, 100_000)
    for payout_id in (stopped, goes_on):
        await firm.payout_becomes(payout_id, "awaiting_approval")
    firm.provider.refund_at_desk(await _checkout(firm, first))
    await firm.news()
    await firm.ends(first, "refunded")
    await firm.payout_becomes(stopped, "cancelled")
    assert (await firm.payout(goes_on)).state == "awaiting_approval"


async def test_a_partial_refund_holds_payouts_until_a_person_has_looked(firm: Firm) -> None:
    ada, rosa = await firm.add_trader("ada", "verified"), await firm.add_user("rosa", "risk")
    first, second = await _two_funded(firm, ada)
    payout_id = await firm.ask_payout(second, ada, 100_000)
    await firm.payout_becomes(payout_id, "awaiting_approval")
    firm.provider.refund_at_desk(await _checkout(firm, first), 1_000)
    await firm.news()
    await firm.payout_becomes(payout_id, "in_review")
    (review,) = await firm.reviews("unclear_refund")
    async with firm.db.transaction() as session:
        await reviews.close(session, review_id=review.id, actor=rosa, reason="A discount that was agreed.")
    await firm.payout_becomes(payout_id, "awaiting_approval")
