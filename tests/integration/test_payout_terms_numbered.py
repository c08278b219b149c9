"""Payout terms that depend on the number of the payout, on totals, days and trades, on the record."""

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Any

import pytest
from sqlalchemy import select, update

from activities.challenges import ChallengeActivities
from contracts.challenges import ChallengeFact
from domain.approvals import Actor
from domain.errors import PayoutRefused
from domain.payouts import PayoutFacts
from domain.proofs.check import check
from firm.payouts import closing
from firm.payouts import situation as payout_facts
from store.models import Account, BalanceOperationRow, Challenge, OutboxMessage, Payout, Proof
from tests.payout_world import INITIAL, SMALL, START, Venue, World, a_firm, ref

LATER = START + timedelta(days=60)


@dataclass
class LockingVenue(Venue):
    """A venue that locks accounts. `locked`: the keys of the locks."""

    locked: list[str] = field(default_factory=list)

    async def lock(self, login: int, *, key: str) -> None:
        self.locked.append(key)


@pytest.fixture
async def firm(database_url: str) -> AsyncIterator[World]:
    async with a_firm(database_url) as world:
        await world.no_approvals()
        yield world


async def _trader(firm: World, name: str = "tina", **payout: Any) -> Actor:
    """A trader with a profit of 4,000.00 USD, just funded; the first call gives the terms."""
    await firm.market_time(START)
    if payout:
        await firm.add_product("special", **{"first_after_days": 0, **payout})
    return await firm.add_trader(name, product="special")


async def _refused(firm: World, actor: Actor, gross: int, cycle: str | None = None) -> dict[str, Any]:
    """Returns code -> figures of the reasons, and checks their proof."""
    with pytest.raises(PayoutRefused) as refused:
        await firm.request(actor, gross, cycle)
    async with firm.db.transaction() as session:
        proof = await session.get_one(Proof, refused.value.proof_id)
    assert check(proof.body) == []
    return {refusal["code"]: refusal["figures"] for refusal in refused.value.refusals}


async def _facts(firm: World, name: str = "tina") -> PayoutFacts:
    async with firm.db.transaction() as session:
        return (await payout_facts.situation(session, f"acc_{name}")).facts


async def _second_account(firm: World, actor: Actor, name: str = "toni") -> Actor:
    """Returns the same trader as the owner of another account."""
    other = await _trader(firm, name)
    async with firm.db.transaction() as session:
        for model in (Account, Challenge):
            await session.execute(
                update(model).where(model.trader_id == f"trd_{name}").values(trader_id=actor.trader_id)
            )
    return other.model_copy(update={"trader_id": actor.trader_id})


async def test_the_second_payout_has_terms_of_its_own(firm: World) -> None:
    step = {"from_payout": 2, "split_pct": "95", "min_request": "600", "gates": []}
    trader = await _trader(firm, by_payout=[step], split_pct="80")
    first = await firm.payout(await firm.paid(trader, SMALL))
    await firm.market_time(LATER)
    assert await _refused(firm, trader, SMALL) == {"request_too_small": {"requested": SMALL, "min_request": 60_000}}
    second = await firm.payout(await firm.request(trader, 60_000))
    assert (first.trader_minor, second.trader_minor) == (40_000, 57_000)


async def test_a_total_counts_the_payouts_of_all_accounts_of_the_trader(firm: World) -> None:
    trader = await _trader(firm, cap_total="1000", totals_over="trader")
    other = await _second_account(firm, trader)
    await firm.paid(trader, SMALL)
    assert (await _facts(firm, "toni")).total_paid_minor == SMALL
    on_its_way = await firm.request(other, SMALL)
    await firm.market_time(LATER)
    found = await _refused(firm, trader, SMALL)
    assert found["more_than_available"]["available"] == 0, "the payout that is on its way counts"
    assert (await firm.activities.place_hold(ref(on_its_way))).state == "reserved", "what was asked first is made"


