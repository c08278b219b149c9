"""A funded account that meets the scaling plan of its product is followed by a larger one."""

from collections.abc import AsyncIterator
from datetime import datetime
from decimal import Decimal
from typing import Any

import pytest
from sqlalchemy import select, text, update
from sqlalchemy.exc import DBAPIError

from domain import keys, record_keys
from domain.approvals import Actor
from domain.errors import PayoutRefused
from domain.money import Money
from domain.products.product import Product
from firm import growth, interventions, parked
from firm.payouts.situation import Holdings, situation
from ports.platform import PositionState
from store import products
from store.models import Account, AccountLive, AuditEntry, Offence, OutboxMessage, Proof, ScalingRow
from store.read import timeline
from store.read.pages import Window
from store.scope import Scope
from tests.challenge_world import Firm, a_firm, after

PLAN: dict[str, Any] = {"increase_pct": ["25", "50"], "every_months": 1, "min_payouts": 0, "split_pct": "95"}


@pytest.fixture
async def firm(database_url: str, temporal_address: str) -> AsyncIterator[Firm]:
    async with a_firm(database_url, temporal_address) as found:
        yield found


async def _funded(firm: Firm, ada: Actor | None = None, **plan: Any) -> str:
    """A funded challenge of a product that has a scaling plan."""
    async with firm.db.transaction() as session:
        body = (await products.newest(session, "instant")).model_dump(mode="json")
        body |= {"product": "growing"}
        body["payout"]["scaling"] = {**PLAN, **plan}
        await products.publish(session, Product.model_validate(body))
    challenge_id = await firm.buy(ada or await firm.add_trader("ada", "verified"), "growing")
    await firm.pay(challenge_id)
    await firm.becomes(challenge_id, "funded", phase_index=1)
    return challenge_id


async def _grown(firm: Firm, challenge_id: str, attempt: int) -> bool:
    found, challenge = await firm.account(challenge_id), await firm.challenge(challenge_id)
    return (found.attempt, challenge.state) == (attempt, "funded")


async def test_an_account_grows_step_by_step_and_the_old_one_ends(firm: Firm) -> None:
    challenge_id = await _funded(firm)
    first = await firm.account(challenge_id)
    await firm.market_time(after(days=30))  # one day before the month is over
    await firm.pump()
    await firm.quiet()
    assert (await firm.account(challenge_id)).id == first.id
    await firm.market_time(after(days=32))
    await firm.until(lambda: _grown(firm, challenge_id, 2))
    second = await firm.account(challenge_id)
    assert (first.initial_minor, second.initial_minor) == (10_000_000, 12_500_000)
    assert not firm.venue.seats[first.login or 0].enabled
    seat = firm.venue.seats[second.login or 0]
    assert (seat.enabled, seat.balance_minor) == (True, 12_500_000)
    async with firm.db.transaction() as session:
        product = await products.newest(session, "growing")
        now = await situation(session, second.id, holdings=Holdings(12_600_000, 12_600_000, 0))
        assert (now.terms.initial_minor, now.facts.profit_minor, now.facts.grown_split_pct) == (
            12_500_000,
            100_000,
            Decimal(95),
        )
        assert {spec.initial_minor for spec in now.rules.specs} == {12_500_000}
        assert now.amount(Money(minor=100_000, currency="USD")).trader == 95_000
        before = await situation(session, first.id, holdings=Holdings(10_000_000, 10_000_000, 0))
        assert before.facts.grown_split_pct is None
    assert product.has_size(1, second.initial_minor) and not product.has_size(1, 12_600_000)
    await firm.market_time(after(days=64))
    await firm.until(lambda: _grown(firm, challenge_id, 3))
    assert (await firm.account(challenge_id)).initial_minor == 12_500_000 + 5_000_000
    async with firm.db.transaction() as session:
        rows = (await session.scalars(select(ScalingRow).order_by(ScalingRow.number))).all()
        assert [(row.number, row.account_id, row.from_minor, row.to_minor) for row in rows] == [
            (1, first.id, 10_000_000, 12_500_000),
            (2, second.id, 12_500_000, 17_500_000),
        ]
        assert rows[1].facts["steps"] == 1
        entries = await session.scalars(select(AuditEntry.action).where(AuditEntry.action == "account.scaled"))
        assert len(entries.all()) == 2
        third = await firm.account(challenge_id)
        seen = await growth.shown(session, third.id, {})
        assert seen is not None and seen.missing is not None
        assert [str(size) for _, size, _ in seen.steps] == ["125,000.00 USD", "175,000.00 USD"]
        assert (str(seen.next_size), len(seen.missing)) == ("225,000.00 USD", 1)
        page = await timeline.page(session, Scope(None), third.id, Window(), kind="rules")
        told = [entry.words for entry in page.items if entry.ref == challenge_id and "grew" in entry.words]
        assert told[0].startswith("The account grew from 125,000.00 USD to 175,000.00 USD")
        ended = await growth.shown(session, first.id, {})
        assert ended is not None and ended.missing is None
    steps = await firm.steps("challenge", challenge_id)
    assert steps[1:] == ["funding_started", "account_scaled", "funding_started", "account_scaled", "funding_started"]


