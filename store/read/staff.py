"""The staff as an access review needs it, and the changes that were proposed. For admins and auditors."""

from datetime import datetime
from typing import Any, Final

from sqlalchemy import Select, exists, func, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased

from domain import staff_changes
from domain.errors import NotFound
from store.models import AccessReview, Authenticator, Passkey, ProviderIdentity, Session, StaffChange, User
from store.read import history
from store.read.history import DecisionView, TransitionView
from store.read.pages import View
from store.scope import FIRM

_MOST: Final = 100


class MemberView(View):
    """`factors`: what proves who signs in. `last_used_at`: of the sign-ins that are still on record, wall time.
    `reviewed_role`: the role at the last review, which may be another one than now."""

    user_id: str
    login: str
    name: str
    role: str
    person_id: str
    active: bool
    factors: tuple[str, ...]
    added_at: datetime
    last_used_at: datetime | None
    reviewed_at: datetime | None
    reviewed_by_name: str | None
    reviewed_role: str | None


class StaffChangeView(View):
    """`whom`: the name of the member of staff, or the address that is invited. `words`: the change as a sentence."""

    id: str
    kind: str
    state: str
    user_id: str | None
    whom: str
    role_from: str | None
    role_to: str | None
    words: str
    reason: str
    proposed_by: str
    proposed_by_name: str
    proposed_at: datetime
    decisions: tuple[DecisionView, ...] = ()
    transitions: tuple[TransitionView, ...] = ()


def _members() -> Select[Any]:
    newest = (
        select(AccessReview.user_id, func.max(AccessReview.id).label("id")).group_by(AccessReview.user_id).subquery()
    )
    used = select(Session.user_id, func.max(Session.used_at).label("at")).group_by(Session.user_id).subquery()
    reviewer = aliased(User)
    return (
        select(User, used.c.at.label("used_at"), AccessReview, reviewer.name.label("reviewer"))
        .add_columns(
            exists().where(ProviderIdentity.user_id == User.id).label("linked"),
            exists().where(Passkey.user_id == User.id).label("passkey"),
            exists().where(Authenticator.user_id == User.id, Authenticator.confirmed_at.is_not(None)).label("app"),
        )
        .outerjoin(used, used.c.user_id == User.id)
        .outerjoin(newest, newest.c.user_id == User.id)
        .outerjoin(AccessReview, AccessReview.id == newest.c.id)
        .outerjoin(reviewer, reviewer.id == AccessReview.reviewed_by)
        .where(User.trader_id.is_(None))
        .order_by(User.active.desc(), User.recorded_at, User.id)
    )


def _member(row: Any) -> MemberView:
    user, review = row.User, row.AccessReview
    factors = {
        "password": True,
        "identity provider": row.linked,
        "passkey": row.passkey,
        "authenticator app": row.app,
    }
    return MemberView(
        user_id=user.id,
        login=user.login,
        name=user.name,
        role=user.role,
        person_id=user.person_id,
        active=user.active,
        factors=tuple(word for word, held in factors.items() if held),
        added_at=user.recorded_at,
        last_used_at=row.used_at,
        reviewed_at=review.recorded_at if review else None,
        reviewed_by_name=row.reviewer,
        reviewed_role=review.role if review else None,
    )


async def members(session: AsyncSession) -> tuple[MemberView, ...]:
    """Returns everybody who is no trader, those who may sign in first."""
    return tuple(_member(row) for row in await session.execute(_members()))


async def member(session: AsyncSession, user_id: str) -> MemberView:
    """Raises NotFound, also for a trader."""
    row = (await session.execute(_members().where(User.id == user_id))).one_or_none()
    if row is None:
        raise NotFound
    return _member(row)


def _changes() -> Select[Any]:
    proposer = aliased(User)
    return (
        select(StaffChange, User.name.label("name"), proposer.name.label("proposer"))
        .outerjoin(User, User.id == StaffChange.user_id)
        .join(proposer, proposer.id == StaffChange.proposed_by)
        .order_by(StaffChange.recorded_at.desc(), StaffChange.id.desc())
    )


def _change(row: Any) -> StaffChangeView:
    made: StaffChange = row.StaffChange
    whom = row.name or made.email or ""
    return StaffChangeView(
        id=made.id,
        kind=made.kind,
        state=made.state,
        user_id=made.user_id,
        whom=whom,
        role_from=made.role_from,
        role_to=made.role_to,
        words=staff_changes.words(made.kind, whom, made.role_from, made.role_to),
        reason=made.reason,
        proposed_by=made.proposed_by,
        proposed_by_name=row.proposer,
        proposed_at=made.proposed_at,
    )


async def changes(session: AsyncSession, *, user_id: str | None = None) -> tuple[StaffChangeView, ...]:
    """Returns the newest proposals, of one member of staff or of all."""
    own = StaffChange.user_id == user_id if user_id else StaffChange.id.is_not(None)
    return tuple(_change(row) for row in await session.execute(_changes().where(own).limit(_MOST)))


async def change(session: AsyncSession, change_id: str) -> StaffChangeView:
    """Returns a proposal with what was decided about it. Raises NotFound."""
    row = (await session.execute(_changes().where(StaffChange.id == change_id))).one_or_none()
    if row is None:
        raise NotFound
    return _change(row).model_copy(
        update={
            "decisions": await history.decisions(session, FIRM, "staff_change", change_id),
            "transitions": await history.transitions(session, FIRM, "staff_change", change_id),
        }
    )
