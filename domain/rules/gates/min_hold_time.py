"""Minimum holding time: enough of the trades, or of the profit, must come from positions held long enough."""

from datetime import datetime, timedelta
from decimal import Decimal
from typing import Annotated, Literal

from pydantic import Field

from domain.money import ExactDecimal
from domain.rules.base import Context, Gate, GateStatus, State
from domain.rules.events import Closed, Event, Opened
from domain.rules.holdings import NOTHING_HELD, Holdings, held_after
from domain.rules.terms import RuleId
from domain.wording import capital, percent


class HoldState(State):
    """Trades and their net result: all of them, and those held longer than the seconds of the rule."""

    holdings: Holdings = NOTHING_HELD
    trades: int = 0
    long_trades: int = 0
    made_minor: int = 0
    long_made_minor: int = 0


class MinHoldTime(Gate[HoldState]):
    """The share of trades held longer than `seconds` is compared with `min_share_pct`.

    `metric` trade_count: fully closed positions, each once. profit: the net result of every close, by how long that
    part was held. Without a trade, or without a profit, there is no share, and the gate is not met.
    """

    type: Literal["min_hold_time"]
    id: RuleId = "min_hold_time"
    seconds: Annotated[int, Field(ge=1, le=30 * 24 * 3600)]
    min_share_pct: Annotated[ExactDecimal, Field(ge=0, le=100)]
    compare: Literal[">", ">="]
    metric: Literal["trade_count", "profit"] = "trade_count"

    def start(self, context: Context) -> HoldState:
        return HoldState()

    def step(self, state: HoldState, event: Event, context: Context) -> tuple[HoldState, tuple[()]]:
        if isinstance(event, Opened):
            return state.model_copy(update={"holdings": held_after(state.holdings, event)}), ()
        if not isinstance(event, Closed):
            return state, ()
        opened_at = _opened_at(state, event)
        # an unknown holding time does not count as long
        long = opened_at is not None and event.at - opened_at > timedelta(seconds=self.seconds)
        whole = event.lots_left <= 0
        after = HoldState(
            holdings=held_after(state.holdings, event),
            trades=state.trades + whole,
            long_trades=state.long_trades + (whole and long),
            made_minor=state.made_minor + event.pnl_minor,
            long_made_minor=state.long_made_minor + (event.pnl_minor if long else 0),
        )
        return after, ()

    def share_pct(self, state: HoldState) -> Decimal | None:
        """Returns the share in percent; None without a trade or a profit."""
        by_count = self.metric == "trade_count"
        part, whole = (state.long_trades, state.trades) if by_count else (state.long_made_minor, state.made_minor)
        return Decimal(100 * part) / whole if whole > 0 else None

    def status(self, state: HoldState, context: Context) -> GateStatus:
        share = self.share_pct(state)
        wanted = self.min_share_pct
        met = share is not None and (share > wanted if self.compare == ">" else share >= wanted)
        what = "trades" if self.metric == "trade_count" else "profit"
        if share is None:
            sentence = "There is no closed trade yet." if what == "trades" else "There is no profit yet."
        else:
            sentence = f"{share:.2f} % of your {what} came from positions held for longer than {self.seconds} seconds."
        return GateStatus(met, "satisfied" if met else "blocked", sentence, {"share_pct": share})

    def words(self, context: Context) -> str:
        what = "closed trades" if self.metric == "trade_count" else "net profit"
        share = f"{'more than' if self.compare == '>' else 'at least'} {percent(self.min_share_pct)}"
        words = f"Holding time. {capital(share)} of your {what} must come from positions held for longer than"
        return f"{words} {self.seconds} seconds. This rule applies to {self.blocked_words}."


def _opened_at(state: HoldState, event: Closed) -> datetime | None:
    if event.opened_at is not None:
        return event.opened_at
    held = state.holdings.get(event.position_id)
    return held.opened_at if held else None
