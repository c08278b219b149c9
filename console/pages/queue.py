"""The work queue: the list of what waits, beside it the item that the address names, and what changes in both."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Final
from urllib.parse import urlencode

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, Response

from console import templating
from console.deciding import offered
from console.desk import Desk, Visit, rail
from console.formats import MOST_COUNTED
from console.htmx import wants_fragment
from console.present.subjects import view_of
from console.queries import frame
from console.queries.work import following, read_filter, work_list
from console.views.decision import DecisionView
from console.views.frame import Crumb
from console.views.work import BULK_WORDS, ItemBar, ItemNews, WorkFilter
from domain.bulk import ACTIONS, DECISIONS, BulkAction
from domain.errors import NotAllowed, NotFound
from firm import saved_filters, work_marks
from front import escalating
from front.subjects.subject import Subject
from store.read import queue, work_history
from store.read.queue import Part

_EMPTY: Final[dict[Part, tuple[str, str]]] = {
    "": (
        "Nothing is waiting",
        "Payouts to approve, disputes, cases, identity checks, reviews, tickets and failed messages appear here.",
    ),
    "mine": ("Nothing for you to check", "Items that your role can decide and that you did not request appear here."),
    "made": (
        "Nothing is waiting on others",
        "What you requested or approved first appears here until somebody else decides it.",
    ),
    "returned": ("Nothing was returned", "Payouts whose transfer failed or came back, and appeals, appear here."),
    "aside": ("Nothing is snoozed", "Snoozed items appear here until they come back to the queue."),
}


@dataclass(frozen=True)
class _Open:
    """The item that is open; without a form while somebody else has claimed it: `held` says who."""

    item: DecisionView
    marks: work_marks.Marks
    held: str = ""


class QueuePages:
    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    def routes(self, router: APIRouter) -> None:
        router.add_api_route("/queue", self.listed, methods=["GET"], response_model=None)
        router.add_api_route("/queue/changes", self.changes, methods=["GET"], response_model=None)
        router.add_api_route("/queue/{kind}/{id}", self.item, methods=["GET"], response_model=None)

    async def listed(self, request: Request) -> HTMLResponse:
        """The list alone: an item is opened by its own address only."""
        async with self._desk.visit(request) as visit:
            return await self._answer(visit, None)

    async def item(self, request: Request) -> HTMLResponse:
        """The item of the address, whether it still waits or somebody has decided it; never another one."""
        async with self._desk.visit(request) as visit:
            subject = self._subject(visit, request.path_params["kind"])
            return await self._answer(visit, await self._open(visit, subject, request.path_params["id"]))

    async def changes(self, request: Request) -> Response:
        """What has changed since the page, or its last poll, was made: 204 when nothing has. Notes that this person
        looks at the item."""
        params = request.query_params
        async with self._desk.visit(request) as visit:
            chosen, ref = read_filter(params, visit.subjects), params.get("item", "")
            kind, _, subject_id = ref.partition("/")
            news = None
            if kind in visit.subjects.by_name and subject_id:
                subject = visit.subjects.by_name[kind]
                news = await self._news(visit, subject, subject_id, params.get("seen", ""))
            shown = await work_list(visit.session, chosen, visit.subjects, visit.actor, current=ref, live=True)
            live = await frame.live(visit.session)
            waiting = frame.counted(shown.waiting, visit.subjects, at_most=MOST_COUNTED)
            minute = f"{live.market_time:%Y%m%d%H%M}"
            version = _digest(shown, news, waiting, minute, live.stale)
            if version == params.get("v"):
                return Response(status_code=204, headers=templating.HEADERS)
            context = {
                "list": shown,
                "news": news,
                "here": chosen.href("" if news and news.missing else ref),
                "rail": rail(visit.viewer, "/queue", waiting, visit.subjects),
                "poll_href": _poll_href(chosen, ref, params.get("seen", ""), version),
                "picks": bool(visit.subjects.decided_by(visit.actor)),
            }
            return await visit.fragment("_work_live.html", "answer", **context)

    def _subject(self, visit: Visit, kind: str) -> Subject:
        """Raises NotFound, or NotAllowed for a kind of work that is not for this person's role."""
        known = self._desk.deps.subjects.by_name
        if kind not in known:
            raise NotFound(f"There is no kind of work named {kind[:40]}.", remedy="Go to the queue and choose an item.")
        if refusal := known[kind].read.refusal(visit.actor):
            raise NotAllowed(f"You cannot open this {known[kind].label}. {refusal}", remedy="Ask a colleague who can.")
        return known[kind]

    async def _open(self, visit: Visit, subject: Subject, subject_id: str) -> _Open:
        """Raises NotFound that says what is missing."""
        try:
            found = offered(self._desk, await view_of(visit.session, visit.actor, subject, subject_id))
        except NotFound as missing:
            raise NotFound(
                f"There is no {subject.label} with the id {subject_id[:40]}.",
                remedy="It was deleted, or the link is incomplete. Go to the queue, or search for it.",
            ) from missing
        marks = await work_marks.marks_of(visit.session, subject.name, subject_id)
        claim = marks.claim
        if not found.choices or claim is None or claim.holder_id == visit.actor.user_id:
            return _Open(found, marks)
        held = f"{claim.holder} has claimed this until {claim.until:%H:%M} UTC"
        found = replace(found, choices=(), refusal=f"{held}. Take it over to decide it yourself.")
        return _Open(found, marks, held)

    async def _news(self, visit: Visit, subject: Subject, subject_id: str, seen: str) -> ItemNews:
        """What is new about the open item, also when it was deleted meanwhile. Notes that this person looks at it."""
        try:
            shown = await self._open(visit, subject, subject_id)
        except NotFound:
            return ItemNews(
                f"{subject.name}/{subject_id}", changed="This item no longer exists.", gone=True, missing=True
            )
        looking = await work_marks.look(visit.session, subject.name, subject_id, visit.actor)
        return _news(shown, looking, seen)

    async def _answer(self, visit: Visit, opened: _Open | None) -> HTMLResponse:
        params, session, actor = visit.request.query_params, visit.session, visit.actor
        selected = opened.item if opened else None
        chosen, ref = read_filter(params, visit.subjects), selected.ref if selected else ""
        shown = await work_list(session, chosen, visit.subjects, actor, current=ref)
        chosen = shown.filter
        decides = visit.subjects.decided_by(actor)
        news, bar = None, None
        if opened is not None and selected is not None:
            looking = await work_marks.look(session, selected.kind, selected.subject_id, actor)
            news = _news(opened, looking, selected.seen)
            bar = await _bar(visit, opened) if selected.kind in decides else None
        seen = selected.seen if selected else ""
        context = {
            "list": shown,
            "selected": selected,
            "bar": bar,
            "news": news,
            "here": chosen.href(ref),
            "worked": await work_history.of(session, selected.kind, selected.subject_id) if selected else [],
            "following": following(shown.rows, "", decides),
            "list_href": chosen.href(),
            "empty": _EMPTY[chosen.part],
            "saved": await saved_filters.of(session, actor, "/queue"),
            "bulk_actions": _bulk_actions(visit) if decides else [],
            "export_href": f"/queue/export?{chosen.query}",
            "poll_href": _poll_href(chosen, ref, seen, ""),
            "own_poll": True,
            "waiting": frame.counted(shown.waiting, visit.subjects, at_most=MOST_COUNTED),
        }
        if wants_fragment(visit.request, "work"):
            return await visit.fragment("queue.html", "work", **context, part=True)
        return await visit.render("queue.html", [Crumb("Queue")], **context, part=False)


