"""The audit log: each entry is hashed together with the one before it. One writer at a time."""

import hashlib
import json
from datetime import UTC, datetime
from typing import Any

from psycopg import Connection, sql
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from store.models import AuditEntry

_CHAIN_LOCK = 7120002
GENESIS = "0" * 64


def digest(previous: str, fields: dict[str, Any]) -> str:
    """Returns the hash of one entry: sha256 over canonical JSON of its fields and the previous hash (version 1)."""
    body = json.dumps({"v": 1, "previous": previous, **fields}, sort_keys=True, separators=(",", ":"), default=str)
    return hashlib.sha256(body.encode()).hexdigest()


def _fields(entry: AuditEntry) -> dict[str, Any]:
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
    actor: str = "system",
    role: str = "system",
    reason: str = "",
    evidence: dict[str, Any] | None = None,
) -> None:
    """Append one entry in the caller's transaction. Pass ids only: the log holds no personal data."""
    await session.execute(select(func.pg_advisory_xact_lock(_CHAIN_LOCK)))
    last = (await session.execute(select(AuditEntry).order_by(AuditEntry.seq.desc()).limit(1))).scalar_one_or_none()
    entry = AuditEntry(
        seq=last.seq + 1 if last else 1,
        actor=actor,
        role=role,
        action=action,
        subject_kind=subject_kind,
        subject_id=subject_id,
        reason=reason,
        evidence=evidence or {},
        occurred_at=occurred_at,
        recorded_at=datetime.now(UTC),
        previous=last.digest if last else GENESIS,
    )
    entry.digest = digest(entry.previous, _fields(entry))
    session.add(entry)
    await session.flush()


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
    connection.execute("SELECT pg_advisory_xact_lock(%s)", (_CHAIN_LOCK,))
    last = connection.execute("SELECT seq, digest FROM audit_log ORDER BY seq DESC LIMIT 1").fetchone()
    entry = AuditEntry(
        seq=last[0] + 1 if last else 1,
        actor="system",
        role="system",
        action=action,
        subject_kind=subject_kind,
        subject_id=subject_id,
        reason="",
        evidence=evidence,
        occurred_at=occurred_at,
        recorded_at=datetime.now(UTC),
        previous=last[1] if last else GENESIS,
    )
    columns = {**_fields(entry), "previous": entry.previous, "digest": digest(entry.previous, _fields(entry))}
    columns["evidence"] = json.dumps(evidence)
    connection.execute(
        sql.SQL("INSERT INTO audit_log ({}) VALUES ({})").format(
            sql.SQL(", ").join(map(sql.Identifier, columns)), sql.SQL(", ").join(map(sql.Placeholder, columns))
        ),
        columns,
    )


async def verify(session: AsyncSession) -> int | None:
    """Recompute the chain. Returns the seq of the first broken entry, or None when every entry is right."""
    previous, expected = GENESIS, 1
    stream = await session.stream_scalars(select(AuditEntry).order_by(AuditEntry.seq).execution_options(yield_per=1000))
    try:
        async for entry in stream:
            if entry.seq != expected or entry.previous != previous or entry.digest != digest(previous, _fields(entry)):
                return expected
            previous, expected = entry.digest, expected + 1
    finally:
        await stream.close()  # an early return leaves the server's cursor half read
    return None
