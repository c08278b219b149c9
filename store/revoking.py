"""API keys that end with the password or the login of their owner."""

from datetime import UTC, datetime

from sqlalchemy import update
from sqlalchemy.ext.asyncio import AsyncSession

from store.models import ApiKey


async def revoke_keys(session: AsyncSession, user_id: str) -> dict[str, str]:
    """End every API key of a user. Returns the evidence of it: the ids of those that worked, empty without any."""
    now = datetime.now(UTC)
    revoked = await session.scalars(
        update(ApiKey)
        .where(ApiKey.user_id == user_id, ApiKey.revoked_at.is_(None), ApiKey.expires_at > now)
        .values(revoked_at=now)
        .returning(ApiKey.id)
    )
    ids = " ".join(sorted(revoked.all()))
    return {"api_keys_revoked": ids} if ids else {}
