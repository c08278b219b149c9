"""Resets and buybacks: the phase of a challenge is paid for again and begins in a challenge of its own."""

from collections.abc import AsyncIterator

import pytest

from domain.approvals import Actor
from domain.errors import NotFound, OrderRefused
from domain.fees import OrderKind
from domain.products.product import Product
from firm import orders
from firm.payouts.situation import Holdings, situation
from store import products
from store.models import Challenge
from tests.challenge_world import Firm, a_firm, after


@pytest.fixture
async def firm(database_url: str, temporal_address: str) -> AsyncIterator[Firm]:
    async with a_firm(database_url, temporal_address) as found:
        yield found


async def _product(firm: Firm, **changes: object) -> str:
    """`two-step` that sells resets at half its fee of 540 and buybacks for 300; gives its name on the shelf."""
    async with firm.db.transaction() as session:
        body = (await products.newest(session, "two-step")).model_dump(mode="json")
        fees = {"reset": {"type": "pct_of_purchase", "value": "50"}, "buyback": "300"}
        body |= {"product": "again", "fees": fees, **changes}
        await products.publish(session, Product.model_validate(body))
    return "again"


async def _order(firm: Firm, challenge_id: str, actor: Actor, kind: OrderKind) -> str:
    async with firm.db.transaction() as session:
        row = await orders.order(
            session, challenge_id, kind, return_url="https://firm.example/", provider=firm.provider.name, actor=actor
        )
    await firm.until(lambda: firm._has_checkout(row.id))
    return row.id


async def test_a_reset_begins_the_phase_again_and_closes_what_it_replaces(firm: Firm) -> None:
    ada = await firm.add_trader("ada", "verified")
    old_id = await firm.bought(ada, await _product(firm))
    await firm.passes(old_id)
    await firm.becomes(old_id, "active", phase_index=2)
    old = await firm.account(old_id)
    new_id = await _order(firm, old_id, ada, "reset")
    assert (await firm.challenge(old_id)).state == "active", "nothing happens before it is paid"
    with pytest.raises(OrderRefused, match="ordered already"):
        await _order(firm, old_id, ada, "reset")
    await firm.pay(new_id)
    await firm.ends(old_id, "closed")
    await firm.becomes(new_id, "active", phase_index=2)
    new = await firm.account(new_id)
    assert (new.phase_index, new.attempt, new.initial_minor) == (2, 1, 10_000_000)
    assert firm.venue.seats[new.login or 0].enabled and not firm.venue.seats[old.login or 0].enabled
    challenge = await firm.challenge(new_id)
    assert (challenge.fee_minor, challenge.fee_of, challenge.replaces) == (27_000, "reset", old_id)
    assert await firm.books() == {"provider": 54_000 + 27_000, "fees": -81_000, "chargebacks": 0}
    await firm.passes(new_id)
    await firm.becomes(new_id, "funded", phase_index=3)


async def test_a_buyback_follows_a_breach_and_the_refund_counts_both_fees(firm: Firm) -> None:
    ada, eve = await firm.add_trader("ada", "verified"), await firm.add_trader("eve")
    async with firm.db.transaction() as session:
        payout = (await products.newest(session, "two-step")).payout.model_dump(mode="json")
    payout |= {"fee_refund": {"amount": "all_fees_paid", "pct": "100"}}
    old_id = await firm.bought(ada, await _product(firm, payout=payout))
    await firm.breach(old_id)
    await firm.becomes(old_id, "breached")
    with pytest.raises(NotFound):
        await _order(firm, old_id, eve, "buyback")
    with pytest.raises(OrderRefused, match="There is no reset"):
        await _order(firm, old_id, ada, "reset")
    new_id = await _order(firm, old_id, ada, "buyback")
    await firm.pay(new_id)
    await firm.ends(old_id, "closed")
    await firm.becomes(new_id, "active", phase_index=1)
    for phase in (2, 3):
        await firm.passes(new_id)
        await firm.becomes(new_id, "active" if phase == 2 else "funded", phase_index=phase)
    async with firm.db.transaction() as session:
        account = await firm.account(new_id)
        facts = (await situation(session, account.id, holdings=Holdings(10_000_000, 10_000_000, 0))).facts
        assert (facts.last_fee_minor, facts.all_fees_minor) == (30_000, 84_000)


