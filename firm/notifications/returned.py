"""Proposals that a second person rejected: whoever made one is told, with a link to the reason."""

from datetime import timedelta
from typing import Any, Final

from sqlalchemy import select, text
from sqlalchemy.ext.asyncio import AsyncSession

from domain.notifications.kinds import BY_NAME, RETURNED
from firm.notifications import telling
from firm.notifications.facts import Draft
from store.clock import market_now
from store.models import AccountMove, Compensation, Intervention, PlatformChange, ProductProposal, User

_LOCK: Final = 7120090
_ALONE: Final = text("SELECT pg_try_advisory_xact_lock(:key)")
_RECENT: Final = timedelta(days=2)  # market time; what is older was told, or was there before an upgrade
_MOST: Final = 200
_PROPOSALS: Final[tuple[tuple[Any, str, str], ...]] = (
    (ProductProposal, "version of a product", "/proposals"),
    (AccountMove, "move of accounts", "/moves"),
    (PlatformChange, "change of platform", "/platform-changes"),
    (Intervention, "change of an account", "/interventions"),
    (Compensation, "compensation", "/compensations"),
)


async def tell_proposers(session: AsyncSession, *, site: str) -> int:
    """Tells of what was rejected lately, each proposal once. Returns how many were told; none while another process
    looks."""
    if not await session.scalar(_ALONE, {"key": _LOCK}):
        return 0
    since = await market_now(session) - _RECENT
    drafts = [draft for kind in _PROPOSALS for draft in await _of(session, *kind, since)]
    return await telling.write(session, drafts, site=site) if drafts else 0


async def _of(session: AsyncSession, model: Any, what: str, page: str, since: Any) -> list[Draft]:
    rows = await session.execute(
        select(model.id, model.closed_at, User.id.label("user_id"), User.name)
        .join(User, User.id == model.proposed_by)
        .where(model.state == "rejected", model.closed_at > since, User.active)
        .order_by(model.closed_at.desc(), model.id)
        .limit(_MOST)
    )
    return [
        Draft(
            kind=BY_NAME[RETURNED],
            person=row.user_id,
            key=f"{RETURNED}/{row.id}",
            href=f"{page}/{row.id}",
            at=row.closed_at,
            values={"person.name": row.name, "item": what},
        )
        for row in rows
    ]
