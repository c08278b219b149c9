"""What people decide about a payout: approve it or not, end it, stop it, send it again, keep or release it."""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any, Final

from sqlalchemy import func
from sqlalchemy.ext.asyncio import AsyncSession

from contracts.messages import PayoutChoice, Target
from domain.approvals import APPROVE, RETRACT, Actor
from domain.errors import Conflict, IllegalTransition, NothingToWithdraw
from domain.payouts import trader_messages
from domain.payouts.payout import CAME_BACK, OPEN_TO_PEOPLE, PAYOUT
from firm import decide as guard
from firm.payouts import approving, attempts, beneficiaries, conversions, deadlines, judging, policies, row
from store import audit
from store.clock import market_now
from store.models import Decision, Payout, User

_TRIGGERS: Final[dict[PayoutChoice, str]] = {
    "approve": "approvals_complete",
    "retract": "approval_retracted",
    "reject": "payout_rejected",
    "return_to_trader": "payout_cancelled",
    "cancel": "payout_cancelled",
    "stop": "payout_stopped",
    "send_again": "sent_again",
    "release": "release_chosen",
    "keep": "claim_kept",
}
_OWNERS: Final = frozenset({"cancel"})
ENDS: Final = frozenset({"reject", "return_to_trader", "cancel"})
_DECIDED: Final = frozenset({"releasing", "settling", *PAYOUT.terminal})


async def decide(
    session: AsyncSession,
    payout: Payout,
    *,
    choice: PayoutChoice,
    actor: Actor,
    reason: str,
    key: str,
    looked_up: bool = False,
    again: Target | None = None,
) -> tuple[int, int]:
    """Record what a person decided about a locked payout, and take the step it leads to, once it is complete. The same
    key again changes nothing. Returns (approvals that count now, approvals needed).

    `looked_up`: the rail was asked just now for a transfer that was begun, and what it found is booked. `again`: where
    the payout is sent again.
    `actor` is as the record has them now. A person who approved may take it back or stop the payout until the money
    leaves, but not approve it twice. Raises BadInput, NotAllowed, SelfApproval, ApprovalLimit, NotFound,
    AlreadyDecided, NothingToWithdraw, IllegalTransition, StaleDecision, Conflict.
    """
    digest = row.digest(payout, await row.product_of(session, payout))
    standing = await approving.standing(session, payout, digest)
    subject = await _subject(session, payout, digest, standing)

    async def still_open(made: Sequence[Decision]) -> None:
        if choice == RETRACT:
            _check_retract(payout, actor, standing)
        else:
            await _check(session, payout, choice, actor, made, looked_up=looked_up)

    now = await guard.record(session, subject, guard.Choice(choice, actor, reason, key), still_open)
    counted, needed = await row.approvals(session, payout)
    if now is None:
        return counted, needed
    if choice == RETRACT and not await _was_never_begun(session, payout):
        await _note(session, payout, now, choice, actor, reason, {"approvals": counted, "needed": needed})
        return counted, needed
    if choice not in (APPROVE, RETRACT) or (counted >= needed) == (choice == APPROVE):
        payout.approvers_needed = needed
        await _take_step(session, payout, choice, actor, reason, again or Target())
        return await row.approvals(session, payout)
    evidence = {"terms_digest": digest, **subject.evidence, "approvals": counted, "needed": needed}
    evidence.pop("checks")
    await _note(session, payout, now, choice, actor, reason, evidence)
    return counted, needed


async def _note(
    session: AsyncSession,
    payout: Payout,
    at: datetime,
    choice: PayoutChoice,
    actor: Actor,
    reason: str,
    evidence: dict[str, Any],
) -> None:
    """Record a decision that takes no step in the audit log. The payout counts as changed: its approvals did."""
    payout.updated_at = func.clock_timestamp()
    await audit.record(
        session,
        action=f"payout.{choice}",
        subject_kind="payout",
        subject_id=payout.id,
        occurred_at=at,
        actor=actor.user_id,
        role=actor.role,
        reason=reason,
        evidence={**evidence, "round": payout.round},
    )


