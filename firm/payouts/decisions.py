"""What people decide about a payout: approve it, reject it, return it to the trader, or cancel it."""

from collections.abc import Sequence
from typing import Final

from sqlalchemy.ext.asyncio import AsyncSession

from contracts.messages import PayoutChoice
from domain.approvals import Actor
from domain.errors import AlreadyDecided, Conflict
from domain.payouts import trader_messages
from domain.payouts.payout import PAYOUT
from firm import decide as guard
from firm.payouts import judging, row
from store import audit
from store.models import Decision, Payout, User

_TRIGGERS: Final[dict[PayoutChoice, str]] = {
    "approve": "approvals_complete",
    "reject": "payout_rejected",
    "return_to_trader": "payout_cancelled",
    "cancel": "payout_cancelled",
}
_OWNERS: Final = frozenset({"cancel"})


async def decide(
    session: AsyncSession,
    payout: Payout,
    *,
    choice: PayoutChoice,
    actor: Actor,
    reason: str,
    key: str,
    looked_up: bool = False,
) -> tuple[int, int]:
    """Record what a person decided about a locked payout, and take the step it leads to, once it is complete. The same
    key again changes nothing. Returns (approvals that count now, approvals needed).

    `looked_up`: the provider was asked just now for a transfer that was begun, and what it found is booked.
    `actor` is as the record has them now. A person who approved may still stop the payout, but not approve it again.
    Raises BadInput, NotAllowed, SelfApproval, NotFound, AlreadyDecided, IllegalTransition, Conflict.
    """
    subject = guard.Subject(
        kind="payout",
        id=payout.id,
        digest=row.digest(payout, await row.product_of(session, payout)),
        evidence={"checks": payout.checks},
        asked_by=(await session.get_one(User, payout.requested_by)).person_id,
        repeatable=True,
        owner_id=payout.trader_id,
        owner_verbs=_OWNERS,
    )

    async def still_open(made: Sequence[Decision]) -> None:
        if payout.state in row.OPEN_TO_PEOPLE:
            await _check_open(session, payout, choice, actor, looked_up=looked_up)
        else:
            await _check_late(session, payout, choice, actor, made)

    now = await guard.record(session, subject, guard.Choice(choice, actor, reason, key), still_open)
    counted, needed = await row.approvals(session, payout)
    if now is None:
        return counted, needed
    if choice != "approve" or counted >= needed:
        await _take_step(session, payout, choice, actor, reason)
        return await row.approvals(session, payout)
    await audit.record(
        session,
        action="payout.approve",
        subject_kind="payout",
        subject_id=payout.id,
        occurred_at=now,
        actor=actor.user_id,
        role=actor.role,
        reason=reason,
        evidence={"terms_digest": subject.digest, "approvals": counted, "needed": needed},
    )
    return counted, needed


async def _take_step(session: AsyncSession, payout: Payout, choice: PayoutChoice, actor: Actor, reason: str) -> None:
    ends = choice != "approve"
    words = trader_messages.by_person(choice, reason, row.gross_of(payout)) if ends else ""
    await row.advance(
        session, payout, _TRIGGERS[choice], reason=reason, trader_message=words, actor=actor.user_id, role=actor.role
    )


async def _check_open(
    session: AsyncSession, payout: Payout, choice: PayoutChoice, actor: Actor, *, looked_up: bool
) -> None:
    """Refuse an approval of a held payout, and an end of one that may be on its way. Staff can end such a payout once
    the provider was asked; its trader cannot. Raises Conflict."""
    if choice == "approve":
        await judging.check_clear(session, payout)
    elif actor.role == "trader" or not looked_up:
        await judging.check_not_begun(session, payout)


async def _check_late(
    session: AsyncSession, payout: Payout, choice: PayoutChoice, actor: Actor, made: Sequence[Decision]
) -> None:
    """An approved payout can be stopped by a person who approved it, or by anybody if it needed no approval, until its
    transfer is declared; everything else is too late. Raises AlreadyDecided, IllegalTransition, Conflict."""
    own = payout.state == "approved" and any(d.person_id == actor.person_id for d in made)
    if made and not own:
        raise AlreadyDecided(f"payout {payout.id}", made[-1].decision, made[-1].user_id)
    PAYOUT.next(payout.state, _TRIGGERS[choice])
    if not await row.can_be_stopped(session, payout):
        raise Conflict(f"The transfer of payout {payout.id} is being made; it can no longer be stopped.")
