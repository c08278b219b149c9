"""Deals, changes of stops and events of orders, as the record has them, become the trades and orders of a book."""

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from surveillance.book import (
    MINUTE,
    NEVER,
    ORDER_STATES,
    ORDER_TYPES,
    SECOND,
    UNKNOWN,
    Codes,
    Columns,
    Floats,
    Indexes,
    Ints,
    Orders,
    Trades,
)
from surveillance.symbols import SymbolTable

_EMPTY_LOTS: Final = 1e-9
# Stops of a trade are those that it had a minute after its opening: some traders, and some venues, set them afterwards.
_STOPS_AFTER: Final = MINUTE
_SAME_MOMENT: Final = SECOND  # between the fill of an order and its deal, as the venue tells both
_STATES: Final = {"filled": "filled", "cancelled": "cancelled", "expired": "expired", "gone": "", "placed": "placed"}


@dataclass(frozen=True)
class Deals(Columns):
    """Fills in the order of storing. `account`: its row in the accounts. `position`: equal for the deals of a position.
    `listed`, `expert`, `comment`: rows of the names beside them, UNKNOWN when not told. `entry`: 1 opens or adds, 0
    closes. `side`: of the fill. `total`: what it did to the balance, in minor units. Stops are those after the fill."""

    id: Ints
    account: Indexes
    seq: Ints
    at: Ints
    position: Ints
    listed: Indexes
    side: Codes
    entry: Codes
    lots: Floats
    price: Floats
    total: Ints
    reason: Codes
    stop: Floats
    target: Floats
    bid: Floats
    ask: Floats
    expert: Indexes
    comment: Indexes


@dataclass(frozen=True)
class StopChanges(Columns):
    """Stops of open positions as they are from `at` on."""

    id: Ints
    account: Indexes
    at: Ints
    position: Ints
    stop: Floats
    target: Floats


@dataclass(frozen=True)
class OrderEvents(Columns):
    """`order`: comparable with `Deals.position`. `change`: a row of CHANGES. `type`: a row of ORDER_TYPES."""

    id: Ints
    account: Indexes
    seq: Ints
    at: Ints
    order: Ints
    listed: Indexes
    side: Codes
    lots: Floats
    price: Floats
    change: Codes
    type: Codes


CHANGES: Final = ("", "placed", "changed", "filled", "cancelled", "expired", "gone")


@dataclass(frozen=True)
class Names:
    """The names that rows of deals mean, in the order in which they came. `table`: what the listed symbols are."""

    table: SymbolTable
    listed: tuple[str, ...]
    experts: tuple[str, ...]
    comments: tuple[str, ...]

    @property
    def in_table(self) -> Indexes:
        """Returns the row of `table.listed` of each listed symbol."""
        rows = {name: row for row, name in enumerate(self.table.listed)}
        return np.array([rows[name] for name in self.listed], dtype=np.int32)


@dataclass(frozen=True)
class LeftOut:
    """Closing deals of which no trade could be made: their opening is not known, or comes after them."""

    without_opening: int = 0
    before_opening: int = 0


def trades_of(deals: Deals, stops: StopChanges, names: Names) -> tuple[Trades, LeftOut]:
    """Returns one trade for each closing deal, and one for what is still open of each position.

    The id of a trade is the number of the deal that opened its position; of a part that was closed while another part
    stayed open, the number of the deal that closed it. A position opened in parts has its first opening's time, and
    their mean price. Costs of the opening go to its closing parts by lots.
    """
    order = np.lexsort((deals.id, deals.at, deals.entry == 0, deals.position))  # of a position: openings first
    made = deals.rows(order)
    begins = np.ones(len(made), dtype=bool)
    begins[1:] = made.position[1:] != made.position[:-1]
    group = np.cumsum(begins) - 1
    first = np.flatnonzero(begins)
    opens = made.entry == 1
    opened = _Openings.of(made, group, first, opens)
    closing = np.flatnonzero(~opens)
    known = opened.lots[group[closing]] > 0
    without = int(np.count_nonzero(~known))
    closing = closing[known]
    backwards = made.at[closing] < made.at[first[group[closing]]]
    closing = closing[~backwards]
    parts = _parts(made, group, closing, opened)
    left = LeftOut(without, int(np.count_nonzero(backwards)))
    return _trades(made, group, first, opened, parts, _stops_at(made, first, opens, stops), names), left


