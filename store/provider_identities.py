"""Who is who at the identity provider. The identity is the provider and its subject; an e-mail address is none."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from sqlalchemy import ColumnElement, delete, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from store.identity import token_digest
from store.models import ProviderIdentity, ProviderInvitation, ProviderVisit, User

_VISIT: Final = timedelta(minutes=10)
INVITATION: Final = timedelta(days=3)


@dataclass(frozen=True)
class Visit:
    """A browser that came back. `user_id`: whom the identity is linked to; `invitation`: digest of the invitation that
    says it instead. Without both it signs in."""

    nonce: str
    verifier: str
    next_page: str
    user_id: str | None
    invitation: str | None


async def begin(
    session: AsyncSession,
    *,
    state: str,
    holder: str,
    nonce: str,
    verifier: str,
    next_page: str,
    user_id: str | None,
    invitation: str | None,
) -> None:
    """Keeps what the browser must bring back; removes visits that have expired."""
    now = datetime.now(UTC)
    await session.execute(delete(ProviderVisit).where(ProviderVisit.expires_at < now))
    session.add(
        ProviderVisit(
            state=token_digest(state),
            holder=holder,
            nonce=nonce,
            verifier=verifier,
            next_page=next_page,
            user_id=user_id,
            invitation=invitation,
            expires_at=now + _VISIT,
        )
    )
    await session.flush()


async def take(session: AsyncSession, *, state: str, holder: str) -> Visit | None:
    """Uses a visit up, whatever comes of it. Returns None for one of another browser, an expired or a used one."""
    found: ProviderVisit | None = await session.scalar(
        select(ProviderVisit).where(ProviderVisit.state == token_digest(state)).with_for_update()
    )
    if found is None:
        return None
    await session.delete(found)
    await session.flush()
    if found.holder != holder or found.expires_at <= datetime.now(UTC):
        return None
    return Visit(found.nonce, found.verifier, found.next_page, found.user_id, found.invitation)


async def user_of(session: AsyncSession, issuer: str, subject: str) -> str | None:
    """Returns the active user with this identity."""
    found: str | None = await session.scalar(
        select(ProviderIdentity.user_id)
        .join(User, User.id == ProviderIdentity.user_id)
        .where(ProviderIdentity.issuer == issuer, ProviderIdentity.subject == subject, User.active)
    )
    return found


async def link(session: AsyncSession, *, issuer: str, subject: str, user_id: str, by: str) -> bool:
    """Returns False when the identity is somebody's already, also one's own."""
    row = insert(ProviderIdentity).values(issuer=issuer, subject=subject, user_id=user_id, linked_by=by)
    added = await session.execute(row.on_conflict_do_nothing().returning(ProviderIdentity.user_id))
    return added.first() is not None


async def linked(session: AsyncSession, user_id: str) -> list[ProviderIdentity]:
    rows = await session.scalars(
        select(ProviderIdentity).where(ProviderIdentity.user_id == user_id).order_by(ProviderIdentity.linked_at)
    )
    return list(rows)


async def unlink(session: AsyncSession, user_id: str) -> bool:
    """Removes every identity of a person. Returns whether there was one."""
    gone = await session.execute(
        delete(ProviderIdentity).where(ProviderIdentity.user_id == user_id).returning(ProviderIdentity.subject)
    )
    return gone.first() is not None


async def invite(session: AsyncSession, *, token: str, user_id: str, by: str) -> datetime:
    """Keeps an invitation in the place of an earlier one of this person. Returns when it ends."""
    await session.execute(
        delete(ProviderInvitation).where(ProviderInvitation.user_id == user_id, ProviderInvitation.used_at.is_(None))
    )
    ends = datetime.now(UTC) + INVITATION
    session.add(ProviderInvitation(token_digest=token_digest(token), user_id=user_id, invited_by=by, expires_at=ends))
    await session.flush()
    return ends


async def is_invited(session: AsyncSession, token_digest: str) -> bool:
    """Returns whether the invitation can be used."""
    found = select(ProviderInvitation.user_id).where(*_usable(token_digest))
    return await session.scalar(found) is not None


async def use_invitation(session: AsyncSession, token_digest: str) -> tuple[str, str] | None:
    """Uses an invitation up. Returns (whom, by whom); None for one that is unknown, used or too old."""
    row = (
        await session.execute(
            update(ProviderInvitation)
            .where(*_usable(token_digest))
            .values(used_at=datetime.now(UTC))
            .returning(ProviderInvitation.user_id, ProviderInvitation.invited_by)
        )
    ).one_or_none()
    return None if row is None else (row.user_id, row.invited_by)


def _usable(digest: str) -> tuple[ColumnElement[bool], ...]:
    return (
        ProviderInvitation.token_digest == digest,
        ProviderInvitation.used_at.is_(None),
        ProviderInvitation.expires_at > datetime.now(UTC),
    )
