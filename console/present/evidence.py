"""The evidence of a finding as people see it: each type of item has its rendering here; any other is a table."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Final

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from console.formats import number, plain_money, with_minus
from console.views.decision import DealPair
from console.views.parts import Grid, Link, SumLine
from domain.money import Money
from domain.surveillance.evidence import CopiedDeals, CorrectedVerdict, Evidence, Figure, Figures, Table
from store.models import Account, DealRow
from store.read.named import in_texts, written
from store.read.pages import account_number

_VERDICT: Final = {
    True: "is confirmed",
    False: "is not confirmed",
    None: "cannot be recomputed from the proof sheet alone",
}
_BOUND: Final = {"at_least": "at least", "at_most": "at most"}


@dataclass
class ShownEvidence:
    """The parts of a decision page that evidence fills."""

    pairs: list[DealPair] = field(default_factory=list)
    grids: list[Grid] = field(default_factory=list)
    lines: list[SumLine] = field(default_factory=list)
    facts: list[tuple[str, str]] = field(default_factory=list)
    links: list[Link] = field(default_factory=list)


async def show(session: AsyncSession, evidence: Sequence[Evidence]) -> ShownEvidence:
    """Returns all items rendered, in their order. Tables name accounts and traders by number and name."""
    page = ShownEvidence()
    cells = [cell for item in evidence if isinstance(item, Table) for row in item.rows for cell in row]
    names = await in_texts(session, cells)
    for item in evidence:
        match item:
            case CopiedDeals():
                page.pairs += await _pairs(session, item)
            case Figures():
                page.grids.append(_figures(item))
            case CorrectedVerdict():
                _corrected_verdict(page, item)
            case Table():
                rows = [tuple(with_minus(written(cell, names)) for cell in row) for row in item.rows]
                page.grids.append(Grid(item.title, item.columns, rows))
    return page


async def _pairs(session: AsyncSession, item: CopiedDeals) -> list[DealPair]:
    """Returns the deals two by two, with what the record has of them."""
    named = [(pair.leader_deal, pair.follower_deal) for pair in item.pairs]
    wanted = {deal for pair in named for deal in pair}
    rows = await session.execute(
        select(DealRow, Account.number).join(Account, Account.id == DealRow.account_id).where(DealRow.id.in_(wanted))
    )
    deals = {deal.id: (deal, account_number(number)) for deal, number in rows}
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


def _figures(item: Figures) -> Grid:
    rows = [
        (one.name, _with_unit(one.measured, one), f"{_BOUND[one.bound]} {_with_unit(one.threshold, one)}")
        for one in item.figures
    ]
    return Grid("Measured values", ("Measure", "Measured", "Alert threshold"), rows)


def _with_unit(value: Decimal, figure: Figure) -> str:
    return f"{number(value)} {figure.unit}".rstrip()


def _corrected_verdict(page: ShownEvidence, item: CorrectedVerdict) -> None:
    """The verdict as it was judged, and as it would be with the corrected data."""
    was, now = item.verdict, item.corrected

    def money(minor: int) -> Money:
        return Money(minor=minor, currency=item.currency)

    page.lines.append(SumLine("Equity in the original verdict", money(was.equity_minor)))
    if was.level_minor is not None:
        page.lines.append(SumLine("Limit", money(was.level_minor)))
    note = f"the {was.kind} {_VERDICT[now.stands]}"
    page.lines.append(SumLine("Equity with the corrected data", money(now.equity_minor), note, total=True))
    if now.unknown:
        page.facts.append(("Missing data", "; ".join(now.unknown)))
    page.facts.append(("Correction by the venue", _correction(item.correction, item.currency)))
    page.links.append(Link("Proof sheet", f"/proofs/{item.proof_id}", "", was.kind))


def _correction(change: dict[str, Any], currency: str) -> str:
    seq = f"event {change['corrects_seq']:,}"
    if change["bid"] is not None:
        sentence = f"the correct prices of {seq} are bid {change['bid']}, ask {change['ask']}"
    elif change["change_minor"] is not None:
        amount = plain_money(Money(minor=change["change_minor"], currency=currency))
        sentence = f"the correct change of the balance by {seq} is {amount}"
    else:
        sentence = f"{seq} is cancelled"
    return f"{sentence}: {change['reason']}" if change["reason"] else sentence