@dataclass(frozen=True)
class _Openings:
    """By position: lots, mean price and costs of what opened it."""

    lots: Floats
    price: Floats
    total: Ints

    @classmethod
    def of(cls, made: Deals, group: Ints, first: Ints, opens: npt.NDArray[np.bool_]) -> "_Openings":
        count = len(first)
        lots: Floats = np.bincount(group, weights=made.lots * opens, minlength=count).astype(np.float64)
        worth = np.bincount(group, weights=made.lots * made.price * opens, minlength=count)
        total = np.zeros(count, dtype=np.int64)
        np.add.at(total, group, np.where(opens, made.total, 0))
        with np.errstate(invalid="ignore", divide="ignore"):
            return cls(lots, worth / lots, total)


@dataclass(frozen=True)
class _Parts:
    """`row`: of the deal that closes, or opens what is still open. `closed`: NEVER for those. `id`: of the trade."""

    row: Ints
    id: Ints
    lots: Floats
    closed: Ints
    profit: Ints


def _parts(made: Deals, group: Ints, closing: Ints, opened: _Openings) -> _Parts:
    which = group[closing]
    lots = made.lots[closing]
    upto = np.cumsum(lots)
    starts = np.ones(len(which), dtype=bool)
    starts[1:] = which[1:] != which[:-1]
    before = np.where(starts, upto - lots, 0.0)
    upto -= np.maximum.accumulate(before) if len(before) else before
    whole = opened.lots[which]
    share = np.minimum(upto / whole, 1.0), np.clip((upto - lots) / whole, 0.0, 1.0)
    costs = [np.rint(opened.total[which] * each).astype(np.int64) for each in share]
    closed_lots = np.bincount(which, weights=lots, minlength=len(opened.lots))
    rest = opened.lots - closed_lots
    open_groups = np.flatnonzero(rest > np.maximum(_EMPTY_LOTS, opened.lots * _EMPTY_LOTS))
    spent = np.zeros(len(opened.lots), dtype=np.int64)
    np.add.at(spent, which, costs[0] - costs[1])
    first = np.searchsorted(group, np.arange(len(opened.lots)))
    ends = np.append(which[1:] != which[:-1], True)[: len(which)] & ~np.isin(which, open_groups)
    return _Parts(
        row=np.concatenate([closing, first[open_groups]]),
        id=np.concatenate([np.where(ends, made.id[first[which]], made.id[closing]), made.id[first[open_groups]]]),
        lots=np.concatenate([lots, rest[open_groups]]),
        closed=np.concatenate([made.at[closing], np.full(len(open_groups), NEVER, dtype=np.int64)]),
        profit=np.concatenate(
            [made.total[closing] + costs[0] - costs[1], opened.total[open_groups] - spent[open_groups]]
        ),
    )


def _stops_at(made: Deals, first: Ints, opens: npt.NDArray[np.bool_], stops: StopChanges) -> tuple[Floats, Floats]:
    """Returns the stop loss and the take profit of each position a minute after its opening."""
    stop = np.where(opens[first], made.stop[first], np.nan)
    target = np.where(opens[first], made.target[first], np.nan)
    if len(stops):
        position = made.position[first]  # ascending
        order = np.lexsort((stops.at, stops.position))
        at = np.searchsorted(position, stops.position[order])
        at[at == len(position)] = 0
        soon = (position[at] == stops.position[order]) & (stops.at[order] <= made.at[first][at] + _STOPS_AFTER)
        for row, group in zip(order[soon].tolist(), at[soon].tolist(), strict=True):  # in time: the last one stays
            stop[group], target[group] = stops.stop[row], stops.target[row]
    return stop, target


