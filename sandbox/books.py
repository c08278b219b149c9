"""Records of the simulated venue: accounts, open positions, and the stops to check on each tick."""

import json
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from ports.platform import PositionState, Side
from sandbox.instants import from_us


@dataclass(slots=True)
class Position:
    position_id: str
    symbol: str
    side: Side
    lots: Decimal
    open_price: Decimal
    opened_us: int
    stop_loss: Decimal | None = None
    take_profit: Decimal | None = None

    def state(self) -> PositionState:
        return PositionState(
            position_id=self.position_id,
            symbol=self.symbol,
            side=self.side,
            lots=self.lots,
            open_price=self.open_price,
            opened_at=from_us(self.opened_us),
        )

    def to_data(self) -> list[Any]:
        stops = [None if price is None else str(price) for price in (self.stop_loss, self.take_profit)]
        opened = [str(self.lots), str(self.open_price), self.opened_us]
        return [self.position_id, self.symbol, self.side, *opened, *stops]

    @classmethod
    def from_data(cls, data: list[Any]) -> "Position":
        position_id, symbol, side, lots, price, opened, stop, target = data
        stops = [None if text is None else Decimal(text) for text in (stop, target)]
        return cls(position_id, symbol, side, Decimal(lots), Decimal(price), opened, *stops)


@dataclass(slots=True)
class VenueAccount:
    """An account at the simulated venue. `deposited_minor` is the sum of deposits; hosted traders size trades by it.
    `close_only`: an enabled account may not open positions."""

    login: int
    key: str
    group: str
    currency: str
    leverage: int
    balance_minor: int = 0
    deposited_minor: int = 0
    enabled: bool = False
    close_only: bool = False
    password_digest: str = ""
    positions_made: int = 0
    deals_made: int = 0
    positions: dict[str, Position] = field(default_factory=dict)

    @property
    def may_trade(self) -> bool:
        return self.enabled and not self.close_only

    def to_json(self) -> str:
        plain = {name: getattr(self, name) for name in self.__slots__ if name != "positions"}
        return json.dumps({**plain, "positions": [p.to_data() for p in self.positions.values()]})

    @classmethod
    def from_data(cls, data: dict[str, Any]) -> "VenueAccount":
        positions = [Position.from_data(row) for row in data.pop("positions")]
        return cls(**data, positions={p.position_id: p for p in positions})


class StopBook:
    """Positions of one symbol that have a stop or a target.

    Keeps the nearest stop and target of each side, so that most ticks need four comparisons only.
    """

    def __init__(self) -> None:
        self._watched: dict[str, tuple[VenueAccount, Position]] = {}
        self._find_extremes()

    def add(self, account: VenueAccount, position: Position) -> None:
        if position.stop_loss is not None or position.take_profit is not None:
            self._watched[position.position_id] = (account, position)
            self._find_extremes()

    def remove(self, position: Position) -> None:
        if self._watched.pop(position.position_id, None) is not None:
            self._find_extremes()

    def _find_extremes(self) -> None:
        longs = [p for _, p in self._watched.values() if p.side == "buy"]
        shorts = [p for _, p in self._watched.values() if p.side == "sell"]
        self._long_stop = max((p.stop_loss for p in longs if p.stop_loss is not None), default=None)
        self._long_target = min((p.take_profit for p in longs if p.take_profit is not None), default=None)
        self._short_stop = min((p.stop_loss for p in shorts if p.stop_loss is not None), default=None)
        self._short_target = max((p.take_profit for p in shorts if p.take_profit is not None), default=None)

    def hits(self, bid: Decimal, ask: Decimal) -> list[tuple[VenueAccount, Position, bool]]:
        """Returns (account, position, is_stop_loss) of each position this tick closes, by login and opening time."""
        if not self._is_reached(bid, ask):
            return []
        hits = []
        for account, p in self._watched.values():
            price = bid if p.side == "buy" else ask
            if p.stop_loss is not None and (price <= p.stop_loss if p.side == "buy" else price >= p.stop_loss):
                hits.append((account, p, True))
            elif p.take_profit is not None and (price >= p.take_profit if p.side == "buy" else price <= p.take_profit):
                hits.append((account, p, False))
        return sorted(hits, key=lambda hit: (hit[0].login, hit[1].opened_us, hit[1].position_id))

    def _is_reached(self, bid: Decimal, ask: Decimal) -> bool:
        return (
            (self._long_stop is not None and bid <= self._long_stop)
            or (self._long_target is not None and bid >= self._long_target)
            or (self._short_stop is not None and ask >= self._short_stop)
            or (self._short_target is not None and ask <= self._short_target)
        )
