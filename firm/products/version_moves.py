"""Accounts on their way to another version of their product: proposed by one person, approved by another, carried out
by the monitor at each account's next daily reset."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final, Literal

from sqlalchemy import Row, select
from sqlalchemy.ext.asyncio import AsyncSession

from domain.approvals import Actor, check_may_withdraw, check_reason
from domain.errors import BadInput
from domain.keys import new_id
from domain.platform_changes import UNFINISHED
from domain.products.product import Product
from domain.products.publishing import (
    ACCOUNT_MOVE,
    check_approved,
    check_may_propose,
    check_movable,
    move_digest,
)
from firm import decide as guard
from firm import messages
from store import audit, decisions, products, rows
from store.clock import market_now
from store.models import Account, AccountMove, AccountMoveRow, Payout, PlatformChange, User

KIND: Final = "account_move"
Verdict = Literal["approve", "reject"]
_TRIGGERS: Final = {"approve": "approval_given", "reject": "move_rejected"}
_MOST_NAMED: Final = 20


async def propose(
    session: AsyncSession,
    *,
    product: str,
    from_version: int,
    to_version: int,
    numbers: Sequence[int] | None,
    actor: Actor,
    reason: str,
) -> AccountMove:
    """Ask for accounts to go on under another version. `numbers`: as people say them (10482 for A-10482); None: every
    active account of the version that has no payout open, waits for no other move and stays at its platform.

    Raises NotAllowed, NotFound (a version), BadInput (terms that do not fit, accounts that cannot move).
    """
    check_may_propose(KIND, actor)
    check_reason(reason)
    old, new = await products.load(session, product, from_version), await products.load(session, product, to_version)
    check_movable(old, new)
    chosen = await _chosen(session, old, new, numbers)
    now = await market_now(session)
    move = AccountMove(
        id=new_id("mov"),
        product=product,
        from_version=from_version,
        to_version=to_version,
        reason=reason,
        state=ACCOUNT_MOVE.initial,
        proposed_by=actor.user_id,
        proposed_at=now,
    )
    session.add(move)
    await session.flush()
    session.add_all(AccountMoveRow(move_id=move.id, account_id=account_id) for account_id in chosen)
    await session.flush()
    await audit.record(
        session,
        action="account_move.proposed",
        subject_kind=KIND,
        subject_id=move.id,
        occurred_at=now,
        actor=actor.user_id,
        role=actor.role,
        reason=reason,
        evidence={"from": old.ref, "to": new.ref, "accounts": len(chosen), "digest": await digest(session, move)},
    )
    return move


async def _chosen(session: AsyncSession, old: Product, new: Product, numbers: Sequence[int] | None) -> list[str]:
    """Returns the ids of the accounts to move, by number. Raises BadInput with the first accounts that cannot move."""
    product, version = old.product, old.version
    open_payout = select(Payout.id).where(Payout.account_id == Account.id, Payout.closed_at.is_(None)).exists()
    waiting = (
        select(AccountMoveRow.move_id)
        .join(AccountMove, AccountMove.id == AccountMoveRow.move_id)
        .where(
            AccountMoveRow.account_id == Account.id,
            AccountMoveRow.state == "waiting",
            AccountMove.state.in_(("proposed", "approved")),
        )
        .exists()
    )
    changing = (
        select(PlatformChange.id)
        .where(PlatformChange.account_id == Account.id, PlatformChange.state.in_(UNFINISHED))
        .exists()
    )
    statement = select(
        *(Account.number, Account.id, Account.product, Account.version, Account.status),
        *(Account.phase_index, Account.initial_minor, open_payout, waiting, changing),
    ).order_by(Account.number)
    of_version = statement.where(Account.product == product, Account.version == version)
    wanted = of_version if numbers is None else statement.where(Account.number.in_(numbers))
    rows = (await session.execute(wanted)).all()
    found = {row.number for row in rows}
    problems = [
        f"A-{number}: there is no such account" for number in dict.fromkeys(numbers or ()) if number not in found
    ]
    chosen: list[str] = []
    for row in rows:
        why = _why_not(row, new, (product, version))
        number, account_id = row.number, row.id
        if why:
            problems.append(f"A-{number}: {why}")
        else:
            chosen.append(account_id)
    if numbers is not None and problems:
        more = f"; and {len(problems) - _MOST_NAMED} more" if len(problems) > _MOST_NAMED else ""
        raise BadInput(
            "These accounts cannot move: " + "; ".join(problems[:_MOST_NAMED]) + more + ".",
            field="accounts",
            remedy="Leave them out.",
        )
    if not chosen:
        raise BadInput(
            f"No account of {product}@{version} can move.",
            field="accounts",
            remedy="Active accounts without an open payout can.",
        )
    return chosen


def _why_not(row: Row[Any], new: Product, under: tuple[str, int]) -> str:
    """Returns why an account cannot move; empty when it can."""
    _, _, its_product, its_version, status, phase, size, has_payout, is_waiting, changes = row
    if (its_product, its_version) != under:
        return f"is under {its_product}@{its_version}"
    if status != "active":
        return f"is {status}"
    if not new.has_size(phase, size):
        return f"has grown to a size that {new.ref} does not have"
    if has_payout:
        return "has an open payout; decide that first"
    if is_waiting:
        return "waits for another move"
    return "is on its way to another platform" if changes else ""


async def locked(session: AsyncSession, move_id: str) -> AccountMove:
    """Returns the row, locked until the transaction ends. Raises NotFound."""
    return await rows.locked(session, AccountMove, move_id)


async def digest(session: AsyncSession, move: AccountMove) -> str:
    """Returns what an approval of the move as it is now is for: its accounts are read again."""
    accounts = await session.scalars(select(AccountMoveRow.account_id).where(AccountMoveRow.move_id == move.id))
    return move_digest(
        move_id=move.id,
        product=move.product,
        from_version=move.from_version,
        to_version=move.to_version,
        accounts=accounts,
    )


async def decide(
    session: AsyncSession, move_id: str, *, verdict: Verdict, actor: Actor, reason: str, key: str
) -> AccountMove:
    """Record a second person's decision; once approved, the accounts' shards take it up. The same `key` again changes
    nothing. Raises NotFound, BadInput, NotAllowed, SelfApproval, AlreadyDecided, IllegalTransition."""
    move = await locked(session, move_id)
    asked_by = (await session.get_one(User, move.proposed_by)).person_id
    subject = guard.Subject(
        kind=KIND, id=move.id, digest=await digest(session, move), evidence=_versions(move), asked_by=asked_by
    )
    choice, trigger = guard.Choice(verdict, actor, reason, key), _TRIGGERS[verdict]
    now = await guard.record(session, subject, choice, guard.allowed(ACCOUNT_MOVE, move.state, trigger))
    if now is None:
        return move
    if verdict == "approve":
        counted = await decisions.votes(session, KIND, move.id)
        check_approved(KIND, counted, proposer_person=asked_by, digest=subject.digest)
        moving = await session.scalars(select(AccountMoveRow.account_id).where(AccountMoveRow.move_id == move.id))
        await messages.send_limits(session, moving.all(), move.id)
    await _step(session, move, trigger, actor, reason, now)
    return move


async def withdraw(session: AsyncSession, move_id: str, *, actor: Actor, reason: str) -> AccountMove:
    """Take a proposed move back; only who proposed it may, and only before it is approved. Raises NotFound, NotAllowed,
    BadInput, IllegalTransition."""
    move = await locked(session, move_id)
    check_may_withdraw(actor, move.proposed_by, reason)
    await _step(session, move, "move_withdrawn", actor, reason, await market_now(session))
    return move


async def _step(
    session: AsyncSession, move: AccountMove, trigger: str, actor: Actor, reason: str, now: datetime
) -> None:
    await guard.step(
        session,
        ACCOUNT_MOVE,
        move,
        trigger,
        kind=KIND,
        key=trigger,
        at=now,
        actor=actor,
        reason=reason,
        detail=_versions(move),
    )


def _versions(move: AccountMove) -> dict[str, str]:
    return {"from": f"{move.product}@{move.from_version}", "to": f"{move.product}@{move.to_version}"}
