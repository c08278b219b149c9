"""Single rows, locked until the transaction ends."""

from typing import Final, TypeVar

from sqlalchemy.ext.asyncio import AsyncSession

from domain.errors import NotFound
from store.models.base import Base

M = TypeVar("M", bound=Base)
_KEPT: Final = "kept_rows"


async def locked(session: AsyncSession, model: type[M], row_id: str | int, *, references_too: bool = False) -> M:
    """Returns the current row, locked against other writers (FOR NO KEY UPDATE). Raises NotFound.

    `references_too` also blocks new rows that reference it (FOR UPDATE).
    """
    lock = {"key_share": not references_too}
    row = await session.get(model, row_id, with_for_update=lock, populate_existing=True)
    if row is None:
        raise NotFound
    keep(session, row)
    return row


def keep(session: AsyncSession, row: Base) -> None:
    """Holds on to a row until the transaction ends: a later `session.get` returns it without asking the database. It
    is locked, or the caller needs of it only what does not change."""
    session.info.setdefault(_KEPT, set()).add(row)
