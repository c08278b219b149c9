"""Work that came to nothing: whoever proposed what a second person rejected is told, and whoever proposed or approved
a change of an account that could not be carried out."""

from datetime import timedelta
from typing import Any, Final

from sqlalchemy import select, text
from sqlalchemy.ext.asyncio import AsyncSession

from domain.interventions import HAD_ENDED
from domain.interventions import LAPSED as LAPSED_STEP
from domain.notifications.kinds import BY_NAME, LAPSED, RETURNED
from firm.notifications import telling
from firm.notifications.facts import Draft
from store.clock import market_now
from store.models import (
    Account,
    AccountMove,
    Compensation,
    Decision,
    Intervention,
    PlatformChange,
    ProductProposal,
    Transition,
    User,
)
from store.read.interventions import LABELS
from store.read.pages import account_number

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


async def tell(session: AsyncSession, *, site: str) -> int:
    """Tells of what was rejected or lapsed lately, each person once. Returns how many were told; none while another
    process looks."""
    if not await session.scalar(_ALONE, {"key": _LOCK}):
        return 0
    since = await market_now(session) - _RECENT
    drafts = [draft for kind in _PROPOSALS for draft in await _of(session, *kind, since)]
    drafts += await _lapsed(session, since)
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


async def _lapsed(session: AsyncSession, since: Any) -> list[Draft]:
    """For who proposed an intervention that lapsed, and for who approved it."""
    approved = select(Decision.user_id).where(
        Decision.subject_kind == "intervention", Decision.subject_id == Intervention.id, Decision.decision == "approve"
    )
    rows = await session.execute(
        select(
            *(Intervention.id, Intervention.kind, Intervention.closed_at, Account.number),
            *(User.id.label("user_id"), User.name, Transition.detail["why"].astext.label("why")),
        )
        .join(Account, Account.id == Intervention.account_id)
        .join(User, (User.id == Intervention.proposed_by) | User.id.in_(approved.correlate(Intervention)))
        .join(Transition, Transition.subject_id == Intervention.id)
        .where(Transition.subject_kind == "intervention", Transition.key == LAPSED_STEP)
        .where(Intervention.state == "lapsed", Intervention.closed_at > since, User.active)
        .order_by(Intervention.closed_at.desc(), Intervention.id, User.id)
        .limit(_MOST)
    )
    return [
        Draft(
            kind=BY_NAME[LAPSED],
            person=row.user_id,
            key=f"{LAPSED}/{row.id}/{row.user_id}",
            href=f"/interventions/{row.id}",
            at=row.closed_at,
            values={
                "person.name": row.name,
                "item": f"{LABELS[row.kind]} of {account_number(row.number)}",
                "why": row.why or HAD_ENDED,
            },
        )
        for row in rows
    ]
