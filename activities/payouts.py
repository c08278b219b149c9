"""Activities of workflow `Payout`: read the record, call the platform or the provider, record the result.

Each locks the payout's row first and does nothing when the payout is in another state, so repeating it is harmless.
"""

from collections.abc import Callable
from typing import Any, Final

from sqlalchemy import bindparam, exists, select
from sqlalchemy.ext.asyncio import AsyncSession
from temporalio import activity

from activities import payout_holds
from activities.decisions import DeliveredDecision, carry_out, carry_out_in_steps
from activities.deps import Deps
from activities.effects import AccountEffects
from activities.payout_readings import PayoutReadings
from activities.payout_transfers import CALL_SECONDS, Transfers, status_of
from activities.refusals import refusals_are_final
from contracts.messages import DecisionResult
from contracts.payouts import PayoutDecision, PayoutRef, PayoutStatus
from domain import keys
from domain.approvals import APPROVE, RETRACT
from domain.errors import Unavailable
from domain.payouts import trader_messages
from domain.payouts.payout import OPEN_TO_PEOPLE
from firm import people, platform_refusals
from firm.payouts import account as payout_account
from firm.payouts import attempts, closing, decisions, holds, judging, rates, readings
from firm.payouts import row as payouts
from firm.payouts.risk import risk_facts
from store import outbox
from store.clock import market_now
from store.models import Account, Intent, Payout, PayoutTransfer

_RELEASED: Final = {
    "payout_rejected": "rejection_released",
    "payout_cancelled": "cancellation_released",
    "decision_timed_out": "timeout_released",
    "release_chosen": "return_released",
    "transfer_returned": "return_released",  # of a payout whose money came back before people chose
}

_TO_SEND: Final = (
    select(Payout, Account, exists().where(PayoutTransfer.payout_id == Payout.id))
    .join(Account, Account.id == Payout.account_id)
    .where(Payout.id == bindparam("payout"))
)


