"""Closes positions with an order for each, and looks again until they are gone.

The code of a closing order is made from our key, the position and the attempt: the venue takes a code once, so a repeat
closes nothing twice.
"""

import asyncio
import itertools
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from functools import partial
from typing import Final

from adapters.dxtrade import shapes, wire
from adapters.dxtrade.client import Client
from adapters.dxtrade.errors import WHO, partly
from adapters.venue.limits import pauses
from adapters.venue.tags import TAG_CHARACTERS, initials, tag
from domain.errors import Conflict, NotFound, OutcomeUnknown, PropOSError, RefusedForGood

CLOSE_TAG: Final = "close"
_FIRST_PAUSE: Final = 0.05
_LONGEST_PAUSE: Final = 1.0
_ATTEMPTS: Final = 5
_OPPOSITE: Final = {"BUY": "SELL", "SELL": "BUY"}
_WORKING: Final = frozenset({"ACCEPTED", "WORKING"})


def closes_for_us(order: shapes.Order) -> bool:
    """Whether this is a closing order of ours, by the form of its code."""
    code = order.client_order_id or ""
    return not order.opens and len(code) == TAG_CHARACTERS and code.startswith(initials(CLOSE_TAG)) and code.isupper()


async def portfolio_of(client: Client, name: str, *, urgent: bool = False) -> shapes.Portfolio:
    """Returns the positions and working orders of account "clearing:code". Raises NotFound, Unavailable."""
    answer = await client.ask(f"{wire.TRADING}/accounts/{name}/portfolio", urgent=urgent)
    for portfolio in answer.as_(shapes.Portfolios).portfolios:
        if portfolio.account == name:
            return portfolio
    raise NotFound(f"{WHO} has no portfolio of this account.")


class Closing:
    """One closing of positions of account `name` under `key`. `changed`: whether an order was accepted."""

    def __init__(self, client: Client, name: str, key: str, settle_seconds: float, *, urgent: bool) -> None:
        self._client, self._name, self._key = client, name, key
        self._settle_seconds, self._urgent = settle_seconds, urgent
        self._attempts: dict[str, int] = {}
        self.changed = False

    async def cancel_orders(self) -> None:
        """Cancels the working orders that are not our closing ones. Returns when they have ended. Raises as `close`."""
        asked: set[str] = set()
        async for portfolio in self._looks():
            left = [each.order_code for each in portfolio.orders if each.status in _WORKING and not closes_for_us(each)]
            if not left:
                return
            await self._try_each([partial(self._cancel, code) for code in left if code not in asked])
            asked.update(left)

    async def _cancel(self, code: str) -> None:
        path = f"{wire.TRADING}/accounts/{self._name}/orders/{code}"
        try:
            await self._client.change("DELETE", path, None, self._key, urgent=self._urgent)
        except RefusedForGood:
            raise
        except (NotFound, Conflict):
            return  # it ended meanwhile; the next look shows it
        self.changed = True

    async def close(self, codes: Sequence[str] | None) -> None:
        """Closes these positions, all if None, and returns when they are gone. Raises the first error after trying
        each; OutcomeUnknown when some are still open after the settling time."""
        async for portfolio in self._looks():
            left = [each for each in portfolio.positions if codes is None or each.position_code in codes]
            if not left:
                return
            await self._try_each([partial(self._order, position) for position in left])

    async def _looks(self) -> AsyncIterator[shapes.Portfolio]:
        """Yields the portfolio now, and again after growing pauses. Raises OutcomeUnknown after the settling time."""
        began = time.monotonic()
        for pause in itertools.chain([0.0], pauses(_FIRST_PAUSE, _LONGEST_PAUSE)):
            await asyncio.sleep(pause)
            yield await self._portfolio()
            if time.monotonic() - began > self._settle_seconds:
                raise OutcomeUnknown(f"{WHO} has not ended everything yet.", remedy="Repeat it with its key.")

    async def _try_each(self, steps: Sequence[Callable[[], Awaitable[None]]]) -> None:
        """Takes every step, also after one that failed. Raises the first error."""
        first: PropOSError | None = None
        for step in steps:
            try:
                await step()
            except PropOSError as error:
                first = first or error
        if first is not None:
            raise partly(first, self.changed)

    async def _portfolio(self) -> shapes.Portfolio:
        try:
            return await portfolio_of(self._client, self._name, urgent=self._urgent)
        except PropOSError as error:
            raise partly(error, self.changed) from None

    async def _order(self, position: shapes.Position) -> None:
        """Makes sure that an order of ours closes this position: waits for one at work, and sends one otherwise."""
        while True:
            attempt = self._attempts.get(position.position_code)
            if attempt is not None:
                state = await self._state(self._code(position, attempt))
                if state in _WORKING:
                    return
            following = 0 if attempt is None else attempt + 1
            if following >= _ATTEMPTS:
                raise Conflict(f"{WHO} has refused or ended {_ATTEMPTS} orders to close this position.")
            self._attempts[position.position_code] = following
            if await self._send(position, self._code(position, following)):
                return

    async def _send(self, position: shapes.Position, code: str) -> bool:
        """Sends the order. Returns False when the venue knows its code from an earlier call. Raises the venue's
        refusal."""
        body = {
            "orderCode": code,
            "type": "MARKET",
            "instrument": position.symbol,
            "quantity": float(abs(position.quantity)),
            "positionEffect": "CLOSE",
            "positionCode": position.position_code,
            "side": _OPPOSITE[position.side],
            "tif": "GTC",
        }
        path = f"{wire.TRADING}/accounts/{self._name}/orders"
        try:
            await self._client.change("POST", path, body, self._key, urgent=self._urgent)
        except NotFound:
            return True  # the position is gone
        except RefusedForGood:
            raise
        except Conflict:
            if await self._state(code) is not None:
                return False
            if await self._is_open(position):
                raise
            return True  # somebody else closed it
        self.changed = True
        return True

    async def _is_open(self, position: shapes.Position) -> bool:
        return any(each.position_code == position.position_code for each in (await self._portfolio()).positions)

    async def _state(self, code: str) -> str | None:
        """Returns the status of our order with this code, None if the venue has none. Raises Unavailable."""
        query = {"with-client-id": code}
        path = f"{wire.TRADING}/accounts/{self._name}/orders/history"
        orders = (await self._client.ask(path, query, urgent=self._urgent)).as_(shapes.Orders).orders
        return next((order.status for order in orders if order.client_order_id == code), None)

    def _code(self, position: shapes.Position, attempt: int) -> str:
        return tag(CLOSE_TAG, f"{self._key} {position.position_code} {attempt}")
