"""The staff: the access review, changes by two people, sign-ins; the table of who may do what."""

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, Response
from sqlalchemy.ext.asyncio import AsyncSession

from console.addresses import href
from console.desk import Desk, redirect
from console.pages.mine import Made
from console.views.frame import Crumb
from domain.approvals import ROLES, STAFF
from domain.errors import BadInput
from domain.staff_changes import KINDS, Kind
from firm import staff
from front import permissions
from front.permissions import CAN
from front.staff import propose
from store import sign_ins
from store.read import staff as read


class StaffPages:
    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    def routes(self, router: APIRouter) -> None:
        for path, page, method in (
            ("/staff", self.listed, "GET"),
            ("/staff", self.propose, "POST"),
            ("/staff/{id}", self.show, "GET"),
            ("/staff/{id}/review", self.review, "POST"),
            ("/staff/{id}/end", self.end, "POST"),
            ("/permissions", self.table, "GET"),
        ):
            router.add_api_route(path, page, methods=[method], response_model=None)

    async def listed(self, request: Request) -> HTMLResponse:
        async with self._desk.visit(request, CAN["staff.read"]) as visit:
            return await visit.render(
                "staff.html",
                [Crumb("Firm", "/"), Crumb("Staff")],
                rows=await read.members(visit.session),
                changes=await read.changes(visit.session),
                roles=sorted(STAFF),
                may_propose=permissions.may(visit.actor, "staff_changes.decide"),
            )

    async def show(self, request: Request) -> HTMLResponse:
        user_id = request.path_params["id"]
        async with self._desk.visit(request, CAN["staff.read"]) as visit:
            member, may = await read.member(visit.session, user_id), permissions.may
            ends = may(visit.actor, "staff.end_sign_ins")
            terms, own = self._desk.deps.sign_ins, visit.sign_in_id
            return await visit.render(
                "member.html",
                [Crumb("Firm", "/"), Crumb("Staff", "/staff"), Crumb(member.name)],
                member=member,
                rights=[name for name, roles in permissions.table() if member.role in roles],
                sign_ins=await sign_ins.of_user(visit.session, user_id, terms, current=own) if ends else (),
                changes=await read.changes(visit.session, user_id=user_id),
                roles=sorted(STAFF - {member.role}),
                may_end=ends,
                may_review=may(visit.actor, "staff.review") and member.person_id != visit.actor.person_id,
                may_propose=may(visit.actor, "staff_changes.decide"),
            )

    async def table(self, request: Request) -> HTMLResponse:
        async with self._desk.visit(request, CAN["permissions.read"]) as visit:
            return await visit.render(
                "permissions.html",
                [Crumb("Firm", "/"), Crumb("Permissions")],
                roles=ROLES,
                rows=permissions.table(),
            )

    async def propose(self, request: Request) -> Response:
        """Raises StepUpRequired, and what `firm.staff.propose` refuses with."""
        posted = await self._desk.posted(request, "staff_changes.decide")
        form = posted.form
        kind, reason = _kind(form.text("kind")), form.needed("reason", shortest=3, longest=1000)
        fields = {name: form.text(name) or None for name in ("user_id", "email", "role")}

        async def work(session: AsyncSession) -> Made:
            row = await propose(session, posted.once, kind, reason=reason, **fields)
            return Made(id=row.id)

        made = await posted.once.write(Made, Made(text=f"{kind} {fields} {reason}"), work)
        return redirect(href("staff_change", made.id), "ok", "The change is proposed. Another admin must approve it.")

    async def review(self, request: Request) -> Response:
        """Raises what `firm.staff.review` refuses with."""
        posted = await self._desk.posted(request, "staff.review")
        user_id, reason = request.path_params["id"], posted.form.needed("reason", shortest=3, longest=1000)

        async def work(session: AsyncSession) -> Made:
            await staff.review(session, user_id, actor=posted.actor, reason=reason)
            return Made(id=user_id)

        await posted.once.write(Made, Made(text=reason), work)
        return redirect(f"/staff/{user_id}", "ok", "The review is recorded.")

    async def end(self, request: Request) -> Response:
        """Ends one sign-in of a member of staff, or every one."""
        posted = await self._desk.posted(request, "staff.end_sign_ins")
        user_id, wanted = request.path_params["id"], posted.form.text("sign_in")
        async with self._desk.deps.db.transaction() as session:
            await read.member(session, user_id)
            if wanted:
                await sign_ins.end_one(session, user_id, wanted, actor=posted.actor)
            else:
                await sign_ins.end_all(session, user_id, actor=posted.actor)
        return redirect(f"/staff/{user_id}", "ok", "Ended.")


def _kind(text: str) -> Kind:
    """Raises BadInput."""
    if text not in KINDS:
        raise BadInput("There is no such change.", field="kind", remedy=f"Choose one of {', '.join(KINDS)}.")
    return text
