"""The staff: one admin proposes a change, another approves it, and it holds at once. Invitations and reviews."""

from collections.abc import Sequence
from typing import Final, Literal, cast

from sqlalchemy import func, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from domain import staff_changes
from domain.approvals import Actor, Role, check_may_decide, check_may_withdraw, check_other_person, check_reason
from domain.errors import BadInput, Conflict, NotFound
from domain.keys import new_id
from domain.staff_changes import STAFF_CHANGE, Kind
from firm import decide as guard
from firm import mails
from store import audit, crypto, identity, links, rows
from store.clock import market_now
from store.db import Database
from store.models import AccessReview, StaffChange, User
from store.scope import FIRM

KIND: Final = "staff_change"
Verdict = Literal["approve", "reject"]
_TRIGGERS: Final = {"approve": "approval_given", "reject": "proposal_rejected"}

_INVITATION = """You are invited to the desk of the firm, with the role {role}.

Open this link within three days, and set your name and password:

{link}

The link works once. If you did not expect it, do nothing.
"""


async def propose(
    session: AsyncSession,
    kind: Kind,
    *,
    actor: Actor,
    reason: str,
    site: str,
    user_id: str | None = None,
    email: str | None = None,
    role: str | None = None,
) -> StaffChange:
    """Ask for a change of the staff. `user_id`: of whom; `email`: of who is invited. `site`: the console's address.

    Raises NotAllowed, NotFound, BadInput, Conflict (nothing would change, or a change of this user waits already).
    """
    check_may_decide(KIND, actor, requester_person="", decided_by=(), subject_id="")
    check_reason(reason)
    user = None
    if kind == "invite":
        await _check_address(session, email, user_id)
        staff_changes.check_wanted(kind, None, role, active=False)
    else:
        if email is not None:
            raise BadInput("Only an invitation has an address.", field="email", remedy="Name the user instead.")
        user = await _member(session, user_id or "")
        staff_changes.check_wanted(kind, user.role, role, active=user.active)
        await _check_admin_stays(session, kind, user)
    now = await market_now(session)
    made = StaffChange(
        id=new_id("sch"),
        kind=kind,
        user_id=user.id if user else None,
        email=email,
        role_from=user.role if user else None,
        role_to=role,
        site=site,
        reason=reason,
        state=STAFF_CHANGE.initial,
        proposed_by=actor.user_id,
        proposed_at=now,
    )
    session.add(made)
    try:
        await session.flush()
    except IntegrityError as exc:
        remedy = "Decide or withdraw it first, then propose anew."
        raise Conflict("A change of this person is proposed already.", remedy=remedy) from exc
    await audit.record(
        session,
        action="staff_change.proposed",
        subject_kind=KIND,
        subject_id=made.id,
        occurred_at=now,
        actor=actor.user_id,
        role=actor.role,
        evidence=_evidence(made),
    )
    return made


async def decide(
    session: AsyncSession, change_id: str, *, verdict: Verdict, actor: Actor, reason: str, key: str
) -> StaffChange:
    """Record a second person's decision. What is approved holds at once; the sign-ins of the user end. Whoever the
    change is about cannot approve it either. The same `key` again changes nothing.

    Raises NotFound, BadInput, NotAllowed, SelfApproval, AlreadyDecided, IllegalTransition, Conflict (the person is not
    what they were when it was proposed).
    """
    made = await rows.locked(session, StaffChange, change_id)
    proposer = await session.get_one(User, made.proposed_by)
    user = None if made.user_id is None else await session.get_one(User, made.user_id)
    subject = guard.Subject(
        kind=KIND,
        id=made.id,
        digest=digest(made),
        evidence=_evidence(made),
        asked_by=proposer.person_id,
        once=True,
    )

    async def still_open(_found: Sequence[object]) -> None:
        STAFF_CHANGE.next(made.state, _TRIGGERS[verdict])
        if verdict == "approve" and user is not None:
            check_other_person(actor, [user.person_id], "This change is about you; somebody else must approve it.")
            await _check_same(session, made, user)

    now = await guard.record(session, subject, guard.Choice(verdict, actor, reason, key), still_open)
    if now is None:
        return made
    if verdict == "approve":
        await _carry_out(session, made, user, by=actor.user_id)
    trigger = _TRIGGERS[verdict]
    await guard.step(session, STAFF_CHANGE, made, trigger, kind=KIND, key=trigger, at=now, actor=actor, reason=reason)
    return made