async def test_a_cap_of_a_number_of_days_forgets_what_is_older(firm: World) -> None:
    trader = await _trader(firm, caps=[{"type": "amount", "value": "700", "per_days": 30}], every_days=1)
    await firm.paid(trader, SMALL)
    paid_at = (await _facts(firm)).last_payout_at
    assert paid_at is not None
    await firm.market_time(paid_at + timedelta(days=30) - timedelta(seconds=1))
    assert (await _refused(firm, trader, SMALL))["more_than_available"]["available"] == 20_000
    await firm.market_time(paid_at + timedelta(days=30))
    assert await firm.request(trader, SMALL)


async def test_a_request_is_made_in_blocks(firm: World) -> None:
    trader = await _trader(firm, in_blocks_of="250")
    assert await _refused(firm, trader, SMALL + 1) == {
        "not_in_blocks": {"requested": SMALL + 1, "in_blocks_of": 25_000}
    }
    assert await firm.request(trader, SMALL)


async def test_after_the_last_payout_a_live_account_would_follow(firm: World) -> None:
    trader = await _trader(firm, max_payouts=1, live_account={"formula": "min(sum_of_balances,largest_size)"})
    await firm.paid(trader, SMALL)
    await firm.market_time(LATER)
    found = await _refused(firm, trader, SMALL)
    assert found == {"payouts_used_up": {"payouts_paid": 1, "max_payouts": 1, "live_start": INITIAL}}


async def test_requests_are_taken_on_their_days(firm: World) -> None:
    """START is a Friday, 21:00 in UTC."""
    days = {"weekdays": ["monday"], "opens": "09:30", "zone": "America/New_York"}
    trader = await _trader(firm, request_days=days)
    found = await _refused(firm, trader, SMALL)
    assert found["too_early"]["from"] == "2014-05-05T13:30:00+00:00"
    await firm.market_time(START.replace(day=5, hour=13, minute=30))
    assert await firm.request(trader, SMALL)


async def test_dates_count_by_the_clock_of_the_product(firm: World) -> None:
    trader = await _trader(firm, days_are="business", first_after_days=1)
    clock = (await _facts(firm)).clock
    assert clock is not None
    monday = clock.day_start(date(2014, 5, 5))
    assert (await _refused(firm, trader, SMALL))["too_early"]["from"] == monday.isoformat()
    await firm.market_time(monday)
    assert await firm.request(trader, SMALL)


async def test_every_payout_waits_for_a_trade_since_the_last(firm: World) -> None:
    trader = await _trader(firm, after_first_trade={"days": 0, "since": "last_payout"})
    assert "no_trade_yet" in await _refused(firm, trader, SMALL)
    await firm.market_time(START.replace(day=6))
    await firm.traded("tina", date(2014, 5, 5))
    await firm.paid(trader, SMALL)
    await firm.market_time(LATER)
    assert "no_trade_yet" in await _refused(firm, trader, SMALL)
    await firm.traded("tina", date(2014, 6, 20), first=1)
    assert (await _facts(firm)).first_trade_since_payout_at is not None
    assert await firm.request(trader, SMALL)


async def test_the_share_grows_with_the_age_of_the_account(firm: World) -> None:
    trader = await _trader(firm, split_by_trading_days=[{"below": 2, "pct": "50"}, {"pct": "90"}])
    await firm.traded("tina", date(2014, 5, 5))
    await firm.market_time(START.replace(day=6))
    assert (await firm.payout(await firm.paid(trader, SMALL))).trader_minor == 25_000
    await firm.traded("tina", date(2014, 5, 6), first=1)
    await firm.market_time(LATER)
    assert (await firm.payout(await firm.request(trader, SMALL))).trader_minor == 45_000


