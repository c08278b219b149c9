"""How many requests a person and an API key may send: buckets shared by all processes, leased in small portions.

A process takes a portion of tokens with one statement and spends them without asking again, so most requests cost
nothing. It never spends what the shared bucket did not grant. A portion that is not spent in the time in which it would
fill up again is dropped.
"""

import math
import time
from collections import OrderedDict
from dataclasses import dataclass, field
from typing import Final, Literal

from domain.key_errors import TooManyRequests
from store import buckets
from store.db import Database

Kind = Literal["person", "key"]
WINDOW: Final = 60  # seconds in which an empty bucket fills up
_PORTIONS: Final = 20  # a process takes this part of a bucket at a time
_KEPT: Final = 20_000  # leases that a process remembers


@dataclass
class _Lease:
    left: int
    shared: float  # what the shared bucket held after the last portion
    ends: float  # monotonic


@dataclass(frozen=True)
class Spent:
    """What is left after a request, for the headers of its answer."""

    kind: Kind
    limit: int
    remaining: int

    @property
    def headers(self) -> dict[str, str]:
        """`RateLimit-Policy` and `RateLimit` as the IETF draft writes them. `t`: seconds until the bucket is full."""
        until_full = math.ceil((self.limit - self.remaining) * WINDOW / self.limit)
        return {
            "RateLimit-Policy": f'"{self.kind}";q={self.limit};w={WINDOW}',
            "RateLimit": f'"{self.kind}";r={self.remaining};t={until_full}',
        }


@dataclass
class RequestLimits:
    """Requests a minute of one person, and of one API key."""

    person: int = 1200
    key: int = 600
    _leases: OrderedDict[str, _Lease] = field(default_factory=OrderedDict)

    async def spend(self, db: Database, kind: Kind, subject: str) -> Spent:
        """Counts one request of `subject` (`usr_…` or `key_…`). Raises TooManyRequests."""
        limit = self.person if kind == "person" else self.key
        lease = self._leases.get(subject)
        if lease is None or lease.left < 1 or time.monotonic() >= lease.ends:
            lease = await self._lease(db, subject, limit)
            if lease.left < 1:
                missing = 1 - min(lease.shared, 1.0)
                raise TooManyRequests(_WORDS[kind], limit, WINDOW, max(1, math.ceil(missing * WINDOW / limit)))
        lease.left -= 1
        return Spent(kind, limit, lease.left + int(lease.shared))

    async def _lease(self, db: Database, subject: str, limit: int) -> _Lease:
        wanted = max(1, limit // _PORTIONS)
        taken = await buckets.take(db, subject, capacity=limit, fill_seconds=WINDOW, wanted=wanted)
        lease = _Lease(taken.granted, taken.remaining, time.monotonic() + wanted * WINDOW / limit)
        self._leases[subject] = lease
        self._leases.move_to_end(subject)
        while len(self._leases) > _KEPT:
            self._leases.popitem(last=False)
        return lease


_WORDS: Final = {"person": "person", "key": "API key"}
