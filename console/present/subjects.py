"""The view of anything that people decide, whichever kind of work it is."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from typing import Final

from sqlalchemy.ext.asyncio import AsyncSession

from console.present import versions
from console.present.cases import case
from console.present.disputes import dispute
from console.present.identity import identity
from console.present.payouts import payout
from console.present.plain import plain
from console.present.reviews import review
from console.views.decision import DecisionView
from domain.approvals import Actor
from domain.errors import NotFound
from front.subjects.subject import Subject

Presenter = Callable[[AsyncSession, Actor, str], Awaitable[DecisionView]]

# A subject without a presenter is shown by its line in the queue.
_PRESENTERS: Final[Mapping[str, Presenter]] = {
    "payout": payout,
    "dispute": dispute,
    "case": case,
    "identity": identity,
    "review": review,
    "product_version": versions.proposal,
    "account_move": versions.move,
}


async def view_of(session: AsyncSession, actor: Actor, subject: Subject, subject_id: str) -> DecisionView:
    """The view of one of them, within what `actor` may see; raises NotFound."""
    if subject.read.refusal(actor):
        raise NotFound
    presenter = _PRESENTERS.get(subject.name)
    found = await (presenter(session, actor, subject_id) if presenter else plain(session, actor, subject, subject_id))
    return replace(found, href=subject.href(subject_id), noun=subject.label)
