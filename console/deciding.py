"""What every decision form has in common.

The form names its item in its address and in a field, and says on which facts it was filled in. So the form of one item
never decides another, and a form filled in before somebody else decided is answered with who decided, what and when.
After the decision the person lands on the item that was decided, with a link to the next one.
"""

from collections.abc import Awaitable, Callable, Collection
from typing import TypeVar

from pydantic import BaseModel
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from console.desk import Desk, Posted
from console.present.subjects import subject
from console.queries.frame import DECIDED
from console.views import DecisionView, href, queue_href
from domain.errors import BadInput, ChangedMeanwhile, Conflict
from front.once import Check
from store.clock import market_now
from store.models import Decision


class Decided(BaseModel):
    """What was sent, for the idempotency key; and what came of it."""

    decision: str
    reason: str = ""
    state: str = ""


T = TypeVar("T")
Work = Callable[[AsyncSession], Awaitable[Decided]]


def read(posted: Posted, kind: str, subject_id: str, allowed: Collection[str]) -> Decided:
    """The decision of a form on this item; raises BadInput, also for the form of another item."""
    if posted.form.text("item") != f"{kind}/{subject_id}":
        raise BadInput("This form belongs to another item.", field="item", remedy="Reload the page and decide again.")
    decision = posted.form.text("decision")
    if decision not in allowed:
        raise BadInput("Choose what to decide.", field="decision", remedy="Use one of the buttons.")
    return Decided(decision=decision, reason=posted.form.needed("reason", shortest=3, longest=1000))


async def check_unchanged(session: AsyncSession, posted: Posted, kind: str, subject_id: str) -> None:
    """Raises ChangedMeanwhile when the form was filled in on other facts than those of now, and NotFound.

    Somebody who has decided already is let through: it may be the same form again, after its first answer was lost.
    """
    view = await _view(session, posted, kind, subject_id)
    if posted.form.text("seen") == view.seen:
        return
    own = select(Decision.id).where(
        Decision.subject_kind == kind, Decision.subject_id == subject_id, Decision.user_id == posted.actor.user_id
    )
    if await session.scalar(own) is None:
        raise _changed(view)


async def told(desk: Desk, posted: Posted, kind: str, subject_id: str, decide: Callable[[], Awaitable[T]]) -> T:
    """Decides. When that is refused because somebody else was faster, says who, what and when."""
    try:
        return await decide()
    except Conflict as error:
        async with desk.deps.db.transaction() as session:
            view = await _view(session, posted, kind, subject_id)
        if view.closed:
            raise _changed(view) from error
        raise


async def write(
    desk: Desk, posted: Posted, sent: Decided, item: tuple[str, str], work: Work, *, lock: Check | None = None
) -> Decided:
    """Decides in one transaction, on what the person saw. `item` is its kind and id. `lock` makes two people who
    decide at once wait for each other; without it `work` itself refuses the second."""

    async def checked(session: AsyncSession) -> Decided:
        if lock is not None:
            await lock(session)
        await check_unchanged(session, posted, *item)
        return await work(session)

    async def decide() -> Decided:
        return await posted.once.write(Decided, sent, checked)

    return await told(desk, posted, *item, decide)


def landing(posted: Posted, kind: str, subject_id: str) -> str:
    """Where a decision leads: to the decided item, beside the list that it was chosen from, or to its own page."""
    tab = posted.form.text("tab")
    if tab != "all" and tab not in DECIDED:
        return href(kind, subject_id)
    return queue_href("" if tab == "all" else tab, f"{kind}/{subject_id}", posted.form.text("next"))


async def _view(session: AsyncSession, posted: Posted, kind: str, subject_id: str) -> DecisionView:
    return await subject(session, posted.actor, kind, subject_id, await market_now(session))


def _changed(view: DecisionView) -> ChangedMeanwhile:
    noun = view.kind.replace("_", " ")
    if view.closed:
        return ChangedMeanwhile(f"Your decision was not recorded. {view.title}: {view.closed}")
    return ChangedMeanwhile(
        f"This {noun} has changed since you opened the page; it is {view.state.replace('_', ' ')} now.",
        remedy="Nothing was decided. Go back, read it again and decide.",
    )
