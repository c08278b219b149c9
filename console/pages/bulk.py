"""Several items of the work queue at once: a page that says what would happen, and one that says what did."""

from typing import Final, TypeVar

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse
from pydantic import BaseModel, ValidationError
from starlette.datastructures import FormData, QueryParams

from console.desk import Desk
from console.queries.work import read_filter
from console.views.frame import Crumb
from console.views.work import BULK_WORDS
from domain.bulk import MOST, NEED_REASON
from domain.errors import BadInput
from front import bulk, permissions
from front.bulk import BulkAsked, BulkDecided
from front.subjects.subject import Subjects

B = TypeVar("B", bound=BaseModel)
_UNDO: Final = {"claim": "release", "snooze": "bring_back"}
_PLACE: Final = ("kind", "show", "cursor")


class BulkPages:
    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    def routes(self, router: APIRouter) -> None:
        router.add_api_route("/queue/bulk", self.preview, methods=["GET"], response_model=None)
        router.add_api_route("/queue/bulk", self.decide, methods=["POST"], response_model=None)

    async def preview(self, request: Request) -> HTMLResponse:
        """What would happen to each of the selected items, and which are left out. Nothing is done."""
        params = request.query_params
        async with self._desk.visit(request) as visit:
            permissions.check(visit.actor, "queue.work")
            asked = _read(BulkAsked, params)
            plan = await bulk.plan(self._desk.deps.db, visit.actor, visit.subjects, asked)
            chosen = read_filter({name: params.get(name, "") for name in _PLACE}, visit.subjects)
            return await visit.render(
                "bulk.html",
                [Crumb("Queue", chosen.href()), Crumb(BULK_WORDS[asked.action].title)],
                plan=plan,
                chosen=chosen,
                hours=asked.hours,
                words=BULK_WORDS[asked.action],
                does=[each for each in plan.items if not each.left_out],
                left_out=[each for each in plan.items if each.left_out],
                needs_reason=asked.action in NEED_REASON,
            )

    async def decide(self, request: Request) -> HTMLResponse:
        """Does it, and says for each item what became of it. Sent twice, it does nothing twice."""
        posted = await self._desk.posted(request, "queue.work")
        subjects: Subjects = self._desk.deps.subjects.readable_by(posted.actor)
        asked = _read(BulkDecided, request.state.form)
        made = await bulk.decide(posted.once, subjects, asked)
        async with self._desk.visit(request) as visit:
            chosen = read_filter({name: posted.form.text(name) for name in _PLACE}, subjects)
            done = [each for each in made.items if each.outcome == "done"]
            return await visit.render(
                "bulk_done.html",
                [Crumb("Queue", chosen.href()), Crumb(BULK_WORDS[asked.action].title)],
                items=made.items,
                done=done,
                chosen=chosen,
                words=BULK_WORDS[asked.action],
                undo=_UNDO.get(asked.action, "") if done else "",
                subjects=subjects.by_name,
            )


def _read(kind: type[B], fields: QueryParams | FormData) -> B:
    """What a form asks for; raises BadInput that names the field."""
    refs = [str(ref) for ref in fields.getlist("item")]
    if not refs:
        raise BadInput("No item is selected.", field="item", remedy="Go back and select items with their boxes, or x.")
    if len(set(refs)) > MOST:
        raise BadInput(f"{len(set(refs))} items are selected.", field="item", remedy=f"Select at most {MOST}.")
    action = str(fields.get("do", ""))
    given = {
        "action": action,
        "items": bulk.chosen_of(refs, [str(seen) for seen in fields.getlist("seen")]),
        "hours": int(hours) if action == "snooze" and (hours := str(fields.get("hours", ""))).isdigit() else None,
        "reason": (str(fields.get("reason", "")).strip() or None) if action in NEED_REASON else None,
    }
    try:
        return kind.model_validate({name: value for name, value in given.items() if name in kind.model_fields})
    except ValidationError as error:
        first = error.errors()[0]
        field = str(first["loc"][0]) if first["loc"] else str(first["msg"]).partition(": ")[0].split(", ")[-1]
        words = "Reason needs 3 to 1000 characters." if field == "reason" else f"This {field} cannot be used."
        raise BadInput(words, field=field, remedy="Go back and complete the form.") from error
