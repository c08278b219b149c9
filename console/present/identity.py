"""The identity check of a trader, as a person sees it before deciding."""

from sqlalchemy.ext.asyncio import AsyncSession

from console.addresses import href
from console.present import closed
from console.present.decisions import choice, decision_rows
from console.present.identity_check import check_facts
from console.present.refusals import may
from console.views.decision import DecisionView
from console.views.parts import Link
from domain.approvals import Actor
from front.subjects.identity import IDENTITY
from store.read import people
from store.scope import FIRM


async def identity(session: AsyncSession, actor: Actor, trader_id: str) -> DecisionView:
    """Raises NotFound."""
    trader = await people.one(session, FIRM, trader_id)
    refusal = may(actor, "traders.decide_identity")
    undecided = trader.identity == "unverified"
    verbs = IDENTITY.verbs if undecided and not refusal else ()
    made = decision_rows(await people.identity_decisions(session, FIRM, trader_id))
    return DecisionView(
        kind="identity",
        subject_id=trader.id,
        title=f"Identity check, {trader.name}",
        state=trader.identity if not undecided else "identity_check",
        effect="Verifying opens the funded account of every challenge that waits for this check and releases payouts"
        " that it holds. Refusing closes those challenges."
        if undecided
        else f"The identity of this trader is {trader.identity}.",
        trader_id=trader.id,
        trader=trader.name,
        facts=(
            ("Name", trader.name),
            ("E-mail", trader.email),
            ("Country", trader.country),
            ("Bank account", trader.beneficiary or "none"),
            ("Since", f"{trader.created_at:%Y-%m-%d}"),
            *await check_facts(session, trader.id, trader.name),
        ),
        evidence=(Link("Trader", href("trader", trader.id), trader.identity),),
        decisions=made,
        closed=closed.others(trader.identity, ("unverified",), made, ()),
        choices=[choice(verb) for verb in verbs],
        refusal=refusal if undecided else "",
    )
