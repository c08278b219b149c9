"""What every decision form has in common.

The form names its item in its address and in a field, and the facts that it was filled in on. So the form of one item
never decides another, and a form that was opened before somebody else decided is answered with who decided, what and
when. After a decision made in the queue the next item opens, with a link to the one that was decided.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from typing import TypedDict, TypeVar

from fastapi import Request
from pydantic import BaseModel
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession
from starlette.responses import Response

from console.addresses import queue_href
from console.desk import Desk, Posted, redirect
from console.present.subjects import view_of
from console.queries.work import following, read_filter, work_list
from console.views.decision import DecisionView
from console.views.work import PART_WORDS, WorkFilter
from contracts.messages import DecisionResult, Target
from domain.errors import BadInput, ChangedMeanwhile, Conflict
from firm import work_marks
from front import undo
from front.deciding import by_workflow, on_record
from front.fields import DisputeDecisionBody, SendAgainBody
from front.subjects.subject import Subject, Verb
from front.subjects.table import SUBJECTS
from front.undo import Offer
from store.models import Decision
from store.scope import FIRM


class UndoFields(TypedDict):
    """Of a redirection."""

    undo: str
    seconds: int


class Decided(BaseModel):
    """What was sent, for the idempotency key; and what came of it."""

    decision: str
    reason: str = ""
    state: str = ""
    rail: str = ""
    beneficiary: str = ""
    message: str = ""


T = TypeVar("T")


@dataclass(frozen=True)
class Item:
    """The subject that a form decides."""

    subject: Subject
    subject_id: str

    @property
    def ref(self) -> str:
        return f"{self.subject.name}/{self.subject_id}"


def read(posted: Posted, item: Item) -> tuple[Verb, Decided]:
    """The decision of a form on this item; raises BadInput, also for the form of another item, and NotAllowed."""
    verb = next((verb for verb in item.subject.verbs if verb.name == posted.form.text("decision")), None)
    for right in (verb.right,) if verb else item.subject.rights[1:]:
        right.check(posted.actor)
    if posted.form.text("item") != item.ref:
        raise BadInput("This form belongs to another item.", field="item", remedy="Reload the page and decide again.")
    if verb is None:
        raise BadInput("Choose what to decide.", field="decision", remedy="Use one of the buttons.")
    reason = posted.form.needed("reason", shortest=3, longest=1000)
    rail = posted.form.text("rail") if verb.body is SendAgainBody else ""
    beneficiary = posted.form.text(f"to-{rail}") if rail else ""
    message = posted.form.text("message").strip() if verb.body is DisputeDecisionBody else ""
    if len(message) > 4000:
        raise BadInput("message has more than 4000 characters.", field="message", remedy="Write less.")
    return verb, Decided(decision=verb.name, reason=reason, rail=rail, beneficiary=beneficiary, message=message)


async def check_unchanged(session: AsyncSession, posted: Posted, item: Item) -> None:
    """Raises ChangedMeanwhile when the facts have changed since the form was opened, Conflict while somebody else has
    claimed the item, and NotFound.

    A person who has decided already passes: it may be the same form again, after its first answer was lost.
    """
    view = await _view(session, posted, item)
    if posted.form.text("seen") == view.seen:
        await work_marks.check_free(session, item.subject.name, item.subject_id, posted.actor)
        return
    own = select(Decision.id).where(
        Decision.subject_kind == item.subject.name,
        Decision.subject_id == item.subject_id,
        Decision.user_id == posted.actor.user_id,
    )
    if await session.scalar(own) is None:
        raise _changed(view)


async def or_tell(desk: Desk, posted: Posted, item: Item, decide: Callable[[], Awaitable[T]]) -> T:
    """Decide. When that is refused because somebody else was faster, say who, what and when."""
    try:
        return await decide()
    except Conflict as error:
        async with desk.deps.db.transaction() as session:
            view = await _view(session, posted, item)
        if view.closed:
            raise _changed(view) from error
        raise


async def write(desk: Desk, posted: Posted, sent: Decided, item: Item, verb: Verb) -> Decided:
    """Decide in one transaction, on the facts that the person saw."""

    async def checked(session: AsyncSession) -> Decided:
        if item.subject.lock is not None:
            await item.subject.lock(session, item.subject_id)
        await check_unchanged(session, posted, item)
        seen = posted.form.text("digest")
        taken = await on_record(session, item.subject, verb, item.subject_id, sent.reason, posted.once, seen=seen)
        return Decided(decision=verb.name, state=taken.state)

    async def decide() -> Decided:
        return await posted.once.write(Decided, sent, checked)

    return await or_tell(desk, posted, item, decide)


async def send(desk: Desk, posted: Posted, sent: Decided, item: Item, verb: Verb) -> DecisionResult:
    """Have the subject's workflow decide, on the facts that the person saw."""

    async def check(session: AsyncSession) -> None:
        await check_unchanged(session, posted, item)

    async def decide() -> DecisionResult:
        return await by_workflow(
            item.subject,
            verb,
            item.subject_id,
            sent.reason,
            body=sent,
            once=posted.once,
            check=check,
            seen=posted.form.text("digest"),
            again=Target(sent.rail, sent.beneficiary),
            told=sent.message,
        )

    return await or_tell(desk, posted, item, decide)


