"""The panels of an account page about money and people: positions, payouts with arithmetic, the books, links."""

from typing import Final

from sqlalchemy.ext.asyncio import AsyncSession

from console.addresses import href, page_of_id
from console.formats import words
from console.views.account import FreezeNotice, MoneyRow, PayoutLine, PositionRow
from console.views.parts import Link, SumLine
from domain.approvals import Actor
from domain.money import Money
from firm import freezes
from firm.open_results import open_results
from front.permissions import may
from store import reasons
from store.models import Account, User
from store.read import account_money, linked_accounts
from store.read.accounts import AccountView
from store.read.payouts import PayoutRow
from store.scope import Scope

_BY: Final = {"trader": "same trader", "cluster": "matching identity details"}


async def positions(session: AsyncSession, scope: Scope, account: AccountView) -> list[PositionRow]:
    """The open positions, each with its result at the quotes on record."""
    if not account.positions:
        return []
    results = await open_results(session, scope, account.id)
    return [
        PositionRow(
            symbol=each.symbol,
            side=each.side,
            lots=each.lots,
            open_price=each.open_price,
            opened_at=each.opened_at,
            result=_known(results.get(each.position_id), account.currency),
        )
        for each in account.positions
    ]


def _known(minor: int | None, currency: str) -> Money | None:
    return None if minor is None else Money(minor=minor, currency=currency)


def payout_line(row: PayoutRow) -> PayoutLine:
    """How what the trader receives comes about: what leaves the account, less what the firm keeps, plus the refund."""

    def money(minor: int) -> Money:
        return Money(minor=minor, currency=row.currency)

    lines = [SumLine("Leaves the account", money(row.gross_minor + row.forfeited_minor))]
    if row.forfeited_minor:
        lines.append(SumLine("Above the cap, paid to nobody", money(-row.forfeited_minor)))
    lines.append(SumLine("Stays with the firm", money(-row.firm_minor)))
    if row.refund_minor:
        lines.append(SumLine("Refund of the fee", money(row.refund_minor)))
    lines.append(SumLine("To the trader", money(row.sent_minor), total=True))
    return PayoutLine(money(row.sent_minor), href("payout", row.id), row.state, row.requested_at, lines)


async def money(session: AsyncSession, account_id: str) -> list[MoneyRow]:
    """The newest transactions of the books about the account."""
    account = await session.get_one(Account, account_id)
    return [
        MoneyRow(
            at=line.occurred_at,
            kind=words(line.kind),
            href=page_of_id(line.reference) or f"/ledger?transaction={line.transaction_id}",
            amount=Money(minor=line.amount_minor, currency=line.currency),
            balance=Money(minor=line.balance_minor, currency=line.currency),
        )
        for line in await account_money.newest(session, account)
    ]


async def linked(session: AsyncSession, actor: Actor, account_id: str) -> list[Link]:
    """Other accounts of the trader; and, for who may know it, of traders whom surveillance ties to that trader."""
    account = await session.get_one(Account, account_id)
    found = await linked_accounts.of_account(session, account, clusters=may(actor, "traders.identity_facts"))
    return [
        Link(
            each.number,
            f"/accounts/{each.number}",
            each.status,
            f"{each.product}, {_BY[each.by]}" + (f": {each.trader_name}" if each.by == "cluster" else ""),
        )
        for each in found
    ]


async def freeze_notice(session: AsyncSession, scope: Scope, account: AccountView) -> FreezeNotice | None:
    """Since when the account is frozen; for staff also by whom and why."""
    if account.frozen_at is None:
        return None
    made = await freezes.in_force(session, account.challenge_id) if scope.staff else None
    if made is None:
        return FreezeNotice(account.frozen_at)
    by = await session.get_one(User, made.frozen_by)
    said = await reasons.opened(session, [made.reason])
    return FreezeNotice(account.frozen_at, by.name, said[made.reason])
