"""Trades on the record of the traders of `payout_world`, stored in the order in which they happened."""

from datetime import datetime, timedelta
from decimal import Decimal

from store.models import DealRow
from tests.payout_world import START, World


def trades(name: str, count: int, *, lag: int = 0, lots: str = "1.00", first: int = 0) -> list[DealRow]:
    """Openings half an hour apart, `lag` seconds after the half hour; each is closed ten minutes later."""
    at = [(n, START + timedelta(minutes=30 * n, seconds=lag)) for n in range(first, first + count)]
    openings = [deal(name, n, "in", moment, lots) for n, moment in at]
    return openings + [deal(name, n, "out", moment + timedelta(minutes=10), lots) for n, moment in at]


async def happen(firm: World, *histories: list[DealRow]) -> None:
    """Store deals in the order in which they happened."""
    async with firm.db.transaction() as session:
        for row in sorted((row for history in histories for row in history), key=lambda row: row.at):
            session.add(row)
            await session.flush()


def deal(name: str, n: int, entry: str, at: datetime, lots: str) -> DealRow:
    return DealRow(
        account_id=f"acc_{name}",
        deal_id=f"{n}-{entry}",
        seq=n,
        at=at,
        position_id=str(n),
        symbol="XAUUSD",
        side="buy" if entry == "in" else "sell",
        entry=entry,
        lots=Decimal(lots),
        price=Decimal(1300),
        profit_minor=0,
        commission_minor=0,
        swap_minor=0,
        balance_minor=0,
        reason="client",
    )
