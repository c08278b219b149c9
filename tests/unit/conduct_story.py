"""A short story told to one conduct rule: when, what, and the offences that follow."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, TypeVar

from domain.clocks import Clock
from domain.rules.base import ConductRule, Context, State, Violation
from domain.rules.events import (
    Clocked,
    Closed,
    Event,
    Marked,
    News,
    Opened,
    OrderPlaced,
    PayoutRequested,
    Rolled,
    StopChanged,
)
from domain.rules.registry import rule_types

S = TypeVar("S", bound=State)

INITIAL = 10_000_000
CONTEXT = Context(initial_minor=INITIAL, currency="USD", clock=Clock(zone="America/New_York", reset="17:00"))


def at(text: str) -> datetime:
    """ "2025-06-02 10:00", in UTC; with an offset when the text has one."""
    moment = datetime.fromisoformat(text)
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC)


def moment(when: str, balance: int = INITIAL) -> dict[str, Any]:
    return {"seq": 1, "at": at(when), "balance_minor": balance, "equity_minor": balance}


def opened(when: str, position: str = "a", lots: str = "1", symbol: str = "EURUSD", **more: Any) -> Opened:
    more = {"side": "buy", **more}
    return Opened(**moment(when), position_id=position, symbol=symbol, lots=Decimal(lots), **more)


def closed(when: str, position: str = "a", left: str = "0", symbol: str = "EURUSD", **more: Any) -> Closed:
    more = {"side": "buy", "lots": Decimal(1), **more}
    return Closed(**moment(when), position_id=position, symbol=symbol, lots_left=Decimal(left), **more)


def clocked(when: str, open_positions: int | None = None) -> Clocked:
    return Clocked(**moment(when), open_positions=open_positions)


def marked(when: str, balance: int = INITIAL) -> Marked:
    return Marked(**moment(when, balance))


def rolled(when: str, balance: int = INITIAL) -> Rolled:
    return Rolled(**moment(when, balance), day=None)


def ordered(when: str) -> OrderPlaced:
    return OrderPlaced(**moment(when), order_id="o", symbol="EURUSD")


def stop(when: str, price: str | None, position: str = "a", risk: int | None = None) -> StopChanged:
    price_of = None if price is None else Decimal(price)
    return StopChanged(**moment(when), position_id=position, stop_price=price_of, risk_minor=risk)


def release(when: str, *symbols: str, known: str = "2025-01-01", name: str = "NFP", impact: str = "high") -> News:
    return News(**moment(known), news_id=name, released_at=at(when), symbols=symbols, impact=impact)


def tell(rule: ConductRule[S], *events: Event, context: Context = CONTEXT) -> tuple[S, list[Violation]]:
    """The rule's state after the events, and all its offences. The state is kept as JSON between any two events, as a
    checkpoint would."""
    state, found = rule.start(context), list[Violation]()
    for event in events:
        state, offences = rule.step(state, event, context)
        state = type(state).model_validate_json(state.model_dump_json())
        found += offences
    return state, found


BAND = {"min_multiple": "0.5", "max_multiple": 2}
DAY = "2025-06-02"


def rule(kind: str, **terms: Any) -> ConductRule[Any]:
    found: ConductRule[Any] = rule_types()[kind].model_validate({"type": kind, **terms})  # type: ignore[assignment]
    return found


def offenders(kind: str, events: list[Event], **terms: Any) -> list[tuple[str, ...]]:
    """Returns the positions of each offence of a rule of this kind."""
    return [found.position_ids for found in tell(rule(kind, **terms), *events)[1]]


def requested(when: str) -> PayoutRequested:
    return PayoutRequested(**moment(when))
