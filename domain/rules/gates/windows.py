"""Windows: the part of a phase that a gate judges, and the profit that earlier windows left out for good.

A window begins right after an event (a payout was requested, approved or paid), or it covers the last days. What came
before that event, on the same day too, is not in the window: the rest of that day is a day of its own, with its
results, its opening money and its new positions counted from right after the event.
"""

from abc import abstractmethod
from collections.abc import Mapping
from datetime import date, datetime, timedelta
from typing import Annotated, Any, ClassVar, Final, Literal, Self, TypeVar

from pydantic import Field, model_validator

from domain.rules import days
from domain.rules.base import Context, Gate, State, Violation
from domain.rules.days import DayBook, is_paid
from domain.rules.events import DayEnded, Event, Moment, PaidOut, PayoutApproved, PayoutRequested, Rolled
from domain.rules.terms import LATER, Size, SizeFigures, Terms
from domain.wording import count

_MICROSECOND: Final = timedelta(microseconds=1)
_FIXED: Final = ("amount", "pct_of_initial")


class LastDays(Terms):
    """The trading day of the moment and the `days` - 1 dates before it."""

    days: Annotated[int, Field(ge=1, le=366)]


WindowStart = Literal["whole_phase", "since_last_payout_request", "since_last_approved_payout", "since_last_payout"]
Window = WindowStart | LastDays

_WINDOW_WORDS: Final[Mapping[str, str]] = {
    "whole_phase": "over the whole phase",
    "since_last_payout_request": "since the last payout was requested",
    "since_last_approved_payout": "since the last approved payout was paid",
    "since_last_payout": "since the last payout was paid",
}


def window_words(window: Window) -> str:
    """Returns "since the last payout was paid", "over the last 5 days, the running day included"."""
    if isinstance(window, LastDays):
        return f"over the last {count(window.days, 'day')}, the running day included"
    return _WINDOW_WORDS[window]


class MoneyFigures(State):
    """What a size may be a percentage of: the balance at the last reset, the highest at one, and what the last payout
    left. All are the initial balance before the first."""

    anchor_minor: int
    peak_minor: int
    payout_balance_minor: int


class DayPart(State):
    """The figures of one day in a window of days."""

    day: date
    figures: dict[str, int]


class WindowState(State):
    """`left_out_minor`: the profit that earlier windows left out for good. `approved`: an approval was seen, so that
    payments begin no window. `own_day`: the rest of the day on which the window began. `money` None: the initial
    balance. In a window of days: `parts`, one for each day with figures, and the running `day` with its end.
    `pieces`: by position, the results of its closes in the window (in a window of days: by date)."""

    left_out_minor: int = 0
    approved: bool = False
    own_day: DayBook | None = None
    money: MoneyFigures | None = None
    parts: tuple[DayPart, ...] = ()
    day: date | None = None
    day_ends: datetime | None = None
    pieces: dict[str, dict[str, int]] = Field(default_factory=dict)


W = TypeVar("W", bound=WindowState)


