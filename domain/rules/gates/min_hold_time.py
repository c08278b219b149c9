"""Minimum holding time: enough of the trades, or of the profit, must come from positions held long enough."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Annotated, ClassVar, Final, Literal, Self

from pydantic import Field, model_validator

from domain.money import ExactDecimal
from domain.rules.base import Context, GateStatus
from domain.rules.events import Closed, Event, Opened, PaidOut, PayoutRequested
from domain.rules.gates.windows import Window, WindowGate, WindowState, day_of
from domain.rules.holdings import NOTHING_HELD, Holdings, held_after
from domain.rules.terms import LATER, RuleId
from domain.wording import capital, count, listing, percent, span

_MICROSECOND: Final = timedelta(microseconds=1)


class HoldState(WindowState):
    """Trades and their net result: all of them, and those held longer than the seconds of the rule. `gains_minor`: what
    the closed short trades made, winners only. `held_us`: how long all closed trades were held together, in
    microseconds. `requested_minor`: the amount of the last payout request."""

    holdings: Holdings = NOTHING_HELD
    trades: int = 0
    long_trades: int = 0
    made_minor: int = 0
    long_made_minor: int = 0
    gains_minor: int = 0
    held_us: int = 0
    requested_minor: int | None = None


class MinHoldTime(WindowGate[HoldState]):
    """Whatever is given must hold. `min_share_pct`: the share of the trades held longer than `seconds` (`held`) is
    compared with it. The other trades are the short ones: at most `max_short_trades` of them, and their gains at most
    `max_short_pct_of_request` percent of the amount requested. `min_average_seconds`: of all trades. With the effect
    short_profit_deducted, the gains of the short trades do not count.

    `metric` trade_count: fully closed positions, each once. profit: the net result of every close, by how long that
    part was held. Without a trade, or without a profit, there is no share, and the gate is not met.
    """

    TALLY: ClassVar[tuple[str, ...]] = (
        "trades",
        "long_trades",
        "made_minor",
        "long_made_minor",
        "gains_minor",
        "held_us",
    )
    judges_days: ClassVar[bool] = False

    type: Literal["min_hold_time"]
    id: RuleId = "min_hold_time"
    seconds: Annotated[int, Field(ge=0, le=30 * 24 * 3600)]
    min_share_pct: Annotated[ExactDecimal, Field(ge=0, le=100)] | None = None
    compare: Literal[">", ">="] = ">="
    metric: Literal["trade_count", "profit"] = "trade_count"
    window: Annotated[Window, LATER] = "whole_phase"
    held: Annotated[Literal[">", ">="], LATER] = ">"
    max_short_trades: Annotated[Annotated[int, Field(ge=0, le=100_000)] | None, LATER] = None
    max_short_pct_of_request: Annotated[Annotated[ExactDecimal, Field(ge=0, le=100)] | None, LATER] = None
    min_average_seconds: Annotated[Annotated[int, Field(ge=1, le=30 * 24 * 3600)] | None, LATER] = None
    effect: Annotated[Literal["blocks", "short_profit_deducted"], LATER] = "blocks"

    @model_validator(mode="after")
    def _fits(self) -> Self:
        wanted = (self.min_share_pct, self.max_short_trades, self.max_short_pct_of_request, self.min_average_seconds)
        if self.effect == "blocks" and all(each is None for each in wanted):
            raise ValueError("min_share_pct: the rule asks for nothing; write what is asked of the trades")
        return self

    @property
    def leaves_out(self) -> bool:
        return self.effect == "short_profit_deducted"

    def problems(self, context: Context) -> Iterator[tuple[str, str]]:
        if self.max_short_pct_of_request is not None and context.phase == "evaluation":
            yield "max_short_pct_of_request", "nothing is requested in this phase; remove it"

    def start(self, context: Context) -> HoldState:
        return HoldState()

    def renewed(self, state: HoldState, context: Context) -> HoldState:
        return HoldState(holdings=state.holdings)

    def moved(self, state: HoldState, event: Event, context: Context) -> HoldState:
        if isinstance(event, PayoutRequested):
            return self.asked(state, event.amount_minor)
        if isinstance(event, PaidOut) and event.stage == "held":
            return self.asked(state, event.gross_minor)
        if isinstance(event, Opened):
            return state.model_copy(update={"holdings": held_after(state.holdings, event)})
        return self._closed(state, event, context) if isinstance(event, Closed) else state

    def asked(self, state: HoldState, amount_minor: int | None) -> HoldState:
        """Returns the state at a request for this amount."""
        if amount_minor in (None, state.requested_minor):
            return state
        return state.model_copy(update={"requested_minor": amount_minor})

    def window_deducted(self, state: HoldState, context: Context) -> int:
        return self.short_gains(state) if self.leaves_out else 0

    def short_gains(self, state: HoldState) -> int:
        """Returns what the short trades made, winners only, in minor units."""
        return state.gains_minor + sum(max(0, sum(piece.values())) for piece in state.pieces.values())

    def share_pct(self, state: HoldState) -> Decimal | None:
        """Returns the share in percent: of the amount requested, where the rule limits that; else of the trades or the
        profit. None without a request, a trade or a profit."""
        if self.max_short_pct_of_request is not None:
            asked = state.requested_minor
            return Decimal(100 * self.short_gains(state)) / asked if asked else None
        return self._long_share(state)

    def status(self, state: HoldState, context: Context) -> GateStatus:
        conditions = tuple(self._conditions(state, context))
        met = all(holds for holds, _ in conditions)
        figures: dict[str, object] = {"share_pct": self.share_pct(state)}
        sentences = [sentence for _, sentence in conditions]
        if self.max_short_trades is not None:
            figures["short_trades"] = state.trades - state.long_trades
        if self.min_average_seconds is not None:
            figures["average_seconds"] = self._average(state)
        if self.leaves_out:
            deducted = self.short_gains(state)
            figures |= {"deducted": deducted, "counted_total": state.made_minor - deducted}
            sentences.append(f"{context.money(deducted)} of profit from positions held too short does not count.")
        return GateStatus(met, "satisfied" if met else "blocked", " ".join(sentences), figures)

    def words(self, context: Context) -> str:
        long = f"held for {'longer than' if self.held == '>' else 'at least'} {span(self.seconds)}"
        parts = []
        if self.min_share_pct is not None:
            what = "closed trades must be" if self.metric == "trade_count" else "net profit must come from trades"
            share = f"{'more than' if self.compare == '>' else 'at least'} {percent(self.min_share_pct)}"
            parts.append(f"{capital(share)} of your {what} {long}.")
        limits = []
        if self.max_short_trades is not None:
            limits.append(f"at most {count(self.max_short_trades, 'trade')} may be shorter")
        if self.max_short_pct_of_request is not None:
            limits.append(
                f"their gains may be at most {percent(self.max_short_pct_of_request)} of the amount requested"
            )
        if limits:
            parts.append(f"Of the trades that are not {long}: {listing(limits)}.")
        if self.min_average_seconds is not None:
            parts.append(f"On average a trade must be held for at least {span(self.min_average_seconds)}.")
        if self.leaves_out:
            parts.append(f"The gains of positions that were not {long} do not count.")
        window = "" if self.window == "whole_phase" else f" The trades are those {self.window_words}."
        words = f"Holding time. {' '.join(parts)}{window}{self.left_out_words}"
        return f"{words} This rule applies to {self.blocked_words}."

    def _closed(self, state: HoldState, event: Closed, context: Context) -> HoldState:
        opened_at = _opened_at(state, event)
        # an unknown holding time does not count as long
        time = timedelta(0) if opened_at is None else event.at - opened_at
        least = timedelta(seconds=self.seconds)
        long = opened_at is not None and (time >= least if self.held == ">=" else time > least)
        day, whole, name = day_of(event, context), event.lots_left <= 0, event.position_id
        figures = {
            "trades": int(whole),
            "long_trades": int(whole and long),
            "made_minor": event.pnl_minor,
            "long_made_minor": event.pnl_minor if long else 0,
            "held_us": time // _MICROSECOND if whole else 0,
        }
        state = state.model_copy(update={"holdings": held_after(state.holdings, event)})
        if not long:
            state = self.with_piece(state, name, event.pnl_minor, day)
        if whole:
            state, made = self.piece_done(state, name, day)
            figures["gains_minor"] = max(0, made)
        return self.added(state, day, figures)

    def _conditions(self, state: HoldState, context: Context) -> Iterator[tuple[bool, str]]:
        """Yields (whether it holds, its sentence) for every condition of the rule."""
        if self.min_share_pct is not None:
            yield self._share_holds(state)
        if self.max_short_trades is not None:
            short = state.trades - state.long_trades
            yield (
                short <= self.max_short_trades,
                (f"{count(short, 'trade')} held too short; at most {self.max_short_trades} may be."),
            )
        if self.max_short_pct_of_request is not None:
            yield self._request_holds(state, context)
        if self.min_average_seconds is not None:
            average = self._average(state)
            held = "There is no closed trade yet."
            if average is not None:
                held = f"Your trades were held for {average:.2f} seconds on average."
            yield average is not None and average >= self.min_average_seconds, held

    def _share_holds(self, state: HoldState) -> tuple[bool, str]:
        share, wanted, what = self._long_share(state), self.min_share_pct, "profit"
        assert wanted is not None
        if self.metric == "trade_count":
            what = "trades"
        if share is None:
            return False, "There is no closed trade yet." if what == "trades" else "There is no profit yet."
        met = share > wanted if self.compare == ">" else share >= wanted
        than = "longer than" if self.held == ">" else "at least"
        return met, f"{share:.2f} % of your {what} came from positions held for {than} {self.seconds} seconds."

    def _request_holds(self, state: HoldState, context: Context) -> tuple[bool, str]:
        """Without a request there is nothing to compare with yet."""
        gains, most = self.short_gains(state), self.max_short_pct_of_request
        assert most is not None
        if state.requested_minor is None:
            return True, f"Positions held too short made {context.money(gains)}."
        asked = context.money(state.requested_minor)
        sentence = f"Positions held too short made {context.money(gains)}; at most {percent(most)} of {asked} may be."
        return 100 * gains <= most * state.requested_minor, sentence

    def _long_share(self, state: HoldState) -> Decimal | None:
        by_count = self.metric == "trade_count"
        part, whole = (state.long_trades, state.trades) if by_count else (state.long_made_minor, state.made_minor)
        return Decimal(100 * part) / whole if whole > 0 else None

    def _average(self, state: HoldState) -> Decimal | None:
        return Decimal(state.held_us) / 1_000_000 / state.trades if state.trades else None


def _opened_at(state: HoldState, event: Closed) -> datetime | None:
    if event.opened_at is not None:
        return event.opened_at
    held = state.holdings.get(event.position_id)
    return held.opened_at if held else None
