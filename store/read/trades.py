"""The trades of one account, which are its positions that were closed for good, and its trading days.

Callers check first that the account may be seen.
"""

from collections.abc import Sequence
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any, Final

from sqlalchemy import DateTime, Select, Subquery, cast, func, literal, select
from sqlalchemy.dialects.postgresql import ARRAY, aggregate_order_by
from sqlalchemy.ext.asyncio import AsyncSession

from domain.trades import Trade
from store.models import DailySnapshot, DealRow
from store.read.pages import Page, View, Window, keyset

MOST: Final = 20_000  # trades that statistics are made of
_OPENS: Final = DealRow.entry == "in"
_CLOSES: Final = DealRow.entry == "out"


class TradeView(View):
    """A closed position; prices and lots are exact decimals as strings. `result_minor`: profit and loss after all
    costs. `opened_at`, `open_price` and `held_seconds` are None where it was opened before the record begins."""

    position_id: str
    symbol: str
    side: str
    lots: str
    opened_at: datetime | None
    closed_at: datetime
    held_seconds: int | None
    open_price: str | None
    close_price: str
    profit_minor: int
    commission_minor: int
    swap_minor: int
    fee_minor: int
    result_minor: int
    currency: str


class DaySums(View):
    """What happened on one trading day; see `firm.standing.TradingDay`."""

    day: date
    ended_at: datetime | None
    fills: int
    trades: int
    result_minor: int
    commission_minor: int
    swap_minor: int
    fee_minor: int
    balance_minor: int | None
    equity_minor: int | None


def _positions(account_id: str) -> Subquery:
    """One row for each position: its fills together."""
    lots_in = func.coalesce(func.sum(DealRow.lots).filter(_OPENS), 0)
    lots_out = func.coalesce(func.sum(DealRow.lots).filter(_CLOSES), 0)
    value_in = func.sum(DealRow.lots * DealRow.price).filter(_OPENS)
    value_out = func.sum(DealRow.lots * DealRow.price).filter(_CLOSES)
    side = func.array_agg(aggregate_order_by(DealRow.side, DealRow.seq))
    return (
        select(
            DealRow.position_id,
            func.min(DealRow.symbol).label("symbol"),
            side.filter(_OPENS)[1].label("opened_side"),
            side.filter(_CLOSES)[1].label("closed_side"),
            lots_in.label("lots_in"),
            lots_out.label("lots_out"),
            func.min(DealRow.at).filter(_OPENS).label("opened_at"),
            func.max(DealRow.at).filter(_CLOSES).label("closed_at"),
            (value_in / func.nullif(lots_in, 0)).label("open_price"),
            (value_out / func.nullif(lots_out, 0)).label("close_price"),
            func.sum(DealRow.profit_minor).label("profit_minor"),
            func.sum(DealRow.commission_minor).label("commission_minor"),
            func.sum(DealRow.swap_minor).label("swap_minor"),
            func.sum(DealRow.fee_minor).label("fee_minor"),
        )
        .where(DealRow.account_id == account_id)
        .group_by(DealRow.position_id)
        .subquery("positions")
    )


def _closed(account_id: str) -> tuple[Select[Any], Subquery]:
    found = _positions(account_id)
    return select(found).where(found.c.lots_out > 0, found.c.lots_out >= found.c.lots_in), found


def _trade(row: Any) -> Trade:
    """A close has the other side than its position."""
    side = row.opened_side or ("buy" if row.closed_side == "sell" else "sell")
    return Trade(
        position_id=row.position_id,
        symbol=row.symbol,
        side=side,
        lots=row.lots_out,
        opened_at=None if row.opened_at is None else row.opened_at.astimezone(UTC),
        closed_at=row.closed_at.astimezone(UTC),
        open_price=row.open_price,
        close_price=row.close_price,
        profit_minor=int(row.profit_minor),
        commission_minor=int(row.commission_minor),
        swap_minor=int(row.swap_minor),
        fee_minor=int(row.fee_minor),
    )


