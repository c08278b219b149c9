"""Step-ups on the record: made by a proof, used once, and named by the decision that they were used for."""

from datetime import UTC, datetime, timedelta
from typing import Final

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from domain.keys import new_id
from domain.step_up import FRESH, ActionClass, Method, is_fresh
from store import audit
from store.clock import market_now
from store.models import StepUp

_REPEATED: Final = timedelta(minutes=15)  # for so long the same request may be sent again, as its decision can


async def make(
    session: AsyncSession, *, user_id: str, holder: str, action: ActionClass, about: str, method: Method
) -> StepUp:
    """`holder`: digest of the session's token. `about`: digest of what is decided."""
    row = StepUp(id=new_id("stp"), user_id=user_id, holder=holder, action=action, about=about, method=method)
    session.add(row)
    await session.flush()
    await session.refresh(row)
    return row


async def derive(session: AsyncSession, used: StepUp, about: str, *, key: str) -> None:
    """Makes the step-up of one of the things that `used` was made for together, by the same proof, for the request
    `key`. Its caller uses it in the same transaction, so none is left over. Makes none when that request has used one
    that still counts."""
    counts = StepUp.used_at > datetime.now(UTC) - _REPEATED
    if await session.scalar(select(StepUp.id).where(StepUp.used_key == key, StepUp.about == about, counts).limit(1)):
        return
    same = {"user_id": used.user_id, "holder": used.holder, "action": used.action, "method": used.method}
    session.add(StepUp(id=new_id("stp"), about=about, **same))
    await session.flush()


async def use(session: AsyncSession, *, user_id: str, holder: str, action: ActionClass, about: str, key: str) -> bool:
    """Uses a fresh step-up for the request `key`; one that this request has used already counts again. Returns False
    when there is none."""
    now = datetime.now(UTC)
    statement = (
        select(StepUp)
        .where(
            StepUp.user_id == user_id,
            StepUp.action == action,
            StepUp.about == about,
            StepUp.holder == holder,
            ((StepUp.used_key == key) & (StepUp.used_at > now - _REPEATED))
            | (StepUp.used_at.is_(None) & (StepUp.made_at > now - FRESH)),
        )
        .order_by(StepUp.used_at.nulls_last(), StepUp.made_at.desc())
        .with_for_update()
    )
    for row in await session.scalars(statement.execution_options(populate_existing=True)):
        if row.used_key == key:
            return True
        if row.used_at is None and is_fresh(row.made_at.astimezone(UTC), now):
            row.used_at, row.used_key = now, key
            await session.flush()
            await _audit(session, row)
            return True
    return False


async def _audit(session: AsyncSession, row: StepUp) -> None:
    await audit.record(
        session,
        action="step_up.used",
        subject_kind="user",
        subject_id=row.user_id,
        occurred_at=await market_now(session),
        actor=row.user_id,
        evidence={
            "step_up": row.id,
            "class": row.action,
            "method": row.method,
            "about": row.about,
            "key": row.used_key,
            "made_at": row.made_at.astimezone(UTC).isoformat(),
        },
    )


async def of_key(session: AsyncSession, key: str) -> StepUp | None:
    """Returns the step-up that a request has used."""
    found: StepUp | None = await session.scalar(select(StepUp).where(StepUp.used_key == key).limit(1))
    return found