async def landing(desk: Desk, posted: Posted, item: Item, text: str, *, missing: int = 0) -> Response:
    """Where a decision leads: to the next item of the list that it was chosen from, or to the page of what was decided.

    Both say `text`, and offer to take it back where that is possible. `missing`: the approvals that are still needed.
    """
    tab = posted.form.text("tab")
    subjects = desk.deps.subjects.readable_by(posted.actor)
    async with desk.deps.db.transaction(FIRM) as session:
        if not tab or posted.actor.role == "trader":
            return redirect(item.subject.href(item.subject_id), "ok", text)
        fields = {"kind": "" if tab == "all" else tab, **{name: posted.form.text(name) for name in ("show", "cursor")}}
        try:
            chosen = read_filter(fields, subjects)
            shown = await work_list(session, chosen, subjects, posted.actor, current=item.ref)
        except BadInput:  # the decision is made: the whole list will do
            chosen = read_filter({}, subjects)
            shown = await work_list(session, chosen, subjects, posted.actor, current=item.ref)
        offer = await undo.after(session, item.subject, item.subject_id, posted.form.text("decision"), missing)
        after = following(shown.rows, posted.form.text("next"), subjects.decided_by(posted.actor))
        label = (await _view(session, posted, item)).title
    return redirect(
        after.href if after else shown.filter.href(),
        "ok",
        text,
        href=chosen.href(item.ref),
        label=label,
        **undo_of(chosen, item.ref, offer),
    )


def undo_of(chosen: WorkFilter, ref: str, offer: Offer | None) -> UndoFields:
    """The button of a notice that takes back what was just done with an item of this list."""
    if offer is None:
        return {"undo": "", "seconds": 0}
    _, _, query = chosen.href(ref).partition("?")
    asked = f"what={offer.what}" + (f"&{query}" if query else "")
    return {"undo": f"/queue/{ref}/undo?{asked}", "seconds": offer.seconds}


def queue_of(request: Request) -> str:
    """The list beside the item or the form that was refused: a way on. Empty for anything else."""
    if request.method == "GET":
        return queue_href() if request.url.path.startswith("/queue") else ""
    form = getattr(request.state, "form", {})
    tab, part, cursor = (str(form.get(name, "")) for name in ("tab", "show", "cursor"))
    known = part in PART_WORDS and (tab == "all" or all(name in SUBJECTS.by_name for name in tab.split(",")))
    return queue_href("" if tab == "all" else tab, "", part, cursor) if tab and known else ""


def offered(desk: Desk, view: DecisionView) -> DecisionView:
    """Returns the view with the rails that are configured."""
    known = desk.deps.payments.rails.by_name
    return replace(view, send_to=[each for each in view.send_to if each.rail in known])


async def _view(session: AsyncSession, posted: Posted, item: Item) -> DecisionView:
    return await view_of(session, posted.actor, item.subject, item.subject_id)


def _changed(view: DecisionView) -> ChangedMeanwhile:
    if view.closed:
        return ChangedMeanwhile(f"Your decision was not recorded. {view.title}: {view.closed}")
    return ChangedMeanwhile(
        f"This {view.noun} has changed since you opened the page; it is {view.state.replace('_', ' ')} now.",
        remedy="Nothing was decided. Go back, read it again and decide.",
    )
