"""A chargeback as a person sees it before answering: the money, the account's context, the evidence to be sent."""

from typing import Final

from sqlalchemy.ext.asyncio import AsyncSession

from console.formats import words
from console.present import closed
from console.present.decisions import choice, decision_rows, step_entries
from console.present.refusals import may
from console.views.decision import DecisionView
from console.views.parts import Link, SumLine
from domain.approvals import Actor
from domain.chargebacks import ANSWERABLE
from domain.money import Money, is_known
from firm import chargeback_answers
from front.subjects.chargeback import CHARGEBACK
from store.models import Chargeback
from store.read import chargebacks
from store.read.chargebacks import ChargebackView

_LABELS: Final = {
    "product_description": "Product",
    "service_date": "Service date",
    "access_activity_log": "Activity",
    "uncategorized_text": "Terms",
}
_EFFECTS: Final = {
    "received": "The acquirer is being asked about it. All payouts of the trader are held.",
    "submitted": "The evidence is with the buyer's bank. All payouts of the trader are held until it decides.",
    "won": "The bank decided for the firm: accounts trade again and payouts continue.",
    "lost": "The bank decided for the buyer: the challenge ends, and so does every challenge that continues it.",
    "accepted": "The firm accepted the loss: the challenge ends, and so does every challenge that continues it.",
}


async def chargeback(session: AsyncSession, actor: Actor, chargeback_id: str) -> DecisionView:
    """Raises NotFound."""
    row = await chargebacks.one(session, chargeback_id)
    waits, made = row.state in ANSWERABLE and row.answer is None, decision_rows(row.decisions)
    evidence = row.evidence
    if waits:
        evidence = await chargeback_answers.draft(session, await session.get_one(Chargeback, chargeback_id))
    refusal = may(actor, "chargebacks.decide")
    return DecisionView(
        kind="chargeback",
        subject_id=row.id,
        title=f"Chargeback ({words(row.reason) or 'no reason given'}), {row.trader_name}",
        state=row.state,
        effect=_effect(row),
        account_number=row.account_number,
        trader_id=row.trader_id,
        trader=row.trader_name,
        lines=_lines(row),
        facts=[*_facts(row), *((_LABELS[name], text) for name, text in evidence.items() if text)],
        evidence=_links(row),
        decisions=made,
        closed="" if waits else closed.others(row.state, ("received",), made, row.transitions),
        choices=[choice(verb) for verb in (CHARGEBACK.verbs if waits and not refusal else ())],
        refusal=refusal if waits else "",
        timeline=step_entries(row.transitions),
    )


def _effect(row: ChargebackView) -> str:
    if row.answer_refused:
        return f"The acquirer did not take the answer: {row.answer_refused} Answer on the acquirer's website."
    if row.state in ANSWERABLE and row.answer is not None:
        return "The answer is on its way to the acquirer."
    suspended = " Its accounts do not trade until the bank decides." if row.suspended else ""
    return _EFFECTS.get(
        row.state, f"Submitting sends the evidence below, once. Accepting ends the challenge.{suspended}"
    )


def _lines(row: ChargebackView) -> tuple[SumLine, ...]:
    if not is_known(row.currency):
        return ()
    amount = Money(minor=row.amount_minor, currency=row.currency)
    lines = [SumLine("Disputed", amount, _taken(row))]
    if row.fee_minor:
        lines.append(SumLine("Fee of the acquirer", Money(minor=row.fee_minor, currency=row.currency)))
    return tuple(lines)


def _taken(row: ChargebackView) -> str:
    """Where the disputed money is."""
    if row.withdrawn:
        return "taken by the acquirer"
    return "not taken by the acquirer" if row.state in ("won", "lost", "accepted") else "not taken yet"


def _facts(row: ChargebackView) -> list[tuple[str, str]]:
    facts = [("Acquirer", f"{row.acquirer}, {row.provider_id}"), ("Challenge", words(row.challenge_state))]
    if row.evidence_due_at is not None:
        facts.append(("Answer due", closed.moment(row.evidence_due_at)))
    return facts


def _links(row: ChargebackView) -> tuple[Link, ...]:
    links = [Link("Challenge", f"/challenges/{row.challenge_id}", row.challenge_state)]
    if row.account_number is not None:
        links.append(Link(f"Account {row.account_number}", f"/accounts/{row.account_number}", ""))
    return (*links, Link("Trader", f"/traders/{row.trader_id}", ""))
