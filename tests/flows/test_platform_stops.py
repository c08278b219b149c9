"""Two persons stop the trading at a platform whose accounts are limited one by one, and let it go on."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from sqlalchemy import text

from activities.deps import VenueDeps
from activities.stops import Outcome, keep_carrying_out
from domain.errors import Conflict, NotAllowed
from tests.adapters import platforms
from tests.challenge_world import Firm, a_firm
from tests.stop_world import LimitingVenue, ask, carry_out, held


@pytest.fixture
async def venue() -> LimitingVenue:
    return LimitingVenue()


@pytest.fixture
async def firm(database_url: str, temporal_address: str, venue: LimitingVenue) -> AsyncIterator[Firm]:
    async with a_firm(database_url, temporal_address, venue) as opened:
        yield opened


async def test_two_persons_stop_every_account_and_let_them_trade_again(firm: Firm, venue: LimitingVenue) -> None:
    rosa, ana = await firm.add_user("rosa", "risk"), await firm.add_user("ana", "admin")
    sam = await firm.add_user("sam", "support")
    tina = await firm.add_trader("tina")
    opened = [await firm.account(await firm.bought(tina)) for _ in range(2)]
    logins = [account.login or 0 for account in opened]

    with pytest.raises(NotAllowed):
        await ask(firm, sam)
    with pytest.raises(Conflict, match="not stopped"):
        await ask(firm, rosa, lifts=True)
    stop_id, state = await ask(firm, rosa)
    assert state == "proposed"
    assert await ask(firm, rosa) == (stop_id, "proposed"), "one person twice is one person"
    with pytest.raises(Conflict, match="is proposed"):
        await carry_out(firm, venue, stop_id)
    with pytest.raises(Conflict, match="opposite"):
        await ask(firm, ana, lifts=True)
    assert await ask(firm, ana) == (stop_id, "approved")

    venue.away = {logins[1]}
    outcome = await carry_out(firm, venue, stop_id)
    assert (outcome.accounts, list(outcome.failed)) == (2, [opened[1].id])
    venue.away = set()
    outcome = await carry_out(firm, venue, (await ask(firm, rosa))[0])
    assert (outcome.accounts, outcome.failed) == (1, {}), "it goes on with what is left"
    assert venue.limited == set(logins) == set(venue.cancelled)
    with pytest.raises(Conflict, match="is stopped"):
        await ask(firm, rosa)

    # an account that opens while the platform is stopped does not trade; one that is locked stays locked
    late = await firm.account(await firm.bought(tina))
    assert not venue.seats[late.login or 0].enabled
    await venue.lock(logins[1], key="breach")
    venue.limited.discard(logins[1])
    async with firm.db.transaction() as session:
        await session.execute(text("UPDATE accounts SET status = 'locked' WHERE login = :login"), {"login": logins[1]})

    lift, _ = await ask(firm, ana, lifts=True)
    assert await ask(firm, rosa, lifts=True) == (lift, "approved")
    assert (await carry_out(firm, venue, lift)).failed == {}
    assert [venue.seats[login].enabled for login in (*logins, late.login or 0)] == [True, False, True]
    async with firm.db.transaction() as session:
        states = (await session.scalars(text("SELECT state FROM platform_stops ORDER BY recorded_at"))).all()
    assert states == ["done", "done"]


async def test_an_account_that_opens_during_a_stop_is_never_enabled(firm: Firm, venue: LimitingVenue) -> None:
    rosa, ana = await firm.add_user("rosa", "risk"), await firm.add_user("ana", "admin")
    stop_id, _ = await ask(firm, rosa)
    await ask(firm, ana)
    await carry_out(firm, venue, stop_id)
    account = await firm.account(await firm.bought(await firm.add_trader("tina")))
    assert account.status == "active"
    assert venue.enabled == []


async def test_an_approval_of_a_role_that_is_gone_does_not_count(firm: Firm, venue: LimitingVenue) -> None:
    rosa, ana = await firm.add_user("rosa", "risk"), await firm.add_user("ana", "admin")
    stop_id, _ = await ask(firm, rosa)
    await ask(firm, ana)
    async with firm.db.transaction() as session:
        await session.execute(text("UPDATE users SET role = 'support' WHERE id = :id"), {"id": ana.user_id})
    with pytest.raises(Conflict, match="No second person"):
        await carry_out(firm, venue, stop_id)


async def test_an_old_proposal_is_not_agreed_to(firm: Firm) -> None:
    rosa, ana = await firm.add_user("rosa", "risk"), await firm.add_user("ana", "admin")
    stop_id, _ = await ask(firm, rosa)
    async with firm.db.transaction() as session:
        await session.execute(text("UPDATE platform_stops SET recorded_at = recorded_at - interval '61 minutes'"))
    again, state = await ask(firm, ana)
    assert again != stop_id and state == "proposed"


async def test_one_decision_stops_a_product_at_every_platform_then_cancels_then_flattens(
    firm: Firm, venue: LimitingVenue
) -> None:
    rosa, ana = await firm.add_user("rosa", "risk"), await firm.add_user("ana", "admin")
    account = await firm.account(await firm.bought(await firm.add_trader("tina")))
    login = account.login or 0
    venue.seat(login).positions = [held("1", "EURUSD"), held("2", "XAUUSD")]

    async def both(**wanted: Any) -> Outcome:
        await ask(firm, rosa, platform="*", **wanted)
        stop_id, state = await ask(firm, ana, platform="*", **wanted)
        assert state == "approved"
        return await carry_out(firm, venue, stop_id)

    with pytest.raises(Conflict, match="open again what is closed"):
        await ask(firm, rosa, platform="*", product=account.product, action="flatten")
    assert (await both(product="another")).accounts == 0
    assert venue.limited == set()
    assert (await both(product=account.product)).accounts == 1
    assert (venue.limited, [p.position_id for p in venue.seat(login).positions]) == ({login}, ["1", "2"])
    late = await firm.account(await firm.bought(await firm.add_trader("otto")))
    assert not venue.seats[late.login or 0].enabled, "an account of the product that opens later does not trade"

    venue.cancelled.clear()
    assert (await both(product=account.product, action="cancel_orders")).failed == {}
    assert login in venue.cancelled
    await both(product=account.product, symbol="XAUUSD", action="flatten")
    assert [p.position_id for p in venue.seat(login).positions] == ["1"], "only positions in that symbol"
    await both(product=account.product, action="flatten")
    assert venue.seat(login).positions == []
    with pytest.raises(Conflict, match="cannot be taken back"):
        await ask(firm, rosa, platform="*", product=account.product, action="flatten", lifts=True)
    await both(product=account.product, lifts=True)
    assert [venue.seats[each].enabled for each in (login, late.login or 0)] == [True, True]


async def test_what_two_persons_agree_to_is_carried_out_without_a_command(firm: Firm, venue: LimitingVenue) -> None:
    rosa, ana = await firm.add_user("rosa", "risk"), await firm.add_user("ana", "admin")
    account = await firm.account(await firm.bought(await firm.add_trader("tina")))
    over, platform = asyncio.Event(), venue
    working = asyncio.create_task(keep_carrying_out(VenueDeps(firm.db, platforms(platform)), over))
    await ask(firm, rosa, platform="*")
    assert venue.limited == set()
    await ask(firm, ana, platform="*")
    async with asyncio.timeout(60):
        while venue.limited != {account.login}:
            await asyncio.sleep(0.02)
    over.set()
    await working
