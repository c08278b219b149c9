"""Whatever people decide, as one view, whichever kind of work it is."""

from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncSession

from console.present import versions as present_versions
from console.present.cases import case
from console.present.decisions import dispute, identity, payout
from console.present.reviews import review
from console.views import DecisionView
from domain.approvals import Actor
from domain.errors import NotFound
from store.read import versions
from store.read.pages import scope_of


async def subject(session: AsyncSession, actor: Actor, kind: str, subject_id: str, now: datetime) -> DecisionView:
    """Any of the kinds that people decide, within what `actor` may see; raises NotFound."""
    scope = scope_of(actor)
    match kind:
        case "payout":
            return await payout(session, scope, actor, subject_id, now)
        case "dispute":
            return await dispute(session, scope, actor, subject_id)
    if not scope.staff:
        raise NotFound
    match kind:
        case "case":
            return await case(session, actor, subject_id)
        case "identity":
            return await identity(session, actor, subject_id)
        case "review":
            return await review(session, actor, subject_id)
        case "product_version":
            return present_versions.proposal(await versions.proposal(session, subject_id), actor)
        case "account_move":
            return present_versions.move(await versions.move(session, subject_id), actor)
    raise NotFound
