"""Checks of what only some venues can: hold loss limits, and list all accounts."""

from typing import Final

from cli.platforms.admin import refuses
from cli.platforms.parts import missing
from cli.platforms.world import NO_LOGIN, Check, World, expect, limits_key
from domain.errors import NotFound
from domain.products.second_wall import VenueFloors, differences
from domain.venue_accounts import total
from ports.floors import HoldsFloors
from ports.listing import ListedAccount, ListsAccounts

_FAR: Final = VenueFloors(daily_loss_minor=1_000_000_00, trailing_loss_minor=2_000_000_00)


async def _limits(world: World) -> None:
    login, platform = world.account(), world.platform
    world.needs("holds_floors")
    if not isinstance(platform, HoldsFloors):
        raise missing()
    key = limits_key()
    for _ in range(2):
        await platform.set_floors(login, key=key, floors=_FAR)
    found = differences(_FAR, await platform.floors(login))
    named = ", ".join(each.name for each in found)
    expect(not found, f"The venue shows other limits than it was sent: {named}.", "Read them back from the venue.")
    await refuses("Limits of an unknown account", platform.floors(NO_LOGIN), NotFound)


async def _accounts(world: World) -> None:
    login, platform = world.account(), world.platform
    world.needs("lists_accounts")
    if not isinstance(platform, ListsAccounts):
        raise missing()
    listed: list[ListedAccount] = []
    async for page in platform.accounts():
        listed += page
    logins = [each.login for each in listed]
    expect(len(set(logins)) == len(logins), "An account is listed twice.", "List each account once.")
    expect(login in logins, "The test account is not listed.", "List every account of ours.")
    shown, now = next(each for each in listed if each.login == login), await platform.snapshot(login)
    lots = total((each.symbol, each.side, each.lots) for each in now.positions)
    same = (shown.trading_enabled, shown.balance_minor, shown.lots) == (now.trading_enabled, now.balance_minor, lots)
    expect(same, "The list shows another account than the snapshot.", "Read both from the same figures of the venue.")


HOLDING: Final = (
    Check("limits", "Loss limits are held as they were sent.", _limits),
    Check("accounts", "Every account is listed once, as its snapshot shows it.", _accounts),
)
