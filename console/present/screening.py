"""A hit on a sanctions list as a person sees it: both names side by side, and who has decided so far."""

from sqlalchemy.ext.asyncio import AsyncSession

from console.addresses import href
from console.present import closed
from console.present.decisions import choice, decision_rows
from console.present.refusals import may
from console.views.decision import DecisionView
from console.views.parts import Link
from domain.approvals import Actor
from front.subjects.screening import SANCTION_HIT
from store.read import history, screening
from store.scope import FIRM


async def sanction_hit(session: AsyncSession, actor: Actor, hit_id: str) -> DecisionView:
    """Raises NotFound."""
    row = await screening.hit(session, hit_id)
    made = decision_rows(await history.decisions(session, FIRM, "sanction_hit", row.id))
    refusal, is_open = may(actor, "sanctions.decide"), row.state == "open"
    return DecisionView(
        kind="sanction_hit",
        subject_id=row.id,
        title=f"Sanctions hit, {row.trader_name}",
        state=row.state,
        effect="Compare the trader with the listed person. It is closed when two people agree. Until then every "
        "payout of this trader is held."
        if is_open
        else f"This hit was {row.state} by two people.",
        trader_id=row.trader_id,
        trader=row.trader_name,
        facts=(
            ("Trader", row.trader_name),
            ("Country of the trader", row.country),
            ("Listed name", row.listed),
            ("Score", f"{row.score / 1000:.2f}"),
            ("Parts that match", row.reason),
            ("Names of the entry", "; ".join(row.names)),
            ("Born", "; ".join(row.births) or "not given"),
            ("Countries of the entry", "; ".join(row.countries) or "not given"),
            ("List", f"{row.list}, {row.published}"),
            ("Reference", row.ref),
        ),
        evidence=(Link("Trader", href("trader", row.trader_id), ""),),
        decisions=made,
        closed="" if is_open else closed.last(made),
        choices=[choice(verb) for verb in (SANCTION_HIT.verbs if is_open and not refusal else ())],
        refusal=refusal if is_open else "",
    )
