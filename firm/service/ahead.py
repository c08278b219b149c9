"""What every step of a ticket asks of the record, read in one statement: both clocks, the service policy and the desk.

Each is asked for by its own function as ever, which finds it read.
"""

from typing import Any, Final

from sqlalchemy import Row
from sqlalchemy.ext.asyncio import AsyncSession

from firm.desk import in_force
from firm.service import policy as policies
from store.clock import WATERMARK, market_now
from store.service_time import NOW, service_now
from store.together import OneValueEach

QUERIES: Final[dict[str, Any]] = {
    "market": WATERMARK,
    "service": NOW,
    "policy_number": policies.NEWEST_NUMBER,
    "policy_hash": policies.NEWEST_HASH,
    "desk": in_force.NAME,
}
_ALL: Final = OneValueEach(**QUERIES)


async def read(session: AsyncSession) -> None:
    """Reads them for this transaction."""
    await take(session, await _ALL.read(session))


async def take(session: AsyncSession, found: Row[Any]) -> None:
    """Takes them from a row of `QUERIES` and whatever else the caller asked for with them."""
    await market_now(session, found.market)
    await service_now(session, found.service)
    policies.take_known(session, found.policy_number, found.policy_hash)
    in_force.take(session, found.desk)