class PayoutActivities:
    def __init__(self, deps: Deps, *, call_seconds: float = CALL_SECONDS) -> None:
        self._db, self._platforms, self._calendars = deps.db, deps.platforms, deps.calendars
        self._readings = PayoutReadings(deps.db)
        self._transfers = Transfers(deps.db, deps.payments.rails, call_seconds=call_seconds)

    def all(self) -> list[Callable[..., Any]]:
        return [
            self.place_hold,
            self.hold_and_judge,
            self.check_risk,
            self.record_decision,
            self.send_money,
            self.follow_transfer,
            self.follow_and_settle,
            self.settle,
            self.release_hold,
        ]

    @activity.defn(name="payouts.place_hold")
    async def place_hold(self, ref: PayoutRef) -> PayoutStatus:
        await payout_holds.place_hold(self._db, self._platforms, ref.payout_id, self._calendars)
        return await self._status(ref)

    @activity.defn(name="payouts.check_risk")
    async def check_risk(self, ref: PayoutRef) -> PayoutStatus:
        """The trades up to the request are judged first, unless they were. A transfer that was begun is looked up
        next, and booked when it is found. When the provider does not answer, the payout is judged by what the record
        has. Raises Unavailable while trades are not judged: the payout is held meanwhile, and people may end it."""
        await self._readings.ensure(ref.payout_id)
        judged = await self._judge(ref, looked_up=False)
        if judged is None:
            await self._transfers.answered(ref.payout_id)
            judged = await self._judge(ref, looked_up=True)
        if await self._awaits_reading(ref.payout_id):
            raise Unavailable(f"Surveillance has not judged all trades up to the request of payout {ref.payout_id}.")
        return judged or await self._status(ref)

    async def _awaits_reading(self, payout_id: str) -> bool:
        async with self._db.transaction() as session:
            return readings.is_awaited(await session.get_one(Payout, payout_id))

    async def _judge(self, ref: PayoutRef, *, looked_up: bool) -> PayoutStatus | None:
        """Returns None when a transfer of the payout has no answer, and was not looked up yet."""
        async with self._db.transaction() as session:
            payout = await payouts.locked(session, ref.payout_id)
            if not looked_up and await attempts.unanswered(session, payout.id):
                return None
            return await _judge_locked(session, payout)

    @activity.defn(name="payouts.hold_and_judge")
    async def hold_and_judge(self, ref: PayoutRef) -> PayoutStatus:
        """Holds the money first: nobody loses it while the trades are judged."""
        await payout_holds.place_hold(self._db, self._platforms, ref.payout_id, self._calendars)
        return await self.check_risk(ref)

    @activity.defn(name="payouts.record_decision")
    async def record_decision(self, decision: PayoutDecision) -> DecisionResult:
        """An approval, or taking it back, is one transaction. Before every other decision the rail is asked for a
        transfer that was begun; before one that stops or ends the payout, what has not left is stopped there."""
        request = decision.request
        delivered = DeliveredDecision("payout", decision.payout_id, decision.choice, request, decision.update_id)
        with refusals_are_final():
            if decision.choice == APPROVE:
                await self._readings.ensure(decision.payout_id)
                if await self._awaits_reading(decision.payout_id):  # its reading may be there now
                    await self._judge(PayoutRef(payout_id=decision.payout_id), looked_up=False)
            if decision.choice in (APPROVE, RETRACT):
                return await carry_out(
                    self._db, delivered, DecisionResult, lambda session: _decide(session, decision, looked_up=False)
                )
            return await carry_out_in_steps(
                self._db, delivered, DecisionResult, lambda: self._ask_rail_and_decide(decision)
            )

    async def _ask_rail_and_decide(self, decision: PayoutDecision) -> DecisionResult:
        choice, request, payout_id = decision.choice, decision.request, decision.payout_id
        async with self._db.transaction() as session:
            payout = await payouts.locked(session, payout_id)
            actor = await people.current_actor(session, request.actor.user_id)
            is_new = await decisions.may_act(
                session, payout, choice=choice, actor=actor, reason=request.reason, key=request.key
            )
        looked_up = False
        if is_new and choice == "send_again":
            await self._transfers.check_beneficiary(payout_id, request.rail)
        if is_new and actor.role != "trader" and (choice == "stop" or choice in decisions.ENDS):
            looked_up = await self._transfers.stop(payout_id)
        elif is_new:
            looked_up = await self._transfers.answered(payout_id)
        async with self._db.transaction() as session:
            return await _decide(session, decision, looked_up=looked_up)

    @activity.defn(name="payouts.send_money")
    async def send_money(self, ref: PayoutRef) -> PayoutStatus:
        """Sends the payout exactly once (see `Transfers.send`). One that came back to people only because a deal was
        told late is judged again at once, and goes on."""
        await self._readings.ensure(ref.payout_id)
        is_first = await self._end_without_hold(ref)
        sent = await self._transfers.send(ref.payout_id, is_first=is_first)
        if sent is None and await self._awaits_reading(ref.payout_id):
            return await self.check_risk(ref)
        return sent or await self._status(ref)

    async def _end_without_hold(self, ref: PayoutRef) -> bool:
        """Cancels an approved payout when its hold is back on the account: the trader already has that money. Returns
        whether no transfer of the payout was ever begun."""
        async with self._db.transaction() as session:  # without a lock: what counts is read again under the lock
            payout, row, begun = (await session.execute(_TO_SEND, {"payout": ref.payout_id})).one()
            if payout.state != "approved" or begun:
                return False
            account = payout_holds.on_platform(self._db, self._platforms, payout, row)
            operations = payout_holds.hold_operations(payout)
        if await payout_holds.was_returned(account, operations):
            async with self._db.transaction() as session:
                payout = await payouts.locked(session, ref.payout_id)
                if await _was_never_sent(session, payout):
                    why = payout_holds.NOT_ALL_HELD
                    await payouts.advance(
                        session, payout, "payout_cancelled", reason=why, trader_message=trader_messages.BACK_ALREADY
                    )
        return True

    @activity.defn(name="payouts.follow_transfer")
    async def follow_transfer(self, ref: PayoutRef) -> PayoutStatus:
        await self._transfers.follow(ref.payout_id)
        return await self._status(ref)

    @activity.defn(name="payouts.follow_and_settle")
    async def follow_and_settle(self, ref: PayoutRef) -> PayoutStatus:
        settled = await self._settle(ref)  # of a transfer that had arrived when it was sent
        if settled is None:
            await self._transfers.follow(ref.payout_id)
            settled = await self._settle(ref)
        return settled or await self._status(ref)

    @activity.defn(name="payouts.settle")
    async def settle(self, ref: PayoutRef) -> PayoutStatus:
        return await self._settle(ref) or await self._status(ref)

    async def _settle(self, ref: PayoutRef) -> PayoutStatus | None:
        """Returns None when the payout has nothing to settle."""
        key = keys.payout_settled(ref.payout_id)
        async with self._db.transaction() as session:
            payout = await payouts.locked(session, ref.payout_id)
            if payout.state != "settling":
                return None
            await outbox.declare_intent(session, key=key, kind="payout_settled", payload={"amount_minor": 0})
            usable = await platform_refusals.usable_key(session, payout.challenge_id, key)
            account = await payout_holds.platform_account(session, self._db, self._platforms, payout)
        await account.move(key, "payout_settled", 0, asked_before=False, usable=usable)
        async with self._db.transaction() as session:
            payout = await payouts.locked(session, ref.payout_id)
            if payout.state == "settling":
                await outbox.fulfil_intent(session, key=key, result={})
                await payouts.advance(session, payout, "payout_settled")
                await closing.tell_challenge(session, payout)
                await payouts.set_wakeup(session, payout)
            return status_of(payout)

    @activity.defn(name="payouts.release_hold")
    async def release_hold(self, ref: PayoutRef) -> PayoutStatus:
        """The provider is asked first, unless it returned the money: what it sent after all is booked, and nothing is
        released. Once the release is declared it is carried out, and the transfer can never be sent. Profit that an
        offence has taken away meanwhile does not go back (see `holds.is_lost`)."""
        key = keys.payout_release(ref.payout_id)
        await self._transfers.look_up(ref.payout_id)
        account, operations = await self._declare_release(ref, key)
        if account is not None:
            async with self._db.transaction() as session:
                lost = (await session.get_one(Intent, key)).payload["amount_minor"] == 0
            if not lost:
                await payout_holds.release_hold(account, ref.payout_id, operations)
            async with self._db.transaction() as session:
                payout = await payouts.locked(session, ref.payout_id)
                if payout.state == "releasing":
                    now, because = await market_now(session), await payouts.why_releasing(session, payout)
                    result = {"released_minor": 0 if lost else payout.gross_minor}
                    await outbox.fulfil_intent(session, key=key, result=result)
                    await holds.record_released(session, payout, now, lost=lost)
                    told = trader_messages.lost(payouts.gross_of(payout)) if lost else ""
                    await payouts.advance(session, payout, _RELEASED[because], trader_message=told)
                    await payouts.set_wakeup(session, payout)
        return await self._status(ref)

    async def _declare_release(
        self, ref: PayoutRef, key: str
    ) -> tuple[AccountEffects | None, tuple[payout_holds.HoldOperation, ...]]:
        """Declares the release of a hold. Returns the account on the platform and the operations of the hold;
        (None, ()) when the payout is not to be released."""
        async with self._db.transaction() as session:
            payout = await payouts.locked(session, ref.payout_id)
            if payout.state != "releasing":
                return None, ()
            await payout_account.lock(session, payout.challenge_id, payout.account_id)
            amount = await _to_release(session, payout, key)
            if attempts.is_busy(await attempts.last(session, payout.id)):
                raise Unavailable("A call that sends this payout may be under way; it is waited for.")
            await attempts.give_up(session, payout, "The rail had no transfer under this key.")
            await outbox.declare_intent(session, key=key, kind="payout_release", payload={"amount_minor": amount})
            account = await payout_holds.platform_account(session, self._db, self._platforms, payout)
            return account, payout_holds.hold_operations(payout)

    async def _status(self, ref: PayoutRef) -> PayoutStatus:
        async with self._db.transaction() as session:
            return status_of(await payouts.locked(session, ref.payout_id))


