"""A worker killed before or after any outside call of a change of platform: run again, every effect is there once. What
is refused before the record switches turns the change back, and the account is as it was."""

import itertools
from collections.abc import AsyncIterator
from typing import Any, cast

import pytest
from sqlalchemy import select, update

from activities import provisioning
from domain.approvals import Actor
from domain.errors import (
    BadInput,
    IllegalTransition,
    RefusedForGood,
    SelfApproval,
    StaleDecision,
)
from domain.money import Money
from domain.platform_errors import PlatformChangeRefused, PlatformChanges
from firm import platform_changes
from firm.payouts import requests as payouts
from ports.platform import PositionState
from relay.outbox import OutboxDispatcher
from store import outbox
from store.models import (
    AccountLive,
    Decision,
    PlatformChange,
    Ticket,
    Transition,
    User,
)
from tests.challenge_world import START
from tests.integration.change_world import Firm, two_shards
from tests.integration.kill_bench import MOMENTS, a_bench


@pytest.fixture
async def firm(database_url: str) -> AsyncIterator[Firm]:
    async with a_bench(database_url) as bench:
        rosa, ria = [await bench.firm.add_user(name, "risk") for name in ("rosa", "ria")]
        await two_shards(bench.firm.db)
        yield Firm(bench, rosa, ria)


async def test_every_step_happens_once_whichever_call_is_killed(firm: Firm) -> None:
    died = 0
    for at, when in itertools.product(range(7), MOMENTS):
        account = await firm.account(f"a{at}{when}")
        change_id = await firm.approved(account)
        for state in ("shut", "leaving"):
            death, reached = await firm.survives(change_id, at, when)
            died += death
            assert reached == state
        row = await firm.change(change_id)
        seat, old = firm.other.seats[row.to_login or 0], firm.old(account)
        assert [(each.enabled, each.balance_minor) for each in (old, seat)] == [(False, 10_000_000)] * 2
        await firm.switched(change_id)
        death, reached = await firm.survives(change_id, at, when)
        died += death
        assert (reached, seat.enabled, old.enabled) == ("done", True, False)
        assert await firm.bench.count(Ticket, Ticket.account_id == account.id) == 1
    assert len(firm.other.seats) == 14, "one account for each change"
    assert died == 2 * (4 + 3 + 2)


async def test_given_up_at_any_step_the_account_is_as_it_was(firm: Firm) -> None:
    for steps, (at, when) in itertools.product(range(3), [(-1, "before"), *itertools.product(range(2), MOMENTS)]):
        account = await firm.account(f"b{steps}{at}{when}")
        change_id = await firm.approved(account)
        for _ in range(steps):
            await firm.step(change_id)
        async with firm.db.transaction() as session:
            await platform_changes.abandon(session, change_id, actor=firm.rosa, reason="Not today.")
        _, reached = await firm.survives(change_id, at, when)
        assert (reached, firm.old(account).enabled) == ("abandoned", True)
        assert firm.old(account).balance_minor == 10_000_000
        login = (await firm.change(change_id)).to_login
        assert login is None or (not firm.other.seats[login].enabled and firm.other.seats[login].balance_minor == 0)
        assert (await firm.bench.firm.account(account.challenge_id)).platform == "fake"


async def test_after_the_switch_it_only_goes_forward(firm: Firm) -> None:
    account = await firm.account("c")
    change_id = await firm.approved(account)
    await firm.step(change_id)
    await firm.step(change_id)
    await firm.switched(change_id)
    async with firm.db.transaction() as session:
        with pytest.raises(IllegalTransition):
            await platform_changes.abandon(session, change_id, actor=firm.rosa, reason="Too late.")
    assert await firm.step(change_id) == "done"


