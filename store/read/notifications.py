"""The notifications in a person's list, newest first. `owner`: a trader, or a user of the firm."""

from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from store.models import Notification
from store.read.pages import Page, View, Window, keyset


class NotificationView(View):
    """`href`: the page of the console that it leads to. `occurred_at` is market time, the others are wall time.
    `mailed`: it left as mail too."""

    id: str
    kind: str
    subject: str
    short: str
    href: str
    mailed: bool
    occurred_at: datetime
    recorded_at: datetime
    read_at: datetime | None


def own(owner: str) -> ColumnElement[bool]:
    """Returns whether a notification is in this person's list."""
    column: Any = Notification.trader_id if owner.startswith("trd_") else Notification.user_id
    mine: ColumnElement[bool] = (column == owner) & Notification.shown
    return mine


async def page(session: AsyncSession, owner: str, window: Window, *, unread: bool = False) -> Page[NotificationView]:
    statement = select(Notification).where(own(owner))
    if unread:
        statement = statement.where(Notification.read_at.is_(None))
    rows, cursor = await keyset(session, statement, [Notification.id], window)
    return Page[NotificationView](items=tuple(_view(row.Notification) for row in rows), next_cursor=cursor)


async def unread(session: AsyncSession, owner: str, *, at_most: int) -> int:
    """How many this person has not read. No more than `at_most` are counted."""
    found = select(Notification.id).where(own(owner), Notification.read_at.is_(None)).limit(at_most)
    return int(await session.scalar(select(func.count()).select_from(found.subquery())) or 0)


def _view(row: Notification) -> NotificationView:
    return NotificationView(
        id=row.id,
        kind=row.kind,
        subject=row.subject,
        short=row.short,
        href=row.href,
        mailed=row.mail_id is not None,
        occurred_at=row.occurred_at,
        recorded_at=row.recorded_at,
        read_at=row.read_at,
    )
