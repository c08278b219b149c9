"""Activities of workflow `Payout`: read the record, call the platform or the provider, record the result.

Each locks the payout's row first and does nothing when the payout is in another state, so repeating it is harmless.
"""

from collections.abc import Callable
from typing import Any, Final

from sqlalchemy.ext.asyncio import AsyncSession
from temporalio import activity

from activities import payout_holds
from activities.decisions import DeliveredDecision, carry_out
from activities.deps import Deps
from activities.refusals import refusals_are_final
from contracts.messages import DecisionResult
from contracts.payouts import PayoutDecision, PayoutRef, PayoutStatus
from domain import keys
from domain.errors import PropOSError, RefusedForGood, Unavailable
from domain.money import Money
from domain.payouts import payout as policy
from domain.payouts import trader_messages
from firm import people
from firm.payouts import closing, decisions, holds, judging, transfers
from firm.payouts import row as payouts
from firm.payouts.risk import risk_facts
from ports.payments import PaymentProvider, Transfer
from ports.platform import BalanceKind
from store import outbox
from store.clock import market_now
from store.models import Intent

_RELEASED: Final = {
    "payout_rejected": "rejection_released",
    "payout_cancelled": "cancellation_released",
    "decision_timed_out": "timeout_released",
    "transfer_returned": "return_released",
}