async def _bar(visit: Visit, opened: _Open) -> ItemBar | None:
    """What can be done with an item that waits, besides deciding it; None for one that does not wait."""
    kind, subject_id = opened.item.kind, opened.item.subject_id
    item = await queue.one(visit.session, kind, visit.subjects.by_name[kind].waiting, subject_id)
    if item is None:
        return None
    to = await escalating.offered(visit.session, visit.subjects.by_name[kind], subject_id, visit.actor)
    aside = opened.marks.aside(item)
    given = ItemBar(opened.item.ref, aside_until=aside, escalated_to=item.escalated_to or "", escalate_to=to)
    if item.holder is None:
        return given
    return replace(given, holder=item.holder, mine=item.holder_id == visit.actor.user_id, until=item.held_until)


def _bulk_actions(visit: Visit) -> list[tuple[BulkAction, str]]:
    """What this person can do with several items at once."""
    own = {
        verb.name
        for subject in visit.subjects
        for verb in subject.verbs
        if verb.bulk is not None and not verb.right.refusal(visit.actor)
    }
    return [(action, BULK_WORDS[action].label) for action in ACTIONS if action not in DECISIONS or action in own]


def _news(opened: _Open, looking: Sequence[str], seen: str) -> ItemNews:
    """`seen`: the facts of the item on the page."""
    selected, held = opened.item, opened.held
    if not seen or selected.seen == seen:
        return ItemNews(selected.ref, looking, held)
    if selected.closed:
        return ItemNews(selected.ref, looking, "", selected.closed, gone=True)
    by = f" {selected.decisions[-1].by} decided something on it." if selected.decisions else ""
    return ItemNews(selected.ref, looking, held, f"This {selected.noun} has changed.{by}")


def _poll_href(chosen: WorkFilter, ref: str, seen: str, version: str) -> str:
    asked = {"kind": chosen.tab, "show": chosen.part, "cursor": chosen.cursor, "item": ref, "seen": seen, "v": version}
    return f"/queue/changes?{urlencode({name: value for name, value in asked.items() if value})}"


def _digest(*parts: Any) -> str:
    return hashlib.sha256(repr(parts).encode()).hexdigest()[:16]
