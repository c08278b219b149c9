"""What a person has done again at a platform because of a break: a lock, loss limits, the permission to trade.

The break stays open until the platform and the record agree.
"""

from typing import Final

from sqlalchemy.ext.asyncio import AsyncSession

from contracts.messages import LockAccount
from domain import keys
from domain.approvals import Actor, check_reason
from domain.errors import Conflict, NotAllowed
from domain.reconciliation import AGAIN, Again
from firm import messages
from store import audit, rows
from store.clock import market_now
from store.models import Account, ReconciliationBreak

MAY: Final = frozenset({"risk", "finance", "admin"})


async def again(session: AsyncSession, *, break_id: str, what: Again, actor: Actor, reason: str) -> ReconciliationBreak:
    """Orders it once more. Raises NotFound, NotAllowed, BadInput, Conflict (it is closed, it is of another kind, or
    the account is no longer as it was)."""
    row = await rows.locked(session, ReconciliationBreak, break_id)
    if actor.role not in MAY:
        raise NotAllowed(f"Your role is {actor.role}; only {', '.join(sorted(MAY))} may do this.")
    check_reason(reason)
    if row.state != "open":
        raise Conflict(f"This break is {row.state}.")
    if AGAIN.get(row.kind) != what or row.account_id is None:
        raise Conflict("This is no remedy for this break.", remedy="Close it in another way.")
    account = await session.get_one(Account, row.account_id)
    if (account.status == "active") is (what == "lock_again"):
        raise Conflict(f"The account is {account.status} by now.", remedy="Wait for the next comparison.")
    times = int(row.detail.get("times", 0)) + 1
    row.detail = {**row.detail, "times": times}
    await _order(session, account, what, f"{row.id}/{times}")
    await audit.record(
        session,
        action=f"break.{what}",
        subject_kind="break",
        subject_id=row.id,
        occurred_at=await market_now(session),
        actor=actor.user_id,
        role=actor.role,
        reason=reason,
        evidence={"kind": row.kind, "account": account.id, "times": times},
    )
    return row


async def _order(session: AsyncSession, account: Account, what: Again, cause: str) -> None:
    if what == "lock_again":
        key = keys.lock_message(cause)
        await messages.lock_account(session, LockAccount(key=key, login=account.login or 0, account_id=account.id))
    elif what == "push_again":
        await messages.send_limits(session, [account.id], cause, again=True)
    else:
        await messages.let_trade(session, account, cause)
