"""The preview, the refusal with its proof, the request and the money that leaves say the same of every payout term."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

import pytest

from domain.errors import PayoutRefused
from domain.money import Money
from domain.proofs.check import check
from firm.payouts.preview import PayoutPreview, preview
from store.models import Proof
from tests.payout_world import INITIAL, START, World, a_firm

PROFIT = 400_000
LATER = START + timedelta(days=60)


@dataclass(frozen=True)
class Term:
    """Terms, and what they leave of a profit of 4,000.00 USD, in minor units. `traded`: the result of one trade of an
    hour, on the day of the request."""

    payout: dict[str, Any]
    gross: int
    trader: int
    forfeited: int = 0
    refund: int = 0
    rules: tuple[dict[str, Any], ...] = ()
    traded: int = 0


def amount(value: str) -> dict[str, str]:
    return {"type": "amount", "value": value}


SHORT = {"type": "min_hold_time", "id": "hold", "seconds": 7200, "effect": "short_profit_deducted"}
BEST = {"type": "best_day_ratio", "id": "best", "limit_pct": "50", "compare": "<=", "effect": "excess_deducted"}
DAY_CAP = {"type": "daily_profit_cap", "id": "day_cap", "amount": {"type": "pct_of_initial", "value": "3"}}
TERMS = {
    "cap_with_steps": Term(
        {"caps": [{**amount("1000"), "steps": [{"from_profit": "4000", "value": "1500"}]}]}, 150_000, 120_000
    ),
    "cap_without_an_end": Term(
        {"caps": [{**amount("1000"), "steps": [{"from_profit": "4000", "value": None}]}]}, 400_000, 320_000
    ),
    "cap_below_a_profit": Term(
        {"caps": [{"type": "pct_of_profit", "value": "60", "below_profit": amount("4000.01")}]}, 240_000, 192_000
    ),
    "cap_of_the_balance": Term({"caps": [{"type": "pct_of_balance", "value": "1"}]}, 104_000, 83_200),
    "cap_after_the_split": Term({"cap_trader_share": "1000"}, 125_000, 100_000),
    "cap_of_all_payouts": Term({"cap_total": "777.77"}, 77_777, 62_222),
    "excess_and_blocks": Term(
        {"caps": [amount("1000")], "in_blocks_of": "300", "excess": "deducted_from_account"}, 90_000, 72_000, 300_000
    ),
    "tiers_from_zero": Term(
        {"split_tiers": [{"up_to": "1000", "pct": "0"}, {"up_to": None, "pct": "90"}]}, 400_000, 270_000
    ),
    "within_the_safety_net": Term(
        {"base": "profit_within_safety_net", "safety_net": amount("2100"), "split_pct": "50"}, 210_000, 105_000
    ),
    "at_most_the_target": Term(
        {"base": "min(profit,profit_target)", "profit_target": {"type": "pct_of_initial", "value": "2"}},
        *(200_000, 160_000),
    ),
    "half_of_the_fee": Term({"fee_refund": {"pct": "50"}}, 400_000, 320_000, refund=27_000),
    "short_trades_left_out": Term({}, 300_000, 240_000, rules=(SHORT,), traded=100_000),
    "best_day_left_out": Term({}, 200_000, 160_000, rules=(BEST,), traded=400_000),
    "day_cap_left_out": Term({}, 300_000, 240_000, rules=(DAY_CAP,), traded=400_000),
}


@pytest.fixture
async def firm(database_url: str) -> AsyncIterator[World]:
    async with a_firm(database_url) as world:
        await world.no_approvals()
        yield world


async def _preview(firm: World, gross: int) -> PayoutPreview:
    async with firm.db.transaction() as session:
        return await preview(session, "acc_tina", Money(minor=gross, currency="USD"))


@pytest.mark.parametrize("name", TERMS)
async def test_every_way_says_the_same(firm: World, name: str) -> None:
    term = TERMS[name]
    terms: dict[str, Any] = {"first_after_days": 0, "every_days": 1, **term.payout}
    product = await firm.add_product("special", rules=term.rules, **terms)
    trader = await firm.add_trader("tina", profit_minor=PROFIT, product=product)
    if term.traded:
        await firm.traded("tina", date(2014, 5, 5), pnl_minor=term.traded)
    await firm.market_time(START.replace(day=6))

    # a block more is too much, and the proof of the refusal has the figures of the preview
    more = term.gross + (30_000 if "in_blocks_of" in term.payout else 1)
    with pytest.raises(PayoutRefused) as refused:
        await firm.request(trader, more)
    figures = {"requested": more, "available": term.gross}
    assert [(each["code"], each["figures"]) for each in refused.value.refusals] == [("more_than_available", figures)]
    async with firm.db.transaction() as session:
        proof = await session.get_one(Proof, refused.value.proof_id)
    assert check(proof.body) == []
    assert [part.figures for part in (await _preview(firm, more)).refusal_figures] == [figures]

    seen = await _preview(firm, term.gross)
    assert seen.refusals == ()
    assert (seen.most_minor, seen.trader_minor, seen.firm_minor, seen.forfeited_minor, seen.refund_minor) == (
        *(term.gross, term.trader, term.gross - term.trader, term.forfeited, term.refund),
    )
    payout = await firm.payout(await firm.paid(trader, term.gross))
    assert (payout.gross_minor, payout.trader_minor, payout.forfeited_minor, payout.refund_minor) == (
        *(term.gross, term.trader, term.forfeited, term.refund),
    )
    (transfer,) = firm.provider.transfers.values()
    assert transfer.amount_minor == seen.sent_minor == term.trader + term.refund
    assert list(firm.venue.balances.values()) == [INITIAL + PROFIT - term.gross - term.forfeited]
    assert (await firm.books())[::2] == (0, 0)


async def test_a_term_that_no_longer_applies_from_the_second_payout_on(firm: World) -> None:
    step = {"from_payout": 2, "without": ["cap_total", "min_trader_share"]}
    terms: dict[str, Any] = {"cap_total": "500", "min_trader_share": "300", "by_payout": [step], "first_after_days": 0}
    product = await firm.add_product("special", **terms)
    trader = await firm.add_trader("tina", profit_minor=PROFIT, product=product)
    await firm.market_time(START)
    with pytest.raises(PayoutRefused) as refused:
        await firm.request(trader, 50_001)
    async with firm.db.transaction() as session:
        assert check((await session.get_one(Proof, refused.value.proof_id)).body) == []
    await firm.paid(trader, 50_000)
    await firm.market_time(LATER)
    assert (await _preview(firm, 20_000)).refusals == ()
    with pytest.raises(PayoutRefused) as second:
        await firm.request(trader, 350_001)
    assert second.value.refusals[0]["figures"] == {"requested": 350_001, "available": 350_000}
    async with firm.db.transaction() as session:
        assert check((await session.get_one(Proof, second.value.proof_id)).body) == []
    assert (await firm.payout(await firm.paid(trader, 350_000))).trader_minor == 280_000
