"""API keys on the record."""

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from sqlalchemy import or_, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from domain import api_keys
from domain.approvals import Actor
from store.identity import actor_of
from store.models import ApiKey, User

_NOTED_EVERY: Final = timedelta(minutes=1)


@dataclass(frozen=True)
class CurrentKey:
    """A key that works, with its owner's role at this moment."""

    actor: Actor
    scopes: frozenset[str]


async def current_key(session: AsyncSession, token: str) -> CurrentKey | None:
    """Returns the key of this token, or None when it is unknown, expired or revoked, or its owner is disabled. Notes
    that it was used, at most once a minute."""
    key_id, now = api_keys.id_in(token), datetime.now(UTC)
    if key_id is None:
        return None
    found = select(ApiKey.digest, ApiKey.scopes, ApiKey.expires_at, ApiKey.revoked_at, ApiKey.last_used_at, User)
    row = (
        await session.execute(found.join(User, User.id == ApiKey.user_id).where(ApiKey.id == key_id, User.active))
    ).one_or_none()
    if row is None or not secrets.compare_digest(row.digest, api_keys.digest(token)):
        return None
    if not api_keys.is_live(now, expires_at=row.expires_at, revoked_at=row.revoked_at):
        return None
    if row.last_used_at is None or now - row.last_used_at >= _NOTED_EVERY:
        await _note_use(session, key_id, now)
    actor = actor_of(row.User).model_copy(update={"key_id": key_id})
    return CurrentKey(actor=actor, scopes=frozenset(row.scopes))


async def _note_use(session: AsyncSession, key_id: str, now: datetime) -> None:
    stale = or_(ApiKey.last_used_at.is_(None), ApiKey.last_used_at < now - _NOTED_EVERY)
    await session.execute(
        update(ApiKey)
        .where(ApiKey.id == key_id, stale)
        .values(last_used_at=now)
        .execution_options(synchronize_session=False)
    )


async def of_user(session: AsyncSession, user_id: str | None) -> Sequence[tuple[ApiKey, str]]:
    """Returns every key with its owner's role now, newest first; `user_id` None: of everybody."""
    wanted = select(ApiKey, User.role).join(User, User.id == ApiKey.user_id)
    if user_id is not None:
        wanted = wanted.where(ApiKey.user_id == user_id)
    rows = await session.execute(wanted.order_by(ApiKey.created_at.desc(), ApiKey.id.desc()))
    return [(key, role) for key, role in rows]
