"""The work queue: the list of what waits, and beside it the item that the address names."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse

from console.addresses import queue_href
from console.deciding import offered
from console.desk import Desk, Visit, wants_fragment
from console.present.subjects import view_of
from console.views.decision import DecisionView, WorkRow
from console.views.frame import Crumb
from domain.errors import BadInput, NotFound
from front.subjects.subject import Subject, Subjects, kinds
from store.read import queue
from store.read.pages import Window

_ROWS: Final = 60


class QueuePages:
    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    def routes(self, router: APIRouter) -> None:
        router.add_api_route("/queue", self.listed, methods=["GET"], response_model=None)
        router.add_api_route("/queue/{kind}/{id}", self.item, methods=["GET"], response_model=None)

    async def listed(self, request: Request) -> HTMLResponse:
        """The list alone: an item is opened by its own address only."""
        async with self._desk.visit(request) as visit:
            return await _answer(visit, None)

    async def item(self, request: Request) -> HTMLResponse:
        """The item of the address, whether it still waits or somebody has decided it; never another one."""
        subject = _decided(self._desk.deps.subjects).get(request.path_params["kind"])
        if subject is None:
            raise NotFound
        async with self._desk.visit(request) as visit:
            found = await view_of(visit.session, visit.actor, subject, request.path_params["id"])
            return await _answer(visit, offered(self._desk, found))


def _decided(subjects: Subjects) -> dict[str, Subject]:
    return {subject.name: subject for subject in subjects.decided}


async def _answer(visit: Visit, selected: DecisionView | None) -> HTMLResponse:
    params, decided = visit.request.query_params, _decided(visit.subjects)
    tab = params.get("kind", "")
    if tab and tab not in decided:
        raise BadInput("There is no such kind of work.", field="kind", remedy=f"Use {', '.join(decided)}.")
    shown = kinds([decided[tab]] if tab else decided.values())
    page = await queue.page(visit.session, Window(limit=_ROWS), shown)
    rows = [_row(item, decided[item.kind], tab, selected) for item in page.items]
    context = {
        "rows": rows,
        "tab": tab,
        "more": page.next_cursor is not None,
        "selected": selected,
        "following": _following(rows, params.get("next", "")),
        "landed": "next" in params,  # after a decision, also one that waits for a second person
        "list_href": queue_href(tab),
        "tabs": _tabs(tab, visit.subjects, await queue.counts(visit.session, kinds(visit.subjects.decided))),
    }
    if wants_fragment(visit.request, "work"):
        return await visit.fragment("queue.html", "work", **context, part=True)
    return await visit.render("queue.html", [Crumb("Queue")], **context, part=False)


def _row(item: queue.QueueItem, subject: Subject, tab: str, selected: DecisionView | None) -> WorkRow:
    ref = f"{item.kind}/{item.subject_id}"
    return WorkRow(item, subject.label, queue_href(tab, ref), selected is not None and selected.ref == ref)


def _following(rows: Sequence[WorkRow], wanted: str) -> WorkRow | None:
    """The next item: the one that came after a decided item if it still waits, else the row after the current one,
    else the most urgent one."""
    others = [row for row in rows if not row.current]
    at = next((number for number, row in enumerate(rows) if row.current), len(rows))
    candidates = [*(row for row in others if row.ref == wanted), *rows[at + 1 :], *others]
    return candidates[0] if candidates else None


def _tabs(tab: str, subjects: Subjects, counts: Mapping[str, int]) -> list[dict[str, Any]]:
    labels = {"": "all"} | {subject.name: subject.plural for subject in subjects.decided}
    return [
        {
            "label": label,
            "href": queue_href(name),
            "current": name == tab,
            "count": counts[name] if name else sum(counts.values()),
        }
        for name, label in labels.items()
    ]