class PayoutActivities:
    def __init__(self, deps: Deps) -> None:
        self._db, self._platforms, self._payments = deps.db, deps.platforms, deps.payments
        self._calendars = deps.calendars

    def all(self) -> list[Callable[..., Any]]:
        return [
            self.place_hold,
            self.check_risk,
            self.record_decision,
            self.send_money,
            self.follow_transfer,
            self.settle,
            self.release_hold,
        ]

    @activity.defn(name="payouts.place_hold")
    async def place_hold(self, ref: PayoutRef) -> PayoutStatus:
        await payout_holds.place_hold(self._db, self._platforms, ref.payout_id, self._calendars)
        return await self._status(ref)

    @activity.defn(name="payouts.check_risk")
    async def check_risk(self, ref: PayoutRef) -> PayoutStatus:
        """A transfer that was begun is looked up first, and booked when it is found. When the provider does not answer,
        the payout is judged by what the record has."""
        await self._provider_answered(ref)
        async with self._db.transaction() as session:
            payout = await payouts.locked(session, ref.payout_id)
            if payout.state in ("reserved", *payouts.OPEN_TO_PEOPLE):
                await judging.judge(session, payout, await risk_facts(session, payout))
            await payouts.set_wakeup(session, payout)
            return PayoutStatus(state=payout.state)

    @activity.defn(name="payouts.record_decision")
    async def record_decision(self, decision: PayoutDecision) -> DecisionResult:
        """Before a decision that ends the payout, a transfer that was begun is looked up, and booked when found."""
        request = decision.request
        looked_up = decision.choice != "approve" and await self._provider_answered(decision)
        delivered = DeliveredDecision("payout", decision.payout_id, decision.choice, request, decision.update_id)

        async def work(session: AsyncSession) -> DecisionResult:
            payout = await payouts.locked(session, decision.payout_id)
            counted, needed = await decisions.decide(
                session,
                payout,
                choice=decision.choice,
                actor=await people.current_actor(session, request.actor.user_id),
                reason=request.reason,
                key=request.key,
                looked_up=looked_up,
            )
            await payouts.set_wakeup(session, payout)
            return DecisionResult(
                subject_id=payout.id,
                state=payout.state,
                decision=decision.choice,
                approvals=counted,
                approvals_needed=needed,
            )

        with refusals_are_final():
            return await carry_out(self._db, delivered, DecisionResult, work)

    @activity.defn(name="payouts.send_money")
    async def send_money(self, ref: PayoutRef) -> PayoutStatus:
        """Sends the payout's transfer exactly once.

        The intent is committed before the first send, and the payout is judged again before every send. After a first
        attempt the transfer is looked up first, and booked when it is found, whatever has happened since. Only a
        refusal for good ends the attempt and returns the payout to people. After any other answer an earlier call may
        still take effect: the payout stays approved, its checks show why it waits, and the activity runs again.
        """
        key = keys.payout_transfer(ref.payout_id)
        await self._end_without_hold(ref)
        async with self._db.transaction() as session:
            payout = await payouts.locked(session, ref.payout_id)
            if payout.state != "approved":
                return PayoutStatus(state=payout.state)
            order = await transfers.order_of(session, payout)
            declared = await session.get(Intent, key)
            if declared is None:
                if not await judging.may_be_sent(session, payout, await risk_facts(session, payout)):
                    return PayoutStatus(state=payout.state)
                await outbox.declare_intent(session, key=key, kind="transfer", payload=order)
            unchanged = declared is None or declared.payload == order
            rail, share, beneficiary = self._payments.of(payout.rail), payouts.sent_of(payout), payout.beneficiary
        try:
            answer: Transfer | str | None = await rail.find_transfer(key) if declared else None
            if answer is None and unchanged:
                if declared and not await self._may_be_sent_again(ref):
                    return await self._status(ref)
                answer = await self._create_transfer(rail, key, ref.payout_id, share, beneficiary)
        except Unavailable as why:
            await self._record_waiting(ref, why.message)
            raise
        return await self._record_answer(ref, answer)

    async def _record_answer(self, ref: PayoutRef, answer: Transfer | str | None) -> PayoutStatus:
        """Records the transfer, or why the provider refused it for good; None: the payout was changed meanwhile."""
        async with self._db.transaction() as session:
            payout = await payouts.locked(session, ref.payout_id)
            if isinstance(answer, Transfer):
                if await transfers.is_unbooked(session, payout):
                    await transfers.record_sent(session, payout, transfer_id=answer.transfer_id, moved=_moved(answer))
            elif payout.state != "approved":
                return PayoutStatus(state=payout.state)
            elif answer is not None:
                await transfers.record_refused(session, payout, answer)
            else:
                await transfers.record_changed(session, payout)
            await payouts.set_wakeup(session, payout)
            return PayoutStatus(state=payout.state)

    async def _look_up(self, ref: PayoutRef | PayoutDecision) -> None:
        """Book the transfer of a payout in review or on its way back to the account, when the provider made one after
        all. Raises Unavailable."""
        async with self._db.transaction() as session:
            payout = await payouts.locked(session, ref.payout_id)
            if payout.state == "approved" or not await transfers.is_unbooked(session, payout):
                return
            rail = self._payments.of(payout.rail)
        made = await rail.find_transfer(keys.payout_transfer(ref.payout_id))
        if made is None:
            return
        async with self._db.transaction() as session:
            payout = await payouts.locked(session, ref.payout_id)
            if await transfers.is_unbooked(session, payout):
                await transfers.record_sent(session, payout, transfer_id=made.transfer_id, moved=_moved(made))
                await payouts.set_wakeup(session, payout)

    async def _provider_answered(self, ref: PayoutRef | PayoutDecision) -> bool:
        """Look up a transfer that was begun; returns False when the provider gives no answer."""
        try:
            await self._look_up(ref)
        except PropOSError:
            return False
        return True

    async def _may_be_sent_again(self, ref: PayoutRef) -> bool:
        async with self._db.transaction() as session:
            payout = await payouts.locked(session, ref.payout_id)
            if payout.state != "approved":
                return False
            return await judging.may_be_sent(session, payout, await risk_facts(session, payout))

    async def _end_without_hold(self, ref: PayoutRef) -> None:
        """Cancels an approved payout when its hold is back on the account: the trader already has that money."""
        async with self._db.transaction() as session:
            payout = await payouts.locked(session, ref.payout_id)
            if not await payouts.can_be_stopped(session, payout):
                return
            account, operations = (
                await payout_holds.platform_account(session, self._platforms, payout),
                payout_holds.hold_operations(payout),
            )
        if await payout_holds.was_returned(account, operations):
            async with self._db.transaction() as session:
                payout = await payouts.locked(session, ref.payout_id)
                if await payouts.can_be_stopped(session, payout):
                    why = payout_holds.NOT_ALL_HELD
                    await payouts.advance(
                        session, payout, "payout_cancelled", reason=why, trader_message=trader_messages.BACK_ALREADY
                    )

    async def _create_transfer(
        self, rail: PaymentProvider, key: str, payout_id: str, share: Money, beneficiary: str
    ) -> Transfer | str:
        """Returns the transfer under this key, or the provider's reason when it refuses this key for good. Raises
        Unavailable for every other answer, unless a transfer is found under the key."""
        try:
            return await rail.create_transfer(
                key=key,
                reference=payout_id,
                amount_minor=share.minor,
                currency=share.currency,
                beneficiary=beneficiary,
            )
        except PropOSError as error:
            made = await rail.find_transfer(key)
            if made is not None:
                return made
            if isinstance(error, Unavailable):
                raise
            why = policy.without_beneficiary(error.message, beneficiary) or error.type
            if isinstance(error, RefusedForGood):
                return why
            raise Unavailable(why) from None

    async def _record_waiting(self, ref: PayoutRef, why: str) -> None:
        async with self._db.transaction() as session:
            transfers.record_waiting(await payouts.locked(session, ref.payout_id), why)

    @activity.defn(name="payouts.follow_transfer")
    async def follow_transfer(self, ref: PayoutRef) -> PayoutStatus:
        async with self._db.transaction() as session:
            payout = await payouts.locked(session, ref.payout_id)
            if payout.state != "sent" or payout.transfer_id is None:
                return PayoutStatus(state=payout.state)
            rail, transfer_id = self._payments.of(payout.rail), payout.transfer_id
        transfer = await rail.fetch_transfer(transfer_id)
        async with self._db.transaction() as session:
            payout = await payouts.locked(session, ref.payout_id)
            if payout.state == "sent" and transfer.status == "paid":
                await payouts.advance(session, payout, "transfer_paid")
            elif payout.state == "sent" and transfer.status == "returned":
                why, moved = transfer.failure or "no reason given", _moved(transfer)
                await transfers.record_returned(session, payout, why=why, moved=moved)
            await payouts.set_wakeup(session, payout)
            return PayoutStatus(state=payout.state)

    @activity.defn(name="payouts.settle")
    async def settle(self, ref: PayoutRef) -> PayoutStatus:
        key = keys.payout_settled(ref.payout_id)
        account, _ = await self._declare(ref, "settling", "payout_settled", key)
        if account is not None:
            await account.platform.balance_operation(account.login, key=key, operation="payout_settled", amount_minor=0)
            async with self._db.transaction() as session:
                payout = await payouts.locked(session, ref.payout_id)
                if payout.state == "settling":
                    await outbox.fulfil_intent(session, key=key, result={})
                    await payouts.advance(session, payout, "payout_settled")
                    await closing.tell_challenge(session, payout)
                    await payouts.set_wakeup(session, payout)
        return await self._status(ref)

    @activity.defn(name="payouts.release_hold")
    async def release_hold(self, ref: PayoutRef) -> PayoutStatus:
        """The provider is asked first, unless it returned the money: what it sent after all is booked, and nothing is
        released. Once the release is declared it is carried out, and the transfer can never be sent."""
        key = keys.payout_release(ref.payout_id)
        await self._look_up(ref)
        account, operations = await self._declare(ref, "releasing", "payout_release", key)
        if account is not None:
            await payout_holds.release_hold(account, ref.payout_id, operations)
            async with self._db.transaction() as session:
                payout = await payouts.locked(session, ref.payout_id)
                if payout.state == "releasing":
                    now, because = await market_now(session), await payouts.why_releasing(session, payout)
                    result = {"released_minor": payout.gross_minor}
                    await outbox.fulfil_intent(session, key=key, result=result)
                    await holds.record_released(session, payout, now)
                    await payouts.advance(session, payout, _RELEASED[because])
                    await payouts.set_wakeup(session, payout)
        return await self._status(ref)

    async def _declare(
        self, ref: PayoutRef, state: str, operation: BalanceKind, key: str
    ) -> tuple[payout_holds.PlatformAccount | None, tuple[payout_holds.HoldOperation, ...]]:
        """Declares a balance operation if the payout is in `state`. Returns its account on the platform and the
        operations of its hold; (None, ()) when it is in another state."""
        async with self._db.transaction() as session:
            payout = await payouts.locked(session, ref.payout_id)
            if payout.state != state:
                return None, ()
            amount = payout.gross_minor if operation == "payout_release" else 0
            if operation == "payout_release":
                await transfers.record_never_sent(session, payout)
            await outbox.declare_intent(session, key=key, kind=operation, payload={"amount_minor": amount})
            return await payout_holds.platform_account(session, self._platforms, payout), payout_holds.hold_operations(
                payout
            )

    async def _status(self, ref: PayoutRef) -> PayoutStatus:
        async with self._db.transaction() as session:
            return PayoutStatus(state=(await payouts.locked(session, ref.payout_id)).state)


def _moved(transfer: Transfer) -> Money:
    """Returns the amount that the provider says it sent or returned."""
    return Money(minor=transfer.amount_minor, currency=transfer.currency)
