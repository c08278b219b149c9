"""Money and verdicts along a chain of orders: fees are refunded once, and a case counts for what goes on."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from sqlalchemy import select

from activities import fees
from activities.deps import Deps
from contracts.challenges import ChallengeFact
from domain.approvals import Actor
from domain.errors import OrderRefused
from domain.fees import OrderKind
from domain.products.product import Product
from firm import case_actions, cases, challenges, orders
from firm.payouts import policies
from firm.payouts.situation import Holdings, situation
from front import reports
from store import ledger, products, surveillance
from store.models import OutboxMessage
from store.read.pass_rates import RateRow, pass_rates
from store.read.revenue import RevenueRow, revenue
from tests.adapters import platforms, providers
from tests.challenge_world import PATIENCE_SECONDS, Firm, a_firm, after
from tests.convicted import accuse
from tests.payout_world import nobody_approves

BUYBACK = {"buyback": "300"}


@pytest.fixture
async def firm(database_url: str, temporal_address: str) -> AsyncIterator[Firm]:
    async with a_firm(database_url, temporal_address) as found:
        yield found


async def _order(firm: Firm, challenge_id: str, actor: Actor, kind: OrderKind) -> str:
    async with firm.db.transaction() as session:
        row = await orders.order(
            session, challenge_id, kind, return_url="https://firm.example/", provider=firm.provider.name, actor=actor
        )
    await firm.until(lambda: firm._has_checkout(row.id))
    return row.id


async def _charged_back(firm: Firm, challenge_id: str) -> None:
    checkout_id = (await firm.challenge(challenge_id)).checkout_id or ""
    firm.provider.becomes(checkout_id, "charged_back")
    firm.provider.tells("charge.disputed", checkout_id)
    await firm.news()
    await firm.review_opens("chargeback")


async def _funded(firm: Firm, ada: Actor, name: str) -> str:
    challenge_id = await firm.buy(ada, name)
    await firm.pay(challenge_id)
    await firm.becomes(challenge_id, "funded")
    return challenge_id


async def _broken(firm: Firm, challenge_id: str) -> None:
    await firm.breach(challenge_id)
    await firm.becomes(challenge_id, "breached")


async def _again(firm: Firm, like: str = "instant", fees: object = BUYBACK, **payout: object) -> str:
    """A product that sells buybacks for 300, or has other `fees`; gives its name on the shelf."""
    async with firm.db.transaction() as session:
        body = (await products.newest(session, like)).model_dump(mode="json")
        body |= {"product": "again", "fees": fees, "payout": body["payout"] | payout}
        await products.publish(session, Product.model_validate(body))
        await policies.publish(session, nobody_approves())
    return "again"


async def _all_fees(firm: Firm, challenge_id: str) -> int | None:
    account = await firm.account(challenge_id)
    async with firm.db.transaction() as session:
        return (await situation(session, account.id, holdings=Holdings(10_000_000, 10_000_000, 0))).facts.all_fees_minor


async def _reported(firm: Firm) -> tuple[RateRow, RevenueRow]:
    """The totals of the reports of the last twelve months. The sums are those of the trial balance."""
    async with firm.db.transaction() as session:
        asked = await reports.months_of(session, "", "")
        rates, [money] = await pass_rates(session, asked), (await revenue(session, asked)).totals
        books = {row.account: row for row in await ledger.trial_balance(session)}
    assert money.result_minor == -sum(row.balance_minor for row in books.values() if row.type in ("income", "expense"))
    assert money.fees_minor - money.fees_returned_minor == -books["fees"].balance_minor
    return rates.total, money


async def test_a_fee_is_refunded_once_however_often_the_account_is_bought_back(firm: Firm) -> None:
    ada = await firm.add_trader("ada", "verified")
    name = await _again(firm, fee_refund={"amount": "all_fees_paid"}, first_after_days=0)
    old_id = await _funded(firm, ada, name)
    await firm.earns(old_id, 50_000)
    payout_id = await firm.ask_payout(old_id, ada, 50_000)
    await firm.arrives(payout_id)
    assert (await firm.payout(payout_id)).refund_minor == (await firm.challenge(old_id)).fee_minor
    await _broken(firm, old_id)
    rates, money = await _reported(firm)
    assert (rates.bought, rates.funded, rates.paid, rates.breached) == (1, 1, 1, 1)
    paid = await firm.payout(payout_id)
    assert (money.profit_shares_minor, money.fees_returned_minor) == (paid.trader_minor, paid.refund_minor)
    assert money.payouts_sent_minor == paid.trader_minor + paid.refund_minor
    new_id = await _order(firm, old_id, ada, "buyback")
    await firm.pay(new_id)
    await firm.becomes(new_id, "funded")
    assert await _all_fees(firm, new_id) == 30_000
    rates, more = await _reported(firm)
    assert (rates.bought, rates.funded, rates.paid, rates.ended_otherwise) == (1, 1, 1, 0), "the purchase goes on"
    assert more.fees_minor == money.fees_minor + 30_000


async def test_a_fee_that_went_back_to_the_payer_is_not_refunded_with_a_payout(firm: Firm) -> None:
    ada = await firm.add_trader("ada", "verified")
    old_id = await _funded(firm, ada, await _again(firm, fee_refund={"amount": "all_fees_paid"}))
    await _broken(firm, old_id)
    new_id = await _order(firm, old_id, ada, "buyback")
    await firm.pay(new_id)
    await firm.ends(old_id, "closed")
    await firm.becomes(new_id, "funded")
    assert await _all_fees(firm, new_id) == 30_000 + (await firm.challenge(old_id)).fee_minor
    await _charged_back(firm, old_id)
    assert await _all_fees(firm, new_id) == 30_000


async def test_nothing_is_ordered_from_a_challenge_that_was_not_paid_for_after_all(firm: Firm) -> None:
    ada = await firm.add_trader("ada", "verified")
    old_id = await _funded(firm, ada, await _again(firm))
    await _broken(firm, old_id)
    await firm.market_time(after(days=40))
    await firm.ends(old_id, "failed")
    new_id = await _order(firm, old_id, ada, "buyback")
    await _charged_back(firm, old_id)
    await firm.pay(new_id)
    await firm.becomes(new_id, "payment_review")
    with pytest.raises(OrderRefused, match="any more"):
        await _order(firm, old_id, ada, "buyback")


async def test_a_case_against_a_challenge_is_a_case_against_what_goes_on_from_it(firm: Firm) -> None:
    ada = await firm.add_trader("ada", "verified")
    old_id = await firm.bought(ada, await _again(firm, "two-step", fees={"activation": "149"}))
    await firm.passes(old_id)
    await firm.becomes(old_id, "active", phase_index=2)
    copied = await firm.account(old_id)
    await firm.passes(old_id)
    await firm.becomes(old_id, "awaiting_activation")
    new_id = await _order(firm, old_id, ada, "activation")
    await firm.pay(new_id)
    await firm.becomes(new_id, "funded")
    await firm.ends(old_id, "closed")
    rates, _ = await _reported(firm)
    assert (rates.bought, rates.passed, rates.funded, rates.in_evaluation) == (1, (1, 1), 1, 0)
    assert (rates.ended_otherwise, rates.unpaid_yet) == (0, 1), "the activation goes on from what it closed"
    ria, rob = await firm.add_user("ria", "risk"), await firm.add_user("rob", "risk")
    case_id = await accuse(firm, copied)
    async with firm.db.transaction() as session:
        rule = "Copying is not allowed."
        await case_actions.propose(session, case_id, action="close", rule=rule, actor=rob, reason="It copied.")
        case = await cases.locked(session, case_id)
        await cases.decide(session, case, decision="confirm", actor=ria, reason="It copied.", key="c1")
    await firm.ends(new_id, "closed")
    async with firm.db.transaction() as session:
        assert await surveillance.confirmed_against(session, new_id) == (case_id,)


async def test_a_challenge_that_has_ended_already_needs_no_message(firm: Firm) -> None:
    ada = await firm.add_trader("ada", "verified")
    old_id = await _funded(firm, ada, await _again(firm))
    await _broken(firm, old_id)
    await firm.market_time(after(days=40))
    await firm.ends(old_id, "failed")
    new_id = await _order(firm, old_id, ada, "buyback")
    await firm.pay(new_id)
    await firm.becomes(new_id, "funded")
    await firm.quiet()
    async with firm.db.transaction() as session:
        waiting = select(OutboxMessage.key).where(OutboxMessage.dispatched_at.is_(None))
        assert (await session.scalars(waiting)).all() == []


async def test_a_chargeback_of_an_order_does_not_wait_for_what_it_goes_on_from(firm: Firm) -> None:
    """It holds the trader's row, which a payout of the older challenge asks for after that challenge."""
    ada = await firm.add_trader("ada", "verified")
    old_id = await _funded(firm, ada, await _again(firm))
    await _broken(firm, old_id)
    new_id = await _order(firm, old_id, ada, "buyback")
    firm.provider.becomes((await firm.challenge(new_id)).checkout_id or "", "charged_back")
    fact = ChallengeFact(challenge_id=new_id, key="charged-back")
    deps = Deps(db=firm.db, platforms=platforms(firm.venue), payments=providers(firm.provider))
    async with firm.db.transaction() as session:
        await challenges.lock(session, old_id)
        async with asyncio.timeout(PATIENCE_SECONDS):
            row = await fees.record_chargeback(deps, fact)
    assert row.state == "charged_back"
