"""Verifies the audit log: recomputes chains and anchors, all or those after a point that was verified before."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Select, func, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased

from store.audit import GENESIS, VERSION, anchor_digest, digest, fields
from store.models import AuditAnchor, AuditEntry


@dataclass(frozen=True)
class Point:
    """An anchor up to which the log was verified: its number, the last entry that it covers, and its digest."""

    anchor: int
    through: int
    digest: str


@dataclass(frozen=True)
class Verdict:
    """What one verification found. `broken_at`: seq of the first broken entry; None: every entry that was checked is
    right. Where only the anchor tells that an entry is missing or was added, it is the first seq of the anchored part.
    `entries`: how many were checked, the last of which is `through`. `point`: the last anchor among them."""

    broken_at: int | None
    entries: int
    through: int
    point: Point | None


async def verify(session: AsyncSession, *, after: Point | None = None, most: int | None = None) -> Verdict:
    """Recomputes chains and anchors. `after`: only what follows this point; that its anchor still has the digest is
    checked too. What lies before it is not looked at. `most`: ends at the first anchor after so many entries; None: at
    the end of the log."""
    from_here = AuditAnchor.number >= (after.anchor if after else 1)
    wanted = select(AuditAnchor).where(from_here).order_by(AuditAnchor.number)
    if most is not None:  # each has an entry at least; two more are the one of `after`, and one that shows more follows
        wanted = wanted.limit(most + 2)
    anchors = list(await session.scalars(wanted))
    if after is not None:
        known = anchors.pop(0) if anchors else None
        if known is None or Point(known.number, known.through, known.digest) != after:
            return Verdict(await _first_of(session, after), 0, after.through, after)
    anchors, last = _no_more_than(anchors, most)
    walk = _Anchored(anchors, after)
    start = after.through if after else 0
    one_chain = anchors[0].through if anchors and anchors[0].one_chain else 0
    previous, expected, entries, through = GENESIS, 1, 0, start
    stream = await session.stream(_links(start, last).execution_options(yield_per=1000))
    try:
        async for entry, of_subject in stream:
            broken = _broken(entry, of_subject, one_chain, expected, previous)
            if broken is None:
                broken = walk.take(entry.seq, entry.digest)
            if broken is not None:
                return Verdict(broken, entries, through, walk.point)
            previous, expected, through, entries = entry.digest, entry.seq + 1, entry.seq, entries + 1
    finally:
        await stream.close()  # an early return leaves the server's cursor half read
    return Verdict(walk.end(), entries, through, walk.point)


async def is_last(session: AsyncSession, seq: int) -> bool:
    """Returns whether no entry follows this one."""
    return await session.scalar(select(AuditEntry.seq).where(AuditEntry.seq > seq).limit(1)) is None


def _links(start: int, last: int | None) -> Select[Any]:
    """Each entry after `start` with the digest of the one before it of the same subject, which may lie before."""
    earlier = aliased(AuditEntry)
    before_start = (
        select(earlier.digest)
        .where(
            earlier.subject_kind == AuditEntry.subject_kind,
            earlier.subject_id == AuditEntry.subject_id,
            earlier.seq <= start,
        )
        .order_by(earlier.seq.desc())
        .limit(1)
        .correlate(AuditEntry)
        .scalar_subquery()
    )
    within = func.lag(AuditEntry.digest).over(
        partition_by=(AuditEntry.subject_kind, AuditEntry.subject_id), order_by=AuditEntry.seq
    )
    before = func.coalesce(within, before_start) if start else within
    found = select(AuditEntry, before).where(AuditEntry.seq > start).order_by(AuditEntry.seq)
    return found if last is None else found.where(AuditEntry.seq <= last)


def _broken(entry: AuditEntry, of_subject: str | None, one_chain: int, expected: int, previous: str) -> int | None:
    """Returns the seq at which this entry shows that the chain is broken."""
    old = entry.seq <= one_chain
    if old and (entry.seq, entry.previous) != (expected, previous):
        return expected
    if not old and entry.previous != (of_subject or GENESIS):
        return int(entry.seq)
    if entry.digest != digest(entry.previous, fields(entry), 1 if old else VERSION):
        return int(entry.seq)
    return None


def _no_more_than(anchors: list[AuditAnchor], most: int | None) -> tuple[list[AuditAnchor], int | None]:
    """Returns the anchors to check, and the last seq to read; None: everything, also what has no anchor yet."""
    count = 0
    for at, anchor in enumerate(anchors):
        count += anchor.entries
        if most is not None and count >= most and at + 1 < len(anchors):
            return anchors[: at + 1], anchor.through
    return anchors, None


async def _first_of(session: AsyncSession, point: Point) -> int:
    """Returns where the part of an anchor begins."""
    before = select(func.max(AuditAnchor.through)).where(AuditAnchor.number < point.anchor)
    return (await session.scalar(before) or 0) + 1


class _Anchored:
    """Compares entries, in order of seq, with the anchors that follow `after`."""

    def __init__(self, anchors: Sequence[AuditAnchor], after: Point | None) -> None:
        self._anchors, self._at = anchors, 0
        self._number = after.anchor if after else 0
        self._first = after.through + 1 if after else 1  # seq at which the part of the current anchor begins
        self._digest, self._part = after.digest if after else GENESIS, list[tuple[int, str]]()
        self.point = after

    def take(self, seq: int, own: str) -> int | None:
        """Returns the first seq of a broken part that ends before `seq`."""
        while self._at < len(self._anchors) and seq > self._anchors[self._at].through:
            broken = self._close()
            if broken is not None:
                return broken
        self._part.append((seq, own))
        return None

    def end(self) -> int | None:
        while self._at < len(self._anchors):
            broken = self._close()
            if broken is not None:
                return broken
        return None

    def _close(self) -> int | None:
        anchor = self._anchors[self._at]
        right = anchor.number == self._number + 1 and anchor.entries == len(self._part)
        right = right and anchor.digest == anchor_digest(self._digest, self._part)
        if not right:
            return self._first
        self._first, self._digest, self._number = anchor.through + 1, anchor.digest, anchor.number
        self._at, self._part = self._at + 1, []
        self.point = Point(anchor.number, anchor.through, anchor.digest)
        return None
