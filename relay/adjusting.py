"""Carries out approved adjustments: the platform changes the balance once, then the intervention is done."""

from dataclasses import dataclass
from typing import Final

from sqlalchemy.ext.asyncio import AsyncSession

from domain.errors import NotFound
from domain.interventions import GIVEN_UP, HAD_ENDED, HAD_JUDGED
from firm import challenges, intervention_ends
from ports.platform import Platforms
from relay.trading import Trading
from store import changing, deliveries, outbox
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
        """Changes the balance by what was approved, once; an account that has ended or is judged keeps its balance. A
        message that a person gave up only asks whether the platform has done it. Returns why it must wait, or nothing.
        Raises what the platform refuses with."""
        account_id, made_id = str(message.payload["account_id"]), str(message.payload["intervention_id"])
        given_up = bool(message.payload.get(outbox.ONLY_ASKS))
        async with self.db.transaction() as session:
            made = await session.get_one(Intervention, made_id)
            waits = await deliveries.money_is_moving(session, account_id)  # locks it: a verdict waits, or is seen
            why_not = GIVEN_UP if given_up else await _why_not(session, account_id)
            changes = await changing.is_under_way(session, account_id)
        if made.state != "approved" or made.change_minor is None:
            return ""
        if not why_not and waits:
            return "money of a payout is being moved"
        if not why_not and changes:
            return "the account is on its way to another platform"
        moved = await self._move(message, account_id, made.change_minor, may_move=not why_not)
        async with self.db.transaction() as session:
            found = await intervention_ends.of_message(session, message.key)
            if found is not None and found[0].state == "approved":
                now = await market_now(session)
                if moved:
                    await intervention_ends.done(session, found[0], now)
                else:
                    await intervention_ends.lapse(session, found[0], why_not, now)
        return ""

    async def _move(self, message: OutgoingMessage, account_id: str, change_minor: int, *, may_move: bool) -> bool:
        """Returns whether the balance has changed, now or by an earlier attempt. An account that the platform does not
        know any more has not."""
        async with self.db.transaction() as session:
            place = await deliveries.whereabouts(session, account_id)
        platform, key = self.platforms.of(place.platform), message.key
        try:
            found = await platform.find_balance_operation(place.login, key=key, operation=_OPERATION)
        except NotFound:
            if may_move:
                raise
            return False
        if found is not None:
            return True
        if may_move:
            await self.trading.send_limits(account_id, moving=True)
            await platform.balance_operation(place.login, key=key, operation=_OPERATION, amount_minor=change_minor)
        return may_move


async def _why_not(session: AsyncSession, account_id: str) -> str:
    """Returns why the account keeps its balance, as a sentence for staff; empty when it is to be changed."""
    if await challenges.verdict_waits(session, account_id):
        return HAD_JUDGED
    return "" if await deliveries.is_active(session, account_id) else HAD_ENDED
