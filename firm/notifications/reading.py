"""What a person has read of their notifications."""

from sqlalchemy import func, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from domain.errors import NotFound
from store.models import Notification
from store.read.notifications import own


async def mark_one(session: AsyncSession, owner: str, notification_id: str) -> str:
    """Marks one as read; one that was read stays as it is. Returns the page that it leads to. Raises NotFound for one
    of somebody else."""
    mine = own(owner) & (Notification.id == notification_id)
    href = await session.scalar(select(Notification.href).where(mine))
    if href is None:
        raise NotFound
    await session.execute(
        update(Notification)
        .where(mine, Notification.read_at.is_(None))
        .values(read_at=func.clock_timestamp())
        .execution_options(synchronize_session=False)
    )
    return str(href)


async def mark_until(session: AsyncSession, owner: str, newest: str) -> int:
    """Marks this one and every earlier one as read, and none that came after the list was shown. Returns how many."""
    marked = await session.scalars(
        update(Notification)
        .where(own(owner), Notification.id <= newest, Notification.read_at.is_(None))
        .values(read_at=func.clock_timestamp())
        .returning(Notification.id)
        .execution_options(synchronize_session=False)
    )
    return len(marked.all())
