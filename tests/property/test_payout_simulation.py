"""A simulation has the figures of the request and of the hold, under random payout terms and random lives."""

import random
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from domain.approvals import Actor
from domain.errors import PayoutOpen, PayoutRefused
from domain.money import Money
from domain.payouts.blocks import Block, possible_from
from firm.payouts.preview import PayoutPreview, preview
from tests.payout_world import START, World, a_firm, ref

LIVES = 26


@pytest.fixture
async def firm(database_url: str) -> AsyncIterator[World]:
    async with a_firm(database_url) as world:
        await world.no_approvals()
        yield world


def _terms(pick: random.Random) -> dict[str, Any]:
    """Random payout terms; not all of them are a product that can be sold."""
    terms: dict[str, Any] = {
        "split_pct": pick.choice(["50", "80", "100", "66.67"]),
        "min_request": pick.choice(["1", "100", "500"]),
        "first_after_days": pick.choice([0, 14, 30]),
        "every_days": pick.choice([0, 14, 30]),
        "fee_refund": pick.choice([None, {"pct": pick.choice(["50", "100"]), "amount": "last_fee_paid"}]),
    }
    if pick.random() < 0.5:
        terms |= {"cap_per_request": pick.choice(["300", "2000", "2500.01"])}
        terms |= {"excess": pick.choice(["kept_in_account", "deducted_from_account"])}
    if pick.random() < 0.3:
        terms |= {"in_blocks_of": pick.choice(["7", "250"])}
    if pick.random() < 0.3:
        terms |= {"split_tiers": [{"up_to": "750", "pct": "100"}, {"up_to": None, "pct": "33.33"}]}
    elif pick.random() < 0.4:
        terms |= {"split_by_payout": [{"from_payout": 2, "pct": "90"}]}
    if pick.random() < 0.5:
        terms |= {"cycles": [{"name": "fast", "first_after_days": 0, "every_days": 0, "split_pct": "40"}]}
    if pick.random() < 0.3:
        terms |= {"by_payout": [{"from_payout": 2, "split_pct": "70", "min_request": "50"}]}
    return terms


async def _simulated(firm: World, name: str, gross: int | None, cycle: str | None) -> PayoutPreview:
    async with firm.db.transaction() as session:
        money = None if gross is None else Money(minor=gross, currency="USD")
        return await preview(session, f"acc_{name}", money, cycle=cycle)


async def _agrees(firm: World, actor: Actor, gross: int | None, cycle: str | None) -> str | None:
    """Returns the payout if the request was granted. The simulation said so, with every figure of it."""
    name = actor.user_id[4:]
    ahead = await _simulated(firm, name, gross, cycle)
    refused = [block for block in ahead.blocks if block.stage == "request"]
    if refused:
        with pytest.raises((PayoutRefused, PayoutOpen)) as error:
            await firm.request(actor, ahead.gross_minor, cycle)
        if isinstance(error.value, PayoutRefused):
            assert [part["sentence"] for part in error.value.refusals] == [block.sentence for block in refused]
        else:
            assert "payout_open" in [block.code for block in refused]
        return None
    payout_id = await firm.request(actor, ahead.gross_minor, cycle)
    for _ in range(2):
        payout = await firm.payout(payout_id)
        figures = (payout.gross_minor, payout.trader_minor, payout.firm_minor, payout.refund_minor)
        assert figures == (ahead.gross_minor, ahead.trader_minor, ahead.firm_minor, ahead.refund_minor)
        assert (payout.forfeited_minor, payout.cycle, payout.currency) == (ahead.forfeited_minor, cycle, ahead.currency)
        assert ahead.sent_minor == payout.trader_minor + payout.refund_minor
        assert (await firm.activities.place_hold(ref(payout_id))).state == "reserved"
    return payout_id


async def test_a_simulation_is_the_request_that_follows_it(firm: World) -> None:
    granted = refused = lives = 0
    for seed in range(LIVES):
        pick = random.Random(seed)
        terms = _terms(pick)
        try:
            product = await firm.add_product(f"random{seed}", **terms)
        except ValidationError:
            continue
        lives += 1
        await firm.market_time(START + timedelta(days=20))
        profit = pick.choice([0, 5_000, 123_457, 400_000, 799_999])
        actor = await firm.add_trader("t" * (seed + 1), profit_minor=profit, product=product)
        for number in range(2):
            cycle = pick.choice([None, "fast"]) if terms.get("cycles") else None
            gross = pick.choice([None, 10_000, 50_000, 210_000, profit // 2 or 1])
            if gross is None and (await _simulated(firm, actor.user_id[4:], None, cycle)).gross_minor == 0:
                gross = 100
            made = await _agrees(firm, actor, gross, cycle)
            granted, refused = granted + (made is not None), refused + (made is None)
            if made is not None and number == 0 and pick.random() < 0.7:
                assert (await firm.activities.check_risk(ref(made))).state == "approved"
                await firm.arrives(actor, made)
            await firm.market_time(START + timedelta(days=20 + pick.choice([0, 40])))
    assert lives > LIVES // 2
    assert granted > LIVES // 4
    assert refused > LIVES // 4


@given(st.lists(st.tuples(st.sampled_from(["time", "trader", "nobody"]), st.integers(-5, 5)), max_size=4))
def test_a_request_is_possible_once_every_wait_is_over(waits: list[tuple[Any, int]]) -> None:
    blocks = [
        Block(code="x", sentence="x", stage="request", ended_by=by, until=START + timedelta(days=days))
        for by, days in waits
    ]
    held = Block(code="y", sentence="y", stage="payment", ended_by="firm")
    found = possible_from([*blocks, held], START)
    if any(by != "time" for by, _ in waits):
        assert found is None
    else:
        assert found == max([START, *(START + timedelta(days=days) for _, days in waits)])
