"""A surveillance case as a person sees it before deciding: what was found, on which evidence, what each choice does."""

from decimal import Decimal
from typing import Any

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from console.addresses import href
from console.formats import counted, words
from console.present import closed
from console.present.corrections import of_correction
from console.present.decisions import decision_rows, step_entries
from console.present.refusals import may
from console.views.decision import Check, Choice, DealPair, DecisionView
from console.views.parts import Link
from domain.approvals import Actor
from store.models import Account, DealRow
from store.read import cases
from store.read.pages import shown


async def case(session: AsyncSession, actor: Actor, case_id: str) -> DecisionView:
    """Raises NotFound."""
    row = await cases.one(session, case_id)
    numbers = ", ".join(named.number for named in row.accounts)
    copier = next((named.number for named in row.accounts if named.account_id == row.evidence.get("follower")), None)
    held = [named for named in row.accounts if named.held_payout_id]
    refusal = may(actor, "cases.decide")
    is_open, made = row.state == "open", decision_rows(row.decisions)
    frees = f"frees {counted(len(held), 'held payout')}" if held else "changes nothing else, since no payout is held"
    view = DecisionView(
        kind="case",
        subject_id=row.id,
        title=f"Case: {words(row.detector)}",
        state=row.state,
        effect=f"{row.sentence} "
        + (
            f"Clearing {frees}. Confirming closes the challenge of {copier or numbers} and rejects its payouts."
            if is_open
            else f"This case is {row.state}."
        ),
        facts=(
            ("Score", f"{row.score:.2f} of 1"),
            ("Opened", f"{row.opened_at:%Y-%m-%d %H:%M} UTC"),
            *((("Closed", f"{row.closed_at:%Y-%m-%d %H:%M} UTC"),) if row.closed_at else ()),
        ),
        checks=[
            Check(
                named.number,
                "warn" if named.held_payout_id else "ok",
                f"{named.trader_name}: " + ("its open payout is held" if named.held_payout_id else "no open payout"),
            )
            for named in row.accounts
        ],
        evidence=[
            *(
                Link(f"Account {named.number}", f"/accounts/{named.number}", "", named.trader_name)
                for named in row.accounts
            ),
            *(Link("Held payout", href("payout", str(named.held_payout_id)), "", named.number) for named in held),
        ],
        decisions=made,
        closed=closed.others(row.state, ("open",), made, row.transitions),
        choices=(Choice("clear", "Clear suspicion"), Choice("confirm", "Confirm abuse", "danger"))
        if is_open and not refusal
        else (),
        refusal=refusal if is_open else "",
        timeline=step_entries(row.transitions),
        pairs=await _pairs(session, row.evidence),
    )
    return of_correction(view, row.evidence, row.sentence, is_open=is_open) if row.detector == "correction" else view


async def _pairs(session: AsyncSession, evidence: dict[str, Any]) -> list[DealPair]:
    """The deals that an alert names, two by two."""
    named = [(int(pair["leader_deal"]), int(pair["follower_deal"])) for pair in evidence.get("pairs", ())]
    wanted = {deal for pair in named for deal in pair}
    rows = await session.execute(
        select(DealRow, Account.number).join(Account, Account.id == DealRow.account_id).where(DealRow.id.in_(wanted))
    )
    deals = {deal.id: (deal, shown(number)) for deal, number in rows}
    return [_pair(deals[first], deals[second]) for first, second in named if first in deals and second in deals]


def _pair(first: tuple[DealRow, str], second: tuple[DealRow, str]) -> DealPair:
    (leader, leader_number), (follower, follower_number) = first, second
    return DealPair(
        symbol=leader.symbol,
        side=leader.side,
        first_account=leader_number,
        first_at=leader.at,
        first_lots=leader.lots,
        first_price=leader.price,
        second_account=follower_number,
        second_at=follower.at,
        second_lots=follower.lots,
        second_price=follower.price,
        lag_seconds=(follower.at - leader.at).total_seconds(),
        ratio=follower.lots / leader.lots if leader.lots else Decimal(0),
    )