async def test_nobody_else_lets_it_trade_while_it_lasts(firm: Firm) -> None:
    account = await firm.account("k")
    change_id = await firm.approved(account)
    await firm.step(change_id)
    deps, login = firm.deps(), account.login or 0
    await provisioning.restore(deps, account.id, login, "the end of a suspension")
    assert not firm.old(account).enabled
    firm.old(account).balance_minor = 9_500_000
    async with firm.db.transaction() as session:
        payload = {"account_id": account.id, "offence_id": "off_1"}
        for topic, key in (("venue.resume", "resume/off_1"), ("venue.reset_balance", "reset_balance/off_1")):
            await outbox.enqueue(session, key=key, topic=topic, target=str(login), payload=payload)
    relay = OutboxDispatcher(firm.db, cast("Any", None), deps.platforms)
    for _ in range(2):
        await relay.release()
        await relay.step()
    seat = firm.old(account)
    assert (seat.enabled, seat.balance_minor) == (False, 9_500_000)
    async with firm.db.transaction() as session:
        await platform_changes.abandon(session, change_id, actor=firm.rosa, reason="Not today.")
    assert (await firm.step(change_id), seat.enabled) == ("abandoned", True)


async def test_open_positions_turn_it_back_unless_they_may_be_closed(firm: Firm) -> None:
    held = PositionState(
        position_id="p1", symbol="EURUSD", side="buy", lots=cast("Any", 1), open_price=cast("Any", 1), opened_at=START
    )
    for may_close, expected in ((False, "giving_back"), (True, "shut")):
        account = await firm.account(f"d{may_close}")
        change_id = await firm.approved(account, close_positions=may_close)
        firm.old(account).positions.append(held)  # opened after the approval
        assert await firm.step(change_id) == expected
        assert bool(firm.old(account).positions) is not may_close
        if not may_close:
            assert await firm.step(change_id) == "abandoned"
            assert firm.old(account).enabled
            assert "open positions" in (await firm.change(change_id)).why


async def test_what_the_new_venue_refuses_for_good_turns_it_back(firm: Firm) -> None:
    account = await firm.account("e")
    change_id = await firm.approved(account)
    assert await firm.step(change_id) == "shut"

    async def refused(**_: Any) -> int:
        raise RefusedForGood("create_account", "The group is unknown.")

    firm.other.create_account = refused  # type: ignore[method-assign]
    assert await firm.step(change_id) == "giving_back"
    assert await firm.step(change_id) == "abandoned"
    assert firm.old(account).enabled


async def test_two_people_who_saw_the_figures(firm: Firm) -> None:
    account = await firm.account("f")
    change_id = await firm.propose(account)
    with pytest.raises(SelfApproval):
        await firm.decide(change_id, firm.rosa)
    with pytest.raises(BadInput, match="what was seen"):
        await firm.decide(change_id, seen="")
    async with firm.db.transaction() as session:
        seen = await platform_changes.seen(session, await session.get_one(PlatformChange, change_id))
        await session.execute(update(AccountLive).values(balance_minor=9_000_000))
    with pytest.raises(StaleDecision):
        await firm.decide(change_id, seen=seen)
    await firm.decide(change_id)
    # the row decides, not the state: without the approval nothing is touched
    async with firm.db.transaction() as session:
        await session.execute(update(User).where(User.id == firm.ria.user_id).values(active=False))
    assert await firm.step(change_id) == "giving_back"
    assert firm.old(account).locks == []
    async with firm.db.transaction() as session:
        assert len((await session.scalars(select(Decision).where(Decision.subject_id == change_id))).all()) == 1
        made = await session.scalars(select(Transition.trigger).where(Transition.subject_id == change_id))
        assert list(made) == ["approval_given", "change_abandoned"]


async def test_while_it_lasts_nothing_is_paid_out_and_no_other_change_begins(firm: Firm) -> None:
    account = await firm.account("g")
    await firm.approved(account)
    trader = Actor(user_id="usr_g", person_id="p", role="trader", trader_id=account.trader_id)
    async with firm.db.transaction() as session:
        with pytest.raises(PlatformChanges):
            await payouts.request_payout(
                session,
                account_id=account.id,
                actor=trader,
                gross=Money(minor=100, currency="USD"),
                rail="fakepay",
                payable=lambda *_: None,
            )
    with pytest.raises(PlatformChangeRefused, match="is not finished"):
        await firm.propose(account)
    with pytest.raises(PlatformChangeRefused, match="cannot create accounts"):
        await firm.propose(await firm.account("h"), to_platform="poor")
    with pytest.raises(PlatformChangeRefused, match="No platform nowhere is configured"):
        await firm.propose(await firm.account("i"), to_platform="nowhere")
