"""Keeps what the list of accounts is sorted by: the figures of every account whose money moved since the last round.

Equity and room move with every price, and stand beside much else in `account_live`: a page that sorted all of them
would cost more with each account. Here they stand in narrow rows with an index of each figure. A row is written when
the equity moved by more than a thousandth or a room by more than a hundredth, because writing it costs as many index
entries: an account close to its floor has its place to the cent. The monitor does not write them, so that no verdict
waits for them.
"""

import json
from typing import Final

from sqlalchemy import CursorResult, text
from sqlalchemy.ext.asyncio import AsyncSession

from domain.products.phase_terms import compile_phase
from domain.rules.room import is_daily
from store import products
from store.models.ranks import LAST

_LOCK: Final = 7120100  # one relay at a time: the slower one would write older figures over newer ones
_ALONE: Final = text("SELECT pg_try_advisory_xact_lock(:key)")
# figure -> the share of it that it may move before the row is written
_SHARES: Final = {"equity": 1000, "daily": 100, "total": 100, "closest": 100}
_NEW: Final = ", ".join(f"{figure} = n.{figure}" for figure in _SHARES)
_MOVED: Final = " OR ".join(
    f"abs(n.{figure} - r.{figure}) > abs(r.{figure}) / {share}" for figure, share in _SHARES.items()
)
_REFRESH: Final = text(f"""
    UPDATE account_ranks r SET batch = n.batch, status = n.status, {_NEW}
      FROM (SELECT a.id, l.batch, a.status, l.equity_minor AS equity, coalesce(room.daily, {LAST}) AS daily,
                   coalesce(room.total, {LAST}) AS total, coalesce(room.closest, {LAST}) AS closest
              FROM accounts a
              JOIN account_live l ON l.account_id = a.id
              LEFT JOIN jsonb_to_recordset(CAST(:daily AS jsonb))
                     AS d (product text, version int, phase_index int, keys jsonb)
                ON d.product = a.product AND d.version = a.version AND d.phase_index = a.phase_index
              LEFT JOIN LATERAL
                   (SELECT min(of.room) FILTER (WHERE of.daily) AS daily,
                           min(of.room) FILTER (WHERE NOT of.daily) AS total, min(of.room) AS closest
                      FROM (SELECT CAST(floor.value->>'room_minor' AS bigint) AS room,
                                   coalesce(jsonb_exists(d.keys, floor.key), false) AS daily
                              FROM jsonb_each(l.floors) AS floor) AS of) AS room ON a.status = 'active') AS n
     WHERE n.id = r.account_id AND (r.batch IS DISTINCT FROM n.batch OR r.status IS DISTINCT FROM n.status)
       AND (r.batch IS NULL OR r.status IS DISTINCT FROM n.status OR {_MOVED})
""")


async def refresh(session: AsyncSession) -> int:
    """Brings the figures up to date that moved so far that it matters. Returns of how many accounts; 0 while another
    relay does it."""
    if not await session.scalar(_ALONE, {"key": _LOCK}):
        return 0
    done = await session.execute(_REFRESH, {"daily": json.dumps(await _daily(session))})
    assert isinstance(done, CursorResult)
    return done.rowcount


async def _daily(session: AsyncSession) -> list[dict[str, object]]:
    """The keys of the floors that are set anew each day, by phase of every version ever sold."""
    return [
        {
            "product": product.product,
            "version": product.version,
            "phase_index": index,
            "keys": [
                spec.key
                for spec in compile_phase(product.phase(index), product.initial_of(index), product.currency)
                if is_daily(spec)
            ],
        }
        for product in (await products.every(session)).values()
        for index in range(1, len(product.phases) + 2)
    ]
