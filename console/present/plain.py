"""A subject that has no presenter of its own: its line in the queue, what each decision does, who decided so far."""

from sqlalchemy.ext.asyncio import AsyncSession

from console.present import closed
from console.present.decisions import choice, decision_rows
from console.present.refusals import may_use
from console.views.decision import DecisionView
from domain.approvals import Actor
from domain.errors import NotFound
from front.subjects.subject import Subject
from store.read import history, queue
from store.scope import FIRM


async def plain(session: AsyncSession, actor: Actor, subject: Subject, subject_id: str) -> DecisionView:
    """Raises NotFound for what neither waits nor was decided."""
    item = await queue.one(session, subject.name, subject.waiting, subject_id)
    made = decision_rows(await history.decisions(session, FIRM, subject.name, subject_id))
    if item is None and not made:
        raise NotFound
    verbs = [verb for verb in subject.verbs if item is not None and not may_use(actor, verb.right)]
    return DecisionView(
        kind=subject.name,
        subject_id=subject_id,
        title=item.words if item else f"{subject.label.capitalize()} {subject_id}",
        state=item.state if item else "decided",
        effect=" ".join(f"{verb.label}: {verb.means}" for verb in subject.verbs),
        due=item.deadline if item else None,
        account_number=item.account_number if item else None,
        choices=[choice(verb) for verb in verbs],
        refusal=may_use(actor, subject.verbs[0].right) if item and not verbs else "",
        decisions=made,
        closed="" if item else closed.last(made),
    )