async def _to_release(session: AsyncSession, payout: Payout, key: str) -> int:
    """Returns the amount that goes back to the account, as it was declared under `key`, or as it is now."""
    declared = await session.get(Intent, key)
    if declared is not None:
        return int(declared.payload["amount_minor"])
    return 0 if await holds.is_lost(session, payout) else payout.gross_minor


async def _judge_locked(session: AsyncSession, payout: Payout) -> PayoutStatus:
    if payout.state in ("reserved", *OPEN_TO_PEOPLE):
        await rates.renew(session, payout)
        await judging.judge(session, payout, await risk_facts(session, payout))
    await payouts.set_wakeup(session, payout)
    return status_of(payout)


async def _was_never_sent(session: AsyncSession, payout: Payout) -> bool:
    """Returns whether the locked payout is approved and no transfer was ever begun."""
    return payout.state == "approved" and await attempts.last(session, payout.id) is None


async def _decide(session: AsyncSession, decision: PayoutDecision, *, looked_up: bool) -> DecisionResult:
    payout = await payouts.locked(session, decision.payout_id)
    counted, needed = await decisions.decide(
        session,
        payout,
        choice=decision.choice,
        actor=await people.current_actor(session, decision.request.actor.user_id),
        reason=decision.request.reason,
        key=decision.request.key,
        looked_up=looked_up,
        again=decision.request.target,
    )
    await payouts.set_wakeup(session, payout)
    return DecisionResult(
        subject_id=payout.id,
        state=payout.state,
        decision=decision.choice,
        approvals=counted,
        approvals_needed=needed,
        steps=payout.steps,
    )