async def test_the_profit_since_the_last_payout_is_above_what_that_left(firm: World) -> None:
    least = {"type": "pct_of_payout_balance", "value": "3.5"}
    trader = await _trader(firm, min_profit=least, profit_since="last_payout")
    payout_id = await firm.paid(trader, SMALL)
    left = INITIAL + 350_000
    async with firm.db.transaction() as session:  # what the monitor records of the hold
        session.add(
            BalanceOperationRow(
                account_id="acc_tina",
                key=f"{payout_id}/hold",
                operation="payout_hold",
                seq=9,
                at=START,
                amount_minor=-SMALL,
                balance_minor=left,
            )
        )
    await firm.market_time(LATER)
    found = await _refused(firm, trader, SMALL)
    assert found["profit_too_low"] == {"profit": 0, "min_profit": 362_250}


async def test_the_fee_comes_back_with_the_payout_that_the_terms_name(firm: World) -> None:
    refund = {"amount": "all_fees_paid", "pct": "150", "paid_with": {"payout": 2}}
    trader = await _trader(firm, fee_refund=refund)
    first = await firm.payout(await firm.paid(trader, SMALL))
    await firm.market_time(LATER)
    second = await firm.payout(await firm.paid(trader, SMALL))
    assert (first.refund_minor, second.refund_minor) == (0, 81_000)
    assert [transfer.amount_minor for transfer in firm.provider.transfers.values()] == [40_000, 121_000]
    assert (await firm.books())[::2] == (0, 0)


CLOSING = {
    "name": "closing",
    "closes_account": True,
    "base": "profit_within_safety_net",
    "split_pct": "50",
    "every_days": 0,
}


async def test_a_closing_payout_pays_what_the_safety_net_kept_and_ends_the_account(firm: World) -> None:
    net = {"type": "amount", "value": "3000"}
    venue = LockingVenue()
    firm = World(db=firm.db, venue=venue)
    trader = await _trader(firm, base="profit_above_safety_net", safety_net=net, cycles=[CLOSING])
    assert (await _refused(firm, trader, 100_001))["more_than_available"]["available"] == 100_000
    payout_id = await firm.paid(trader, 300_000, cycle="closing")
    assert (await firm.payout(payout_id)).trader_minor == 150_000
    async with firm.db.transaction() as session:
        sent = await session.scalars(select(OutboxMessage).where(OutboxMessage.name == "closed_by_firm"))
        assert [message.key for message in sent] == [f"{payout_id}/closes"]
        assert await closing.closed_by(session, await session.get_one(Challenge, "chl_tina")) == payout_id
    fact = ChallengeFact(challenge_id="chl_tina", key=f"{payout_id}/closes")
    for _ in range(2):
        assert (await ChallengeActivities(firm.deps).close_account(fact)).state == "closed"
    assert venue.locked == ["acc_tina/closed"]
    await firm.market_time(LATER)
    assert "closing_payout_paid" in await _refused(firm, trader, SMALL)


async def test_a_payout_in_another_cycle_closes_nothing(firm: World) -> None:
    net = {"type": "amount", "value": "3000"}
    trader = await _trader(firm, base="profit_above_safety_net", safety_net=net, cycles=[CLOSING])
    payout_id = await firm.paid(trader, SMALL)
    async with firm.db.transaction() as session:
        assert await closing.closed_by(session, await session.get_one(Challenge, "chl_tina")) is None
    fact = ChallengeFact(challenge_id="chl_tina", key="a rumour")
    assert (await ChallengeActivities(firm.deps).close_account(fact)).state == "funded"
    async with firm.db.transaction() as session:
        assert (await session.get_one(Payout, payout_id)).state == "paid"


async def test_a_payout_of_which_the_trader_gets_nothing_is_not_made(firm: World) -> None:
    tiers = [{"up_to": "1000", "pct": "0"}, {"up_to": None, "pct": "90"}]
    trader = await _trader(firm, split_tiers=tiers)
    assert await _refused(firm, trader, SMALL) == {"share_too_small": {"trader_share": 0, "min_trader_share": 1}}
    assert (await firm.payout(await firm.paid(trader, 100_100))).trader_minor == 90
