"""What does not count for payouts, from the record: deductions by offences, and the profit of tainted trades."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import JSON, BigInteger, ColumnElement, Select, cast, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from domain.money import Money
from domain.payouts.tainted import TaintedTrade, tainted_part_minor, total_minor
from store.deductions import last_reset
from store.models import CaseAction, DeductedTrade, Offence, Payout
from store.together import Param


def offences_query(account_id: Param[str], *more: ColumnElement[bool]) -> Select[tuple[dict[str, int]]]:
    """What offences have deducted, by rule."""
    total = cast(func.sum(Offence.deducted_minor), BigInteger).label("minor")
    by_rule = select(Offence.rule_id, total).where(Offence.account_id == account_id, Offence.deducted_minor != 0, *more)
    rows = by_rule.group_by(Offence.rule_id).subquery()
    return select(func.json_object_agg(rows.c.rule_id, rows.c.minor, type_=JSON))


async def offences_since(session: AsyncSession, account_id: str, tainted: Sequence[TaintedTrade]) -> dict[str, int]:
    """Returns what offences have deducted since the first tainted trade was opened, by rule; nothing without one."""
    if not tainted:
        return {}
    begun = min(trade.opened_at for trade in tainted)
    return await session.scalar(offences_query(account_id, Offence.occurred_at >= begun)) or {}


def in_force_query(account_id: Param[str]) -> Select[Any]:
    """The tainted trades of an account that count, in order of their closing. Once a reset has taken the profit off the
    account, a trade of before takes nothing more."""
    return (
        select(
            DeductedTrade.position_id,
            DeductedTrade.symbol,
            DeductedTrade.opened_at,
            DeductedTrade.closed_at,
            DeductedTrade.profit_minor,
            CaseAction.rule,
        )
        .join(CaseAction, CaseAction.id == DeductedTrade.action_id)
        .where(
            DeductedTrade.account_id == account_id,
            DeductedTrade.counts,
            DeductedTrade.closed_seq > func.coalesce(last_reset(account_id), -1),
        )
        .order_by(DeductedTrade.closed_seq, DeductedTrade.position_id)
    )


def trades(rows: Sequence[Mapping[str, Any]] | None) -> tuple[TaintedTrade, ...]:
    """Returns the rows of `in_force_query`, which come as JSON."""
    return tuple(
        TaintedTrade.model_validate({**row, "opened_at": _utc(row["opened_at"]), "closed_at": _utc(row["closed_at"])})
        for row in rows or ()
    )


async def in_force_minor(session: AsyncSession, account_id: str) -> int:
    """Returns the profit of the tainted trades of an account that count."""
    found = in_force_query(account_id).order_by(None).subquery()
    return int(await session.scalar(select(func.coalesce(func.sum(found.c.profit_minor), 0))) or 0)


def _utc(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)


def part_of(payout: Payout, tainted: Sequence[TaintedTrade]) -> Money | None:
    """Returns how much of a payout is tainted profit that was deducted since it was judged; None: none of it."""
    minor = tainted_part_minor(
        tainted_minor=total_minor(tainted),
        judged_minor=payout.tainted_minor,
        base_minor=payout.base_minor,
        leaves_minor=payout.gross_minor + payout.forfeited_minor,
    )
    return Money(minor=minor, currency=payout.currency) if minor else None