def _trades(
    made: Deals,
    group: Ints,
    first: Ints,
    opened: _Openings,
    parts: _Parts,
    stops: tuple[Floats, Floats],
    names: Names,
) -> Trades:
    which = group[parts.row]
    opening = first[which]
    ids = parts.id
    order = np.lexsort((ids, made.at[opening]))
    which, opening, row, ids = which[order], opening[order], parts.row[order], ids[order]
    closed = parts.closed[order]
    listed = names.in_table[made.listed[opening]] if len(opening) else made.listed[opening]
    positions, number = np.unique(made.id[opening], return_inverse=True)
    is_open = closed == NEVER
    return Trades(
        id=_texts(ids),
        position=number.astype(np.int32),
        account=made.account[opening],
        symbol=names.table.main[listed],
        listed=listed,
        side=made.side[opening],
        lots=parts.lots[order] * names.table.part[listed],
        opened=made.at[opening],
        open_price=opened.price[which],
        closed=closed,
        close_price=np.where(is_open, np.nan, made.price[row]),
        profit_minor=parts.profit[order],
        stop=stops[0][which],
        target=stops[1][which],
        reason=made.reason[row],
        expert=made.expert[opening],
        comment=made.comment[opening],
        bid=made.bid[opening],
        ask=made.ask[opening],
        positions=tuple(map(str, positions.tolist())),
        listed_symbols=names.table.listed,
        experts=names.experts,
        comments=names.comments,
    )


def _texts(numbers: Ints) -> npt.NDArray[np.object_]:
    texts = np.empty(len(numbers), dtype=object)
    texts[:] = [str(number) for number in numbers.tolist()]
    return texts


def orders_of(events: OrderEvents, deals: Deals, trades: Trades, names: Names) -> Orders:
    """Returns each order once. The id of an order is the number of its first event. A filled order has the position
    with its own id, or that of the deal in the same moment; UNKNOWN when neither is found."""
    order = np.lexsort((events.at, events.seq, events.order))
    made = events.rows(order)
    begins = np.ones(len(made), dtype=bool)
    begins[1:] = made.order[1:] != made.order[:-1]
    first = np.flatnonzero(begins)
    last = np.append(first[1:], len(made)) - 1 if len(first) else first
    words = [_STATES.get(CHANGES[code], "placed") for code in made.change[last].tolist()]
    state = np.array([ORDER_STATES.index(word) for word in words], dtype=np.int8)
    listed = names.in_table[made.listed[first]] if len(first) else made.listed[first]
    placed = np.argsort(made.at[first], kind="stable")
    over = ~np.isin(state, (ORDER_STATES.index("placed"),))
    found = Orders(
        id=_texts(made.id[first]),
        account=made.account[first],
        symbol=names.table.main[listed],
        side=made.side[first],
        type=_last_told(made.type, first, ORDER_TYPES.index("")),
        lots=made.lots[first] * names.table.part[listed],
        price=_last_price(made.price, first),
        placed=made.at[first],
        done=np.where(over, made.at[last], NEVER),
        state=state,
        position=_positions(made, first, last, state, deals, trades),
    )
    return found.rows(placed)


def _last_told(values: Codes, first: Ints, unknown: int) -> Codes:
    """Returns the last value of each group that is told."""
    rows = np.where(values != unknown, np.arange(len(values)), -1)
    last = np.maximum.reduceat(rows, first) if len(first) else first
    told: Codes = np.where(last >= 0, values[last], unknown).astype(np.int8)
    return told


def _last_price(values: Floats, first: Ints) -> Floats:
    rows = np.where(np.isnan(values), -1, np.arange(len(values)))
    last = np.maximum.reduceat(rows, first) if len(first) else first
    return np.where(last >= 0, values[last], np.nan)


def _positions(made: OrderEvents, first: Ints, last: Ints, state: Codes, deals: Deals, trades: Trades) -> Indexes:
    position_of: dict[int, int] = {}  # of the record -> row of the trades' positions
    rows = {int(name): row for row, name in enumerate(trades.positions)}
    openings: dict[tuple[int, int, int], list[tuple[int, int]]] = {}
    for row in np.flatnonzero(deals.entry == 1).tolist():
        number = rows.get(int(deals.id[row]))
        if number is None:
            continue
        position_of[int(deals.position[row])] = number
        key = (int(deals.account[row]), int(deals.listed[row]), int(deals.side[row]))
        openings.setdefault(key, []).append((int(deals.at[row]), number))
    found = np.full(len(first), UNKNOWN, dtype=np.int32)
    for n in np.flatnonzero(state == ORDER_STATES.index("filled")).tolist():
        row, done = int(first[n]), int(made.at[last[n]])
        by_id = position_of.get(int(made.order[row]))
        key = (int(made.account[row]), int(made.listed[row]), int(made.side[row]))
        near = min(openings.get(key, ()), key=lambda each: abs(each[0] - done), default=None)
        if by_id is not None:
            found[n] = by_id
        elif near is not None and abs(near[0] - done) <= _SAME_MOMENT:
            found[n] = near[1]
    return found
