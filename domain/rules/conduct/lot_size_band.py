"""Lot size band: the size of every trade stays within a multiple of the first one, or of the average."""

from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from domain.money import ExactDecimal
from domain.rules.base import ConductRule, Context, State, Violation
from domain.rules.events import Closed, Event, Opened, PaidOut, PayoutRequested, Side
from domain.rules.positions import closed_trades
from domain.rules.positions.closed_trades import ClosedTrades
from domain.rules.terms import LATER, RuleId
from domain.wording import number, span

Multiple = Annotated[ExactDecimal, Field(gt=0)]


class Opening(State):
    """Openings of one symbol and side that count as one, at the last of them. `made`: what the positions that were
    closed since, in full or in part, made, where a profit may be deducted; `closed_ids`: those closed for good."""

    symbol: str
    side: Side
    lots: Decimal
    first_at: datetime
    last_at: datetime
    last_seq: int
    position_ids: tuple[str, ...]
    made: dict[str, int] = Field(default_factory=dict)
    closed_ids: tuple[str, ...] = ()

    @property
    def profit_minor(self) -> int:
        """What the positions closed for good made, each only if it is a profit."""
        return sum(max(self.made.get(position, 0), 0) for position in self.closed_ids)


class BandState(State):
    """`first`: the lots of the first opening in the phase. `pending`: openings that others may still join, in the order
    of their last one. `closed`: what was closed for good, where the reference is its average. `judged`: how many
    trades the last request found closed, `judged_lots` the sum of their lots."""

    first: Decimal | None = None
    offences: int = 0
    pending: tuple[Opening, ...] = ()
    closed: ClosedTrades | None = None
    judged: int = 0
    judged_lots: Decimal = Decimal(0)


