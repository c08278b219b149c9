"""Payout activities: the record decides, the platform and the provider are told, the record says how it went.

Each one starts from the locked row and does nothing when its turn is over, so repeating it is harmless.
"""

from collections.abc import Callable, Sequence
from typing import Any, Final

from sqlalchemy.ext.asyncio import AsyncSession
from temporalio import activity

from activities import payout_holds, payout_judging
from activities.decisions import Delivered, decided
from activities.deps import Deps
from activities.refusals import refusals_are_final
from contracts.messages import DecisionResult
from contracts.payouts import PayoutChoice, PayoutDecision, PayoutRef, PayoutStands
from domain.approvals import Actor, check_may_decide
from domain.errors import AlreadyDecided, BadInput, Conflict, NotFound, PropOSError, RefusedForGood, Unavailable
from domain.ledger import payout_returned, payout_sent
from domain.money import Money
from domain.payouts import payout as policy
from domain.payouts import told
from domain.payouts.checks import shown
from firm import people
from firm.payouts import requests as payouts
from ports.payments import PaymentProvider, Transfer
from ports.platform import BalanceKind
from store import audit, decisions, ledger, outbox
from store.clock import market_now
from store.models import Decision, Intent, Payout, User

_TRIGGER: Final = {
    "approve": "approvals_complete",
    "reject": "payout_rejected",
    "return_to_trader": "payout_cancelled",
    "cancel": "payout_cancelled",
}
_RELEASED: Final = {
    "payout_rejected": "rejection_released",
    "payout_cancelled": "cancellation_released",
    "decision_timed_out": "timeout_released",
    "transfer_returned": "return_released",
}


