"""News: actions around a scheduled release that are not allowed, or whose profit does not count in full."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Annotated, Final, Literal, Self

from pydantic import Field, model_validator

from domain.money import ExactDecimal, half_up
from domain.rules.base import ConductRule, Context, State, Violation
from domain.rules.events import Action, CloseAction, Closed, Event, News, Opened
from domain.rules.terms import RuleId, Terms
from domain.wording import capital, listing, percent

Minutes = Annotated[int, Field(ge=0, le=7 * 24 * 60)]
Phase = Literal["evaluation", "funded"]


_ACTION_WORDS: Final[Mapping[CloseAction, str]] = {
    "open": "opening a position",
    "close": "closing a position",
    "pending_fill": "the fill of a pending order",
    "stop_loss": "a stop loss",
    "take_profit": "a take profit",
}


class Target(Terms):
    """The symbols that a release of `name` (a currency, an index) affects, in addition to the symbols of that name."""

    name: Annotated[str, Field(min_length=1, max_length=20)]
    symbols: Annotated[tuple[str, ...], Field(min_length=1)]


class Release(State):
    news_id: str
    at: datetime
    symbols: tuple[str, ...]


class Order(State):
    """An open position: the result of its closed parts, and whether an action on it was near a release."""

    position_id: str
    made_minor: int = 0
    tainted: bool = False


class NewsState(State):
    """`deducted_minor`: the profit of fully closed orders that does not count."""

    releases: tuple[Release, ...] = ()
    orders: tuple[Order, ...] = ()
    deducted_minor: int = 0
    offences: int = 0


class NewsWindow(ConductRule[NewsState]):
    """No action of `applies_to` from `before_minutes` before to `after_minutes` after a release, both ends included.

    With the consequence deduct_profit, only `counted_pct` percent of the profit of an affected order counts. Its losses
    count in full. A part closed in the window affects the whole order.
    """

    type: Literal["news_window"]
    id: RuleId = "news_window"
    before_minutes: Minutes
    after_minutes: Minutes
    applies_to: Annotated[tuple[Action, ...], Field(min_length=1)]
    targeted_instruments_only: bool = True
    targets: tuple[Target, ...] = ()
    impacts: tuple[str, ...] = ("high",)
    phases: tuple[Phase, ...] = ("evaluation", "funded")
    account_types: tuple[str, ...] | None = None
    counted_pct: Annotated[ExactDecimal, Field(ge=0, lt=100)] | None = None

    @model_validator(mode="after")
    def _haircut_has_its_share(self) -> Self:
        deducts = any(consequence.kind == "deduct_profit" for consequence in self.consequences)
        if deducts and self.counted_pct is None:
            raise ValueError("counted_pct: say which share of the profit still counts (0: none of it)")
        if self.counted_pct is not None and not deducts:
            raise ValueError("counted_pct: it needs the consequence deduct_profit; add it or remove counted_pct")
        if self.targets and not self.targeted_instruments_only:
            raise ValueError("targets: every instrument is concerned already; remove it or restrict the rule")
        return self

    def start(self, context: Context) -> NewsState:
        return NewsState()

    def binds(self, context: Context) -> bool:
        """Whether the rule applies to accounts of this phase and type at all."""
        return context.phase in self.phases and (
            self.account_types is None or context.account_type in self.account_types
        )

    def step(self, state: NewsState, event: Event, context: Context) -> tuple[NewsState, tuple[Violation, ...]]:
        if not self.binds(context):
            return state, ()
        if isinstance(event, News):
            return self._announced(state, event), ()
        if not isinstance(event, Opened | Closed):
            return state, ()
        release = self._release_for(state, event)
        if self.counted_pct is not None:
            state = self._booked(state, event, tainted=release is not None)
        if release is None:
            return state, ()
        state = state.model_copy(update={"offences": state.offences + 1})
        action = capital(_ACTION_WORDS[event.action])
        sentence = f"{action} in {event.symbol} at {event.at:%H:%M:%S} UTC was too close to the news release at"
        sentence += f" {release.at:%H:%M} UTC."
        figures = {"release": release.news_id, "released_at": release.at, "action": event.action, "at": event.at}
        return state, (self.offended(state.offences, sentence, figures, (event.position_id,)),)

    def _announced(self, state: NewsState, news: News) -> NewsState:
        if news.impact not in self.impacts:
            return state
        # a release that is announced again replaces the earlier announcement
        over = news.at - timedelta(minutes=self.after_minutes)
        kept = tuple(r for r in state.releases if r.news_id != news.news_id and r.at >= over)
        new = Release(news_id=news.news_id, at=news.released_at, symbols=news.symbols)
        return state.model_copy(update={"releases": (*kept, new)})

    def _release_for(self, state: NewsState, event: Opened | Closed) -> Release | None:
        if event.action not in self.applies_to:
            return None
        before, after = timedelta(minutes=self.before_minutes), timedelta(minutes=self.after_minutes)
        near = (r for r in state.releases if r.at - before <= event.at <= r.at + after)
        return next((r for r in near if self.concerns(r.symbols, event.symbol)), None)

    def concerns(self, names: tuple[str, ...], symbol: str) -> bool:
        """Whether a release for `names` (empty: for everything) affects `symbol`."""
        if not names or not self.targeted_instruments_only:
            return True
        mapped = {one for target in self.targets if target.name in names for one in target.symbols}
        return symbol in names or symbol in mapped or any(_is_leg(name, symbol) for name in names)

    def _booked(self, state: NewsState, event: Opened | Closed, *, tainted: bool) -> NewsState:
        others = tuple(order for order in state.orders if order.position_id != event.position_id)
        order = next((o for o in state.orders if o.position_id == event.position_id), None)
        order = order or Order(position_id=event.position_id)
        made = order.made_minor + (event.pnl_minor if isinstance(event, Closed) else 0)
        order = order.model_copy(update={"made_minor": made, "tainted": order.tainted or tainted})
        if isinstance(event, Closed) and event.lots_left <= 0:
            deducted = state.deducted_minor + self._off(order)
            return state.model_copy(update={"orders": others, "deducted_minor": deducted})
        return state.model_copy(update={"orders": (*others, order)})

    def _off(self, order: Order) -> int:
        return order.made_minor - self.counted_minor(order.made_minor) if order.tainted else 0

    def counted_minor(self, profit_minor: int) -> int:
        """Returns the part of the profit of an affected order that counts, rounded half up; a loss counts in full."""
        if self.counted_pct is None or profit_minor <= 0:
            return profit_minor
        return half_up(Decimal(profit_minor) * self.counted_pct / 100)

    def deducted_minor(self, state: NewsState, context: Context) -> int:
        return state.deducted_minor + sum(self._off(order) for order in state.orders)

    def words(self, context: Context) -> str:
        if not self.binds(context):
            return "News. You may trade around news releases."
        actions = listing([_ACTION_WORDS[action] for action in self.applies_to])
        where = "the affected instruments" if self.targeted_instruments_only else "any instrument"
        words = f"News. From {self.before_minutes} minutes before to {self.after_minutes} minutes after a release of"
        words += f" {listing(self.impacts, 'or')} impact, in {where}: "
        words += f"{actions} {'is' if len(self.applies_to) == 1 else 'are'} not allowed."
        if self.counted_pct is not None:
            words = words.removesuffix("not allowed.") + "allowed, but the profit does not count in full."
        words += f" The rule applies in the {listing([f'{phase} phase' for phase in self.phases])}"
        words += "." if self.account_types is None else f", on accounts of type {listing(self.account_types, 'or')}."
        for target in self.targets:
            words += f" A release for {target.name} affects {', '.join(target.symbols)}."
        if self.counted_pct is not None:
            words += (
                f" Of the profit of an affected order {percent(self.counted_pct)} counts, for the whole order even if"
            )
            words += " only a part of it was closed in that time. Losses count in full."
        return f"{words} {self.consequence_words}"


def _is_leg(currency: str, symbol: str) -> bool:
    """Whether `currency` is one of the two currencies of a pair such as EURUSD or EURUSD.r."""
    pair = symbol[:6]
    return len(currency) == 3 and len(pair) == 6 and pair.isalpha() and currency in (pair[:3], pair[3:])
