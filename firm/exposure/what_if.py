"""Puts a what-if to the shards and adds up their answers. Each shard answers from its own columns."""

import asyncio
import time
from collections.abc import Sequence
from contextlib import suppress
from datetime import timedelta
from typing import Final

from sqlalchemy import delete, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from domain import keys
from domain.errors import Unavailable
from domain.exposure.shocks import Shock, check_known, ladder_of, worths
from domain.exposure.what_if import FirmAnswer, Question, ShardAnswer, merged
from store.db import Database
from store.exposure import ANSWERED, ASKED
from store.models import WhatIf, WhatIfAnswer
from store.notifications import told
from store.read import exposure

_SECONDS: Final = 5.0
_LOOK_AGAIN: Final = 0.5
_KEPT: Final = timedelta(days=1)


async def ask(db: Database, shocks: Sequence[Shock], asked_by: str) -> FirmAnswer:
    """Returns what each shock would do to all accounts. Raises BadInput for moves that contradict one another or a
    symbol that nobody quotes, and Unavailable when no shard answers."""
    async with db.transaction() as session:
        await _check(session, shocks)
        expected = await exposure.shards_with_accounts(session)
    if not expected:
        return merged([], len(shocks))
    async with told(db.url, ANSWERED) as event:
        with suppress(TimeoutError):
            async with asyncio.timeout(_SECONDS):
                await event.wait()  # it listens; if not, answers are looked for anyway
        event.clear()
        question_id = await _put(db, shocks, asked_by)
        answers = await _collect(db, question_id, len(expected), event)
    if not answers:
        raise Unavailable(
            "No shard of the monitor has answered.", remedy="See whether the monitor runs: propos doctor."
        )
    missing = sorted(set(expected) - set(answers))
    return merged(list(answers.values()), len(shocks), missing)


async def _put(db: Database, shocks: Sequence[Shock], asked_by: str) -> str:
    question = Question(shocks=tuple(shocks))
    row = WhatIf(id=keys.new_id("wif"), asked_by=asked_by, body=question.model_dump(mode="json"))
    async with db.transaction() as session:
        await session.execute(delete(WhatIf).where(WhatIf.recorded_at < func.clock_timestamp() - _KEPT))
        session.add(row)
        await session.flush()
        await session.execute(select(func.pg_notify(ASKED, row.id)))
    return row.id


async def _collect(db: Database, question_id: str, expected: int, event: asyncio.Event) -> dict[int, ShardAnswer]:
    until, found = time.monotonic() + _SECONDS, dict[int, ShardAnswer]()
    while len(found) < expected and time.monotonic() < until:
        with suppress(TimeoutError):
            async with asyncio.timeout(min(_LOOK_AGAIN, max(0.01, until - time.monotonic()))):
                await event.wait()
        event.clear()
        async with db.transaction() as session:
            rows = await session.execute(
                select(WhatIfAnswer.shard, WhatIfAnswer.body).where(WhatIfAnswer.what_if_id == question_id)
            )
            found = {shard: ShardAnswer.model_validate(body) for shard, body in rows}
    return found


async def _check(session: AsyncSession, shocks: Sequence[Shock]) -> None:
    names = (await exposure.policy(session)).names
    figures = await exposure.shards(session)
    known = {part.symbol for shard in figures for part in shard.symbols}
    for shock in shocks:
        if known:
            check_known(shock.moves, known, names)
        if shock.crosses == "implied":
            worths({names.main(symbol): percent for symbol, percent in shock.moves.items()})


async def ladder(session: AsyncSession, shock: Shock) -> tuple[Shock, ...]:
    """Returns the steps of a ladder: of the symbols that the shock names, or of everything that is held."""
    symbols = tuple(shock.moves)
    if not symbols:
        figures = await exposure.firm(session)
        symbols = tuple(line.symbol for line in figures.symbols if line.gross_lots)
    return ladder_of(symbols, shock)
