"""An account's deals, equity bars and daily snapshots.

Callers check first that the account may be seen.
"""

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any, Final, NamedTuple

from sqlalchemy import Integer, Row, Select, cast, func, literal, select
from sqlalchemy.ext.asyncio import AsyncSession

from store.models import DailySnapshot, DealRow
from store.read.bars import ALL
from store.read.pages import Page, View, Window, keyset

READ: Final = 10_000  # bars that one part of a curve is made of
_BEGINNING: Final = datetime(2000, 1, 1, tzinfo=UTC)  # bars of several minutes are cut from here


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


class Bars(NamedTuple):
    """`bars`: oldest first. `earlier`: those before them begin before this moment; None if there are no more."""

    bars: tuple[BarView, ...]
    earlier: datetime | None


class Mark(NamedTuple):
    """A fill as a mark of a curve: `entry` is in or out."""

    at: datetime
    entry: str


async def curve(
    session: AsyncSession,
    account_id: str,
    *,
    since: datetime | None = None,
    until: datetime | None = None,
    step: int = 1,
) -> Bars:
    """Returns the bars from `since` (inclusive) to `until` (exclusive), the newest READ of them: whoever wants all asks
    again until `earlier`. `step`: in minutes; more than one makes one bar of all that begin within as many, from the
    first to the end of the last."""
    newest = _bars(account_id, since, until).order_by(ALL.c.minute.desc()).limit(READ)
    seen = newest.cte("seen").prefix_with("MATERIALIZED")
    group = func.date_bin(timedelta(minutes=max(1, step)), seen.c.minute, _BEGINNING)
    runs = (
        select(
            func.count().label("read"),
            func.min(seen.c.minute).label("first"),
            func.max(seen.c.minute).label("last"),
            func.max(seen.c.high_minor).label("high_minor"),
            func.min(seen.c.low_minor).label("low_minor"),
        )
        .group_by(group)
        .subquery("runs")
    )
    opens, closes = seen.alias("opens"), seen.alias("closes")
    span = func.extract("epoch", runs.c.last - runs.c.first) / 60
    merged = (
        select(
            runs.c.read,
            runs.c.first.label("minute"),
            cast(span + closes.c.minutes, Integer).label("minutes"),
            opens.c.open_minor,
            runs.c.high_minor,
            runs.c.low_minor,
            closes.c.close_minor,
            closes.c.balance_minor,
        )
        .join(opens, opens.c.minute == runs.c.first)
        .join(closes, closes.c.minute == runs.c.last)
        .order_by(runs.c.first)
    )
    rows = (await session.execute(merged)).all()
    found = tuple(_bar(row) for row in rows)
    if sum(row.read for row in rows) < READ:
        return Bars(found, None)
    whole = found[1:] if step > 1 and len(found) > 1 else found  # more may belong to the first one
    return Bars(whole, whole[0].minute)


async def marks(
    session: AsyncSession, account_id: str, most: int, *, since: datetime | None = None, until: datetime | None = None
) -> Sequence[Mark]:
    """Returns the newest fills of a time, at most `most`, newest first. `since` and `until` are inclusive."""
    account = select(literal(account_id)).scalar_subquery()
    statement = select(DealRow.at, DealRow.entry).where(DealRow.account_id == account)
    if since is not None:
        statement = statement.where(DealRow.at >= since)
    if until is not None:
        statement = statement.where(DealRow.at <= until)
    rows = await session.execute(statement.order_by(DealRow.at.desc()).limit(most))
    return [Mark(row.at, row.entry) for row in rows]


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


async def days(session: AsyncSession, account_id: str, newest: int | None = None) -> tuple[DayView, ...]:
    """Oldest first. `newest`: no more than so many, without the oldest; None for all."""
    found = await session.scalars(
        select(DailySnapshot)
        .where(DailySnapshot.account_id == account_id)
        .order_by(DailySnapshot.day.desc())
        .limit(newest)
    )
    rows = reversed(found.all())
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
