"""Counts attempts in the database, so that a limit holds over all processes: one row for each key.

An attempt counts when it begins, in a transaction of its own, so that parallel ones and those that fail count too. What
happens only when a transaction commits is counted in it (`count_in`).
"""

from datetime import UTC, datetime
from typing import Final

from sqlalchemy import delete, text
from sqlalchemy.ext.asyncio import AsyncSession

from domain.errors import TooManyAttempts
from domain.sign_ins import Limit
from store import crypto
from store.db import Database
from store.models import Attempts

_COUNT: Final = text(
    """
    INSERT INTO attempts AS a (key, begun_at, number) VALUES (:key, :now, 1)
    ON CONFLICT (key) DO UPDATE SET number = CASE WHEN a.begun_at <= :over THEN 1 ELSE a.number + 1 END,
                                    begun_at = CASE WHEN a.begun_at <= :over THEN excluded.begun_at ELSE a.begun_at END
    RETURNING number
    """
)


def key_of(kind: str, whose: str) -> str:
    """Returns the key of a counter. `whose`: a login, an address or an id; only a keyed digest of it is stored."""
    return f"{kind}/{crypto.keys().digest(whose)}"


async def within(db: Database, key: str, limit: Limit) -> bool:
    """Counts one attempt. Returns whether it is within the limit."""
    async with db.transaction() as session:
        return await _is_within(session, key, limit)


async def count(db: Database, key: str, limit: Limit, *, refusal: str, remedy: str = "") -> None:
    """Counts one attempt. Raises TooManyAttempts beyond the limit."""
    if not await within(db, key, limit):
        raise _refused(limit, refusal, remedy)


async def count_in(session: AsyncSession, key: str, limit: Limit, *, refusal: str) -> None:
    """Counts one attempt in the caller's transaction; what is rolled back does not count. Others that count under this
    key wait until it ends. Raises TooManyAttempts beyond the limit."""
    if not await _is_within(session, key, limit):
        raise _refused(limit, refusal)


async def forget(db: Database, key: str) -> None:
    """Begins to count anew, after an attempt that succeeded."""
    async with db.transaction() as session:
        await session.execute(delete(Attempts).where(Attempts.key == key))


async def _is_within(session: AsyncSession, key: str, limit: Limit) -> bool:
    now = datetime.now(UTC)
    number = await session.scalar(_COUNT, {"key": key, "now": now, "over": now - limit.window})
    return int(number or 0) <= limit.most


def _refused(limit: Limit, refusal: str, remedy: str = "") -> TooManyAttempts:
    minutes = max(1, int(limit.window.total_seconds() // 60))
    return TooManyAttempts(refusal, remedy=f"Wait {minutes} minutes, then try again.{' ' + remedy if remedy else ''}")