def _check_retract(payout: Payout, actor: Actor, standing: Collection[str]) -> None:
    """Refuse to take back what is not there, and what has led to a transfer. A transfer that was begun and is not
    confirmed is judged again before it is sent again, without this approval. Raises NothingToWithdraw."""
    if payout.state not in (*OPEN_TO_PEOPLE, "approved"):
        raise NothingToWithdraw(f"Payout {payout.id} is {payout.state.replace('_', ' ')}; the approval is used up.")
    if actor.person_id not in standing:
        raise NothingToWithdraw(f"No approval of payout {payout.id} by you counts now.")


async def _was_never_begun(session: AsyncSession, payout: Payout) -> bool:
    """Returns whether the payout is approved and no call to send it was made since."""
    return payout.state == "approved" and not attempts.is_unanswered(await attempts.last(session, payout.id))


async def _subject(session: AsyncSession, payout: Payout, digest: str, standing: Collection[str]) -> guard.Subject:
    policy = await policies.in_force(session)
    return guard.Subject(
        kind="payout",
        id=payout.id,
        digest=digest,
        evidence={"checks": payout.checks, "policy": policy.content_hash},
        asked_by=(await session.get_one(User, payout.requested_by)).person_id,
        decided_by=lambda verb: standing if verb == APPROVE else (),
        approvals_round=payout.round,
        expires_at=await market_now(session) + policy.approvals_valid,
        owner_id=payout.trader_id,
        owner_verbs=_OWNERS,
    )


async def may_act(
    session: AsyncSession, payout: Payout, *, choice: PayoutChoice, actor: Actor, reason: str, key: str
) -> bool:
    """Refuse a decision of this person before anything is asked of a rail. Returns False when it was recorded before.
    Raises what `decide` raises."""
    wanted = guard.Choice(choice, actor, reason, key)
    digest = row.digest(payout, await row.product_of(session, payout))
    standing = await approving.standing(session, payout, digest)
    made = await guard.check(session, await _subject(session, payout, digest, standing), wanted)
    if made is None:
        return False
    if choice in ENDS and payout.state in ("approved", "sent"):
        await _check_own(session, payout, actor, made)
    return True


async def _take_step(
    session: AsyncSession, payout: Payout, choice: PayoutChoice, actor: Actor, reason: str, again: Target
) -> None:
    if choice == "stop":
        payout.halted = f"Stopped by {actor.user_id}: {reason}"
        if payout.state != "approved":  # the rail stopped the transfer, which brought the payout back to people
            payout.reason = payout.halted
            return
    detail: dict[str, object] | None = None
    if choice == "send_again":
        await _prepare_again(session, payout, again)
        detail = {"rail": payout.rail, "beneficiary": again.beneficiary}
    words = {
        "stop": trader_messages.UNDER_REVIEW,
        "send_again": trader_messages.UNDER_REVIEW,
        "release": trader_messages.released(row.gross_of(payout)),
        "keep": trader_messages.kept(row.sent_of(payout)),
    }.get(choice, "")
    if choice in ENDS:
        words = trader_messages.by_person(choice, reason, row.gross_of(payout))
    await row.advance(
        session,
        payout,
        _TRIGGERS[choice],
        reason=reason,
        trader_message=words,
        actor=actor.user_id,
        role=actor.role,
        detail=detail,
    )


