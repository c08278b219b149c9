"""What follows from a venue's fact alone: its id, the money it moves, the values of its event."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from gateway.books import Book
from ports import venue as told
from ports.platform import AccountSnapshot


@dataclass(slots=True)
class Counts:
    """What happened since the gateway started, by kind."""

    messages: int = 0
    events: int = 0
    duplicates: int = 0
    late: int = 0
    superseded_quotes: int = 0
    unreadable: int = 0
    corrected: int = 0
    gaps_found: int = 0
    gaps_healed: int = 0
    differences: int = 0
    reconnects: int = 0


def ids(fact: told.Fact) -> tuple[str, ...]:
    """Returns the key under which a fact is known; nothing for one that has no id."""
    if isinstance(fact, told.Fill | told.FillCorrected):
        return (f"fill/{fact.fill_id}",)
    if isinstance(fact, told.Money):
        return (f"money/{fact.operation_id}",)
    return (f"order/{fact.order_id}/{fact.version}",) if isinstance(fact, told.Order) else ()


def total(fill: told.Fill, profit_minor: int) -> int:
    return profit_minor + fill.commission_minor + fill.swap_minor + fill.fee_minor


def moved(fact: told.Fill | told.Money) -> int:
    return fact.amount_minor if isinstance(fact, told.Money) else total(fact, fact.profit_minor or 0)


def turn_back(book: Book, moving: Iterable[told.Fill | told.Money]) -> None:
    """Takes these facts off a book that contains them already: their money, and what they opened."""
    for fact in moving:
        book.balance_minor -= moved(fact)
        held = book.positions.get(fact.position_id) if isinstance(fact, told.Fill) else None
        if isinstance(fact, told.Fill) and fact.entry == "in" and held is not None:
            held.lots -= fact.lots
            if held.lots <= 0:
                del book.positions[fact.position_id]


def of_order(order: told.Order) -> dict[str, Any]:
    return {
        "login": order.login,
        "order_id": order.order_id,
        "symbol": order.symbol,
        "side": order.side,
        "lots": order.lots,
        "change": order.change,
        "type": order.type,
        "price": order.price,
    }


def each_once(facts: Iterable[told.Fact]) -> list[told.Fill | told.Money]:
    """Returns the fills and operations, each once, as the venue told it last."""
    found: dict[tuple[type, str], told.Fill | told.Money] = {}
    for fact in facts:
        if isinstance(fact, told.Fill):
            found[told.Fill, fact.fill_id] = fact
        elif isinstance(fact, told.Money):
            found[told.Money, fact.operation_id] = fact
    return list(found.values())


def explain(waiting: Iterable[told.Fact], venue: AccountSnapshot) -> bool:
    """Whether what waits for a new account makes the balance that the venue states. Else a message about it is still on
    its way, or the snapshot is older than what waits: all its fills must be asked for first."""
    return venue.balance_minor == sum(map(moved, each_once(waiting)))
