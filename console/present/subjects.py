"""The view of anything that people decide, whichever kind of work it is."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from typing import Final

from sqlalchemy.ext.asyncio import AsyncSession

from console.present import versions
from console.present.breaks import break_view
from console.present.cases import case
from console.present.chargebacks import chargeback
from console.present.compensations import compensation
from console.present.disputes import dispute
from console.present.identity import identity
from console.present.interventions import intervention
from console.present.payouts import payout
from console.present.plain import plain
from console.present.platform_changes import platform_change
from console.present.policy_changes import policy_change
from console.present.reviews import review
from console.present.screening import sanction_hit
from console.present.staff_changes import staff_change
from console.present.undecided import inbox, outbox, ticket
from console.views.decision import DecisionView
from domain.approvals import Actor
from domain.errors import NotFound
from front.subjects.subject import Subject
from store.read.accounts import platform_of

Presenter = Callable[[AsyncSession, Actor, str], Awaitable[DecisionView]]

# A subject without a presenter is shown by its line in the queue.
_PRESENTERS: Final[Mapping[str, Presenter]] = {
    "payout": payout,
    "chargeback": chargeback,
    "dispute": dispute,
    "compensation": compensation,
    "case": case,
    "identity": identity,
    "review": review,
    "break": break_view,
    "sanction_hit": sanction_hit,
    "product_version": versions.proposal,
    "account_move": versions.move,
    "intervention": intervention,
    "platform_change": platform_change,
    "policy_change": policy_change,
    "staff_change": staff_change,
    "ticket": ticket,
    "inbox": inbox,
    "outbox": outbox,
}


async def view_of(session: AsyncSession, actor: Actor, subject: Subject, subject_id: str) -> DecisionView:
    """The view of one of them, within what `actor` may see; raises NotFound."""
    if subject.read.refusal(actor):
        raise NotFound
    presenter = _PRESENTERS.get(subject.name)
    found = await (presenter(session, actor, subject_id) if presenter else plain(session, actor, subject, subject_id))
    platform = found.platform
    if found.account_number and not platform:
        platform = await platform_of(session, found.account_number)
    return replace(found, href=subject.href(subject_id), noun=subject.label, platform=platform)
