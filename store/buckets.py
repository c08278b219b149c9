"""Shared counters of requests: buckets of tokens that fill up at a steady rate."""

from dataclasses import dataclass
from typing import Final

from sqlalchemy import text

from store.db import Database

_TAKE: Final = text(
    "SELECT granted, remaining FROM take_tokens(CAST(:subject AS text), :capacity, :fill_seconds, :wanted)"
)


@dataclass(frozen=True)
class Taken:
    """`granted`: whole tokens, 0 when the bucket is empty. `remaining`: what the bucket holds after that."""

    granted: int
    remaining: float


async def take(db: Database, subject: str, *, capacity: int, fill_seconds: float, wanted: int) -> Taken:
    """Takes up to `wanted` tokens of a bucket of `capacity` that fills up in `fill_seconds`, in a transaction of its
    own that waits for no disk."""
    values = {"subject": subject, "capacity": capacity, "fill_seconds": fill_seconds, "wanted": wanted}
    row = await db.fetch_at_once(_TAKE, values)
    return Taken(granted=row.granted, remaining=row.remaining)