class PayoutActivities:
    def __init__(self, deps: Deps) -> None:
        self._db, self._platforms, self._payments = deps.db, deps.platforms, deps.payments

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
    async def place_hold(self, ref: PayoutRef) -> PayoutStands:
        await payout_holds.place(self._db, self._platforms, ref.payout_id)
        return await self._stands(ref)

    @activity.defn(name="payouts.check_risk")
    async def check_risk(self, ref: PayoutRef) -> PayoutStands:
        async with self._db.transaction() as session:
            payout = await payouts.locked(session, ref.payout_id)
            if payout.state in ("reserved", *payouts.OPEN_TO_PEOPLE):
                await payout_judging.judge(session, payout, await payouts.risk_facts(session, payout))
            await payouts.rest(session, payout)
            return PayoutStands(state=payout.state)

    @activity.defn(name="payouts.record_decision")
    async def record_decision(self, decision: PayoutDecision) -> DecisionResult:
        request = decision.request
        delivered = Delivered("payout", decision.payout_id, decision.choice, request, decision.update_id)

        async def work(session: AsyncSession) -> DecisionResult:
            payout = await payouts.locked(session, decision.payout_id)
            made = await decisions.of(session, "payout", payout.id)
            actor = await people.current_actor(session, request.actor.user_id)
            await _check_decision(session, payout, decision.choice, actor, reason=request.reason, made=made)
            await _decide(session, payout, decision, actor)
            await payouts.rest(session, payout)
            counted, needed = await payouts.approvals(session, payout)
            return DecisionResult(
                subject_id=payout.id,
                state=payout.state,
                decision=decision.choice,
                approvals=counted,
                approvals_needed=needed,
            )

        with refusals_are_final():
            return await decided(self._db, delivered, DecisionResult, work)

    @activity.defn(name="payouts.send_money")
    async def send_money(self, ref: PayoutRef) -> PayoutStands:
        """The intent is committed before the first send, and the payout is judged again before every one. A transfer that
        was begun is looked up first and booked when it is found, whatever has happened since. Only what the provider
        refuses for good ends the attempt, and is for people to see. After any other answer an earlier call may still
        take effect: the payout stays approved, the checks say why it waits, and the activity runs again."""
        key = payouts.transfer_key(ref.payout_id)
        await self._end_without_hold(ref)
        async with self._db.transaction() as session:
            payout = await payouts.locked(session, ref.payout_id)
            if payout.state != "approved":
                return PayoutStands(state=payout.state)
            risk = await payouts.risk_facts(session, payout)
            order = _order(payout, payouts.digest(payout, await payouts.product_of(session, payout)))
            declared = await session.get(Intent, key)
            if declared is None:
                if not await payout_judging.may_be_sent(session, payout, risk):
                    return PayoutStands(state=payout.state)
                await outbox.declare_intent(session, key=key, kind="transfer", payload=order)
            unchanged = declared is None or declared.payload == order
            rail, share, beneficiary = self._payments.of(payout.rail), payouts.sent_of(payout), payout.beneficiary
        try:
            answer: Transfer | str | None = await rail.find_transfer(key) if declared else None
            if answer is None and unchanged:
                if declared and not await self._may_be_sent_again(ref):
                    return await self._stands(ref)
                answer = await self._create_transfer(rail, key, ref.payout_id, share, beneficiary)
        except Unavailable as why:
            await self._record_waiting(ref, why.message)
            raise
        async with self._db.transaction() as session:
            payout = await payouts.locked(session, ref.payout_id)
            if payout.state != "approved":
                return PayoutStands(state=payout.state)
            if isinstance(answer, Transfer):
                await self._record_sent(session, payout, key, answer)
            elif answer is not None:
                await _record_refused(session, payout, key, answer)
            else:
                await payouts.advance(
                    session,
                    payout,
                    "risk_found",
                    reason="the payout was changed after its approval",
                    told=told.UNDER_REVIEW,
                )
            await payouts.rest(session, payout)
            return PayoutStands(state=payout.state)

    async def _may_be_sent_again(self, ref: PayoutRef) -> bool:
        async with self._db.transaction() as session:
            payout = await payouts.locked(session, ref.payout_id)
            if payout.state != "approved":
                return False
            return await payout_judging.may_be_sent(session, payout, await payouts.risk_facts(session, payout))

    async def _end_without_hold(self, ref: PayoutRef) -> None:
        """Cancel an approved payout whose hold is back on the account: the trader has that money already."""
        async with self._db.transaction() as session:
            payout = await payouts.locked(session, ref.payout_id)
            if not await payouts.can_be_stopped(session, payout):
                return
            home, operations = await payout_holds.home_of(session, self._platforms, payout), payout_holds.taken(payout)
        if await payout_holds.was_given_back(home, operations):
            async with self._db.transaction() as session:
                payout = await payouts.locked(session, ref.payout_id)
                if await payouts.can_be_stopped(session, payout):
                    why = payout_holds.GIVEN_BACK
                    await payouts.advance(session, payout, "payout_cancelled", reason=why, told=told.BACK_ALREADY)

    async def _create_transfer(
        self, rail: PaymentProvider, key: str, payout_id: str, share: Money, beneficiary: str
    ) -> Transfer | str:
        """The transfer under this key; or why the provider refuses this key for good. Raises Unavailable for every
        other answer, when no transfer is found under the key."""
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
        words = f"The transfer is not confirmed yet: {why} It is tried again with the same key."
        async with self._db.transaction() as session:
            payout = await payouts.locked(session, ref.payout_id)
            if payout.state == "approved":
                payout.checks = {**payout.checks, "transfer": {"ok": False, "words": words}}

    async def _record_sent(self, session: AsyncSession, payout: Payout, key: str, transfer: Transfer) -> None:
        """The books follow what the provider says it took."""
        now = await market_now(session)
        await outbox.fulfil_intent(session, key=key, result={"transfer_id": transfer.transfer_id})
        moved = Money(minor=transfer.amount_minor, currency=transfer.currency)
        await ledger.post(session, payout_sent(payout.id, moved, payout.rail), occurred_at=now)
        payout.transfer_id = transfer.transfer_id
        payout.checks = {name: check for name, check in payout.checks.items() if name != "transfer"}
        await payouts.advance(session, payout, "transfer_accepted", detail={"transfer_id": transfer.transfer_id})

    @activity.defn(name="payouts.follow_transfer")
    async def follow_transfer(self, ref: PayoutRef) -> PayoutStands:
        async with self._db.transaction() as session:
            payout = await payouts.locked(session, ref.payout_id)
            if payout.state != "sent" or payout.transfer_id is None:
                return PayoutStands(state=payout.state)
            rail, transfer_id = self._payments.of(payout.rail), payout.transfer_id
        transfer = await rail.fetch_transfer(transfer_id)
        async with self._db.transaction() as session:
            payout = await payouts.locked(session, ref.payout_id)
            if payout.state == "sent" and transfer.status == "paid":
                await payouts.advance(session, payout, "transfer_paid")
            elif payout.state == "sent" and transfer.status == "returned":
                moved = Money(minor=transfer.amount_minor, currency=transfer.currency)
                entry = payout_returned(payout.id, moved, payout.rail)
                await ledger.post(session, entry, occurred_at=await market_now(session))
                why = policy.without_beneficiary(transfer.failure or "no reason given", payout.beneficiary)
                reason = f"the provider returned the money: {why}"
                words = told.sent_back(payouts.gross_of(payout))
                await payouts.advance(session, payout, "transfer_returned", reason=reason, told=words)
            await payouts.rest(session, payout)
            return PayoutStands(state=payout.state)

    @activity.defn(name="payouts.settle")
    async def settle(self, ref: PayoutRef) -> PayoutStands:
        key = f"{ref.payout_id}/settled"
        home, _ = await self._declare(ref, "settling", "payout_settled", key)
        if home is not None:
            await home.platform.balance_operation(home.login, key=key, operation="payout_settled", amount_minor=0)
            async with self._db.transaction() as session:
                payout = await payouts.locked(session, ref.payout_id)
                if payout.state == "settling":
                    await outbox.fulfil_intent(session, key=key, result={})
                    await payouts.advance(session, payout, "payout_settled")
                    await payouts.rest(session, payout)
        return await self._stands(ref)

    @activity.defn(name="payouts.release_hold")
    async def release_hold(self, ref: PayoutRef) -> PayoutStands:
        key = payout_holds.release_key(ref.payout_id)
        home, operations = await self._declare(ref, "releasing", "payout_release", key)
        if home is not None:
            await payout_holds.release(home, ref.payout_id, operations)
            async with self._db.transaction() as session:
                payout = await payouts.locked(session, ref.payout_id)
                if payout.state == "releasing":
                    now, because = await market_now(session), await payouts.why_releasing(session, payout)
                    result = {"released_minor": payout.gross_minor}
                    await outbox.fulfil_intent(session, key=key, result=result)
                    await payout_holds.record_released(session, payout, now)
                    await payouts.advance(session, payout, _RELEASED[because])
                    await payouts.rest(session, payout)
        return await self._stands(ref)

    async def _declare(
        self, ref: PayoutRef, state: str, operation: BalanceKind, key: str
    ) -> tuple[payout_holds.Home | None, tuple[payout_holds.Taking, ...]]:
        """Declare a balance operation while the payout is in `state`: (where its account is, what was taken with the
        payout); the first is None when it no longer is."""
        async with self._db.transaction() as session:
            payout = await payouts.locked(session, ref.payout_id)
            if payout.state != state:
                return None, ()
            amount = payout.gross_minor if operation == "payout_release" else 0
            await outbox.declare_intent(session, key=key, kind=operation, payload={"amount_minor": amount})
            return await payout_holds.home_of(session, self._platforms, payout), payout_holds.taken(payout)

    async def _stands(self, ref: PayoutRef) -> PayoutStands:
        async with self._db.transaction() as session:
            return PayoutStands(state=(await payouts.locked(session, ref.payout_id)).state)


