"""The sizes and profits of trades that were closed for good, with openings within some minutes of each other as one."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from pydantic import Field

from domain.rules.base import State
from domain.rules.events import Closed, Opened, Side
from domain.rules.holdings import ById

Ids = tuple[str, ...]


class Trade(State):
    """One position, or several that were opened as one: `ids`. `position_id`: the first of them. `open_positions`: how
    many are still open. `told`: it is already counted as an offence. `profit_minor`: what its closed positions made,
    each only if it is a profit."""

    position_id: str
    symbol: str
    side: Side
    first_at: datetime
    lots: Decimal
    ids: Ids
    open_positions: int = 1
    told: bool = False
    profit_minor: int = 0


class Member(State):
    """An open position, and the trade that it belongs to. `made_minor`: what the parts closed so far made."""

    position_id: str
    trade_id: str
    made_minor: int = 0


class ClosedSize(State):
    """Closed trades of one size: the positions of those that are no offence yet, and how many are one. `profits`: the
    profit of those that are no offence yet, by the first of their positions, where there is one."""

    lots: Decimal
    untold: tuple[Ids, ...] = ()
    told: int = 0
    profits: dict[str, int] = Field(default_factory=dict)

    @property
    def trades(self) -> int:
        return len(self.untold) + self.told


class ClosedTrades(State):
    """`trades`: those that are open, or may still grow. `latest`: the id of the newest trade by symbol and side.
    `sizes`: all other closed trades, by their lots."""

    trades: ById[Trade] = ById[Trade]()
    members: ById[Member] = ById[Member]()
    latest: dict[str, str] = Field(default_factory=dict)
    sizes: dict[str, ClosedSize] = Field(default_factory=dict)


def opened(state: ClosedTrades, event: Opened, merge: timedelta | None) -> ClosedTrades:
    """Returns the state after an opening. `merge`: an opening of the same symbol and side so long after the first one
    belongs to the same trade; None: never."""
    member = state.members.get(event.position_id)
    trade = state.trades.get(member.trade_id) if member else _joined(state, event, merge)
    if trade is None:
        return _begun(state, event)
    changes: dict[str, Any] = {"lots": trade.lots + event.lots}
    if member is None:
        changes |= {"ids": (*trade.ids, event.position_id), "open_positions": trade.open_positions + 1}
    made = member.made_minor if member else 0
    members = state.members.with_(Member(position_id=event.position_id, trade_id=trade.position_id, made_minor=made))
    trades = state.trades.with_(trade.model_copy(update=changes))
    return state.model_copy(update={"trades": trades, "members": members})


def _joined(state: ClosedTrades, event: Opened, merge: timedelta | None) -> Trade | None:
    newest = state.trades.get(state.latest.get(_key(event.symbol, event.side), ""))
    soon = newest is not None and merge is not None and event.at - newest.first_at <= merge
    return newest if soon else None


def _begun(state: ClosedTrades, event: Opened | Closed) -> ClosedTrades:
    """Returns the state with a trade of its own for the position of the event."""
    key, before = _key(event.symbol, event.side), None
    if isinstance(event, Opened):
        before = state.trades.get(state.latest.get(key, ""))
        state = state.model_copy(update={"latest": {**state.latest, key: event.position_id}})
    if before is not None and not before.open_positions:
        state = _finished(state, before)  # it cannot grow any more
    lots = event.lots + (event.lots_left if isinstance(event, Closed) else 0)
    identity = event.position_id
    trade = Trade(
        position_id=identity, symbol=event.symbol, side=event.side, first_at=event.at, lots=lots, ids=(identity,)
    )
    members = state.members.with_(Member(position_id=identity, trade_id=identity))
    return state.model_copy(update={"trades": state.trades.with_(trade), "members": members})


def closed(state: ClosedTrades, event: Closed, merge: timedelta | None, made_minor: int = 0) -> ClosedTrades:
    """Returns the state after a close, in full or in part. `merge` as in `opened`. `made_minor`: what the close made;
    0 where nobody asks for profits."""
    if state.members.get(event.position_id) is None:
        state = _begun(state, event)  # opened before the first event
    member = state.members.get(event.position_id)
    trade = state.trades.get(member.trade_id) if member else None
    if member is None or trade is None:
        return state
    made = member.made_minor + made_minor
    if event.lots_left > 0:
        kept = member.model_copy(update={"made_minor": made})
        return state.model_copy(update={"members": state.members.with_(kept)}) if made_minor else state
    profit = trade.profit_minor + max(made, 0)
    trade = trade.model_copy(update={"open_positions": trade.open_positions - 1, "profit_minor": profit})
    state = state.model_copy(
        update={"trades": state.trades.with_(trade), "members": state.members.without(event.position_id)}
    )
    may_grow = merge is not None and state.latest.get(_key(trade.symbol, trade.side)) == trade.position_id
    return state if trade.open_positions or may_grow else _finished(state, trade)


def _finished(state: ClosedTrades, trade: Trade) -> ClosedTrades:
    """Returns the state with a closed trade among the sizes."""
    key = f"{trade.lots.normalize():f}"
    size = state.sizes.get(key) or ClosedSize(lots=trade.lots)
    more: dict[str, Any] = {"told": size.told + 1} if trade.told else {"untold": (*size.untold, trade.ids)}
    if trade.profit_minor and not trade.told:
        more["profits"] = {**size.profits, trade.position_id: trade.profit_minor}
    sizes = {**state.sizes, key: size.model_copy(update=more)}
    return state.model_copy(update={"trades": state.trades.without(trade.position_id), "sizes": sizes})


def total(state: ClosedTrades) -> tuple[int, Decimal]:
    """Returns how many trades were closed for good, and the sum of their lots."""
    grown = list(_closed_now(state))
    count = len(grown) + sum(size.trades for size in state.sizes.values())
    lots = sum((trade.lots for trade in grown), sum((s.lots * s.trades for s in state.sizes.values()), Decimal(0)))
    return count, lots


def told_outside(
    state: ClosedTrades, low: Decimal | None, high: Decimal | None
) -> tuple[ClosedTrades, list[tuple[Decimal, Ids, int]]]:
    """Returns the state after all closed trades with fewer lots than `low` or more than `high` were told, and those
    that were not told before: lots, positions and profit in minor units."""
    found: list[tuple[Decimal, Ids, int]] = []
    sizes, trades = dict(state.sizes), state.trades
    for key, size in sorted(state.sizes.items(), key=lambda entry: entry[1].lots):
        if _outside(size.lots, low, high) and size.untold:
            found += [(size.lots, ids, size.profits.get(ids[0], 0)) for ids in size.untold]
            sizes[key] = ClosedSize(lots=size.lots, told=size.trades)
    for trade in _closed_now(state):
        if _outside(trade.lots, low, high) and not trade.told:
            found.append((trade.lots, trade.ids, trade.profit_minor))
            trades = trades.with_(trade.model_copy(update={"told": True}))
    return state.model_copy(update={"sizes": sizes, "trades": trades}), found


def _closed_now(state: ClosedTrades) -> Iterator[Trade]:
    return (trade for trade in state.trades if not trade.open_positions)


def _outside(lots: Decimal, low: Decimal | None, high: Decimal | None) -> bool:
    return (low is not None and lots < low) or (high is not None and lots > high)


def _key(symbol: str, side: Side) -> str:
    return f"{symbol} {side}"
