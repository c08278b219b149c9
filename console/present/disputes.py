"""A dispute as a person sees it before deciding, and as the trader who opened it sees it."""

from collections.abc import Callable
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from console.formats import plain_money, words
from console.present import closed
from console.present.decisions import choice, decision_rows, step_entries
from console.present.refusals import may
from console.views.decision import DecisionView
from console.views.parts import Link, SumLine
from domain.approvals import Actor
from domain.money import Money
from front.subjects.dispute import DISPUTE
from store.read import disputes
from store.read.disputes import DisputeView
from store.read.pages import scope_of


async def dispute(session: AsyncSession, actor: Actor, dispute_id: str) -> DecisionView:
    """Raises NotFound."""
    scope = scope_of(actor)
    row = await disputes.one(session, scope, dispute_id)

    def money(minor: int) -> Money:
        return Money(minor=minor, currency=row.currency)

    waits, made = row.state == "awaiting_decision", decision_rows(row.decisions)
    refusal = may(actor, "disputes.decide")
    return DecisionView(
        kind="dispute",
        subject_id=row.id,
        title=f"Dispute: {words(row.rule_id)}, {row.trader_name}",
        state=row.state,
        effect=_effect(row),
        account_number=row.account_number,
        trader_id=row.trader_id,
        trader=row.trader_name,
        lines=_verdict_lines(row, money),
        facts=_dispute_facts(row.evidence, money),
        evidence=(
            Link("Proof sheet", f"/proofs/{row.proof_id}", "", "recomputed each time it is opened"),
            Link(f"Account {row.account_number}", f"/accounts/{row.account_number}", ""),
        ),
        decisions=made,
        closed=closed.others(row.state, ("opened", "awaiting_decision"), made, row.transitions),
        choices=[choice(verb) for verb in (DISPUTE.verbs if waits and not refusal else ())],
        refusal=refusal if waits and scope.staff else "",
        statement=row.statement,
        timeline=step_entries(row.transitions),
    )


def _effect(row: DisputeView) -> str:
    number = row.account_number
    match row.state:
        case "upheld":
            return "The breach was upheld: the account stays locked."
        case "reinstated":
            return f"The account was reinstated: {number} trades again."
        case "reinstating":
            return f"{number} is being unlocked and its floors restored."
        case "opened":
            return "The evidence is being collected."
    return (
        f"Upholding leaves {number} locked and ends the challenge when its dispute window closes. Reinstating restores "
        "the floors, sets today's anchor again and unlocks trading."
    )


def _verdict_lines(row: DisputeView, money: Callable[[int], Money]) -> tuple[SumLine, ...]:
    equity = SumLine("Equity at the verdict", money(row.equity_minor))
    if row.floor_minor is None:  # a rule of conduct
        return (equity,)
    beyond = money(abs(row.floor_minor - row.equity_minor))
    return equity, SumLine("Limit", money(row.floor_minor)), SumLine("Beyond the limit by", beyond, total=True)


def _dispute_facts(evidence: dict[str, Any], money: Any) -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []
    if deals := evidence.get("deals_24h"):
        found.append(
            ("Deals in 24 h before", f"{deals['count']}, together {plain_money(money(deals['profit_minor']))}")
        )
    around = evidence.get("equity_around") or {}
    if around.get("low_minor") is not None:
        low, high = money(around["low_minor"]), money(around["high_minor"])
        found.append(("Equity within 30 min", f"{plain_money(low)} to {plain_money(high)}, {around['bars']} minutes"))
    if evidence.get("spread") is not None:
        usual = evidence.get("spread_median")
        compared = f", usually {usual} (times {evidence.get('spread_ratio')})" if usual else ""
        found.append((f"Spread of {evidence['spread_symbol']}", f"{evidence['spread']}{compared}"))
    return found