class WindowGate(Gate[W]):
    """A gate that judges the figures of a window. `counts_later`: what the gate leaves out counts again once its window
    is over; otherwise it is out for good.

    `TALLY` names the fields of the state that make up the window. `judges_days`: the gate reads the results of days.
    """

    TALLY: ClassVar[tuple[str, ...]] = ()
    judges_days: ClassVar[bool] = True

    window: Window = "whole_phase"
    counts_later: Annotated[bool, LATER] = False

    @model_validator(mode="after")
    def _leaves_something_out(self) -> Self:
        if self.counts_later and (not self.leaves_out or self.window == "whole_phase"):
            raise ValueError("counts_later: this rule leaves nothing out of later windows; remove it")
        return self

    @property
    def leaves_out(self) -> bool:
        """Whether the gate can leave profit out."""
        return False

    @abstractmethod
    def moved(self, state: W, event: Event, context: Context) -> W:
        """Returns the state after an event in the window."""

    def window_deducted(self, state: W, context: Context) -> int:
        """Returns the profit of the window that does not count."""
        return 0

    def merge(self, before: Mapping[str, int], more: Mapping[str, int]) -> dict[str, int]:
        """Returns the figures of two consecutive parts of a window as one."""
        return {name: before[name] + more[name] for name in self.TALLY}

    def gone_minor(self, before: W, after: W, context: Context) -> int:
        """Returns the profit that was left out on the days that a window of days no longer covers."""
        return max(0, self.window_deducted(before, context) - self.window_deducted(after, context))

    def renewed(self, state: W, context: Context) -> W:
        """Returns the state at the start of a new window."""
        return self.start(context)

    # what every gate with a window shares

    def begins(self, state: W, event: Event) -> bool:
        """Whether a window begins with `event`."""
        if self.window == "since_last_payout":
            return is_paid(event)
        if self.window == "since_last_approved_payout":
            return isinstance(event, PayoutApproved) or (not state.approved and is_paid(event))
        if self.window == "since_last_payout_request":
            held = isinstance(event, PaidOut) and event.stage == "held"
            return held or isinstance(event, PayoutRequested)
        return False

    def step(self, state: W, event: Event, context: Context) -> tuple[W, tuple[Violation, ...]]:
        if self.begins(state, event):
            return self._begun(state, event, context), ()
        if self.judges_days:
            state = _own_day_moved(state, event)
        if isinstance(self.window, LastDays):
            state = self._on_day(state, event, self.window, context)
        state = self.moved(state, event, context)
        return self._money_moved(state, event, context), ()

    def deducted_minor(self, state: W, context: Context) -> int:
        return state.left_out_minor + self.window_deducted(state, context)

    def added(self, state: W, day: date, figures: Mapping[str, int]) -> W:
        """Returns the state with more figures of the window, those of trading day `day`."""
        more = {**dict.fromkeys(self.TALLY, 0), **figures}
        update: dict[str, Any] = self.merge({name: getattr(state, name) for name in self.TALLY}, more)
        if isinstance(self.window, LastDays):
            same = bool(state.parts) and state.parts[-1].day == day
            part = DayPart(day=day, figures=self.merge(state.parts[-1].figures, more) if same else more)
            update["parts"] = (*(state.parts[:-1] if same else state.parts), part)
        return state.model_copy(update=update)

    def with_piece(self, state: W, position_id: str, minor: int, day: date) -> W:
        """Returns the state with a result of a position on trading day `day`."""
        key = self._piece_key(day)
        before = state.pieces.get(position_id, {})
        piece = {**before, key: before.get(key, 0) + minor}
        return state.model_copy(update={"pieces": {**state.pieces, position_id: piece}})

    def piece_done(self, state: W, position_id: str, day: date) -> tuple[W, int]:
        """Ends a position. Returns its result in the window, if all of it was made on trading day `day` (always, in a
        window that an event began). Otherwise returns 0: its parts stay, because they leave the window day by day."""
        piece = state.pieces.get(position_id, {})
        key = self._piece_key(day)
        if piece.keys() != {key}:
            return state, 0
        others = {name: each for name, each in state.pieces.items() if name != position_id}
        return state.model_copy(update={"pieces": others}), piece[key]

    def _piece_key(self, day: date) -> str:
        return day.isoformat() if isinstance(self.window, LastDays) else ""

    def size_minor(self, size: Size, state: W, balance_minor: int, context: Context) -> int:
        """Returns a size in minor units at this moment; `balance_minor`: the balance after the event."""
        money = state.money or _initial(context)
        figures = SizeFigures(
            initial=context.initial_minor,
            anchor=money.anchor_minor,
            peak=money.peak_minor,
            balance=balance_minor,
            payout_balance=money.payout_balance_minor,
        )
        return size.minor_of(figures, context.currency)

    @property
    def window_words(self) -> str:
        return window_words(self.window)

    @property
    def left_out_words(self) -> str:
        """What becomes of the profit that the gate leaves out once its window is over, as a sentence after a space."""
        if self.window == "whole_phase" or not self.leaves_out:
            return ""
        if self.counts_later:
            if isinstance(self.window, LastDays):
                return " What does not count is not lost: it counts again once its day is no longer one of them."
            return " What does not count is not lost: it counts again after the next payout."
        return " What does not count is out for good: later payouts leave it out too."

    def _begun(self, state: W, event: Event, context: Context) -> W:
        out = 0 if self.counts_later else self.window_deducted(state, context)
        opening = DayBook(opening_balance_minor=event.balance_minor, opening_equity_minor=event.equity_minor)
        update = {
            "left_out_minor": state.left_out_minor + out,
            "approved": state.approved or isinstance(event, PayoutApproved),
            "own_day": opening if self.judges_days else None,
            "money": state.money,
        }
        return self._money_moved(self.renewed(state, context).model_copy(update=update), event, context)

    def _on_day(self, state: W, event: Event, window: LastDays, context: Context) -> W:
        """Returns the state with the days that the window covers at `event`."""
        if not isinstance(event, DayEnded) and state.day_ends is not None and event.at < state.day_ends:
            return state
        today = day_of(event, context)
        if state.day is not None and today <= state.day:
            return state
        first = today - timedelta(days=window.days - 1)
        parts = tuple(part for part in state.parts if part.day >= first)
        update: dict[str, Any] = {"day": today, "day_ends": context.clock.day_end(today), "parts": parts}
        if len(parts) < len(state.parts):
            figures = dict.fromkeys(self.TALLY, 0)
            for part in parts:
                figures = self.merge(figures, part.figures)
            update |= figures
        if state.pieces:
            update["pieces"] = _pieces_since(state.pieces, first.isoformat())
        after = state.model_copy(update=update)
        out = 0 if self.counts_later else self.gone_minor(state, after, context)
        return after.model_copy(update={"left_out_minor": state.left_out_minor + out}) if out else after

    def _money_moved(self, state: W, event: Event, context: Context) -> W:
        """Returns the state with the figures that its sizes are percentages of, for a gate with such sizes."""
        if not isinstance(event, Rolled | PaidOut) or not self._follows_money:
            return state
        before = state.money or _initial(context)
        after = before
        if days.ends_day(event):
            peak = max(before.peak_minor, event.balance_minor)
            after = before.model_copy(update={"anchor_minor": event.balance_minor, "peak_minor": peak})
        elif isinstance(event, PaidOut) and (event.leaves or event.stage == "held"):
            after = before.model_copy(update={"payout_balance_minor": event.balance_minor})
        return state.model_copy(update={"money": after})

    @property
    def _follows_money(self) -> bool:
        sizes = (getattr(self, name) for name in type(self).model_fields)
        return any(isinstance(size, Size) and size.type not in _FIXED for size in sizes)


