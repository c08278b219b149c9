"""How the firm opens an account at a fake: through the adapter where it can, else people at the broker do it."""

from typing import Final

from cli.chaos.venue.kinds import Staff
from domain.errors import RefusedForGood
from ports.platform import TradingPlatform

GROUP: Final = "chaos/1"


def deposit_key(number: int) -> str:
    """Of the first deposit of an account, in the form of the firm's own keys: every venue gives those back whole."""
    return f"acc_{number:026d}/initial"


async def deposit(platform: TradingPlatform, staff: Staff | None, login: int, key: str, amount_minor: int) -> None:
    """`staff`: of a venue where programs move no money; else None."""
    if await platform.find_balance_operation(login, key=key, operation="deposit") is None:
        try:
            await platform.balance_operation(login, key=key, operation="deposit", amount_minor=amount_minor)
        except RefusedForGood:
            if staff is None:
                raise
            await staff.pay_in(login, key, amount_minor)


async def enable(platform: TradingPlatform, staff: Staff | None, login: int, key: str) -> None:
    """`staff`: of a venue where programs enable no trading; else None."""
    try:
        await platform.set_trading(login, key=key, enabled=True)
    except RefusedForGood:
        if staff is None:
            raise
        await staff.set_trading(login, enabled=True)
