"""Trading histories for the console's tests: a walk of equity with deals, bars and daily snapshots."""

import random
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Final

from sqlalchemy import insert
from sqlalchemy.ext.asyncio import AsyncSession

from domain.products.phase_terms import phase_terms
from domain.products.product import Product
from domain.rules import floors
from store.models import Account, AccountLive, DailySnapshot, DealRow, EquityBar
from tests.rule_states import standing

NOW: Final = datetime(2014, 5, 2, 14, 30, 7, 200_000, tzinfo=UTC)
INITIAL: Final = 10_000_000


async def trade(
    session: AsyncSession, account: Account, product: Product, *, minutes: int, drift: int, seed: int, open_now: bool
) -> int:
    """A walk of equity, deals now and then, a snapshot at each reset; gives the last equity."""
    draw = random.Random(seed)
    start = NOW.replace(second=0, microsecond=0) - timedelta(minutes=minutes)
    balance = equity = INITIAL
    levels = {spec.rule_id: floors.opened(spec).floor_minor for spec in phase_terms(product, account.phase_index).specs}
    reset = product.clock.next_reset(start)
    number, bars = 0, []
    for index in range(minutes):
        at = start + timedelta(minutes=index)
        before = equity
        equity += int(draw.gauss(drift, 2600))
        if at >= reset:
            levels = _rolled(product, account, levels, balance)
            session.add(
                DailySnapshot(
                    account_id=account.id,
                    day=product.clock.trading_day(reset - timedelta(minutes=1)),
                    reset_at=reset,
                    balance_minor=balance,
                    equity_minor=equity,
                    floors=dict(levels),
                )
            )
            reset = product.clock.next_reset(at)
        if index % 97 == 50:
            number += 1
            entry, profit = ("in", 0) if number % 2 else ("out", equity - balance)
            balance += profit
            session.add(deal(account, at, number, entry, profit, balance, draw))
        high, low = max(before, equity) + draw.randrange(900), min(before, equity) - draw.randrange(900)
        bars.append(
            {"account_id": account.id, "minute": at, "open_minor": before, "high_minor": high, "low_minor": low}
            | {"close_minor": equity, "balance_minor": balance}
        )
    await session.execute(insert(EquityBar), bars)
    if not open_now:
        equity = balance
    live(session, account, balance, equity, levels, open_now)
    return equity


def _rolled(product: Product, account: Account, levels: dict[str, int], balance: int) -> dict[str, int]:
    found = {}
    for spec in phase_terms(product, account.phase_index).specs:
        fresh = floors.floor_of(spec, spec.figure(balance, balance), locked=False)
        found[spec.rule_id] = fresh if spec.moves == "rollover" else max(levels[spec.rule_id], fresh)
    return found


def deal(
    account: Account, at: datetime, number: int, entry: str, profit: int, balance: int, draw: random.Random
) -> DealRow:
    return DealRow(
        account_id=account.id,
        deal_id=f"D{account.login}{number:04}",
        seq=1000 + number,
        at=at,
        position_id=f"P{(number + 1) // 2:04}",
        symbol=draw.choice(("EURUSD", "XAUUSD")),
        side="buy" if entry == "in" else "sell",
        entry=entry,
        lots=Decimal("1.5"),
        price=Decimal("1.38640"),
        profit_minor=profit,
        commission_minor=0,
        swap_minor=0,
        balance_minor=balance,
        reason="client",
    )


def live(
    session: AsyncSession, account: Account, balance: int, equity: int, levels: dict[str, int], open_now: bool
) -> None:
    position = {
        "position_id": "P0099",
        "symbol": "XAUUSD",
        "side": "buy",
        "lots": "1.0",
        "open_price": "1284.40",
        "opened_at": (NOW - timedelta(minutes=40)).isoformat(),
        "price": "1291.02",
        "profit_minor": equity - balance,
    }
    session.add(
        AccountLive(
            account_id=account.id,
            batch=1,
            at=NOW,
            balance_minor=balance,
            equity_minor=equity,
            trading_days=3,
            positions=[position] if open_now else [],
            floors={
                rule: {"floor_minor": floor, "operator": "equity < floor", "room_minor": equity - floor}
                for rule, floor in levels.items()
            },
            rule_state=standing(account.product, account.phase_index, levels),
        )
    )
