"""Stops of trading that are not done everywhere, lie inside one another, or are lifted while they are carried out."""

import asyncio
from collections.abc import AsyncIterator
from typing import cast

import pytest
from sqlalchemy import text

from activities.deps import VenueDeps
from activities.stops import keep_carrying_out
from domain.approvals import Actor
from domain.errors import Conflict
from ports.platform import TradingPlatform
from tests.adapters import platforms
from tests.challenge_world import Firm, a_firm
from tests.stop_world import LimitingVenue, SwitchVenue, agree, ask, carry_out, held

ROSA = Actor(user_id="usr_rosa", person_id="person-rosa", role="risk", trader_id=None)
ANA = Actor(user_id="usr_ana", person_id="person-ana", role="admin", trader_id=None)


@pytest.fixture
async def venue() -> LimitingVenue:
    return LimitingVenue()


@pytest.fixture
async def firm(database_url: str, temporal_address: str, venue: LimitingVenue) -> AsyncIterator[Firm]:
    async with a_firm(database_url, temporal_address, venue) as opened:
        for actor in (ROSA, ANA):
            assert await opened.add_user(actor.user_id.removeprefix("usr_"), actor.role) == actor
        yield opened


async def _states(firm: Firm) -> list[str]:
    async with firm.db.transaction() as session:
        return list(await session.scalars(text("SELECT state FROM platform_stops ORDER BY recorded_at")))


async def _logins(firm: Firm, *names: str) -> list[int]:
    accounts = [await firm.account(await firm.bought(await firm.add_trader(name))) for name in names]
    return [account.login or 0 for account in accounts]


async def test_a_stop_that_one_account_keeps_from_its_end_is_lifted_and_pulled_again(
    firm: Firm, venue: LimitingVenue
) -> None:
    here, lost = await _logins(firm, "tina", "otto")
    venue.away = {lost}
    stop = await agree(firm, ROSA, ANA)
    assert len((await carry_out(firm, venue, stop)).failed) == 1

    lift, state = await ask(firm, ROSA, lifts=True)
    assert state == "proposed" and await ask(firm, ANA) == (stop, "approved"), "until the end is agreed to it goes on"
    assert await ask(firm, ANA, lifts=True) == (lift, "approved")
    assert len((await carry_out(firm, venue, lift)).failed) == 1
    assert venue.seats[here].enabled
    with pytest.raises(Conflict, match="overtaken"):
        await carry_out(firm, venue, stop)

    again = await agree(firm, ROSA, ANA)
    assert again != stop
    venue.away = set()
    assert (await carry_out(firm, venue, again)).failed == {}
    assert venue.limited == {here, lost}
    assert await _states(firm) == ["overtaken", "overtaken", "done"]
    with pytest.raises(Conflict, match="is stopped"):
        await ask(firm, ROSA)


async def test_the_end_of_a_product_s_stop_opens_no_account_while_the_firm_is_stopped(
    firm: Firm, venue: LimitingVenue
) -> None:
    account = await firm.account(await firm.bought(await firm.add_trader("tina")))
    login, product = account.login or 0, account.product
    await carry_out(firm, venue, await agree(firm, ROSA, ANA, platform="*", product=product))
    await carry_out(firm, venue, await agree(firm, ROSA, ANA, platform="*"))

    lift = await agree(firm, ROSA, ANA, platform="*", product=product, lifts=True)
    assert (await carry_out(firm, venue, lift)).failed == {}
    assert not venue.seats[login].enabled and venue.limited == {login}
    await carry_out(firm, venue, await agree(firm, ROSA, ANA, platform="*", lifts=True))
    assert venue.seats[login].enabled