async def test_a_step_waits_for_profit_and_until_it_is_paid_out(firm: Firm) -> None:
    ada = await firm.add_trader("ada", "verified")
    challenge_id = await _funded(firm, ada, min_profit_pct="0.5", min_payouts=1)
    account = await firm.account(challenge_id)
    await _does_not_grow(firm, challenge_id, after(days=32))  # there is no profit yet
    await firm.earns(challenge_id, 50_000)
    await _does_not_grow(firm, challenge_id, after(days=33))  # nothing is paid out
    payout_id = await firm.ask_payout(challenge_id, ada, 50_000)
    await firm.payout_becomes(payout_id, "sent")
    await _does_not_grow(firm, challenge_id, after(days=34))  # the payout is on its way
    await firm.arrives(payout_id)
    async with firm.db.transaction() as session:  # the monitor's next checkpoint
        live = await session.get_one(AccountLive, account.id)
        live.balance_minor = live.equity_minor = 10_000_000
    await firm.market_time(after(days=36))
    await firm.until(lambda: _grown(firm, challenge_id, 2))
    assert (await firm.account(challenge_id)).id != account.id
    async with firm.db.transaction() as session:
        step = (await session.scalars(select(ScalingRow))).one()
        assert (step.facts["profit_minor"], step.facts["payouts_paid"]) == (50_000, 1)


async def _does_not_grow(firm: Firm, challenge_id: str, at: datetime) -> None:
    account = await firm.account(challenge_id)
    await firm.market_time(at)
    await firm.pump()  # wakes it
    await firm.quiet()
    assert (await firm.account(challenge_id)).id == account.id
    assert (await firm.challenge(challenge_id)).state == "funded"


async def test_an_open_position_at_the_platform_keeps_the_account(firm: Firm) -> None:
    challenge_id = await _funded(firm)
    account = await firm.account(challenge_id)
    held = {"position_id": "p1", "symbol": "EURUSD", "side": "buy", "lots": "1", "open_price": "1.1"}
    positions = firm.venue.seats[account.login or 0].positions
    positions.append(PositionState.model_validate({**held, "opened_at": after(days=31)}))
    await _does_not_grow(firm, challenge_id, after(days=32))
    positions.clear()
    await firm.market_time(after(days=33))
    await firm.until(lambda: _grown(firm, challenge_id, 2))


async def test_an_account_whose_balance_is_to_be_reset_does_not_grow(firm: Firm) -> None:
    challenge_id = await _funded(firm, of="balance")
    account, key = await firm.account(challenge_id), keys.reset_balance("off_1")
    async with firm.db.transaction() as session:
        session.add(Proof(id="prf_1", account_id=account.id, kind="violation", digest="0" * 64, body={}))
        await session.flush()
        session.add(
            Offence(
                id="off_1",
                account_id=account.id,
                challenge_id=challenge_id,
                phase_index=1,
                rule_id="daily_loss",
                offence=1,
                consequence="reset_balance",
                sentence="Too much was lost.",
                deducted_minor=0,
                proof_id="prf_1",
                seq=1,
                occurred_at=after(days=31),
                epoch=1,
            )
        )
        payload, login = {"account_id": account.id}, str(account.login)
        refused = {"parked_at": after(days=31)}  # the venue refused it: a person looks at it
        session.add(
            OutboxMessage(key=key, topic="venue.reset_balance", target=login, name="", payload=payload, **refused)
        )
    await _does_not_grow(firm, challenge_id, after(days=32))
    async with firm.db.transaction() as session:
        await session.execute(update(OutboxMessage).where(OutboxMessage.key == key).values(parked_at=None))
    await firm.quiet()
    await firm.market_time(after(days=33))
    await firm.until(lambda: _grown(firm, challenge_id, 2))


