"""Warnings to traders, in words with the exact figures."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from domain.money import Money
from store.models import Account, WarningRow
from store.read.pages import Page, View, Window, account_number, keyset
from store.scope import Scope
from store.warnings import LIMIT_USED, RESET_WOULD_BREACH


class WarningView(View):
    """A warning. `figures` are as of `at`, money in minor units of `currency`."""

    id: int
    account_id: str
    account_number: str
    kind: str
    rule_id: str
    at: datetime
    words: str
    figures: dict[str, Any]
    currency: str


def words(kind: str, rule_id: str, figures: Mapping[str, Any], currency: str) -> str:
    """Returns the warning as a sentence for the trader."""

    def money(name: str) -> Money:
        return Money(minor=int(figures[name]), currency=currency)

    rule = rule_id.removesuffix(".up").replace("_", " ")
    level = "floor" if figures["direction"] == "floor" else "ceiling"
    if kind == LIMIT_USED:
        return (
            f"{figures['used_pct']} % of {rule} is used: equity {money('equity_minor')}, {level} "
            f"{money('floor_minor')}, room {money('room_minor')}."
        )
    if kind == RESET_WOULD_BREACH:
        return (
            f"The reset at {figures['reset_at'][:16].replace('T', ' ')} UTC will breach {rule} even if no price moves: "
            f"tomorrow's {level} is {money('floor_minor')}, your equity {money('equity_minor')}."
        )
    return (
        f"After the payout of {money('gross_minor')} your room under {rule} is {money('room_minor')}: "
        "the next spread would breach it."
    )


async def page(
    session: AsyncSession, scope: Scope, window: Window, *, account_id: str | None = None, trader_id: str | None = None
) -> Page[WarningView]:
    """Newest first."""
    statement = (
        select(WarningRow, Account.number, Account.currency)
        .join(Account, Account.id == WarningRow.account_id)
        .where(scope.own(Account.trader_id))
    )
    if account_id is not None:
        statement = statement.where(WarningRow.account_id == account_id)
    if trader_id is not None:
        statement = statement.where(Account.trader_id == trader_id)
    rows, cursor = await keyset(session, statement, [WarningRow.at, WarningRow.id], window)
    return Page[WarningView](items=tuple(_view(row) for row in rows), next_cursor=cursor)


def _view(row: Any) -> WarningView:
    warning: WarningRow = row.WarningRow
    return WarningView(
        id=warning.id,
        account_id=warning.account_id,
        account_number=account_number(row.number),
        kind=warning.kind,
        rule_id=warning.rule_id,
        at=warning.at,
        words=words(warning.kind, warning.rule_id, warning.figures, row.currency),
        figures=warning.figures,
        currency=row.currency,
    )
