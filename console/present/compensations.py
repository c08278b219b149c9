"""A compensation as a person sees it before deciding."""

from sqlalchemy.ext.asyncio import AsyncSession

from console.addresses import href
from console.formats import plain_money, words
from console.present import closed
from console.present.decisions import choice, decision_rows, step_entries
from console.present.refusals import may
from console.views.decision import DecisionView
from console.views.parts import Link
from domain.approvals import Actor
from domain.money import Money
from front.subjects.compensation import COMPENSATION
from store.read import compensations
from store.read.compensations import CompensationView


def title(row: CompensationView) -> str:
    return f"Voucher of {plain_money(Money(minor=row.amount_minor, currency=row.currency))}"


async def compensation(session: AsyncSession, actor: Actor, compensation_id: str) -> DecisionView:
    """Raises NotFound."""
    row = await compensations.one(session, compensation_id)
    own, is_open, made = row.proposed_by == actor.user_id, row.state == "proposed", decision_rows(row.decisions)
    refusal = may(actor, "compensations.propose" if own else "compensations.decide")
    verbs = ("withdraw",) if own else ("grant", "reject")
    return DecisionView(
        kind="compensation",
        subject_id=row.id,
        title=f"{title(row)}, {row.trader_name}",
        state=row.state,
        effect=_effect(row),
        account_number=row.account_number,
        trader_id=row.trader_id,
        trader=row.trader_name,
        facts=(
            ("Proposed by", row.proposed_by_name),
            ("Proposed", f"{row.proposed_at:%Y-%m-%d %H:%M} UTC"),
            ("Why", row.reason),
            ("Message to the trader", row.message),
        ),
        evidence=(
            Link("Dispute", href("dispute", row.dispute_id), ""),
            *((Link("Used in an order", href("challenge", row.used_in), ""),) if row.used_in else ()),
        ),
        decisions=made,
        closed=closed.others(row.state, ("proposed",), made, row.transitions),
        choices=[choice(COMPENSATION.verb(name)) for name in verbs] if is_open and not refusal else (),
        refusal=refusal if is_open else "",
        timeline=step_entries(row.transitions),
    )


def _effect(row: CompensationView) -> str:
    if row.state == "proposed":
        return "Granting gives the trader a voucher for one purchase. The firm owes it until it is used."
    return f"This compensation is {words(row.state)}."