async def test_an_account_with_an_approved_adjustment_does_not_grow_before_that_is_settled(firm: Firm) -> None:
    challenge_id = await _funded(firm, of="balance")
    await firm.earns(challenge_id, 0)
    account = await firm.account(challenge_id)
    ria, fay = await firm.add_user("ria", "risk"), await firm.add_user("fay", "finance")
    async with firm.db.transaction() as session:
        made = await interventions.propose(
            session,
            account.id,
            "adjust",
            change=Money(minor=-100, currency="USD"),
            moves_balances=True,
            actor=ria,
            reason="The venue filled it twice.",
            message="We corrected a fill.",
        )
        await interventions.decide(
            session, made.id, verb="approve", moves_balances=True, actor=fay, reason="I saw it.", key="k"
        )
        key = record_keys.adjustment(made.id)
        await session.execute(  # the venue refused it: a person looks at it
            update(OutboxMessage).where(OutboxMessage.key == key).values(parked_at=after(days=31))
        )
    await _does_not_grow(firm, challenge_id, after(days=32))
    async with firm.db.transaction() as session:
        number = (await session.scalars(select(OutboxMessage.id).where(OutboxMessage.key == key))).one()
        await parked.drop(session, "outbox", number, actor="usr_fay", role="admin", reason="The venue cannot.")
    await firm.quiet()
    await firm.market_time(after(days=33))
    await firm.until(lambda: _grown(firm, challenge_id, 2))
    assert firm.venue.seats[account.login or 0].balance_minor == 10_000_000


async def test_a_broken_account_does_not_grow(firm: Firm) -> None:
    challenge_id = await _funded(firm)
    account = await firm.account(challenge_id)
    await firm.breach(challenge_id)
    await firm.becomes(challenge_id, "breached")
    await firm.market_time(after(days=32))
    await firm.ends(challenge_id, "failed")
    assert (await firm.account(challenge_id)).id == account.id


async def test_profit_below_the_smallest_payout_does_not_keep_an_account_from_growing(firm: Firm) -> None:
    challenge_id = await _funded(firm)
    await firm.earns(challenge_id, 1_000)
    ada = Actor(user_id="usr_ada", person_id="person-ada", role="trader", trader_id="trd_ada")
    await firm.market_time(after(days=32))
    with pytest.raises(PayoutRefused, match="the smallest request is"):
        await firm.ask_payout(challenge_id, ada, 1_000)
    await firm.until(lambda: _grown(firm, challenge_id, 2))


async def test_a_breach_that_is_stored_after_the_account_has_grown_still_counts(firm: Firm) -> None:
    ada, sam = await firm.add_trader("ada", "verified"), await firm.add_user("sam", "risk")
    challenge_id = await _funded(firm, ada)
    first = await firm.account(challenge_id)
    await firm.market_time(after(days=32))
    await firm.until(lambda: _grown(firm, challenge_id, 2))
    second = await firm.account(challenge_id)
    breach_id = await firm.breach(challenge_id, account=first, at=after(days=31))
    await firm.becomes(challenge_id, "breached")
    assert (await firm.account(challenge_id)).id == first.id
    assert not firm.venue.seats[second.login or 0].enabled
    async with firm.db.transaction() as session:
        assert (await session.get_one(Account, second.id)).status == "closed"
    dispute_id = await firm.dispute(breach_id, ada)
    await firm.decide(dispute_id, "reinstate", sam)
    await firm.becomes(challenge_id, "funded")
    assert firm.venue.seats[first.login or 0].enabled
    await firm.market_time(after(days=40))
    await firm.until(lambda: _grown(firm, challenge_id, 3))
    assert (await firm.account(challenge_id)).initial_minor == 12_500_000
    async with firm.db.transaction() as session:
        rows = (await session.scalars(select(ScalingRow).order_by(ScalingRow.number))).all()
        assert [(row.number, row.account_id, row.facts["steps"]) for row in rows] == [
            (1, first.id, 0),
            (2, first.id, 0),
        ]


async def test_a_breach_after_the_step_on_the_account_that_grew_changes_nothing(firm: Firm) -> None:
    challenge_id = await _funded(firm)
    first = await firm.account(challenge_id)
    await firm.market_time(after(days=32))
    await firm.until(lambda: _grown(firm, challenge_id, 2))
    await firm.breach(challenge_id, account=first, at=after(days=33))
    await firm.quiet()
    assert await _grown(firm, challenge_id, 2)


async def test_a_step_is_never_changed_afterwards(firm: Firm) -> None:
    challenge_id = await _funded(firm)
    await firm.market_time(after(days=32))
    await firm.until(lambda: _grown(firm, challenge_id, 2))
    for change in ("UPDATE scalings SET to_minor = 1", "DELETE FROM scalings"):
        with pytest.raises(DBAPIError, match=r"append-only|permission denied"):
            async with firm.db.transaction() as session:
                await session.execute(text(change))
