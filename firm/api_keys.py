"""API keys: made, rotated and revoked by the person for whom they act; an admin revokes anybody's."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

from sqlalchemy.ext.asyncio import AsyncSession

from domain import api_keys
from domain.approvals import Actor
from domain.errors import Conflict, NotFound
from domain.keys import new_id
from store import audit, rows
from store.clock import market_now
from store.models import ApiKey


async def issue(
    session: AsyncSession,
    *,
    actor: Actor,
    name: str,
    scopes: list[str],
    days: int,
    replaces: str | None = None,
) -> tuple[ApiKey, str]:
    """Makes a key for this person. `scopes`: checked ones. Returns the row and the token, which is stored nowhere.
    Raises BadInput."""
    api_keys.check_days(days)
    key_id = new_id("key")
    made = api_keys.make(key_id)
    now = datetime.now(UTC)
    row = ApiKey(
        id=key_id,
        user_id=actor.user_id,
        name=name,
        digest=made.digest,
        scopes=scopes,
        replaces=replaces,
        created_at=now,
        expires_at=now + timedelta(days=days),
    )
    session.add(row)
    await session.flush()
    evidence = {"scopes": scopes, "expires_at": row.expires_at.isoformat(), "replaces": replaces}
    await _record(session, row, actor, "api_key.issued", evidence)
    return row, made.token


async def rotate(
    session: AsyncSession, key_id: str, *, actor: Actor, overlap_hours: int, days: int, allowed: frozenset[str]
) -> tuple[ApiKey, str]:
    """Makes a key that takes over from one of this person, which works for `overlap_hours` longer. `allowed`: what the
    person's role may do now; scopes that it lost are left out. Raises NotFound, Conflict, BadInput."""
    old = await _locked(session, key_id, actor, any_owner=False)
    now = datetime.now(UTC)
    if not api_keys.is_live(now, expires_at=old.expires_at, revoked_at=old.revoked_at):
        raise Conflict("This API key has ended.", remedy="Make a new one.")
    scopes = [scope for scope in old.scopes if scope in allowed]
    if not scopes:
        raise Conflict("Your role has none of the scopes of this key any more.", remedy="Make a new key.")
    old.expires_at = api_keys.end_of_overlap(now, overlap_hours, old.expires_at)
    made = await issue(session, actor=actor, name=old.name, scopes=scopes, days=days, replaces=old.id)
    evidence = {"replaced_by": made[0].id, "expires_at": old.expires_at.isoformat()}
    await _record(session, old, actor, "api_key.rotated", evidence)
    return made


async def revoke(session: AsyncSession, key_id: str, *, actor: Actor) -> ApiKey:
    """Ends a key at once; one that was revoked stays so. Raises NotFound for a key of somebody else, unless an admin
    asks."""
    row = await _locked(session, key_id, actor, any_owner=actor.role == "admin")
    if row.revoked_at is None:
        row.revoked_at = datetime.now(UTC)
        await session.flush()
        await _record(session, row, actor, "api_key.revoked", {"owner": row.user_id})
    return row


async def _locked(session: AsyncSession, key_id: str, actor: Actor, *, any_owner: bool) -> ApiKey:
    row = await rows.locked(session, ApiKey, key_id)
    if row.user_id != actor.user_id and not any_owner:
        raise NotFound
    return row


async def _record(
    session: AsyncSession, row: ApiKey, actor: Actor, action: str, evidence: Mapping[str, object]
) -> None:
    await audit.record(
        session,
        action=action,
        subject_kind="api_key",
        subject_id=row.id,
        occurred_at=await market_now(session),
        actor=actor.user_id,
        role=actor.role,
        evidence=dict(evidence),
    )
