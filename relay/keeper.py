"""Keeps the tables that grow: makes the coming parts, makes hours of old minutes, removes what is no longer kept."""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Final

import structlog
from psycopg.errors import LockNotAvailable
from sqlalchemy.exc import OperationalError
from sqlalchemy.ext.asyncio import AsyncSession

from store import keeping, parts
from store.db import Database, allow_long_job
from store.keeping import Policy

_Step = Callable[[AsyncSession, Policy], Awaitable[int]]
_BETWEEN_REMOVALS: Final = timedelta(hours=6)  # they look through whole parts
_REMOVALS: Final[tuple[_Step, ...]] = (
    keeping.roll_up,
    keeping.remove_hours,
    keeping.remove_deals,
    keeping.remove_snapshots,
    keeping.remove_idempotency_keys,
    keeping.remove_identity_facts,
    keeping.remove_sign_ins,
    keeping.remove_inbox,
    keeping.remove_outbox,
    keeping.remove_exposure,
    keeping.remove_events,
    keeping.remove_mails,
    keeping.remove_notifications,
)
_log = structlog.get_logger("relay.keeper")


class Keeper:
    """Several relays may run one each: whoever comes second does nothing in that round."""

    def __init__(self, db: Database, policy: Policy) -> None:
        self._db, self._policy = db, policy
        self._next_removal = datetime.min.replace(tzinfo=UTC)

    async def step(self) -> int:
        """Runs one round, each step in a transaction of its own. Returns the number of parts, days and rows changed."""
        made = await self._alone(_make_parts)
        if datetime.now(UTC) < self._next_removal:
            return made
        removed = sum([await self._alone(remove) for remove in _REMOVALS])
        if not removed:
            self._next_removal = datetime.now(UTC) + _BETWEEN_REMOVALS
        return made + removed

    async def _alone(self, work: _Step) -> int:
        """Runs one step unless another relay runs one. A table that somebody reads is left for the next round."""
        try:
            async with self._db.transaction() as session:
                await allow_long_job(session)
                done = await work(session, self._policy) if await parts.alone(session) else 0
        except OperationalError as error:
            if not isinstance(error.orig, LockNotAvailable):
                raise
            _log.info("left for later: a table is in use", step=work.__name__)
            return 0
        if done:
            _log.info("kept", step=work.__name__, count=done)
        return done


async def _make_parts(session: AsyncSession, _: Policy) -> int:
    return await parts.make_parts(session)
