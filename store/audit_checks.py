"""Verifications of the audit log on record: a view checks what follows the last one, `check_all` everything."""

from typing import Final

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from store import audit_chain
from store.audit_chain import Point, Verdict
from store.db import allow_long_job
from store.models import AuditCheckRow

MOST: Final = 20_000  # entries that one view checks, about
_WORTH: Final = 500  # so many newly checked entries make a view remember how far it came


async def last_whole(session: AsyncSession) -> AuditCheckRow | None:
    """Returns the last verification of everything."""
    newest = select(AuditCheckRow).where(AuditCheckRow.whole).order_by(AuditCheckRow.id.desc()).limit(1)
    found: AuditCheckRow | None = await session.scalar(newest)
    return found


async def remembered(session: AsyncSession) -> AuditCheckRow | None:
    """Returns the last verification that found everything right up to an anchor."""
    newest = (
        select(AuditCheckRow)
        .where(AuditCheckRow.broken_at.is_(None), AuditCheckRow.anchor.is_not(None))
        .order_by(AuditCheckRow.id.desc())
        .limit(1)
    )
    found: AuditCheckRow | None = await session.scalar(newest)
    return found


async def check_on(session: AsyncSession) -> tuple[Verdict, AuditCheckRow | None]:
    """Checks the entries after the remembered verification, about `MOST` of them. Returns what was found, and where it
    began; None: at the first entry."""
    begun = await remembered(session)
    after = None if begun is None else _point(begun)
    found = await audit_chain.verify(session, after=after, most=MOST)
    whole = after is None and found.point is not None and await audit_chain.is_last(session, found.through)
    grown = found.through - (after.through if after else 0)
    if found.broken_at is not None or whole or grown >= _WORTH:
        await _remember(session, found, after, whole=whole, by=None)
    return found, begun


async def check_all(session: AsyncSession, by: str) -> Verdict:
    """Checks everything and records it. `by`: a user id, or `command-line`. Minutes for millions of entries."""
    await allow_long_job(session)
    found = await audit_chain.verify(session)
    await _remember(session, found, None, whole=True, by=by)
    return found


async def _remember(session: AsyncSession, found: Verdict, after: Point | None, *, whole: bool, by: str | None) -> None:
    point = found.point
    session.add(
        AuditCheckRow(
            whole=whole,
            after=after.through if after else 0,
            through=found.through,
            anchor=point.anchor if point else None,
            anchor_through=point.through if point else None,
            anchor_digest=point.digest if point else None,
            broken_at=found.broken_at,
            by=by,
        )
    )
    await session.flush()


def _point(row: AuditCheckRow) -> Point:
    assert row.anchor is not None and row.anchor_through is not None and row.anchor_digest is not None
    return Point(row.anchor, row.anchor_through, row.anchor_digest)