async def test_an_order_that_is_not_paid_changes_nothing(firm: Firm) -> None:
    ada = await firm.add_trader("ada")
    old_id = await firm.bought(ada, await _product(firm))
    new_id = await _order(firm, old_id, ada, "reset")
    await firm.market_time(after(hours=25))
    await firm.ends(new_id, "cancelled")
    assert (await firm.challenge(old_id)).state == "active"
    await _order(firm, old_id, ada, "reset")  # it may be ordered again


async def test_a_payment_for_a_phase_that_is_over_waits_for_a_person(firm: Firm) -> None:
    ada = await firm.add_trader("ada")
    old_id = await firm.bought(ada, await _product(firm))
    new_id = await _order(firm, old_id, ada, "reset")
    await firm.passes(old_id)
    await firm.becomes(old_id, "active", phase_index=2)
    await firm.pay(new_id)
    await firm.becomes(new_id, "payment_review")
    assert (await firm.challenge(old_id)).state == "active"
    review = await firm.review_opens("payment_differs")
    assert "is not possible any more" in str(review.detail["difference"])
    assert (await firm.books())["fees"] == -54_000, "it is not income"


async def test_the_funded_account_opens_when_its_activation_is_paid(firm: Firm) -> None:
    ada, eve = await firm.add_trader("ada", "verified"), await firm.add_trader("eve", "refused")
    name = await _product(firm, fees={"activation": "149"})
    old_id, refused = await firm.bought(ada, name), await firm.bought(eve, name)
    for challenge_id in (old_id, refused):
        await firm.passes(challenge_id)
        await firm.becomes(challenge_id, "active", phase_index=2)
        await firm.passes(challenge_id)
    await firm.ends(refused, "closed")
    await firm.becomes(old_id, "awaiting_activation")
    new_id = await _order(firm, old_id, ada, "activation")
    await firm.market_time(after(hours=25))
    await firm.ends(new_id, "cancelled")
    again = await _order(firm, old_id, ada, "activation")
    await firm.pay(again)
    await firm.becomes(again, "funded", phase_index=3)
    await firm.ends(old_id, "closed")
    account = await firm.account(again)
    assert (account.phase_index, firm.venue.seats[account.login or 0].balance_minor) == (3, 10_000_000)
    assert (await firm.books())["fees"] == -2 * 54_000 - 14_900


async def test_a_funded_account_that_is_not_ordered_in_time_is_not_opened_any_more(firm: Firm) -> None:
    ada = await firm.add_trader("ada", "verified")
    name = await _product(firm, fees={"activation": "149"})
    late, ordered = await firm.bought(ada, name), await firm.bought(ada, name)
    for challenge_id in (late, ordered):
        await firm.passes(challenge_id)
        await firm.becomes(challenge_id, "active", phase_index=2)
        await firm.passes(challenge_id)
        await firm.becomes(challenge_id, "awaiting_activation")
    await firm.market_time(after(days=29, hours=20))
    new_id = await _order(firm, ordered, ada, "activation")
    await firm.market_time(after(days=30, hours=1))
    await firm.ends(late, "closed")
    assert (await firm.steps("challenge", late))[-1] == "activation_expired"
    with pytest.raises(OrderRefused):
        await _order(firm, late, ada, "activation")
    assert (await firm.challenge(ordered)).state == "awaiting_activation", "its order can still be paid"
    await firm.pay(new_id)
    await firm.becomes(new_id, "funded", phase_index=3)
    await firm.ends(ordered, "closed")
    assert (await firm.steps("challenge", ordered))[-1] == "closed_by_firm"


async def test_what_the_product_does_not_sell_is_refused(firm: Firm) -> None:
    ada = await firm.add_trader("ada")
    plain = await firm.bought(ada)
    with pytest.raises(OrderRefused, match="sells no reset"):
        await _order(firm, plain, ada, "reset")
    async with firm.db.transaction() as session:
        assert (await session.get_one(Challenge, plain)).fee_of == "purchase"
