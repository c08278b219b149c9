"""Carries out stops of the trading at a platform, and their ends: in one call, or account by account.

Every account has a key of its own and is noted when it is done, so that a run that ends in the middle is taken up where
it was. An account or a platform that cannot be reached does not keep the others waiting. What is agreed to may change
while calls are on their way: after each call the record is asked again, and what it says comes last.
"""

import asyncio
import hashlib
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import structlog
from sqlalchemy.exc import SQLAlchemyError

from activities import provisioning
from activities.deps import VenueDeps
from activities.effects import limit
from domain.errors import Conflict, PropOSError
from domain.stops import EVERYWHERE
from firm import refunds, stops
from ports.platform import TradingPlatform
from ports.stops import CancelsOrders, LimitsToClosing, StopsEverybody
from store import notifications, outbox
from store import stops as stored
from store.models import PlatformStop

_AT_ONCE: Final = 8
_AGAIN_SECONDS: Final = 5.0
_log = structlog.get_logger(__name__)
Told = Callable[[int, int], None]  # (accounts done, of how many)


@dataclass
class Outcome:
    """`accounts`: how many were left. `failed`: account, or `platform` and its name -> why. Empty: everything is
    done."""

    accounts: int
    failed: dict[str, str]


async def carry_out(deps: VenueDeps, stop_id: str, told: Told) -> Outcome:
    """Raises Conflict unless two persons have agreed, or if they agree to the opposite meanwhile, and what the venue
    raises at a call for all of one platform."""
    async with deps.db.transaction() as session:
        stop = await stops.check_agreed(session, stop_id)
    names = _with_one_call(deps, stop)
    failed = await _everybody(deps, stop, names)
    if stop.lifts and stop.platform == EVERYWHERE:
        names = ()  # accounts that were not enabled meanwhile are enabled now
    outcome = Outcome(0, failed)
    if not stop.whole:
        outcome = await _each(deps, stop, names, told)
        outcome.failed |= failed
    async with deps.db.transaction() as session:
        await stops.carried_out(session, stop.id, everywhere=not outcome.failed)
    return outcome


def _with_one_call(deps: VenueDeps, stop: PlatformStop) -> tuple[str, ...]:
    """Returns the platforms at which one call does it for everybody: their accounts are not limited one by one."""
    if stop.action != "close_only" or stop.product is not None:
        return ()
    if stop.platform != EVERYWHERE:
        return (stop.platform,) if stop.whole else ()
    return tuple(sorted(name for name, each in deps.platforms.by_name.items() if isinstance(each, StopsEverybody)))


async def _everybody(deps: VenueDeps, stop: PlatformStop, names: Sequence[str]) -> dict[str, str]:
    """Stops everybody, or ends that, at these platforms, all at once. Returns what failed at which of several; raises
    that of a single one."""
    if stop.platform != EVERYWHERE:
        for name in names:
            await _set_stopped(deps, stop, name, stop.id)
        return {}
    failed: dict[str, str] = {}

    async def one(name: str) -> None:
        try:
            await _set_stopped(deps, stop, name, f"{stop.id}/{name}")
        except PropOSError as exc:
            failed[f"platform {name}"] = exc.message

    await asyncio.gather(*map(one, names))
    return failed


async def _set_stopped(deps: VenueDeps, stop: PlatformStop, name: str, key: str) -> None:
    """The end of a stop leaves a platform alone at which another one stops everybody."""
    platform = deps.platforms.of(name)
    if not isinstance(platform, StopsEverybody):
        raise Conflict(f"The platform {name!r} has no call that stops everybody any more.")
    if stop.lifts and await _binds_venue(deps, name, stop.symbol):
        return
    await platform.set_stopped(key=key, symbol=stop.symbol, stopped=not stop.lifts)
    binds = await _binds_venue(deps, name, stop.symbol)
    if binds == stop.lifts:  # the opposite was agreed to in between, and may have come to the venue first
        await platform.set_stopped(key=f"{key}/again", symbol=stop.symbol, stopped=binds)


async def _binds_venue(deps: VenueDeps, name: str, symbol: str | None) -> bool:
    async with deps.db.transaction() as session:
        return await stored.binds_venue(session, name, symbol)


async def _each(deps: VenueDeps, stop: PlatformStop, but: Sequence[str], told: Told) -> Outcome:
    async with deps.db.transaction() as session:
        accounts = await stored.left(session, stop, but)
    turns: dict[str, asyncio.Semaphore] = defaultdict(lambda: asyncio.Semaphore(_AT_ONCE))  # of each platform
    done, outcome = 0, Outcome(len(accounts), {})

    async def one(account: stored.Reached) -> None:
        nonlocal done
        async with turns[account.platform]:
            try:
                await _on_account(deps, stop, account)
            except PropOSError as exc:
                outcome.failed[account.id] = exc.message
            done += 1
            told(done, len(accounts))

    await asyncio.gather(*map(one, accounts))
    return outcome