async def _prepare_again(session: AsyncSession, payout: Payout, again: Target) -> None:
    """Lets the payout be sent again, to the account that the person read. An attempt without an answer is repeated
    under its key, or given up for another rail or beneficiary. A new attempt in another currency is exchanged at the
    newest rate. With another beneficiary or rate the approvals of until now count no longer. Raises Conflict,
    NoUsableRate, BadInput, StaleDecision."""
    rail = again.rail or payout.rail
    attempt = await attempts.last(session, payout.id)
    product = await row.product_of(session, payout)
    if row.digest(payout, product) != payout.terms_digest:
        raise Conflict("The amount, beneficiary or rules of this payout differ from what was requested.")
    paid_to = await beneficiaries.of(session, payout, rail)
    beneficiaries.check_seen(paid_to.account, again.beneficiary)
    currency = paid_to.currency or payout.currency
    if rail != payout.rail:
        await attempts.give_up(session, payout, f"It is sent over {rail} instead.")
    elif paid_to.account != payout.beneficiary:
        await attempts.give_up(session, payout, "It is sent to another bank account instead.")
    elif currency != row.transfer_of(payout).currency:
        await attempts.give_up(session, payout, f"It is sent in {currency} instead.")
    elif attempt is not None:
        attempt.failures, attempt.failing_since = 0, None
    if attempt is None or attempt.state != "declared":  # a repeated attempt keeps its rate
        payout.conversion = conversions.stored(await conversions.of_amount(session, row.sent_of(payout), currency))
    payout.rail, payout.beneficiary, payout.beneficiary_id = rail, paid_to.account, paid_to.id
    payout.terms_digest = row.digest(payout, product)
    payout.halted = None
    policy, now = await policies.in_force(session), await market_now(session)
    payout.decide_by = None if payout.reopened_at else deadlines.decide_by(policy, product, now)


async def _check(
    session: AsyncSession,
    payout: Payout,
    choice: PayoutChoice,
    actor: Actor,
    made: Sequence[Decision],
    *,
    looked_up: bool,
) -> None:
    """Raises why the choice is not possible now: AlreadyDecided, IllegalTransition, Conflict."""
    if made and (payout.state in _DECIDED or (choice == "approve" and payout.state in ("approved", "sent"))):
        raise await guard.already_decided(session, "payout", payout.id, made[-1], actor)
    is_halted = payout.state == "in_review" and bool(payout.halted)
    if choice == "stop":
        if payout.state != "approved" and not is_halted:
            raise _too_late(payout)
    elif choice == "send_again":
        if payout.state not in CAME_BACK and not is_halted:
            raise IllegalTransition("payout", payout.state, _TRIGGERS[choice])
        await judging.check_none_is_out(session, payout)
        if not looked_up or attempts.is_busy(await attempts.last(session, payout.id)):
            await judging.check_not_begun(session, payout)
    elif choice in ENDS:
        await _check_end(session, payout, choice, actor, made, looked_up=looked_up)
    elif choice == "approve" and payout.state in OPEN_TO_PEOPLE:
        await judging.check_clear(session, payout)
        await approving.check_person_limit(session, payout, actor)
    else:
        PAYOUT.next(payout.state, _TRIGGERS[choice])
        if choice == "release":
            await judging.check_none_is_out(session, payout)


async def _check_end(
    session: AsyncSession,
    payout: Payout,
    choice: PayoutChoice,
    actor: Actor,
    made: Sequence[Decision],
    *,
    looked_up: bool,
) -> None:
    """Staff can end a payout that may be on its way once its rail was asked; its trader cannot."""
    if payout.state == "approved":
        await _check_own(session, payout, actor, made)
    elif payout.state == "sent":
        raise _too_late(payout)
    PAYOUT.next(payout.state, _TRIGGERS[choice])
    await judging.check_none_is_out(session, payout)
    if actor.role == "trader" or not looked_up:
        await judging.check_not_begun(session, payout)


async def _check_own(session: AsyncSession, payout: Payout, actor: Actor, made: Sequence[Decision]) -> None:
    """Once approved, a payout is ended by a person who approved it, or by anybody if it needed no approval. Everybody
    who may decide can stop it first. Raises AlreadyDecided."""
    approvals = [one for one in made if one.decision == "approve"]
    if approvals and not any(one.person_id == actor.person_id for one in approvals):
        raise await guard.already_decided(session, "payout", payout.id, approvals[-1], actor)


def _too_late(payout: Payout) -> Conflict:
    if payout.state == "sent":
        return Conflict(
            f"The transfer of payout {payout.id} has left, or its rail does not answer; it was not stopped.",
            remedy="Stop it again when the rail answers.",
        )
    return Conflict(f"Nothing of payout {payout.id} is being sent; it is {payout.state.replace('_', ' ')}.")
