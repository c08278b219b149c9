"""Has platforms disable and enable the trading of accounts, as the record has it at that time.

A freeze waits for no earlier message about its account, so it may meet one that enables the account. Each looks at the
record again after its call: the account ends as the record has it, whichever call came last.
"""

from dataclasses import dataclass

from sqlalchemy.ext.asyncio import AsyncSession

from firm import challenges, freezes
from firm import venue_limits as limits
from ports.floors import HoldsFloors
from ports.platform import Platforms
from ports.stops import freeze
from store import changing, deliveries, stops, suspensions
from store.db import Database
from store.deliveries import OutgoingMessage
from store.models import Account


@dataclass(frozen=True)
class Trading:
    """The right to trade, and the loss limits, of accounts at their platforms."""

    db: Database
    platforms: Platforms

    async def freeze(self, message: OutgoingMessage) -> None:
        """Disables an account, cancels its pending orders where the platform can, and leaves its positions. A freeze
        that ended meanwhile disables nothing; one that ends during the call leaves the account enabled, if nothing else
        keeps it from that."""
        account_id = str(message.payload["account_id"])
        async with self.db.transaction() as session:
            place = await deliveries.whereabouts(session, account_id)
            wanted = await suspensions.binds_account(session, account_id)
            wanted = wanted and await deliveries.is_active(session, account_id)
        if wanted:
            await freeze(self.platforms.of(place.platform), place.login, key=message.key)
        elif message.attempts == 1:
            return
        # this call, or that of an earlier attempt, may have come to the platform after a thaw
        async with self.db.transaction() as session:
            may_resume = await freezes.may_resume(session, await session.get_one(Account, account_id))
        if may_resume and await self._enable(account_id, f"{message.key}/ended"):
            await self._disable_suspended(account_id, f"{message.key}/ended")

    async def resume(self, message: OutgoingMessage) -> None:
        """Lets a paused account trade again, unless it has ended or was paused again in the meantime. Locks reach the
        platform without the outbox, so a late resume may arrive after the next lock. Without an offence a person has
        ordered it, because the platform disabled the account."""
        account_id, offence_id = str(message.payload["account_id"]), str(message.payload["offence_id"])
        if await self._enable(account_id, message.key, offence_id) or message.attempts > 1:
            await self._disable_suspended(account_id, message.key)

    async def send_limits(self, account_id: str, *, moving: bool = False, again: bool = False) -> None:
        """Sends the loss limits of an account as they are on the record now. `moving`: money is about to move. Raises
        NotFound."""
        async with self.db.transaction() as session:
            place = await deliveries.whereabouts(session, account_id)
        platform = self.platforms.of(place.platform)
        if isinstance(platform, HoldsFloors):
            meaning, call = platform.floors_mean, platform.set_floors
            await limits.send(self.db, account_id, platform.name, meaning, call, moving=moving, again=again)

    async def _enable(self, account_id: str, key: str, offence_id: str = "") -> bool:
        """Returns whether the platform was asked to enable the account."""
        async with self.db.transaction() as session:
            if not await _may_trade(session, account_id, offence_id):
                return False
            place = await deliveries.whereabouts(session, account_id)
            if await stops.limits_accounts(session, place.platform, place.product):
                return False  # the end of the stop lets it trade
        if not offence_id:  # a person ordered it: old limits may be what locked the account
            await self.send_limits(account_id)
        await self.platforms.of(place.platform).set_trading(place.login, key=key, enabled=True)
        return True

    async def _disable_suspended(self, account_id: str, key: str) -> None:
        """A suspension may have begun while the account was being enabled, and have come to the platform first."""
        async with self.db.transaction() as session:
            account = await session.get_one(Account, account_id)
            suspended = account.status == "active" and await suspensions.binds(session, account.challenge_id)
            frozen = suspended and await suspensions.only_frozen(session, account.challenge_id)
            place = await deliveries.whereabouts(session, account_id)
        platform = self.platforms.of(place.platform)
        if frozen:
            await freeze(platform, place.login, key=f"{key}/frozen")
        elif suspended:
            await platform.lock(place.login, key=f"{key}/suspended")


async def _may_trade(session: AsyncSession, account_id: str, offence_id: str) -> bool:
    if not await deliveries.is_active(session, account_id):
        return False
    if offence_id and await deliveries.was_paused_again(session, account_id, offence_id):
        return False
    if not offence_id and await deliveries.is_paused_now(session, account_id):
        return False
    if await challenges.verdict_waits(session, account_id):
        return False  # a breach or a pass ends the account: open positions of a frozen one still make them
    if await suspensions.binds_account(session, account_id):
        return False  # whoever ends the suspension lets it trade
    return not await changing.is_under_way(session, account_id)  # whoever ends that lets it trade
