"""Checks of the calls that only some venues have: ports/stops.py, ports/credentials.py. holding.py has the others."""

from collections.abc import Mapping
from typing import Final

from pydantic import SecretStr

from cli.platforms.admin import refuses
from cli.platforms.world import NO_LOGIN, Check, Failed, World, expect, lock_key, stop_key, trading_key
from domain.errors import NotFound, PropOSError
from domain.passwords import new_password
from ports.capabilities import PlatformCapabilities
from ports.credentials import GivesCredentials, Holder, ResetsCredentials
from ports.floors import HoldsFloors
from ports.listing import ListsAccounts
from ports.stops import CancelsOrders, LimitsToClosing, StopsEverybody

_PARTS: Final[Mapping[str, type]] = {
    "cancels_orders": CancelsOrders,
    "close_only": LimitsToClosing,
    "kill_switch": StopsEverybody,
    "holds_floors": HoldsFloors,
    "lists_accounts": ListsAccounts,
    "credentials": GivesCredentials,
}


async def _declared(world: World) -> None:
    can = world.one.plugin.capabilities
    for name, part in _PARTS.items():
        has, able = isinstance(world.platform, part), _able(can, name)
        expect(has or not able, f"It declares {name} and has no {part.__name__}.", f"Add the calls of {part.__name__}.")
        expect(able or not has, f"It has the calls of {part.__name__} and does not declare {name}.", _DECLARE)
    has, able = isinstance(world.platform, ResetsCredentials), can.credentials == "reset"
    expect(has == able, 'Credentials are "reset" exactly when there is reset_credentials.', _DECLARE)


_DECLARE: Final = "Declare what the venue can do in the plugin's capabilities, and nothing else."


def _able(can: PlatformCapabilities, name: str) -> bool:
    return any(each.able for each in can.features() if each.name == name)


def missing() -> Failed:
    return Failed("The adapter has no such call.", "See the check declared-calls.")


async def _cancel(world: World) -> None:
    login, platform = world.account(), world.platform
    world.needs("cancels_orders")
    if not isinstance(platform, CancelsOrders):
        raise missing()
    before = await world.platform.snapshot(login)
    for _ in range(2):
        await platform.cancel_orders(login, key=stop_key())
    after = await world.platform.snapshot(login)
    expect(
        (before.trading_enabled, before.positions) == (after.trading_enabled, after.positions),
        "cancel_orders changed the permission to trade, or a position.",
        "Cancel pending orders and nothing else.",
    )
    await refuses("Cancelling for an unknown account", platform.cancel_orders(NO_LOGIN, key=stop_key()), NotFound)


async def _close_only(world: World) -> None:
    login, platform = world.account(), world.platform
    world.needs("close_only")
    if not isinstance(platform, LimitsToClosing):
        raise missing()
    world.needs("sets_trading")
    key = stop_key()
    await world.platform.set_trading(login, key=trading_key(), enabled=True)
    await platform.set_close_only(login, key=key, close_only=True)
    await _trades(world, login, False, "After set_close_only(close_only=True)")
    await _cannot_open(world, login)
    await platform.set_close_only(login, key=stop_key(), close_only=False)
    await _trades(world, login, True, "After set_close_only(close_only=False)")
    await platform.set_close_only(login, key=key, close_only=True)
    await _trades(world, login, True, "After the late repeat of set_close_only")
    await world.platform.lock(login, key=lock_key())
    for close_only in (True, False):
        await platform.set_close_only(login, key=stop_key(), close_only=close_only)
        await _trades(world, login, False, f"After a lock and set_close_only(close_only={close_only})")
    unknown = platform.set_close_only(NO_LOGIN, key=stop_key(), close_only=True)
    await refuses("Close-only for an unknown account", unknown, NotFound)


async def _trades(world: World, login: int, wanted: bool, when: str) -> None:
    now = (await world.platform.snapshot(login)).trading_enabled
    expect(now == wanted, f"{when} trading_enabled is {now}.", "docs/adding-a-platform.md says what each state is.")


async def _cannot_open(world: World, login: int) -> None:
    """Tries to open a position, if the check can. A refusal of any kind will do."""
    if world.trade is None:
        return
    before = {each.position_id for each in (await world.platform.snapshot(login)).positions}
    try:
        await world.trade(login)
    except Exception:  # noqa: BLE001 -- the trade is the caller's own, and says in its own way that it was refused
        return
    opened = {each.position_id for each in (await world.platform.snapshot(login)).positions} - before
    expect(not opened, "A position was opened all the same.", "Ask the venue how it stops new positions.")


async def _kill_switch(world: World) -> None:
    login, platform = world.account(), world.platform
    world.needs("kill_switch")
    if not isinstance(platform, StopsEverybody):
        raise missing()
    symbols: list[str | None] = [None]
    if world.one.plugin.capabilities.kill_switch == "symbol":
        symbols.append((await world.platform.symbols())[0].symbol)
    before = await platform.stopped()
    expect(not before, "The venue is stopped before the check.", "Lift the stop; the check is for a test venue.")
    for symbol in symbols:
        key = stop_key()
        try:
            await platform.set_stopped(key=key, symbol=symbol, stopped=True)
            expect(await platform.stopped() == {symbol}, "`stopped` does not say what is stopped.", "Read it back.")
            if symbol is None:
                await _cannot_open(world, login)
        finally:
            await platform.set_stopped(key=stop_key(), symbol=symbol, stopped=False)
        await platform.set_stopped(key=key, symbol=symbol, stopped=True)
        left = await platform.stopped()
        if left:
            await platform.set_stopped(key=stop_key(), symbol=symbol, stopped=False)
        expect(not left, "The late repeat of a stop stops the venue again.", "Remember the key of a stop.")


async def _credentials(world: World) -> None:
    login, platform = world.account(), world.platform
    world.needs("credentials")
    if not isinstance(platform, GivesCredentials):
        raise missing()
    key, password = stop_key(), SecretStr(new_password())
    holder = Holder(f"{key.replace('/', '-')}@example.com", "Test Trader")
    made = await platform.create_credentials(login, key=key, password=password, holder=holder)
    expect(bool(made.username), "create_credentials names no user.", "Return what the trader signs in with.")
    again = await platform.create_credentials(login, key=key, password=password, holder=holder)
    expect(made == again, "The same key makes another user.", "Make the name from the key, and look it up.")
    if isinstance(platform, ResetsCredentials):
        changed = SecretStr(new_password())
        reset = await platform.reset_credentials(login, key=stop_key(), password=changed)
        expect(reset.username == made.username, "A reset renames the user.", "Replace the password only.")
    unknown = SecretStr(new_password())
    try:
        await platform.create_credentials(NO_LOGIN, key=stop_key(), password=unknown, holder=holder)
    except NotFound as exc:
        expect(unknown.get_secret_value() not in exc.message, "An error shows the password.", "Never repeat it.")
    except PropOSError as exc:
        raise Failed(f"Credentials for an unknown account raise {type(exc).__name__}.", "Raise NotFound.") from exc
    else:
        raise Failed("Credentials for an unknown account are made.", "Raise NotFound.")


PARTS: Final = (
    Check("declared-calls", "It has exactly the calls that its capabilities declare.", _declared),
    Check("cancel-orders", "Pending orders are cancelled, and nothing else changes.", _cancel),
    Check("close-only", "An account may only close until that ends; a lock stays a lock.", _close_only),
    Check("kill-switch", "Trading of everybody stops and goes on; a late repeat does nothing.", _kill_switch),
    Check("credentials", "A trader gets credentials once for a key.", _credentials),
)
