"""Compensations on the record: proposed in a dispute, and granted by as many people as the policy asks for.

`firm/vouchers.py` has what the trader gets.
"""

from collections.abc import Sequence
from typing import Final

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from domain import dispute_policy
from domain.approvals import DECIDERS, Actor, check_may_withdraw, check_other_person, check_reason
from domain.compensations import COMPENSATION, GIVEN, TAKEN, TRIGGERS, WITHDRAWN, Verb, check_amount, digest
from domain.errors import BadInput, ChangedMeanwhile, Conflict, NotAllowed
from domain.keys import new_id
from domain.money import Money
from firm import decide as guard
from firm import dispute_policies, disputes, people, vouchers
from store import audit, products, rows
from store.clock import market_now
from store.models import Account, Compensation, Decision, Dispute, User

KIND: Final = vouchers.KIND
PROPOSERS: Final = DECIDERS["dispute"] | DECIDERS[KIND]


async def grants_at_once(session: AsyncSession, account_id: str, amount: Money, actor: Actor) -> bool:
    """Returns whether a proposal of this person for this account is granted without a second person."""
    if actor.role not in DECIDERS[KIND]:
        return False
    earlier = select(func.coalesce(func.sum(Compensation.amount_minor), 0)).where(
        Compensation.account_id == account_id, Compensation.state.in_(GIVEN)
    )
    total = Money(minor=int(await session.scalar(earlier) or 0) + amount.minor, currency=amount.currency)
    return dispute_policy.people_for_compensation(await dispute_policies.in_force(session), total) == 1


async def propose(
    session: AsyncSession,
    dispute_id: str,
    *,
    amount: Money,
    actor: Actor,
    reason: str,
    message: str,
    key: str,
    proven: bool,
) -> Compensation:
    """One person proposes a compensation of a dispute. What the policy leaves to one person is granted at once, if that
    person may grant it; else it waits for another person. `reason` is for the firm, `message` for the trader. `proven`:
    the person has proven that it is them, as `grants_at_once` asked for before anything was locked.

    Raises NotFound, NotAllowed, NeedsPerson, SelfApproval (it is their own account), BadInput, Conflict (there is one
    already), ChangedMeanwhile (it is granted at once by now, and nothing was proven).
    """
    if actor.role not in PROPOSERS:
        raise NotAllowed("Only risk, finance or admin can propose a compensation.")
    check_reason(reason)
    if not message.strip():
        raise BadInput("Say what the trader is told.", field="message", remedy="One sentence is enough.")
    dispute, account = await _locked(session, dispute_id, amount, actor)
    at_once = await grants_at_once(session, account.id, amount, actor)
    if at_once and not proven:
        raise ChangedMeanwhile(
            "The policy of disputes has changed: you may grant this amount alone now, after a proof that it is you.",
            remedy="Propose it again.",
        )
    now = await market_now(session)
    made = Compensation(
        id=new_id("cmp"),
        dispute_id=dispute.id,
        trader_id=dispute.trader_id,
        account_id=dispute.account_id,
        amount_minor=amount.minor,
        currency=amount.currency,
        state=COMPENSATION.initial,
        reason=reason,
        message=message,
        proposed_by=actor.user_id,
        proposed_at=now,
    )
    session.add(made)
    await session.flush()
    await audit.record(
        session,
        action="compensation.proposed",
        subject_kind=KIND,
        subject_id=made.id,
        occurred_at=now,
        actor=actor.user_id,
        role=actor.role,
        reason=reason,
        evidence=_about(made),
    )
    if at_once:
        await _decide(session, made, "grant", actor, reason, key)
    return made


async def _locked(session: AsyncSession, dispute_id: str, amount: Money, actor: Actor) -> tuple[Dispute, Account]:
    """Locks the dispute and then its account: two disputes of one account wait for each other, because the band counts
    both. Raises what speaks against this amount."""
    dispute = await disputes.lock(session, dispute_id)
    await _check_not_own(session, dispute.trader_id, actor)
    account = await rows.locked(session, Account, dispute.account_id)
    if amount.currency != account.currency:
        raise BadInput(f"The account is in {account.currency}.", field="amount", remedy="Give an amount in it.")
    check_amount(amount, await _dearest(session, amount.currency))
    taken = select(Compensation.id).where(Compensation.dispute_id == dispute_id, Compensation.state.in_(TAKEN))
    if await session.scalar(taken) is not None:
        raise Conflict("This dispute has a compensation already.", remedy="Look at it on the page of the dispute.")
    return dispute, account


async def decide(
    session: AsyncSession, compensation_id: str, *, verb: Verb, actor: Actor, reason: str, key: str
) -> Compensation:
    """Another person grants or rejects a proposal. The same key again changes nothing.

    Raises NotFound, NotAllowed, NeedsPerson, SelfApproval (they proposed it, or it is their own account),
    AlreadyDecided, BadInput, IllegalTransition.
    """
    made = await rows.locked(session, Compensation, compensation_id)
    proposer = await session.get_one(User, made.proposed_by)
    await _decide(session, made, verb, actor, reason, key, asked_by=proposer.person_id)
    return made


async def withdraw(session: AsyncSession, compensation_id: str, *, actor: Actor, reason: str) -> Compensation:
    """Take a proposal back; only who made it may. Another one can be made. Raises NotFound, NotAllowed, BadInput,
    IllegalTransition."""
    made = await rows.locked(session, Compensation, compensation_id)
    check_may_withdraw(actor, made.proposed_by, reason)
    now = await market_now(session)
    await guard.step(
        session, COMPENSATION, made, WITHDRAWN, kind=KIND, key=WITHDRAWN, at=now, actor=actor, reason=reason
    )
    return made


async def _decide(
    session: AsyncSession, made: Compensation, verb: Verb, actor: Actor, reason: str, key: str, *, asked_by: str = ""
) -> None:
    check_reason(reason)
    subject = guard.Subject(
        kind=KIND,
        id=made.id,
        digest=digest(made.id, made.dispute_id, made.amount_minor, made.currency),
        evidence=_about(made),
        asked_by=asked_by,
        once=True,
    )

    async def still_open(_made: Sequence[Decision]) -> None:
        COMPENSATION.next(made.state, TRIGGERS[verb])
        await _check_not_own(session, made.trader_id, actor)

    now = await guard.record(session, subject, guard.Choice(verb, actor, reason, key), still_open)
    if now is None:
        return
    if verb == "grant":
        await vouchers.grant(session, made, by=actor.user_id)
    trigger = TRIGGERS[verb]
    await guard.step(
        session,
        COMPENSATION,
        made,
        trigger,
        kind=KIND,
        key=trigger,
        at=now,
        actor=actor,
        reason=reason,
        detail=_about(made),
    )


async def _dearest(session: AsyncSession, currency: str) -> Money:
    """Returns the price of the dearest product on sale in this currency; nothing when there is none."""
    prices = (each.fee_minor for each in await products.newest_of_each(session) if each.currency == currency)
    return Money(minor=max(prices, default=0), currency=currency)


async def _check_not_own(session: AsyncSession, trader_id: str, actor: Actor) -> None:
    owner = await people.person_of(session, trader_id)
    check_other_person(actor, [owner], "This account is yours; somebody else must compensate for it.")


def _about(made: Compensation) -> dict[str, object]:
    return {"dispute_id": made.dispute_id, "amount_minor": made.amount_minor, "currency": made.currency}
