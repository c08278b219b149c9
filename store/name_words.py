"""Makes the search index of names for traders who signed up before there was one."""

from typing import Final

import structlog
from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncSession

from store import crypto
from store.models import Trader

BATCH: Final = 500
_log = structlog.get_logger("store.name_words")


async def index_some(session: AsyncSession) -> int:
    """Indexes the names of the next traders without an index. Returns how many; 0 when all have one. Leaves those that
    somebody else has locked. A name that cannot be read gets an empty index, and the log says whose."""
    wanted = select(Trader.id).where(Trader.name_words.is_(None)).order_by(Trader.id).limit(BATCH)
    found = (await session.scalars(wanted.with_for_update(skip_locked=True))).all()
    for trader_id in found:
        words = await _words(session, trader_id)
        await session.execute(update(Trader).where(Trader.id == trader_id).values(name_words=words))
    return len(found)


async def _words(session: AsyncSession, trader_id: str) -> list[str]:
    try:
        name = (await session.scalars(select(Trader.name).where(Trader.id == trader_id))).one()
    except crypto.Undecipherable:
        _log.warning("a name cannot be read, so nobody finds its trader by it", trader=trader_id)
        return []
    return crypto.keys().word_indexes(name)
