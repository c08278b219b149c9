"""Sends a payout over its rail, follows the transfer, and stops it.

No call to a rail runs inside a transaction. Each result is recorded under the payout's lock, on the attempt that the
call was about, whatever has happened to the payout meanwhile.
"""

from dataclasses import dataclass
from typing import Final

from sqlalchemy.ext.asyncio import AsyncSession

from contracts.payouts import PayoutStatus
from domain.errors import PropOSError, RefusedForGood, Unavailable
from domain.payouts import payout as policy
from firm.payouts import attempts, beneficiaries, judging, rates, transfers
from firm.payouts import row as payouts
from firm.payouts.risk import risk_facts
from ports.rail import Beneficiary, PaymentRail, Rails, Transfer, TransferOrder, taken_back
from store.db import Database
from store.models import Payout, PayoutTransfer, Trader

CALL_SECONDS: Final = 60.0  # longer than a call to a rail can take


@dataclass(frozen=True)
class _Try:
    """One call that makes an attempt."""

    rail: PaymentRail
    order: TransferOrder


class Transfers:
    """`call_seconds`: after a process died in a call to send, the call may be under way for so long."""

    def __init__(self, db: Database, rails: Rails, *, call_seconds: float = CALL_SECONDS) -> None:
        self._db, self._rails, self._call_seconds = db, rails, call_seconds

    async def send(self, payout_id: str, *, is_first: bool = False) -> PayoutStatus | None:
        """Sends an approved payout, once. `is_first`: the record has no attempt, so there is nothing to look up.
        Returns the status after the transfer was made, None after any other outcome.

        The attempt is committed before the first call, and risk and approvals are read again under the lock before
        every call. Attempts of before that have no answer are looked up first. Only a refusal for good ends an
        attempt. After any other answer the call may still take effect: the payout stays approved, its checks say why
        it waits, and Unavailable is raised to try again, until people must act.
        """
        try:
            if not is_first:
                await self.look_up(payout_id)
            begun = await self._begin(payout_id)
            if begun is None:
                return None
            answer = await self._create(begun)
        except Unavailable as why:
            if await self._failed(payout_id, why.message):
                raise
            return None
        if isinstance(answer, Transfer):
            return await self._record(payout_id, begun.order.key, answer)
        async with self._db.transaction() as session:
            payout = await payouts.locked(session, payout_id)
            attempt = await session.get_one(PayoutTransfer, begun.order.key, populate_existing=True)
            await transfers.record_refused(session, payout, attempt, answer)
            await payouts.set_wakeup(session, payout)
        return None

    async def look_up(self, payout_id: str) -> None:
        """Books every attempt that the rail made and the record does not know of. Raises Unavailable."""
        async with self._db.transaction() as session:
            open_ones = [(one.id, one.rail) for one in await attempts.unanswered(session, payout_id)]
        for key, name in open_ones:
            made = await self._rails.of(name).find_transfer(key)
            if made is not None:
                await self._record(payout_id, key, made)

    async def answered(self, payout_id: str) -> bool:
        """Looks up what has no answer; returns False when a rail does not say."""
        try:
            await self.look_up(payout_id)
        except PropOSError:
            return False
        return True

    async def follow(self, payout_id: str) -> None:
        """Asks the rail what became of a transfer, also after it arrived; money that waits there is taken back."""
        async with self._db.transaction() as session:
            payout = await payouts.locked(session, payout_id)
            attempt = await attempts.current(session, payout_id)
            if payout.state not in ("sent", "paid") or attempt is None or attempt.provider_id is None:
                return
            rail, key, transfer_id = self._rails.of(attempt.rail), attempt.id, attempt.provider_id
        await self._record(payout_id, key, await taken_back(rail, await rail.fetch_transfer(transfer_id)))

    async def stop(self, payout_id: str) -> bool:
        """Stops what has not left. Returns False when a rail gives no answer."""
        try:
            await self.look_up(payout_id)
            async with self._db.transaction() as session:
                found = [
                    (one.id, one.rail, one.provider_id)
                    for one in await attempts.out(session, payout_id)
                    if one.state != "paid" and one.provider_id
                ]
            for key, name, transfer_id in found:
                await self._record(payout_id, key, await self._rails.of(name).cancel_transfer(transfer_id))
        except PropOSError:
            return False
        return True

    async def check_beneficiary(self, payout_id: str, rail: str) -> None:
        """Raises BadInput when no such rail is configured, or it cannot pay the trader's account."""
        async with self._db.transaction() as session:
            payout = await payouts.locked(session, payout_id)
            paid_to = await beneficiaries.of(session, payout, rail or payout.rail)
            found = await _beneficiary(session, payout, paid_to.account)
        self._rails.check(rail or payout.rail, found.account, found.name, paid_to.currency or payout.currency)

    async def _begin(self, payout_id: str) -> _Try | None:
        """Commits the attempt if the payout may be sent now."""
        async with self._db.transaction() as session:
            payout = await payouts.locked(session, payout_id)
            if payout.state != "approved":
                return None
            await rates.renew(session, payout)
            digest = payouts.digest(payout, await payouts.product_of(session, payout))
            attempt = await attempts.last(session, payout_id)
            if attempts.is_unanswered(attempt) and attempt and not attempts.is_for(attempt, payout, digest):
                await transfers.record_changed(session, payout)
                return None
            if not await judging.may_be_sent(session, payout, await risk_facts(session, payout)):
                return None
            rail = self._rails.of(payout.rail)
            attempt = await attempts.begin(session, payout, attempt, digest, seconds=self._call_seconds)
            order = TransferOrder(
                key=attempt.id,
                reference=payout.id,
                amount_minor=attempt.amount_minor,
                currency=attempt.currency,
                beneficiary=await _beneficiary(session, payout, payout.beneficiary),
            )
            return _Try(rail, order)

    async def _create(self, begun: _Try) -> Transfer | str:
        """Returns the transfer, or the rail's reason when it refuses this key for good. Raises Unavailable for every
        other answer, unless a transfer is found under the key."""
        rail, order = begun.rail, begun.order
        try:
            return await rail.create_transfer(order)
        except Exception as error:
            made = await rail.find_transfer(order.key)
            if made is not None:
                return made
            if isinstance(error, Unavailable):
                raise
            if not isinstance(error, PropOSError):  # its text may quote the beneficiary
                raise Unavailable(f"The call failed with {type(error).__name__}.") from error
            why = policy.without_beneficiary(error.message, order.beneficiary.account) or error.type
            if isinstance(error, RefusedForGood):
                return why
            raise Unavailable(why) from None

    async def _failed(self, payout_id: str, why: str) -> bool:
        """Records a try without an answer. Returns whether the send is to be tried again."""
        async with self._db.transaction() as session:
            payout = await payouts.locked(session, payout_id)
            attempt = await attempts.last(session, payout_id)
            clean = policy.without_beneficiary(why, payout.beneficiary)
            await transfers.record_failure(session, payout, attempt, clean)
            await payouts.set_wakeup(session, payout)
            return payout.state == "approved"

    async def _record(self, payout_id: str, key: str, transfer: Transfer) -> PayoutStatus:
        async with self._db.transaction() as session:
            payout = await payouts.locked(session, payout_id)
            attempt = await session.get_one(PayoutTransfer, key, populate_existing=True)
            await transfers.record(session, payout, attempt, transfer.word)
            await payouts.set_wakeup(session, payout)
            return status_of(payout)


def status_of(payout: Payout) -> PayoutStatus:
    return PayoutStatus(state=payout.state, steps=payout.steps)


async def _beneficiary(session: AsyncSession, payout: Payout, account: str) -> Beneficiary:
    trader = await session.get_one(Trader, payout.trader_id)
    return Beneficiary(account=account, name=trader.name)
