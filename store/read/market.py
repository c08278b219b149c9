"""An account's deals, equity bars and daily snapshots.

Callers check first that the account may be seen.
"""

from datetime import date, datetime
from typing import Any

from sqlalchemy import Integer, Row, Select, cast, func, literal, select
from sqlalchemy.dialects.postgresql import aggregate_order_by
from sqlalchemy.ext.asyncio import AsyncSession

from store.models import DailySnapshot, DealRow
from store.read.bars import ALL
from store.read.pages import Page, View, Window, keyset


class DealView(View):
    """A fill; prices and lots are exact decimals as strings."""

    deal_id: str
    seq: int
    at: datetime
    position_id: str
    symbol: str
    side: str
    entry: str
    lots: str
    price: str
    profit_minor: int
    commission_minor: int
    swap_minor: int
    fee_minor: int
    balance_minor: int
    reason: str


class BarView(View):
    """Equity from `minute` on, for 1 minute, or for 60 where the record is old. `balance_minor`: at the close."""

    minute: datetime
    minutes: int = 1
    open_minor: int
    high_minor: int
    low_minor: int
    close_minor: int
    balance_minor: int


class DayView(View):
    """Figures at the reset that ended trading day `day`. `floors` are those of the next day."""

    day: date
    reset_at: datetime
    balance_minor: int
    equity_minor: int
    floors: dict[str, Any]


async def deals(
    session: AsyncSession,
    account_id: str,
    window: Window,
    *,
    since: datetime | None = None,
    until: datetime | None = None,
) -> Page[DealView]:
    """Returns a page of deals, newest first. `since` and `until` are inclusive."""
    # as a subquery: with the account in view, PostgreSQL looks for many deals of one account among the newest of all
    statement = select(DealRow).where(DealRow.account_id == select(literal(account_id)).scalar_subquery())
    if since is not None:
        statement = statement.where(DealRow.at >= since)
    if until is not None:
        statement = statement.where(DealRow.at <= until)
    rows, cursor = await keyset(session, statement, [DealRow.id], window)
    items = tuple(
        DealView(
            deal_id=deal.deal_id,
            seq=deal.seq,
            at=deal.at,
            position_id=deal.position_id,
            symbol=deal.symbol,
            side=deal.side,
            entry=deal.entry,
            lots=f"{deal.lots.normalize():f}",
            price=f"{deal.price.normalize():f}",
            profit_minor=deal.profit_minor,
            commission_minor=deal.commission_minor,
            swap_minor=deal.swap_minor,
            fee_minor=deal.fee_minor,
            balance_minor=deal.balance_minor,
            reason=deal.reason,
        )
        for deal in (row.DealRow for row in rows)
    )
    return Page[DealView](items=items, next_cursor=cursor)


async def bars(
    session: AsyncSession,
    account_id: str,
    window: Window,
    *,
    since: datetime | None = None,
    until: datetime | None = None,
) -> Page[BarView]:
    """Returns a page of bars, oldest first. `since` is inclusive, `until` exclusive."""
    rows, cursor = await keyset(session, _bars(account_id, since, until), [ALL.c.minute], window, descending=False)
    return Page[BarView](items=tuple(_bar(row) for row in rows), next_cursor=cursor)


async def curve(
    session: AsyncSession,
    account_id: str,
    *,
    since: datetime | None = None,
    until: datetime | None = None,
    step: int = 1,
) -> tuple[BarView, ...]:
    """Returns every bar from `since` (inclusive) to `until` (exclusive), oldest first. `step`: in minutes; more than
    one makes one bar of all that begin within as many, from the first to the end of the last."""
    if step <= 1:
        rows = await session.execute(_bars(account_id, since, until).order_by(ALL.c.minute))
        return tuple(_bar(row) for row in rows)
    bars = _bars(account_id, since, until).subquery("seen")
    group = func.floor(func.extract("epoch", bars.c.minute) / (60 * step))

    def last(column: Any) -> Any:
        return func.array_agg(aggregate_order_by(column, bars.c.minute.desc()))[1]

    span = func.extract("epoch", func.max(bars.c.minute) - func.min(bars.c.minute)) / 60
    merged = select(
        func.min(bars.c.minute).label("minute"),
        cast(span + last(bars.c.minutes), Integer).label("minutes"),
        func.array_agg(aggregate_order_by(bars.c.open_minor, bars.c.minute.asc()))[1].label("open_minor"),
        func.max(bars.c.high_minor).label("high_minor"),
        func.min(bars.c.low_minor).label("low_minor"),
        last(bars.c.close_minor).label("close_minor"),
        last(bars.c.balance_minor).label("balance_minor"),
    )
    rows = await session.execute(merged.group_by(group).order_by(group))
    return tuple(_bar(row) for row in rows)


def _bars(account_id: str, since: datetime | None, until: datetime | None) -> Select[Any]:
    statement = select(ALL).where(ALL.c.account_id == account_id)
    if since is not None:
        statement = statement.where(ALL.c.minute >= since)
    if until is not None:
        statement = statement.where(ALL.c.minute < until)
    return statement


def _bar(bar: Row[Any]) -> BarView:
    return BarView(
        minute=bar.minute,
        minutes=bar.minutes,
        open_minor=bar.open_minor,
        high_minor=bar.high_minor,
        low_minor=bar.low_minor,
        close_minor=bar.close_minor,
        balance_minor=bar.balance_minor,
    )


async def days(session: AsyncSession, account_id: str) -> tuple[DayView, ...]:
    """Oldest first."""
    rows = await session.scalars(
        select(DailySnapshot).where(DailySnapshot.account_id == account_id).order_by(DailySnapshot.day)
    )
    return tuple(
        DayView(
            day=row.day,
            reset_at=row.reset_at,
            balance_minor=row.balance_minor,
            equity_minor=row.equity_minor,
            floors=row.floors,
        )
        for row in rows
    )
