"""Minimum holding time: enough of the trades, or of the profit, comes from positions held long enough."""

from datetime import datetime, timedelta
from decimal import Decimal
from typing import Annotated, Literal

from pydantic import Field

from domain.money import ExactDecimal
from domain.rules.base import Context, Gate, GateStatus, State
from domain.rules.events import Closed, Event, Opened
from domain.rules.holdings import Holdings, held_after, plain
from domain.rules.terms import RuleId


class HoldState(State):
    """Trades and their net result, all of them and those held longer than the rule's seconds."""

    holdings: Holdings = ()
    trades: int = 0
    long_trades: int = 0
    made_minor: int = 0
    long_made_minor: int = 0


class MinHoldTime(Gate[HoldState]):
    """The share of what was held longer than `seconds` compares with `min_share_pct`.

    `metric` trade_count: closed positions, each once, when it is closed for good. profit: the net result of every
    close, by how long that part was held. Without a trade, or without a profit, there is no share: not met.
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
        # a holding time that nobody knows proves nothing
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
        """The share in percent; None when there is nothing to share."""
        by_count = self.metric == "trade_count"
        part, whole = (state.long_trades, state.trades) if by_count else (state.long_made_minor, state.made_minor)
        return Decimal(100 * part) / whole if whole > 0 else None

    def status(self, state: HoldState, context: Context) -> GateStatus:
        share = self.share_pct(state)
        wanted = self.min_share_pct
        met = share is not None and (share > wanted if self.compare == ">" else share >= wanted)
        what = "trades" if self.metric == "trade_count" else "profit"
        if share is None:
            sentence = f"There is no {what.removesuffix('s')} to share yet."
        else:
            sentence = f"{share:.2f} % of your {what} came from positions held longer than {self.seconds} seconds."
        return GateStatus(met, "satisfied" if met else "blocked", sentence, {"share_pct": share})

    def words(self, context: Context) -> str:
        what = "closed trades" if self.metric == "trade_count" else "net profit"
        bound = "more than" if self.compare == ">" else "at least"
        told = (
            f"Holding time. {bound.capitalize()} {plain(self.min_share_pct)} % of your {what} must come from positions"
        )
        return f"{told} held longer than {self.seconds} seconds before {self.held_back}."


def _opened_at(state: HoldState, event: Closed) -> datetime | None:
    if event.opened_at is not None:
        return event.opened_at
    return next((h.opened_at for h in state.holdings if h.position_id == event.position_id), None)