async def _record_refused(session: AsyncSession, payout: Payout, key: str, why: str) -> None:
    """The intent ends as refused, which holds the payout until it is rejected, cancelled or out of time."""
    await outbox.fulfil_intent(session, key=key, result={"refused": why})
    payout.checks = {**payout.checks, **shown(await payouts.risk_facts(session, payout))}
    reason = f"the provider refused the transfer: {why}"
    await payouts.advance(session, payout, "transfer_refused", reason=reason, told=told.NOT_ACCEPTED)


def _order(payout: Payout, digest: str) -> dict[str, Any]:
    """What is to be sent, without personal data: the digest stands for the beneficiary."""
    return {"amount_minor": payouts.sent_of(payout).minor, "currency": payout.currency, "digest": digest}


async def _check_decision(
    session: AsyncSession,
    payout: Payout,
    choice: PayoutChoice,
    actor: Actor,
    *,
    reason: str,
    made: Sequence[Decision],
) -> None:
    """Refuse the wrong person, a decision without a reason, an approval of what is held, and what comes too late. Who
    approved may still stop the payout, but not approve it again."""
    if not reason.strip() and choice != "cancel":
        raise BadInput("Say why.", field="reason", remedy="One sentence is enough.")
    if choice == "cancel" and actor.role == "trader":
        if actor.trader_id != payout.trader_id:
            raise NotFound
    else:
        requester = await session.get_one(User, payout.requested_by)
        check_may_decide(
            "payout",
            actor,
            requester_person=requester.person_id,
            decided_by=[d.person_id for d in made if d.decision == choice],
            subject_id=payout.id,
        )
    if payout.state in payouts.OPEN_TO_PEOPLE:
        if choice == "approve":
            await payout_judging.check_clear(session, payout)
        elif actor.role == "trader":
            await payout_judging.check_not_begun(session, payout)
        return
    await _check_late(session, payout, choice, actor, made)


