"""Calls that stop the opening of positions and leave open ones alone: for one account, or at a whole venue.

Each is a part of a TradingPlatform that declares the capability, and ends in one of the five ways of ports/money.py.
"""

from typing import Protocol, runtime_checkable

from ports.platform import TradingPlatform


@runtime_checkable
class CancelsOrders(Protocol):
    """Part of a TradingPlatform with the capability `cancels_orders`."""

    async def cancel_orders(self, login: int, *, key: str) -> None:
        """Cancels every pending order of the account, and leaves its positions and its permission to trade. Raises
        NotFound."""
        ...


async def cancel_orders(platform: TradingPlatform, login: int, *, key: str) -> None:
    """Cancels every pending order of the account where the platform can do that, else nothing."""
    if isinstance(platform, CancelsOrders):
        await platform.cancel_orders(login, key=key)


async def freeze(platform: TradingPlatform, login: int, *, key: str) -> None:
    """Disables an account, leaves its positions, and then cancels its pending orders where the platform can: none of
    them may open a position later."""
    await platform.set_trading(login, key=key, enabled=False)
    await cancel_orders(platform, login, key=key)


@runtime_checkable
class LimitsToClosing(Protocol):
    """Part of a TradingPlatform with the capability `close_only`."""

    async def set_close_only(self, login: int, *, key: str, close_only: bool) -> None:
        """True: an account that may trade may close positions from now on, and open none; its snapshot says that
        trading is not enabled. False: ends that. An account that may not trade at all, such as a locked one, stays so
        in both cases. A late repeat does nothing. Raises NotFound."""
        ...


@runtime_checkable
class StopsEverybody(Protocol):
    """Part of a TradingPlatform with the capability `kill_switch`."""

    async def set_stopped(self, *, key: str, symbol: str | None, stopped: bool) -> None:
        """True: no account may open a position in `symbol` (None: in anything); open ones may be closed. False: lifts
        that same stop. The stop of a symbol and the stop of everything do not lift one another. A late repeat does
        nothing. Raises BadInput for a symbol where the venue can only stop everything, or has no such symbol."""
        ...

    async def stopped(self) -> frozenset[str | None]:
        """Returns what is stopped now: symbols, and None for everything. Raises Unavailable."""
        ...