async def withdraw(session: AsyncSession, change_id: str, *, actor: Actor, reason: str) -> StaffChange:
    """Take a proposal back; only who made it may. Raises NotFound, NotAllowed, BadInput, IllegalTransition."""
    made = await rows.locked(session, StaffChange, change_id)
    check_may_withdraw(actor, made.proposed_by, reason)
    trigger, now = "proposal_withdrawn", await market_now(session)
    await guard.step(session, STAFF_CHANGE, made, trigger, kind=KIND, key=trigger, at=now, actor=actor, reason=reason)
    return made


def digest(made: StaffChange) -> str:
    """Returns a digest of what exactly is decided on; of an address, a keyed one."""
    whom = made.user_id or crypto.keys().digest(made.email or "")
    return staff_changes.digest(made.id, made.kind, whom, made.role_from, made.role_to)


async def accept(db: Database, *, token: str, name: str, password: str) -> Actor:
    """Become a member of staff with the link of an invitation; the login is the invited address. The link is used up.

    Raises BadInput: the link is no good, the password is too easily guessed, or the address has a login meanwhile.
    """
    async with db.transaction() as session:
        email = (await links.peek(session, "invitation", token)).email or ""
    hashed = await identity.hash_password(password, login=email)
    async with db.transaction(FIRM) as session:
        link = await links.use(session, "invitation", token)
        change = await session.get_one(StaffChange, link.change_id)
        return await identity.add_user(
            session,
            login=email,
            name=name,
            password_hash=hashed,
            role=cast("Role", change.role_to),
            person_id=new_id("usr"),
            by=change.proposed_by,
        )


async def review(session: AsyncSession, user_id: str, *, actor: Actor, reason: str) -> None:
    """Record that what this member of staff may do was looked at and is right. Nobody reviews themselves.

    Raises NotFound, BadInput, SelfApproval.
    """
    user = await _member(session, user_id)
    check_reason(reason)
    check_other_person(actor, [user.person_id], "Nobody reviews their own access.")
    session.add(AccessReview(user_id=user.id, role=user.role, reviewed_by=actor.user_id))
    await audit.record(
        session,
        action="user.access_reviewed",
        subject_kind="user",
        subject_id=user.id,
        occurred_at=await market_now(session),
        actor=actor.user_id,
        role=actor.role,
        reason=reason,
        evidence={"role": user.role, "active": user.active},
    )


async def _carry_out(session: AsyncSession, made: StaffChange, user: User | None, *, by: str) -> None:
    if made.kind == "invite":
        token = await links.make(session, "invitation", email=made.email, change_id=made.id)
        await mails.send(
            session,
            to=made.email or "",
            subject="You are invited",
            body=_INVITATION.format(role=made.role_to, link=f"{made.site}/invited?token={token}"),
            automatic=True,
            key=f"invitation/{made.id}",
            kind="invitation",
        )
        return
    if user is None:
        raise NotFound
    if made.kind == "role":
        await identity.change_role(session, login=user.login, role=cast("Role", made.role_to), by=by)
    elif made.kind == "disable":
        await identity.disable_user(session, login=user.login, by=by)
    else:
        await identity.enable_user(session, login=user.login, by=by)


async def _check_same(session: AsyncSession, made: StaffChange, user: User) -> None:
    await session.refresh(user)
    kind = cast("Kind", made.kind)
    if user.role != made.role_from:
        raise Conflict(f"This person is {user.role} by now.", remedy="Propose the change anew.")
    staff_changes.check_wanted(kind, user.role, made.role_to, active=user.active)
    await _check_admin_stays(session, kind, user)


async def _check_admin_stays(session: AsyncSession, kind: Kind, user: User) -> None:
    """Raises Conflict for the change that would take the last admin away."""
    if not staff_changes.takes_admin_away(kind, user.role):
        return
    await session.execute(select(func.pg_advisory_xact_lock(func.hashtextextended("staff/admins", 0))))
    others = select(func.count()).where(User.role == "admin", User.active, User.person_id != user.person_id)
    if not await session.scalar(others):
        raise Conflict("This is the last admin.", remedy="Make somebody else admin first.")


async def _member(session: AsyncSession, user_id: str) -> User:
    """Raises NotFound, also for a trader."""
    user = await session.get(User, user_id)
    if user is None or user.trader_id is not None or user.role == "venue":
        raise NotFound
    return user


async def _check_address(session: AsyncSession, email: str | None, user_id: str | None) -> None:
    if not email or user_id is not None:
        raise BadInput(
            "Name the address that is invited, and no user.", field="email", remedy="Write mara@example.org."
        )
    indexes = crypto.keys().blind_indexes(email)
    if await session.scalar(select(User.id).where(User.login_index.in_(indexes))):
        raise BadInput("This address has a login already.", field="email", remedy="Propose a change of that login.")


def _evidence(made: StaffChange) -> dict[str, str | None]:
    return {"kind": made.kind, "user_id": made.user_id, "from": made.role_from, "to": made.role_to}