class LotSizeBand(ConductRule[BandState]):
    """The lots of every trade must be `min_multiple` to `max_multiple` times the reference, inclusive.

    `reference` first_trade: the lots of the first opening; every opening is judged. average_of_closed: the average of
    all positions closed for good; these are judged at each request of a payout, and each is one offence at most.
    `merge_within_minutes`: openings of one symbol and side so long after the first of them count as one, at the last
    of them (None: each counts alone).
    """

    type: Literal["lot_size_band"]
    id: RuleId = "lot_size_band"
    reference: Literal["first_trade", "average_of_closed"] = "first_trade"
    min_multiple: Multiple | None = None
    max_multiple: Multiple | None = None
    merge_within_minutes: Annotated[Annotated[int, Field(ge=0, le=24 * 60)] | None, LATER] = None

    @model_validator(mode="after")
    def _band_holds_the_reference(self) -> Self:
        if self.min_multiple is None and self.max_multiple is None:
            raise ValueError("min_multiple, max_multiple: set at least one, or the rule forbids nothing")
        if (self.min_multiple or 1) > 1 or (self.max_multiple or 1) < 1:
            raise ValueError("min_multiple, max_multiple: the first trade itself must lie within the band")
        return self

    @property
    def _merge(self) -> timedelta | None:
        return None if self.merge_within_minutes is None else timedelta(minutes=self.merge_within_minutes)

    @property
    def _deducts(self) -> bool:
        return any(consequence.kind == "deduct_profit" for consequence in self.consequences)

    def start(self, context: Context) -> BandState:
        return BandState(closed=ClosedTrades() if self.reference == "average_of_closed" else None)

    def average(self, state: BandState) -> Decimal | None:
        """Returns the average lots that the last request found; None before one with a closed position."""
        return state.judged_lots / state.judged if state.judged else None

    def band(self, state: BandState) -> tuple[Decimal | None, Decimal | None]:
        """Returns the smallest and the largest number of lots allowed now; None: no such limit (yet)."""
        lots, count = (state.first, 1) if state.closed is None else (state.judged_lots, state.judged)
        if lots is None or not count:
            return None, None
        low, high = self.min_multiple, self.max_multiple
        return low and low * lots / count, high and high * lots / count

    def step(self, state: BandState, event: Event, context: Context) -> tuple[BandState, tuple[Violation, ...]]:
        if state.closed is not None:
            return self._by_average(state, state.closed, event)
        if self._merge is None:
            return self._judged(state, _opening(event)) if isinstance(event, Opened) else (state, ())
        state, found = self._complete(state, event.at, self._merge)
        if isinstance(event, Closed) and self._deducts:
            pending = tuple(_closed(opening, event) for opening in state.pending)
            return (state if pending == state.pending else state.model_copy(update={"pending": pending})), found
        if not isinstance(event, Opened):
            return state, found
        open_now = (o for o in state.pending if event.at <= o.first_at + self._merge)
        same = next((o for o in open_now if (o.symbol, o.side) == (event.symbol, event.side)), None)
        others = tuple(opening for opening in state.pending if opening is not same)
        return state.model_copy(update={"pending": (*others, _opening(event, same))}), found

    def _complete(self, state: BandState, at: datetime, merge: timedelta) -> tuple[BandState, tuple[Violation, ...]]:
        """Judges the openings that nothing can join any more, in the order of their last one."""
        found: tuple[Violation, ...] = ()
        while state.pending and at > state.pending[0].first_at + merge:
            opening, *rest = state.pending
            state, offences = self._judged(state.model_copy(update={"pending": tuple(rest)}), opening)
            found += offences
        return state, found

    def _judged(self, state: BandState, opening: Opening) -> tuple[BandState, tuple[Violation, ...]]:
        if state.first is None:
            return state.model_copy(update={"first": opening.lots}), ()
        low, high = self.band(state)
        if (low is None or low <= opening.lots) and (high is None or opening.lots <= high):
            return state, ()
        state = state.model_copy(update={"offences": state.offences + 1})
        sentence = f"A position of {number(opening.lots)} lots was opened; the rule allows {_between(low, high)}."
        figures: dict[str, Any] = {"lots": opening.lots, "first_lots": state.first, "min_lots": low, "max_lots": high}
        if self._merge is not None:
            figures |= {"opened_at": opening.last_at, "opened_seq": opening.last_seq}
        offence = self.offended(state.offences, sentence, figures, opening.position_ids)
        return state, (replace(offence, closed_ids=opening.closed_ids, closed_profit_minor=opening.profit_minor),)

    def _by_average(
        self, state: BandState, closed: ClosedTrades, event: Event
    ) -> tuple[BandState, tuple[Violation, ...]]:
        if isinstance(event, Opened):
            return state.model_copy(update={"closed": closed_trades.opened(closed, event, self._merge)}), ()
        if isinstance(event, Closed):
            made = event.pnl_minor if self._deducts else 0
            return state.model_copy(update={"closed": closed_trades.closed(closed, event, self._merge, made)}), ()
        # on a live account the hold of the money is the request
        if not isinstance(event, PayoutRequested) and not (isinstance(event, PaidOut) and event.stage == "held"):
            return state, ()
        count, lots = closed_trades.total(closed)
        state = state.model_copy(update={"judged": count, "judged_lots": lots})
        low, high = self.band(state)
        closed, outside = closed_trades.told_outside(closed, low, high)
        found = []
        for offence, (size, ids, profit) in enumerate(outside, start=state.offences + 1):
            sentence = f"A position of {number(size)} lots was closed; by the average of your closed positions,"
            sentence += f" the rule allows {_between(low, high)}."
            figures = {"lots": size, "average_lots": self.average(state), "min_lots": low, "max_lots": high}
            violation = self.offended(offence, sentence, figures, ids)
            found.append(replace(violation, closed_ids=ids, closed_profit_minor=profit))
        update = {"closed": closed, "offences": state.offences + len(found)}
        return state.model_copy(update=update), tuple(found)

    def due(self, state: BandState, context: Context) -> datetime | None:
        if self._merge is None or not state.pending:
            return None
        return state.pending[0].first_at + self._merge + timedelta(microseconds=1)

    def words(self, context: Context) -> str:
        band = _between(self.min_multiple, self.max_multiple)
        if self.reference == "first_trade":
            words = f"Lot size. The size of every trade must be {band} times the lots of your first trade."
        else:
            words = f"Lot size. The size of every trade must be {band} times the average lots of your closed trades."
            words += " This is judged at each request of a payout, over all positions that are closed for good by then."
        if self.merge_within_minutes is not None:
            words += " Openings of the same symbol in the same direction count as one trade if they are at most"
            words += f" {span(60 * self.merge_within_minutes)} after the first of them."
        return f"{words} {self.consequence_words}"


def _opening(event: Opened, earlier: Opening | None = None) -> Opening:
    """Returns the opening of the event, together with `earlier` ones that it joins."""
    return Opening(
        symbol=event.symbol,
        side=event.side,
        lots=event.lots + (earlier.lots if earlier else 0),
        first_at=earlier.first_at if earlier else event.at,
        last_at=event.at,
        last_seq=event.seq,
        position_ids=(*(earlier.position_ids if earlier else ()), event.position_id),
        made=earlier.made if earlier else {},
        closed_ids=earlier.closed_ids if earlier else (),
    )


def _closed(opening: Opening, event: Closed) -> Opening:
    """Returns the opening after a close; itself when the position is none of its own."""
    position = event.position_id
    if position not in opening.position_ids:
        return opening
    made = {**opening.made, position: opening.made.get(position, 0) + event.pnl_minor}
    gone = () if event.lots_left > 0 else (position,)
    return opening.model_copy(update={"made": made, "closed_ids": (*opening.closed_ids, *gone)})


def _between(low: Decimal | None, high: Decimal | None) -> str:
    if low is not None and high is not None:
        return f"between {_rounded(low)} and {_rounded(high)}"
    return f"at least {_rounded(low)}" if low is not None else f"at most {_rounded(high or Decimal(0))}"


def _rounded(value: Decimal) -> str:
    """Returns the number to four decimals: an average may have many."""
    return number(round(value, 4))
