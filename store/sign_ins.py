"""The sign-ins that are open: listed and ended, one's own or those of a member of staff."""

from datetime import UTC, datetime

from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncSession

from domain.approvals import Actor
from domain.errors import NotFound
from domain.sign_ins import SignInTerms, place_words
from store import audit, identity
from store.clock import market_now
from store.models import Session
from store.read.pages import View


class SignInView(View):
    """`place`: what the address says by itself; "" for a public one. `ends_at`: unless it is used before. `current`: it
    is the one that asks. Wall times."""

    id: str
    device: str
    address: str | None
    place: str
    began_at: datetime
    used_at: datetime
    ends_at: datetime
    current: bool


async def of_user(
    session: AsyncSession, user_id: str, terms: SignInTerms, *, current: str = ""
) -> tuple[SignInView, ...]:
    """Returns the open sign-ins of a user, the one used last first. `current`: the id of the one that asks."""
    now = datetime.now(UTC)
    rows = await session.scalars(
        select(Session)
        .where(
            Session.user_id == user_id,
            Session.revoked_at.is_(None),
            Session.expires_at > now,
            Session.created_at > now - terms.longest,
            Session.used_at > now - terms.idle,
        )
        .order_by(Session.used_at.desc(), Session.id.desc())
    )
    return tuple(
        SignInView(
            id=row.id,
            device=row.device or "An unknown device",
            address=row.address,
            place=place_words(row.address or ""),
            began_at=row.created_at,
            used_at=row.used_at,
            ends_at=min(row.expires_at, terms.end_of(row.created_at, row.used_at)),
            current=row.id == current,
        )
        for row in rows
    )


async def end_one(session: AsyncSession, user_id: str, sign_in_id: str, *, actor: Actor) -> None:
    """End one sign-in of a user. One that has ended stays as it is. Raises NotFound, also for somebody else's."""
    owner = await session.scalar(select(Session.user_id).where(Session.id == sign_in_id).with_for_update())
    if owner != user_id:
        raise NotFound
    ended = await session.scalar(
        update(Session)
        .where(Session.id == sign_in_id, Session.revoked_at.is_(None))
        .values(revoked_at=datetime.now(UTC))
        .returning(Session.id)
    )
    if ended is not None:
        await _note(session, user_id, actor, 1)


async def end_all(session: AsyncSession, user_id: str, *, actor: Actor, reason: str = "") -> int:
    """End every sign-in of a user. Returns how many were open."""
    ended = await identity.end_sessions(session, user_id)
    if ended:
        await _note(session, user_id, actor, ended, reason)
    return ended


async def _note(session: AsyncSession, user_id: str, actor: Actor, number: int, reason: str = "") -> None:
    await audit.record(
        session,
        action="user.sign_ins_ended",
        subject_kind="user",
        subject_id=user_id,
        occurred_at=await market_now(session),
        actor=actor.user_id,
        role=actor.role,
        reason=reason,
        evidence={"number": number},
    )