async def test_a_venue_s_own_switch_stays_off_while_either_stop_binds(firm: Firm, venue: LimitingVenue) -> None:
    switch = SwitchVenue(name="switch")
    await carry_out(firm, venue, await agree(firm, ROSA, ANA, platform="switch", whole=True), switch)
    await carry_out(firm, venue, await agree(firm, ROSA, ANA, platform="*"), switch)
    assert switch.off == {None}
    await carry_out(firm, venue, await agree(firm, ROSA, ANA, platform="switch", whole=True, lifts=True), switch)
    assert switch.off == {None}, "the firm is stopped"
    await carry_out(firm, venue, await agree(firm, ROSA, ANA, platform="switch", whole=True), switch)
    await carry_out(firm, venue, await agree(firm, ROSA, ANA, platform="*", lifts=True), switch)
    assert switch.off == {None}, "the platform is stopped"
    await carry_out(firm, venue, await agree(firm, ROSA, ANA, platform="switch", whole=True, lifts=True), switch)
    assert switch.off == set()


async def test_a_dead_platform_does_not_keep_the_others_from_being_stopped(firm: Firm, venue: LimitingVenue) -> None:
    (login,) = await _logins(firm, "tina")
    dead, switch = SwitchVenue(name="dead", down=True), SwitchVenue(name="switch")
    stop = await agree(firm, ROSA, ANA, platform="*")
    outcome = await carry_out(firm, venue, stop, dead, switch)
    assert outcome.failed == {"platform dead": "It cannot be reached."}
    assert (venue.limited, switch.off, await _states(firm)) == ({login}, {None}, ["approved"])
    dead.down = False
    assert (await carry_out(firm, venue, stop, dead, switch)).failed == {}
    assert (dead.off, await _states(firm)) == ({None}, ["done"])


async def test_a_platform_that_never_answers_keeps_no_other_stop_waiting(firm: Firm, venue: LimitingVenue) -> None:
    (login,) = await _logins(firm, "tina")
    hung, asked, over = SwitchVenue(name="hung"), asyncio.Event(), asyncio.Event()

    async def never() -> None:
        asked.set()
        await asyncio.Event().wait()

    hung.on_its_way = never
    one, other = cast(TradingPlatform, venue), cast(TradingPlatform, hung)
    working = asyncio.create_task(keep_carrying_out(VenueDeps(firm.db, platforms(one, other)), over))
    await agree(firm, ROSA, ANA, platform="hung", whole=True)
    async with asyncio.timeout(60):
        await asked.wait()
    await agree(firm, ROSA, ANA)
    async with asyncio.timeout(60):
        while venue.limited != {login}:
            await asyncio.sleep(0.02)
    over.set()
    async with asyncio.timeout(60):
        await working


async def test_positions_are_not_closed_once_traders_may_open_others(firm: Firm, venue: LimitingVenue) -> None:
    here, lost = await _logins(firm, "tina", "otto")
    await carry_out(firm, venue, await agree(firm, ROSA, ANA))
    await ask(firm, ROSA, action="flatten")
    cancelling = await agree(firm, ROSA, ANA, action="cancel_orders")
    await carry_out(firm, venue, await agree(firm, ROSA, ANA, lifts=True))
    for login in (here, lost):
        venue.seat(login).positions = [held(str(login), "EURUSD")]

    with pytest.raises(Conflict, match="open again what is closed"):
        await ask(firm, ANA, action="flatten")
    with pytest.raises(Conflict, match="overtaken"):
        await carry_out(firm, venue, cancelling)
    assert await _states(firm) == ["done", "proposed", "overtaken", "done"]


async def test_what_is_agreed_to_while_a_call_is_on_its_way_comes_last(firm: Firm, venue: LimitingVenue) -> None:
    (login,) = await _logins(firm, "tina")

    async def lift() -> None:
        await carry_out(firm, venue, await agree(firm, ROSA, ANA, lifts=True))

    async def stop() -> None:
        await carry_out(firm, venue, await agree(firm, ROSA, ANA))

    venue.on_its_way = lift
    with pytest.raises(Conflict, match="opposite"):
        await stop()
    assert venue.seats[login].enabled, "the call that stops it came after its end"

    await stop()
    venue.on_its_way = stop
    with pytest.raises(Conflict, match="opposite"):
        await lift()
    assert not venue.seats[login].enabled, "the call that frees it came after the next stop"
