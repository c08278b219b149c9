"""Makes the search index of names for traders who signed up before there was one."""

from typing import Final

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from store import crypto
from store.models import Trader

BATCH: Final = 500


async def index_some(session: AsyncSession) -> int:
    """Indexes the names of the next traders without an index. Returns how many; 0 when all have one. Leaves those that
    somebody else has locked, and raises Undecipherable for a name whose key is missing."""
    wanted = select(Trader).where(Trader.name_words.is_(None)).order_by(Trader.id).limit(BATCH)
    found = (await session.scalars(wanted.with_for_update(skip_locked=True))).all()
    for trader in found:
        trader.name_words = crypto.keys().word_indexes(trader.name)
    return len(found)
