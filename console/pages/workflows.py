"""The history of the workflow behind a challenge, a payout or a dispute, for auditors."""

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse

from console.addresses import href
from console.desk import Desk
from console.views.frame import Crumb
from domain.errors import BadInput, Unavailable
from front.permissions import check, may
from front.workflow_history import WorkflowHistory, history
from front.workflow_subjects import check_there


class WorkflowPages:
    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    def routes(self, router: APIRouter) -> None:
        router.add_api_route("/workflows/{kind}/{id}", self.show, methods=["GET"], response_model=None)

    async def show(self, request: Request) -> HTMLResponse:
        kind, subject_id = request.path_params["kind"], request.path_params["id"]
        run, at = (_short(request, name) for name in ("run", "at"))
        async with self._desk.visit(request) as visit:
            check(visit.actor, "workflows.read")
            await check_there(visit.session, kind, subject_id)
            content = may(visit.actor, "workflows.content")
            found: WorkflowHistory | None = None
            away = ""
            try:
                found = await history(self._desk.deps, kind, subject_id, run=run, at=at, content=content)
            except Unavailable as error:
                away = error.message
            of = href(kind, subject_id)
            crumbs = [Crumb(kind.capitalize(), of), Crumb("Workflow history")]
            return await visit.render(
                "workflow_history.html",
                crumbs,
                kind=kind,
                subject_id=subject_id,
                of=of,
                history=found,
                away=away,
                content=content,
                first=not at,
            )


def _short(request: Request, name: str) -> str:
    text = request.query_params.get(name, "")
    if len(text) > 2000:
        raise BadInput(f"{name} is too long.", field=name, remedy="Use the links of the page.")
    return text
