"""An adjustment, closing or free reset of an account as a person sees it before deciding."""

from sqlalchemy.ext.asyncio import AsyncSession

from console.formats import plain_money, words
from console.present import closed
from console.present.decisions import choice, decision_rows, step_entries
from console.present.refusals import may
from console.views.decision import DecisionView
from console.views.parts import Link
from domain.adjustments import Adjusted
from domain.approvals import Actor
from domain.errors import Conflict
from domain.interventions import HAD_ENDED
from domain.money import Money
from firm import interventions
from front.subjects.intervention import INTERVENTION
from store.models import Account
from store.read import interventions as read
from store.read.interventions import LABELS, InterventionDetail

_EFFECTS = {
    "adjust": "Approving changes the balance at the platform at once. It counts as profit or loss of the account.",
    "close": "Approving closes every position of the account and ends its challenge for good. Nothing is refunded.",
    "reset": "Approving ends the account and opens a new one of the same phase. Nothing is charged.",
}


async def intervention(session: AsyncSession, actor: Actor, intervention_id: str) -> DecisionView:
    """Raises NotFound."""
    row = await read.one(session, intervention_id)
    own, is_open, made = row.proposed_by == actor.user_id, row.state == "proposed", decision_rows(row.decisions)
    refusal = may(actor, "interventions.propose" if own else "interventions.decide")
    if not own and not refusal and actor.person_id == row.proposer_person:
        refusal = "You proposed this; somebody else must decide it."
    verbs = ("withdraw",) if own else ("approve", "reject")
    ahead = await _figures(session, row) if is_open else None
    return DecisionView(
        kind="intervention",
        subject_id=row.id,
        title=f"{_title(row)}, {row.account_number}",
        state=row.state,
        effect=_EFFECTS[row.kind] if is_open else f"It is {words(row.state)}.",
        effects=ahead.sentences if ahead is not None and row.kind == "adjust" else (),
        account_number=row.account_number,
        trader_id=row.trader_id,
        trader=row.trader_name,
        facts=(
            ("Proposed by", row.proposed_by_name),
            ("Proposed", f"{row.proposed_at:%Y-%m-%d %H:%M} UTC"),
            ("Why", row.reason),
            ("Message to the trader", row.message),
            *_why_lapsed(row),
            *_balance(row, ahead),
        ),
        evidence=(Link(f"Account {row.account_number}", f"/accounts/{row.account_number}", ""),),
        decisions=made,
        closed=closed.others(row.state, ("proposed",), made, row.transitions),
        choices=[choice(INTERVENTION.verb(name)) for name in verbs] if is_open and not refusal else (),
        refusal=refusal if is_open else "",
        timeline=step_entries(row.transitions),
    )


def _why_lapsed(row: InterventionDetail) -> list[tuple[str, str]]:
    if row.state != "lapsed":
        return []
    return [("Why it was not carried out", str(row.transitions[-1].detail.get("why", HAD_ENDED)))]


def _title(row: InterventionDetail) -> str:
    if row.change_minor is None:
        return LABELS[row.kind]
    return f"{LABELS[row.kind]} of {plain_money(Money(minor=row.change_minor, currency=row.currency))}"


def _balance(row: InterventionDetail, ahead: Adjusted | None) -> list[tuple[str, str]]:
    return [] if ahead is None or row.kind == "adjust" else [("Balance", plain_money(ahead.balance))]


async def _figures(session: AsyncSession, row: InterventionDetail) -> Adjusted | None:
    """What an adjustment would do to the account as it is now; of another kind, the account as it is. None while its
    balance is not known."""
    account = await session.get_one(Account, row.account_id)
    try:
        return await interventions.adjustment(
            session, account, Money(minor=row.change_minor or 0, currency=row.currency)
        )
    except Conflict:
        return None
