"""Carries out approved adjustments: the platform changes the balance once, then the intervention is done."""

from dataclasses import dataclass
from typing import Final

from domain.interventions import DONE, LAPSED
from firm import interventions
from ports.platform import Platforms
from relay.trading import Trading
from store import changing, deliveries, rows
from store.clock import market_now
from store.db import Database
from store.deliveries import OutgoingMessage
from store.models import Intervention

_OPERATION: Final = "adjustment"


@dataclass(frozen=True)
class Adjusting:
    """Corrections of balances at the platforms."""

    db: Database
    platforms: Platforms
    trading: Trading

    async def adjust(self, message: OutgoingMessage) -> str:
        """Changes the balance by what was approved, once; an account that has ended keeps its balance. Returns why it
        must wait, or nothing. Raises what the platform refuses with."""
        account_id, made_id = str(message.payload["account_id"]), str(message.payload["intervention_id"])
        async with self.db.transaction() as session:
            made = await session.get_one(Intervention, made_id)
            active = await deliveries.is_active(session, account_id)
            waits = await deliveries.money_is_moving(session, account_id)
            changes = await changing.is_under_way(session, account_id)
        if made.state != "approved" or made.change_minor is None:
            return ""
        if active and waits:
            return "money of a payout is being moved"
        if active and changes:
            return "the account is on its way to another platform"
        moved = await self._move(message, account_id, made.change_minor, may_move=active)
        async with self.db.transaction() as session:
            made = await rows.locked(session, Intervention, made_id)
            if made.state == "approved":
                await interventions.finish(session, made, DONE if moved else LAPSED, await market_now(session))
        return ""

    async def _move(self, message: OutgoingMessage, account_id: str, change_minor: int, *, may_move: bool) -> bool:
        """Returns whether the balance has changed, now or by an earlier attempt."""
        async with self.db.transaction() as session:
            place = await deliveries.whereabouts(session, account_id)
        platform, key = self.platforms.of(place.platform), message.key
        if await platform.find_balance_operation(place.login, key=key, operation=_OPERATION) is not None:
            return True
        if may_move:
            await self.trading.send_limits(account_id, moving=True)
            await platform.balance_operation(place.login, key=key, operation=_OPERATION, amount_minor=change_minor)
        return may_move