async def _check_late(
    session: AsyncSession, payout: Payout, choice: PayoutChoice, actor: Actor, made: Sequence[Decision]
) -> None:
    """An approved payout can be stopped by who approved it, or by anybody where nobody had to, until its transfer is
    declared; everything else is too late. Raises AlreadyDecided, IllegalTransition, Conflict."""
    own = payout.state == "approved" and any(d.person_id == actor.person_id for d in made)
    if made and not own:
        raise AlreadyDecided(f"payout {payout.id}", made[-1].decision, made[-1].user_id)
    policy.PAYOUT.next(payout.state, _TRIGGER[choice])
    if not await payouts.can_be_stopped(session, payout):
        raise Conflict(f"The transfer of payout {payout.id} is being made; it can no longer be stopped.")


async def _decide(session: AsyncSession, payout: Payout, decision: PayoutDecision, actor: Actor) -> None:
    request, now = decision.request, await market_now(session)
    digest = payouts.digest(payout, await payouts.product_of(session, payout))
    await decisions.record(
        session,
        "payout",
        payout.id,
        decision=decision.choice,
        actor=actor,
        reason=request.reason,
        key=request.key,
        digest=digest,
        occurred_at=now,
        evidence={"checks": payout.checks},
    )
    counted, needed = await payouts.approvals(session, payout)
    if decision.choice != "approve" or counted >= needed:
        ends = decision.choice != "approve"
        words = told.by_person(decision.choice, request.reason, payouts.gross_of(payout)) if ends else ""
        await payouts.advance(
            session,
            payout,
            _TRIGGER[decision.choice],
            reason=request.reason,
            told=words,
            actor=actor.user_id,
            role=actor.role,
        )
        return
    await audit.record(
        session,
        action="payout.approve",
        subject_kind="payout",
        subject_id=payout.id,
        occurred_at=now,
        actor=actor.user_id,
        role=actor.role,
        reason=request.reason,
        evidence={"terms_digest": digest, "approvals": counted, "needed": needed},
    )
