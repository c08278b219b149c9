"""Answers of MT5 in the words of ports/platform.py. A figure that cannot be read raises ValueError."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any

from adapters.mt5 import accounts, names, shapes
from adapters.mt5.server_time import ServerClock
from ports.platform import AccountSnapshot, PositionState, SymbolSpec


def server_seconds_of(answer: Mapping[str, Any]) -> int:
    """Returns seconds of server time from "1572518788 2019.10.31 10:46:28"."""
    told = answer.get("answer")
    text = next((told[name] for name in ("Time", "time") if name in told), None) if isinstance(told, dict) else None
    if not isinstance(text, str):
        raise ValueError("no time")
    return int(text.split(" ")[0])


def symbols_of(answer: Mapping[str, Any]) -> list[SymbolSpec]:
    """The commission is a matter of the group and not known here; the deals bear it."""
    return [
        SymbolSpec(
            symbol=each.Symbol,
            contract_size=each.ContractSize,
            quote_currency=each.CurrencyProfit,
            digits=each.Digits,
        )
        for each in shapes.many(shapes.Symbol, answer)
    ]


def snapshot_of(
    user: shapes.User,
    currency: str,
    balance: Decimal,
    equity: Decimal,
    positions: Sequence[shapes.Position],
    clock: ServerClock,
    now: datetime,
) -> AccountSnapshot:
    """Returns an account whole. `seq` is 0."""
    return AccountSnapshot(
        login=user.Login,
        currency=currency,
        balance_minor=shapes.minor_of(balance, currency),
        equity_minor=shapes.minor_of(equity, currency),
        trading_enabled=accounts.may_trade(user.Rights),
        positions=tuple(_position(each, clock, now) for each in positions),
        seq=0,
    )


def _position(found: shapes.Position, clock: ServerClock, now: datetime) -> PositionState:
    if found.Action not in (names.POSITION_BUY, names.POSITION_SELL):
        raise ValueError(f"position {found.Position} has the unknown Action {found.Action}")
    return PositionState(
        position_id=str(found.Position),
        symbol=found.Symbol,
        side="buy" if found.Action == names.POSITION_BUY else "sell",
        lots=found.lots,
        open_price=found.PriceOpen,
        opened_at=clock.utc(found.TimeCreateMsc, now),
    )
