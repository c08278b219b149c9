"""A long life of one account as events, and one rule of every type: from the shelf, or given here."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

from adapters.calendars.exchange import ExchangeCalendars
from cli.bench.firm import START
from domain.clocks import Clock
from domain.rules.base import Context, RuleBase
from domain.rules.events import Closed, Event, Marked, Opened, Rolled, StopChanged
from domain.rules.registry import rule_types
from firm.products.shelf import SHELF, load_product

_SYMBOLS: Final = ("EURUSD", "GBPUSD", "XAUUSD")
_TRADES_A_DAY: Final = 200
_STEP: Final = timedelta(seconds=40)
_LOT: Final = Decimal(1)
_STOP: Final = Decimal("1.05")
_VALUE_MINOR: Final = 1_000_000
_RISK_MINOR: Final = 20_000
# of the types that no product on the shelf has
_NOT_SOLD: Final[tuple[dict[str, Any], ...]] = (
    {"type": "cooldown", "minutes": 10, "after": "losing_close"},
    {"type": "max_trade_rate", "limit": 20, "within_minutes": 60},
    {"type": "max_trades_per_day", "limit": 500},
    {"type": "no_hedging"},
    {"type": "floating_loss", "limit": {"type": "pct_of_initial", "value": "1"}},
    {"type": "opening_hours", "zone": "America/New_York", "hours": [{"opens": "09:30", "closes": "16:00"}]},
)


@dataclass(frozen=True, slots=True)
class BoundRule:
    rule: RuleBase
    context: Context


def rules_of_every_type() -> dict[str, BoundRule]:
    """Returns a rule of every type: the first one on the shelf, or the one given here; a type without is missing."""
    found: dict[str, BoundRule] = {}
    calendars = ExchangeCalendars()
    for path in sorted(Path(SHELF).glob("*.yaml")):
        product = load_product(path)
        for index in range(1, product.funded_index + 1):
            for rule in product.phase(index).rules:
                found.setdefault(rule.type, BoundRule(rule, product.context(index, calendars)))
    for terms in _NOT_SOLD:
        given = rule_types()[terms["type"]].model_validate(terms)
        found.setdefault(given.type, BoundRule(given, product.context(1, calendars)))
    return {name: found[name] for name in rule_types() if name in found}


def life(clock: Clock, initial_minor: int, events: int) -> list[Event]:
    """Returns the first `events` events of a trader who trades every day, one position at a time."""
    found = list[Event]()
    for event in _days(clock, initial_minor):
        found.append(event)
        if len(found) == events:
            break
    return found


def _days(clock: Clock, balance: int) -> Iterator[Event]:
    at, seq, number = START, 0, 0
    while True:
        day = clock.trading_day(at)
        for _ in range(_TRADES_A_DAY):
            number += 1
            pnl = (number * 7919 % 2003) * 10 - 9_500
            trade = list(_trade(number, seq, at, balance, pnl))
            yield from trade
            seq, at, balance = seq + len(trade), at + len(trade) * _STEP, balance + pnl
        at, seq = clock.day_end(day), seq + 1
        yield Rolled(seq=seq, at=at, balance_minor=balance, equity_minor=balance, day=day)


def _trade(number: int, seq: int, at: datetime, balance: int, pnl: int) -> Iterator[Event]:
    """Yields a position that is opened, marked twice, gets another stop, and is closed."""
    position, symbol = f"p{number}", _SYMBOLS[number % len(_SYMBOLS)]
    yield Opened(
        seq=seq + 1,
        at=at,
        balance_minor=balance,
        equity_minor=balance,
        position_id=position,
        symbol=symbol,
        side="buy",
        lots=_LOT,
        price=Decimal("1.1"),
        stop_price=_STOP,
        risk_minor=_RISK_MINOR,
        value_minor=_VALUE_MINOR,
    )
    for step, share in ((1, 3), (2, 2)):
        worth = balance + pnl // share
        yield Marked(seq=seq + 1 + step, at=at + step * _STEP, balance_minor=balance, equity_minor=worth)
    yield StopChanged(
        seq=seq + 4,
        at=at + 3 * _STEP,
        balance_minor=balance,
        equity_minor=balance + pnl // 2,
        position_id=position,
        stop_price=_STOP,
        risk_minor=_RISK_MINOR,
    )
    yield Closed(
        seq=seq + 5,
        at=at + 4 * _STEP,
        balance_minor=balance + pnl,
        equity_minor=balance + pnl,
        position_id=position,
        symbol=symbol,
        side="buy",
        lots=_LOT,
        opened_at=at,
        pnl_minor=pnl,
        gross_minor=pnl,
        value_minor=_VALUE_MINOR,
    )