def happened(
    rule: WindowGate[Any],
    state: WindowState,
    event: Event,
    book: DayBook,
    ended: tuple[DayEnded, ...],
    context: Context,
) -> tuple[Event, ...]:
    """Returns `event` as a gate with a window takes it: a day that it ended comes first, cut to the part in the window.
    Where a window begins, the running day up to there belongs to the window before. `book`: after the event."""
    own = state.own_day
    if own is not None and not isinstance(event, DayEnded):
        own, own_ended = days.step(own, event)
        ended = own_ended if days.ends_day(event) else ended
    if rule.judges_running_day and rule.begins(state, event):
        return days.running(own or book, event, day_of(event, context)), event
    return (*(_dated(day, context) for day in ended), event)


def running_day(state: State, book: DayBook, now: Moment, context: Context) -> DayEnded | None:
    """Returns the part of the running day that a gate judges as if it ended now; None without a result."""
    own = state.own_day if isinstance(state, WindowState) else None
    book = own or book
    return days.running(book, now, context.clock.trading_day(now.at)) if days.has_results(book, now) else None


def _own_day_moved(state: W, event: Event) -> W:
    if state.own_day is None:
        return state
    if isinstance(event, DayEnded) or days.ends_day(event):
        return state.model_copy(update={"own_day": None})
    own, _ = days.step(state.own_day, event)
    return state if own is state.own_day else state.model_copy(update={"own_day": own})


def _pieces_since(pieces: dict[str, dict[str, int]], first: str) -> dict[str, dict[str, int]]:
    left = {name: {day: minor for day, minor in piece.items() if day >= first} for name, piece in pieces.items()}
    return {name: piece for name, piece in left.items() if piece}


def _initial(context: Context) -> MoneyFigures:
    initial = context.initial_minor
    return MoneyFigures(anchor_minor=initial, peak_minor=initial, payout_balance_minor=initial)


def _dated(day: DayEnded, context: Context) -> DayEnded:
    return day if day.day is not None else days.on(day, day_of(day, context))


def day_of(event: Event, context: Context) -> date:
    """Returns the trading day of an event; for a result of a day, that day."""
    if isinstance(event, DayEnded):
        return event.day or context.clock.trading_day(event.at - _MICROSECOND)
    return context.clock.trading_day(event.at)
