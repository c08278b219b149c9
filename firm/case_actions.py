"""What people propose to do about a case: one person proposes, and what costs a trader money another one approves.

A proposal says what the trader broke (`rule`), what the trader is told (`message`) and, for the firm, why. It names the
trades whose profit is deducted, or the payouts that are denied.
"""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any, Final

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from domain.approvals import DECIDERS, Actor, check_may_decide, check_other_person, check_reason
from domain.errors import BadInput, Conflict
from domain.keys import new_id
from domain.payouts.payout import PAYOUT
from domain.surveillance.casework import (
    ACTION_WORDS,
    CASE,
    ENDINGS,
    TWO_PEOPLE,
    VERB_OF,
    ProposedAction,
    action_digest,
)
from firm import case_messages, deductions
from store import audit, case_evidence, rows
from store.case_evidence import Evidence
from store.clock import market_now
from store.models import Case, CaseAction, DeniedPayout, Payout, User

_ENDS: Final = {True: "approved", False: "dropped"}


async def propose(
    session: AsyncSession,
    case_id: str,
    *,
    action: ProposedAction,
    rule: str,
    actor: Actor,
    reason: str,
    message: str = "",
    trades: Sequence[tuple[str, str]] = (),
    payouts: Sequence[str] = (),
) -> CaseAction:
    """Propose an action. It takes the place of an earlier proposal of the case. `rule`: what the trader broke;
    `message`: what the trader is told, the template of the case's family when it is empty. `trades`: (account id,
    position id) each, of a deduction. `payouts`: ids, of a denial.

    Raises NotFound, NotAllowed, IllegalTransition, EvidenceChanged, BadInput (no reason or rule; a trade or payout that
    cannot be named; a message that names the score or another trader).
    """
    case = await rows.locked(session, Case, case_id)
    check_may_decide("case", actor, requester_person="", decided_by=(), subject_id=case.id)
    check_reason(reason)
    if not rule.strip():
        raise BadInput("Say which rule was broken.", field="rule", remedy="Write one sentence for the trader.")
    CASE.next(case.state, ENDINGS[VERB_OF[action]].trigger)
    known = await case_evidence.of(session, case.id)
    known.check()
    _check_about_trading(known)
    _check_parts(action, trades, payouts)
    named = await deductions.checked(session, known.blamed, trades) if action == "deduct" else []
    denied = await _deniable(session, known.blamed, payouts) if action == "deny" else []
    told = await case_messages.checked(session, case, known, action=action, rule=rule, message=message)
    now = await market_now(session)
    if earlier := await proposed(session, case.id):
        earlier.state, earlier.closed_at = "replaced", now
        await session.flush()
    profits = [(trade.account_id, trade.position_id, trade.profit_minor) for trade in named]
    made = CaseAction(
        id=new_id("act"),
        case_id=case.id,
        action=action,
        rule=rule,
        message=told,
        reason=reason,
        digest=action_digest(
            case.id, action=action, rule=rule, message=told, reason=reason, trades=profits, payouts=denied
        ),
        state="proposed",
        proposed_by=actor.user_id,
        proposed_at=now,
    )
    session.add(made)
    await session.flush()
    session.add_all(deductions.row(made.id, trade) for trade in named)
    session.add_all(DeniedPayout(action_id=made.id, payout_id=payout_id) for payout_id in denied)
    await session.flush()
    await _audit(session, made, "case.action_proposed", now, actor, reason)
    return made


async def withdraw(session: AsyncSession, case_id: str, *, actor: Actor, reason: str) -> CaseAction:
    """Take the proposal of a case away; the case stays open. Whoever may decide the case may.

    Raises NotFound, NotAllowed, BadInput (no reason), Conflict (no proposal).
    """
    case = await rows.locked(session, Case, case_id)
    check_may_decide("case", actor, requester_person="", decided_by=(), subject_id=case.id)
    check_reason(reason)
    if (made := await proposed(session, case.id)) is None:
        raise _nothing_proposed(case.id)
    now = await market_now(session)
    made.state, made.closed_at = "withdrawn", now
    await _audit(session, made, "case.action_withdrawn", now, actor, reason)
    return made


async def replace_outdated(session: AsyncSession, case: Case, blamed: Collection[str], *, alert_id: str) -> None:
    """Take the proposal of a locked case away when an alert joins that blames more accounts: nobody has proposed
    anything about these. `blamed`: the accounts that the alert blames; it is no part of the case yet."""
    made = await proposed(session, case.id)
    if made is None or set(blamed) <= set((await case_evidence.of(session, case.id)).blamed):
        return
    now = await market_now(session)
    made.state, made.closed_at = "replaced", now
    await session.flush()
    await audit.record(
        session,
        action="case.action_replaced",
        subject_kind="case",
        subject_id=case.id,
        occurred_at=now,
        reason="an alert joined that blames more accounts; propose anew",
        evidence={**await evidence(session, made), "alert_id": alert_id},
    )


async def proposed(session: AsyncSession, case_id: str) -> CaseAction | None:
    """Returns the action of a case that waits to be decided."""
    return await _in_state(session, case_id, "proposed")