async def _on_account(deps: VenueDeps, stop: PlatformStop, account: stored.Reached) -> None:
    key, platform = f"{stop.id}/{account.id}", deps.platforms.of(account.platform)
    async with deps.db.transaction() as session:
        state = await stored.state_of(session, stop.id)
        if state == "done":
            return  # another process has done it everywhere
        if state != "approved":
            raise Conflict(f"{stop.id} is {state}.")
        await outbox.declare_intent(session, key=key, kind="platform.stop", payload={"login": account.login})
    if stop.lifts:
        await _free(deps, platform, account, key)
    elif stop.action == "cancel_orders":
        await _cancel(platform, account.login, key)
    elif stop.action == "flatten":
        await _flatten(platform, account.login, key, stop.symbol)
    else:
        await limit(platform, account.login, key)
        if not await _limited(deps, account):  # its end was agreed to in between, and may have come to it first
            await _free(deps, platform, account, f"{key}/freed")
    async with deps.db.transaction() as session:
        await outbox.fulfil_intent(session, key=key, result={})


async def _free(deps: VenueDeps, platform: TradingPlatform, account: stored.Reached, key: str) -> None:
    """Lets an account trade again unless something else keeps it from that, such as another stop: the end of that lets
    it trade. One that was not enabled because of the stop is enabled now."""
    if await _limited(deps, account):
        return
    if isinstance(platform, LimitsToClosing):
        await platform.set_close_only(account.login, key=key, close_only=False)
        if await _limited(deps, account):  # agreed to in between, and may have come to the account first
            await limit(platform, account.login, f"{key}/limited")
            return
        if (await platform.snapshot(account.login)).trading_enabled:
            return
    async with deps.db.transaction() as session:
        frozen = await refunds.under_way(session, await stored.challenge_of(session, account.id))
    if not frozen:
        await provisioning.restore(deps, account.id, account.login, f"{key}/restore")


async def _limited(deps: VenueDeps, account: stored.Reached) -> bool:
    async with deps.db.transaction() as session:
        return await stored.limits_accounts(session, account.platform, account.product)


async def _cancel(platform: TradingPlatform, login: int, key: str) -> None:
    if not isinstance(platform, CancelsOrders):
        raise Conflict(f"The platform {platform.name!r} cannot cancel pending orders any more.")
    await platform.cancel_orders(login, key=key)


async def _flatten(platform: TradingPlatform, login: int, key: str, symbol: str | None) -> None:
    """Closes the open positions of an account, or those in one symbol. Its stops stay until each is closed."""
    held = (await platform.snapshot(login)).positions
    wanted = sorted(each.position_id for each in held if symbol is None or each.symbol == symbol)
    if wanted:  # a run that is taken up finds fewer positions: another call, so another key
        these = hashlib.sha256("\x1f".join(wanted).encode()).hexdigest()[:16]
        await platform.close_positions(login, key=f"{key}/{these}", position_ids=wanted)


def _tell_nobody(_done: int, _of: int) -> None:
    """Nobody watches the progress."""


async def keep_carrying_out(deps: VenueDeps, stop: asyncio.Event) -> None:
    """Carries out what two persons have agreed to, until `stop`: at once when it is told, and again what is left. One
    that takes long, at a venue that does not answer, keeps no other waiting. It needs no workflow engine: a stop must
    work when nothing else does."""
    running: dict[str, asyncio.Task[None]] = {}
    try:
        async with notifications.told(deps.db.url, stored.CHANNEL) as event:
            while not stop.is_set():
                waits = [asyncio.ensure_future(event.wait()), asyncio.ensure_future(stop.wait())]
                await asyncio.wait(waits, timeout=_AGAIN_SECONDS, return_when=asyncio.FIRST_COMPLETED)
                for each in waits:
                    each.cancel()
                event.clear()
                running = {stop_id: task for stop_id, task in running.items() if not task.done()}
                for stop_id in await _agreed(deps):
                    if stop_id not in running:
                        running[stop_id] = asyncio.create_task(_carry_out_agreed(deps, stop_id))
    finally:
        for task in running.values():
            task.cancel()
        await asyncio.gather(*running.values(), return_exceptions=True)


async def _agreed(deps: VenueDeps) -> list[str]:
    try:
        async with deps.db.transaction() as session:
            return await stored.agreed(session)
    except SQLAlchemyError:
        _log.warning("the record cannot be asked for stops")
        return []


async def _carry_out_agreed(deps: VenueDeps, stop_id: str) -> None:
    try:
        outcome = await carry_out(deps, stop_id, _tell_nobody)
    except (PropOSError, SQLAlchemyError) as exc:
        _log.warning("a stop is not carried out yet", stop=stop_id, why=str(exc))
    else:
        _log.info("stop carried out", stop=stop_id, accounts=outcome.accounts, left=len(outcome.failed))
