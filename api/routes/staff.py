"""The staff: who may do what, changes by two people, invitations, access reviews, and ending sign-ins."""

from typing import Annotated

from fastapi import APIRouter, Depends
from sqlalchemy.ext.asyncio import AsyncSession

from domain.approvals import Role
from domain.staff_changes import Kind
from firm import staff
from front.auth import Caller, Deps, allowed
from front.fields import Email, Input, Line, Password, Reason, SignInId, StaffChangeId, UserId, idempotency_key
from front.once import Keyed
from front.permissions import table
from front.staff import propose
from front.subjects.staff_change import StaffChanged
from store import sign_ins
from store.read import staff as read
from store.read.pages import View
from store.read.staff import MemberView, StaffChangeView
from store.sign_ins import SignInView

router = APIRouter(prefix="/v1", tags=["staff"])
Read = Depends(allowed("staff.read"))
Ends = Annotated[Caller, Depends(allowed("staff.end_sign_ins"))]


class StaffChangeBody(Input):
    """`user_id`: of whom, or `email`: of who is invited. `role`: the new one."""

    kind: Kind
    user_id: UserId | None = None
    email: Email | None = None
    role: Role | None = None
    reason: Reason


class AcceptBody(Input):
    """`token`: the last part of the link in the mail."""

    token: Line
    name: Line
    password: Password


class ReasonBody(Input):
    reason: Reason


class NewMember(View):
    user_id: str
    role: Role


class Reviewed(View):
    user_id: str


class PermissionView(View):
    """A permission and the roles that have it."""

    permission: str
    roles: tuple[str, ...]


@router.get("/permissions", dependencies=[Depends(allowed("permissions.read"))])
async def list_permissions() -> list[PermissionView]:
    """The one table of who may do what."""
    return [PermissionView(permission=name, roles=roles) for name, roles in table()]


@router.get("/staff", dependencies=[Read])
async def list_staff(deps: Deps) -> list[MemberView]:
    """Everybody of the staff, disabled ones too: role, factors, last use, last review."""
    async with deps.db.transaction() as session:
        return list(await read.members(session))


@router.post("/staff/{user_id}/review")
async def review_access(
    user_id: UserId, body: ReasonBody, _: Annotated[Caller, Depends(allowed("staff.review"))], once: Keyed
) -> Reviewed:
    """Record that what this person may do is right. Nobody reviews themselves."""

    async def work(session: AsyncSession) -> Reviewed:
        await staff.review(session, user_id, actor=once.actor, reason=body.reason)
        return Reviewed(user_id=user_id)

    return await once.write(Reviewed, body, work)


@router.get("/staff/{user_id}/sessions")
async def list_sign_ins_of_staff(user_id: UserId, caller: Ends, deps: Deps) -> list[SignInView]:
    """The open sign-ins of a member of staff."""
    async with deps.db.transaction() as session:
        await read.member(session, user_id)
        return list(await sign_ins.of_user(session, user_id, deps.sign_ins, current=caller.sign_in_id))


@router.delete("/staff/{user_id}/sessions", status_code=204)
async def end_sign_ins_of_staff(user_id: UserId, caller: Ends, deps: Deps) -> None:
    """End every sign-in of a member of staff at once."""
    async with deps.db.transaction() as session:
        await read.member(session, user_id)
        await sign_ins.end_all(session, user_id, actor=caller.actor)


@router.delete("/staff/{user_id}/sessions/{sign_in_id}", status_code=204)
async def end_sign_in_of_staff(user_id: UserId, sign_in_id: SignInId, caller: Ends, deps: Deps) -> None:
    """End one sign-in of a member of staff."""
    async with deps.db.transaction() as session:
        await read.member(session, user_id)
        await sign_ins.end_one(session, user_id, sign_in_id, actor=caller.actor)


@router.post("/staff-changes", status_code=201, dependencies=[Depends(allowed("staff_changes.decide"))])
async def propose_staff_change(body: StaffChangeBody, once: Keyed) -> StaffChanged:
    """Propose another role, disabling, enabling or an invitation. It holds once another admin has approved it.
    Needs a step-up."""

    async def work(session: AsyncSession) -> StaffChanged:
        row = await propose(
            session, once, body.kind, reason=body.reason, user_id=body.user_id, email=body.email, role=body.role
        )
        return StaffChanged(id=row.id, state=row.state)

    return await once.write(StaffChanged, body, work)


@router.get("/staff-changes", dependencies=[Depends(allowed("staff_changes.read"))])
async def list_staff_changes(deps: Deps) -> list[StaffChangeView]:
    """The newest hundred proposals, the newest first."""
    async with deps.db.transaction() as session:
        return list(await read.changes(session))


@router.get("/staff-changes/{change_id}", dependencies=[Depends(allowed("staff_changes.read"))])
async def get_staff_change(change_id: StaffChangeId, deps: Deps) -> StaffChangeView:
    async with deps.db.transaction() as session:
        return await read.change(session, change_id)


@router.post("/invitations", status_code=201, dependencies=[Depends(idempotency_key)])
async def accept_invitation(body: AcceptBody, deps: Deps) -> NewMember:
    """Become a member of staff with the link of an invitation. The login is the invited address; sign in next."""
    actor = await staff.accept(deps.db, token=body.token, name=body.name, password=body.password)
    return NewMember(user_id=actor.user_id, role=actor.role)
