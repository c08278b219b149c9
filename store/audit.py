"""The audit log: a chain of hashes for each subject, and anchors over all entries.

An entry is hashed together with the entry before it of the same subject, so writers of different subjects do not wait
for each other. An anchor hashes the digests of all entries since the anchor before it, and that anchor's digest: a
removed, added or exchanged entry is found even if its own chain looks whole. The relay makes an anchor every few
seconds. Entries of version 1 are one chain over all subjects, which the first anchor closes.
"""

import hashlib
import json
import re
from collections.abc import Iterable
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import Any, Final

from psycopg import Connection
from sqlalchemy import bindparam, func, select, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.ext.asyncio import AsyncSession

from store import reasons
from store.models import AuditAnchor, AuditEntry

# Writers hold it shared until they commit. An anchor holds it alone, so that no lower `seq` can appear afterwards.
_WRITERS: Final = 7120002
_PATIENCE: Final = "100ms"  # new writers wait while an anchor waits for the running ones
GENESIS: Final = "0" * 64
SYSTEM: Final = "system"
VERSION: Final = 2
# The API key through which the request of this task acts; every entry that it writes says so.
acting_key: Final[ContextVar[str | None]] = ContextVar("acting_key", default=None)
# Takes the entry's number, finds the entry before it, hashes both and stores it, behind the locks.
APPEND: Final = """audit_append(
    CAST(:writers AS integer), CAST(:head AS text), CAST(:middle AS text), CAST(:foot AS text), CAST(:actor AS text),
    CAST(:role AS text), CAST(:action AS text), CAST(:subject_kind AS text), CAST(:subject_id AS text),
    CAST(:reason AS text), CAST(:evidence AS jsonb), CAST(:occurred_at AS timestamptz),
    CAST(:recorded_at AS timestamptz)
)"""
_RECORD: Final = text(f"SELECT {APPEND}").bindparams(bindparam("evidence", type_=JSONB))
_RECORD_NOW: Final = "SELECT " + re.sub(r":(\w+) AS", r"%(\1)s AS", APPEND)


def digest(previous: str, fields: dict[str, Any], version: int = VERSION) -> str:
    """Returns the hash of one entry: sha256 over canonical JSON of its fields and the previous hash."""
    return hashlib.sha256(_json({"v": version, "previous": previous, **fields}).encode()).hexdigest()


def _json(fields: dict[str, Any]) -> str:
    return json.dumps(fields, sort_keys=True, separators=(",", ":"), default=str)


def anchor_digest(previous: str, entries: Iterable[tuple[int, str]]) -> str:
    """Returns the hash of an anchor. `entries`: (seq, digest) in order of seq. `previous`: the last anchor's digest."""
    return hashlib.sha256("\n".join([previous, *(f"{seq}:{own}" for seq, own in entries)]).encode()).hexdigest()


def fields(entry: AuditEntry) -> dict[str, Any]:
    return {
        "seq": entry.seq,
        "actor": entry.actor,
        "role": entry.role,
        "action": entry.action,
        "subject_kind": entry.subject_kind,
        "subject_id": entry.subject_id,
        "reason": entry.reason,
        "evidence": entry.evidence,
        "occurred_at": entry.occurred_at.astimezone(UTC).isoformat(),
        "recorded_at": entry.recorded_at.astimezone(UTC).isoformat(),
    }


async def record(
    session: AsyncSession,
    *,
    action: str,
    subject_kind: str,
    subject_id: str,
    occurred_at: datetime,
    actor: str = SYSTEM,
    role: str = SYSTEM,
    reason: str = "",
    evidence: dict[str, Any] | None = None,
) -> None:
    """Append one entry in the caller's transaction. Pass ids only: the log holds no personal data, and of a person's
    reason the digest. Other writers of the same subject wait until the transaction ends."""
    values = entry(
        action=action,
        subject_kind=subject_kind,
        subject_id=subject_id,
        occurred_at=occurred_at,
        actor=actor,
        role=role,
        reason=await sealed(session, actor, reason),
        evidence=evidence or {},
    )
    await session.execute(_RECORD, values)


async def sealed(session: AsyncSession, actor: str, reason: str) -> str:
    """Returns the reason as an entry of this actor keeps it: a person's is sealed, the program's own is in clear."""
    return reason if actor == SYSTEM else await reasons.seal(session, reason)


def entry(
    *,
    action: str,
    subject_kind: str,
    subject_id: str,
    occurred_at: datetime,
    actor: str,
    role: str,
    reason: str,
    evidence: dict[str, Any],
) -> dict[str, Any]:
    """Returns the parameters of `APPEND` for an entry that is recorded now. Its evidence names the API key that acted,
    if one did."""
    if (key_id := acting_key.get()) is not None:
        evidence = {**evidence, "api_key": key_id}
    made = AuditEntry(
        actor=actor,
        role=role,
        action=action,
        subject_kind=subject_kind,
        subject_id=subject_id,
        reason=reason,
        evidence=evidence,
        occurred_at=occurred_at,
        recorded_at=datetime.now(UTC),
    )
    own = fields(made)
    head, middle, foot = _parts(own)
    times = {"occurred_at": made.occurred_at, "recorded_at": made.recorded_at}
    return {**own, **times, "writers": _WRITERS, "head": head, "middle": middle, "foot": foot}


def _parts(fields: dict[str, Any]) -> tuple[str, str, str]:
    """Returns the canonical text of an entry in three parts: the digest of the entry before it goes between the first
    two, its number between the last two."""
    before, between = ("action", "actor", "evidence", "occurred_at"), ("reason", "recorded_at", "role")
    head, middle, foot = (
        _json(part)
        for part in (
            {name: fields[name] for name in before},
            {name: fields[name] for name in between},
            {"subject_id": fields["subject_id"], "subject_kind": fields["subject_kind"], "v": VERSION},
        )
    )
    return head[:-1] + ',"previous":"', '",' + middle[1:-1] + ',"seq":', "," + foot[1:]


def record_now(
    connection: Connection[Any],
    *,
    action: str,
    subject_kind: str,
    subject_id: str,
    occurred_at: datetime,
    evidence: dict[str, Any],
) -> None:
    """Like `record`, for the monitor's synchronous connection. The actor is always `system`."""
    values = entry(
        action=action,
        subject_kind=subject_kind,
        subject_id=subject_id,
        occurred_at=occurred_at,
        actor="system",
        role="system",
        reason="",
        evidence=evidence,
    )
    connection.execute(_RECORD_NOW, {**values, "evidence": json.dumps(evidence)})


async def anchor(session: AsyncSession) -> int:
    """Anchors the entries since the last anchor. Returns their number. Raises OperationalError (LockNotAvailable) when
    writers do not come to an end in time: try again later."""
    await session.execute(text(f"SET LOCAL lock_timeout = '{_PATIENCE}'"))
    await session.execute(select(func.pg_advisory_xact_lock(_WRITERS)))
    last = await session.scalar(select(AuditAnchor).order_by(AuditAnchor.number.desc()).limit(1))
    rows = await session.execute(
        select(AuditEntry.seq, AuditEntry.digest)
        .where(AuditEntry.seq > (last.through if last else 0))
        .order_by(AuditEntry.seq)
    )
    entries = [(seq, own) for seq, own in rows]
    if entries:
        session.add(
            AuditAnchor(
                number=last.number + 1 if last else 1,
                through=entries[-1][0],
                entries=len(entries),
                digest=anchor_digest(last.digest if last else GENESIS, entries),
            )
        )
    return len(entries)
