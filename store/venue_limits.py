"""The loss limits that venues hold: what was sent, what is to be sent, what was shown."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from sqlalchemy import delete, select, text, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.sql import func

from domain import keys
from domain.errors import Unavailable
from store.models import Account, OutboxMessage, VenueLimits

TOPIC: Final = "venue.limits"
SENDER: Final = "send"  # names the target of messages: a lock of the account never waits behind its limits
_LONGEST_CALL: Final = 90.0  # seconds; the calls themselves give up sooner


async def begin(session: AsyncSession, account_id: str) -> None:
    """From now on a venue holds limits of this account."""
    await session.execute(insert(VenueLimits).values(account_id=account_id).on_conflict_do_nothing())


async def forget(session: AsyncSession, account_id: str) -> None:
    """The account has left the venue that held its limits."""
    await session.execute(delete(VenueLimits).where(VenueLimits.account_id == account_id))


async def ask_group(session: AsyncSession, platforms: Sequence[str], clock_group: str) -> None:
    """A reset of these accounts is over: has their limits sent again in the next round of reconciliation, if they have
    changed. Many at once must not keep other messages waiting."""
    active = (
        select(Account.id, text("true"))
        .where(Account.clock_group == clock_group, Account.platform.in_(platforms), Account.status == "active")
        .where(Account.login.is_not(None))
    )
    made = insert(VenueLimits).from_select(["account_id", "asked"], active)
    await session.execute(made.on_conflict_do_update(index_elements=["account_id"], set_={"asked": True}))


async def asked(session: AsyncSession, platform: str, *, after: str, limit: int) -> Sequence[str]:
    """Returns the next accounts of a platform whose limits are to be sent again."""
    found = (
        select(VenueLimits.account_id)
        .join(Account, Account.id == VenueLimits.account_id)
        .where(VenueLimits.asked, Account.platform == platform, VenueLimits.account_id > after)
    )
    return (await session.scalars(found.order_by(VenueLimits.account_id).limit(limit))).all()


async def answered(session: AsyncSession, account_id: str) -> None:
    """Nothing is to be sent any more for what was asked."""
    await session.execute(update(VenueLimits).where(VenueLimits.account_id == account_id).values(asked=False))


async def lease(session: AsyncSession, account_id: str) -> VenueLimits:
    """Returns the row, locked; until `release` nobody else sends limits of this account. Raises Unavailable while
    somebody else does: two calls at once could leave the older limits at the venue."""
    await session.execute(insert(VenueLimits).values(account_id=account_id).on_conflict_do_nothing())
    found = select(VenueLimits, func.coalesce(VenueLimits.sending_until > func.clock_timestamp(), False))
    row, taken = (await session.execute(found.where(VenueLimits.account_id == account_id).with_for_update())).one()
    if taken:
        raise Unavailable("The loss limits of this account are being sent to its venue.", remedy="It is tried again.")
    ends = func.clock_timestamp() + func.make_interval(0, 0, 0, 0, 0, 0, _LONGEST_CALL)
    row.sending_until = await session.scalar(select(ends))
    limits: VenueLimits = row
    return limits


async def release(session: AsyncSession, account_id: str, **values: Any) -> None:
    """Ends a lease. `values`: of the row."""
    mine = VenueLimits.account_id == account_id
    await session.execute(update(VenueLimits).where(mine).values(sending_until=None, **values))


async def held(session: AsyncSession, account_ids: Sequence[str]) -> dict[str, VenueLimits]:
    """Returns the rows of these accounts that have one."""
    rows = await session.scalars(select(VenueLimits).where(VenueLimits.account_id.in_(account_ids)))
    return {row.account_id: row for row in rows}


async def note(session: AsyncSession, shown: Mapping[str, dict[str, Any]], at: datetime) -> None:
    """Keeps what the venue showed of each of these accounts."""
    if not shown:
        return
    rows = [{"account_id": id, "shown": limits, "compared_at": at} for id, limits in sorted(shown.items())]
    made = insert(VenueLimits).values(rows)
    changes = {name: made.excluded[name] for name in ("shown", "compared_at")}
    await session.execute(made.on_conflict_do_update(index_elements=["account_id"], set_=changes))


async def waits(session: AsyncSession, account_id: str) -> bool:
    """Whether limits of this account are on their way."""
    found = select(OutboxMessage.id).where(
        OutboxMessage.target == keys.venue_limits(account_id, SENDER),
        OutboxMessage.dispatched_at.is_(None),
        OutboxMessage.parked_at.is_(None),
    )
    return await session.scalar(found.limit(1)) is not None