async def in_force(session: AsyncSession, case_id: str) -> CaseAction | None:
    """Returns the action that was decided for a case and not overturned since."""
    return await _in_state(session, case_id, "approved")


async def _in_state(session: AsyncSession, case_id: str, state: str) -> CaseAction | None:
    found: CaseAction | None = await session.scalar(
        select(CaseAction)
        .where(CaseAction.case_id == case_id, CaseAction.state == state)
        .execution_options(populate_existing=True)
    )
    return found


async def evidence(session: AsyncSession, made: CaseAction) -> dict[str, Any]:
    """Returns what the record keeps of an action: who proposed it, the rule, and each trade or payout it names."""
    return {
        "action": made.action,
        "proposal": made.id,
        "digest": made.digest,
        "proposed_by": made.proposed_by,
        "rule": made.rule,
        "message": made.message,
        "trades": [
            {"account": row.account_id, "position": row.position_id, "profit_minor": row.profit_minor}
            for row in await deductions.of(session, made.id)
        ],
        "payouts": await _denied(session, made),
    }


async def _denied(session: AsyncSession, made: CaseAction) -> list[str]:
    found = select(DeniedPayout.payout_id).where(DeniedPayout.action_id == made.id).order_by(DeniedPayout.payout_id)
    return list(await session.scalars(found))


async def check_decision(
    session: AsyncSession, made: CaseAction | None, action: ProposedAction, known: Evidence, actor: Actor
) -> None:
    """Refuse to decide an action that is not the proposed one, one that costs the trader money by the person who
    proposed it or of somebody without the right any more, and trades or payouts that are not as they were proposed.

    Raises Conflict, SelfApproval, BadInput.
    """
    if made is None or made.action != action:
        raise _nothing_proposed("", action)
    if action in TWO_PEOPLE:
        await _check_second_person(session, made, actor)
    if action == "deduct":
        await deductions.check_unchanged(session, known.blamed, await deductions.of(session, made.id))
    if action == "deny":
        await _deniable(session, known.blamed, await _denied(session, made))


async def _check_second_person(session: AsyncSession, made: CaseAction, actor: Actor) -> None:
    proposer = await session.get_one(User, made.proposed_by, populate_existing=True)
    check_other_person(actor, [proposer.person_id], "You proposed this action; somebody else must approve it.")
    if not proposer.active or proposer.role not in DECIDERS["case"]:
        raise Conflict(
            "Whoever proposed this action may not decide cases any more.", remedy="Propose it anew, if you agree."
        )


async def end(session: AsyncSession, made: CaseAction, *, approved: bool, at: datetime) -> None:
    """Bring a decided action into force, or drop it because the case was decided otherwise. `at`: market time."""
    made.state, made.closed_at = _ENDS[approved], at
    await session.flush()
    if approved and made.action == "deduct":
        await deductions.count(session, made.id, counts=True)


async def overturn(session: AsyncSession, made: CaseAction) -> None:
    """Take an action in force back. `closed_at` stays that of the decision."""
    made.state = "overturned"
    await session.flush()


def _check_about_trading(known: Evidence) -> None:
    if not known.is_about_trading:
        raise BadInput(
            "This case is about a verdict, not about trades.", field="action", remedy="Clear or confirm the case."
        )
    if not known.blamed:
        raise BadInput("This case blames no account.", field="action", remedy="Clear it, or leave it inconclusive.")


def _check_parts(action: ProposedAction, trades: Sequence[object], payouts: Sequence[object]) -> None:
    for field, given, wanted in (("trades", trades, "deduct"), ("payouts", payouts, "deny")):
        if given and action != wanted:
            raise BadInput(
                f"To {ACTION_WORDS[action]}, no {field} are named.", field=field, remedy=f"Leave the {field} out."
            )


async def _deniable(session: AsyncSession, blamed: Sequence[str], named: Sequence[str]) -> list[str]:
    """Returns the named payouts once they may be denied: open ones of blamed accounts, not on their way."""
    if not named:
        raise BadInput("No payout is named.", field="payouts", remedy="Name the payouts that are denied.")
    found = await session.scalars(select(Payout).where(Payout.id.in_(named), Payout.account_id.in_(blamed)))
    open_ones = {payout.id for payout in found if payout.state not in PAYOUT.terminal and payout.state != "sent"}
    wrong = [payout_id for payout_id in named if payout_id not in open_ones]
    if wrong:
        raise BadInput(
            f"These are no open payouts of an account that this case blames: {', '.join(wrong)}.",
            field="payouts",
            remedy="Leave them out.",
        )
    return sorted(set(named))


def _nothing_proposed(case_id: str, action: ProposedAction | None = None) -> Conflict:
    about = f"Case {case_id}" if case_id else "This case"
    what = f"proposal to {ACTION_WORDS[action]}" if action else "proposed action"
    return Conflict(f"{about} has no {what}.", remedy="Propose it first.")


async def _audit(
    session: AsyncSession, made: CaseAction, action: str, now: datetime, actor: Actor, reason: str
) -> None:
    await audit.record(
        session,
        action=action,
        subject_kind="case",
        subject_id=made.case_id,
        occurred_at=now,
        actor=actor.user_id,
        role=actor.role,
        reason=reason,
        evidence=await evidence(session, made),
    )
