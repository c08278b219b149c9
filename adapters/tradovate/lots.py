"""Fills as deals of positions.

The venue nets: an account has one position in a contract, and pairs each closing fill with the oldest open one
(unverified that it is always the oldest; the pairs of the fake and of the vendor's reports are). The core values every
position at one price and takes the profit of each deal. So each opening fill is a position of its own here, named
`contract.fill`, and a closing fill is one deal for each position that it closes: the profit of every deal is then the
venue's to the cent. A fill that closes and reverses is deals of both kinds.
"""

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from typing import Literal, NamedTuple

from adapters.tradovate.wire import Fill, Position
from ports.platform import PositionState, Side

Action = Literal["Buy", "Sell"]
_SIDES: dict[Action, Side] = {"Buy": "buy", "Sell": "sell"}


def side_of(action: Action) -> Side:
    return _SIDES[action]


def position_id(contract_id: int, fill_id: int) -> str:
    return f"{contract_id}.{fill_id}"


def contract_of(position: str) -> int | None:
    """The contract of a position's id; None for an id that is not of this venue."""
    contract, dot, fill = position.partition(".")
    return int(contract) if dot and contract.isdigit() and fill.isdigit() else None


@dataclass
class Lot:
    """What is open of a fill. `fill_id` 0: a fill that the venue no longer lists."""

    fill_id: int
    action: Action
    left: int
    price: Decimal
    at: datetime


class Part(NamedTuple):
    """One deal of a fill. `points`: price difference times contracts, for a closing one. `first`: the deal that bears
    the costs of the fill."""

    deal_id: str
    position_id: str
    entry: Literal["in", "out"]
    lots: int
    points: Decimal
    first: bool


class Lots:
    """The open lots of one contract in one account, oldest first."""

    def __init__(self) -> None:
        self.open: deque[Lot] = deque()

    def take(self, fill: Fill) -> list[Part]:
        """Applies a fill and returns its deals. Fills come in the order of their ids."""
        parts: list[Part] = []
        left = fill.qty
        while left and self.open and self.open[0].action != fill.action:
            lot = self.open[0]
            size = min(left, lot.left)
            move = fill.price - lot.price if lot.action == "Buy" else lot.price - fill.price
            id = position_id(fill.contractId, lot.fill_id)
            parts.append(Part(f"{fill.id}.{lot.fill_id}", id, "out", size, move * size, first=not parts))
            left -= size
            lot.left -= size
            if not lot.left:
                self.open.popleft()
        if left:
            self.open.append(Lot(fill.id, fill.action, left, fill.price, fill.timestamp))
            id = position_id(fill.contractId, fill.id)
            parts.append(Part(str(fill.id), id, "in", left, Decimal(0), first=not parts))
        return parts

    def net(self) -> int:
        return sum(lot.left if lot.action == "Buy" else -lot.left for lot in self.open)

    def copy(self) -> "Lots":
        made = Lots()
        made.open = deque(replace(lot) for lot in self.open)
        return made


def open_lots(position: Position, fills: Iterable[Fill]) -> list[Lot]:
    """Returns the lots that make up a position, from all fills of its account and contract that the venue lists."""
    lots = Lots()
    for fill in sorted(fills, key=lambda each: each.id):
        if fill.contractId == position.contractId and fill.active:
            lots.take(fill)
    return explained(position, list(lots.open))


def explained(position: Position, found: list[Lot]) -> list[Lot]:
    """Returns the lots of a position. What `found` does not explain is one lot more, at the price that gives the
    position its average."""
    net = sum(lot.left if lot.action == "Buy" else -lot.left for lot in found)
    if net == position.netPos:
        return found
    action: Action = "Buy" if position.netPos > 0 else "Sell"
    known = [lot for lot in found if lot.action == action]
    size = abs(position.netPos) - sum(lot.left for lot in known)
    if size <= 0:  # the lots are more than the venue has: only its own figures count
        known, size = [], abs(position.netPos)
    worth = position.netPrice * abs(position.netPos) - sum((lot.price * lot.left for lot in known), Decimal(0))
    return [Lot(0, action, size, worth / size, position.timestamp), *known] if size else []


def position_states(position: Position, lots: Iterable[Lot], symbol: str) -> list[PositionState]:
    return [
        PositionState(
            position_id=position_id(position.contractId, lot.fill_id),
            symbol=symbol,
            side=side_of(lot.action),
            lots=Decimal(lot.left),
            open_price=lot.price,
            opened_at=lot.at,
        )
        for lot in lots
    ]