async def newest(session: AsyncSession, account_id: str) -> Sequence[Trade]:
    """Returns the newest `MOST` trades, the last one closed first."""
    statement, found = _closed(account_id)
    rows = await session.execute(statement.order_by(found.c.closed_at.desc(), found.c.position_id.desc()).limit(MOST))
    return [_trade(row) for row in rows]


async def page(session: AsyncSession, account_id: str, currency: str, window: Window) -> Page[TradeView]:
    """The last one closed first."""
    statement, found = _closed(account_id)
    rows, cursor = await keyset(session, statement, [found.c.closed_at, found.c.position_id], window)
    return Page[TradeView](items=tuple(_view(_trade(row), currency) for row in rows), next_cursor=cursor)


def _view(trade: Trade, currency: str) -> TradeView:
    return TradeView(
        position_id=trade.position_id,
        symbol=trade.symbol,
        side=trade.side,
        lots=f"{trade.lots.normalize():f}",
        opened_at=trade.opened_at,
        closed_at=trade.closed_at,
        held_seconds=None if trade.held is None else int(trade.held.total_seconds()),
        open_price=None if trade.open_price is None else _price(trade.open_price),
        close_price=_price(trade.close_price),
        profit_minor=trade.profit_minor,
        commission_minor=trade.commission_minor,
        swap_minor=trade.swap_minor,
        fee_minor=trade.fee_minor,
        result_minor=trade.result_minor,
        currency=currency,
    )


def _price(price: Decimal) -> str:
    """An average may have many digits; prices of venues have at most eight."""
    return f"{round(price, 8).normalize():f}"


async def days(session: AsyncSession, account_id: str, *, running: date) -> list[DaySums]:
    """Returns the trading days, oldest first. `running`: the day of this moment, which comes last if anything happened
    on it. A fill at the moment of a reset belongs to the day that begins."""
    stored = (
        await session.scalars(
            select(DailySnapshot).where(DailySnapshot.account_id == account_id).order_by(DailySnapshot.reset_at)
        )
    ).all()
    sums = {row.place: row for row in await session.execute(_sums(account_id, [row.reset_at for row in stored]))}
    found = [
        _sums_of(row.day, sums.get(place), row.reset_at, row.balance_minor, row.equity_minor)
        for place, row in enumerate(stored)
    ]
    now = sums.get(len(stored))
    return [*found, _sums_of(running, now, None, None, None)] if now is not None else found


def _sums(account_id: str, resets: Sequence[datetime]) -> Select[Any]:
    """The sums of all fills by the number of resets before or at them."""
    bounds = cast(literal(list(resets), ARRAY(DateTime(timezone=True))), ARRAY(DateTime(timezone=True)))
    closed = _positions(account_id)
    place = func.width_bucket(DealRow.at, bounds) if resets else literal(0)
    ends = (closed.c.lots_out >= closed.c.lots_in) & (closed.c.closed_at == DealRow.at) & (DealRow.entry == "out")
    return (
        select(
            place.label("place"),
            func.count().label("fills"),
            func.count(func.distinct(DealRow.position_id)).filter(ends).label("trades"),
            func.sum(DealRow.profit_minor + DealRow.commission_minor + DealRow.swap_minor + DealRow.fee_minor).label(
                "result_minor"
            ),
            func.sum(DealRow.commission_minor).label("commission_minor"),
            func.sum(DealRow.swap_minor).label("swap_minor"),
            func.sum(DealRow.fee_minor).label("fee_minor"),
        )
        .outerjoin(closed, closed.c.position_id == DealRow.position_id)
        .where(DealRow.account_id == account_id)
        .group_by("place")
    )


def _sums_of(day: date, row: Any, ended_at: datetime | None, balance: int | None, equity: int | None) -> DaySums:
    names = ("fills", "trades", "result_minor", "commission_minor", "swap_minor", "fee_minor")
    return DaySums(
        day=day,
        ended_at=ended_at,
        balance_minor=balance,
        equity_minor=equity,
        **{each: 0 if row is None else int(getattr(row, each)) for each in names},
    )
