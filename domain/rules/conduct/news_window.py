"""News: actions around a scheduled release that are not allowed, or whose profit does not count in full."""

from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Annotated, Final, Literal, Self

from pydantic import Field, model_validator

from domain.money import ExactDecimal, half_up
from domain.rules.base import ConductRule, Context, State, Violation
from domain.rules.events import Action, CloseAction, Closed, Event, News, Opened
from domain.rules.holdings import NOTHING_HELD, Holding, Holdings, held_after
from domain.rules.terms import LATER, RuleId, Size, Terms
from domain.wording import capital, listing, percent, span

Minutes = Annotated[int, Field(ge=0, le=7 * 24 * 60)]
Phase = Literal["evaluation", "funded"]


NewsAction = Action | Literal["hold"]
_NEXT: Final = timedelta(microseconds=1)

_ACTION_WORDS: Final[Mapping[CloseAction | NewsAction, str]] = {
    "open": "opening a position",
    "close": "closing a position",
    "pending_fill": "the fill of a pending order",
    "stop_loss": "a stop loss",
    "take_profit": "a take profit",
    "hold": "holding a position",
}


class NewsTarget(Terms):
    """The symbols that a release of `name` (a currency, an index) affects, in addition to the symbols of that name."""

    name: Annotated[str, Field(min_length=1, max_length=20)]
    symbols: Annotated[tuple[str, ...], Field(min_length=1)]


class Release(State):
    """`ends`: the end of a speech. `judged`: positions held past the first instant of its window were looked for."""

    news_id: str
    at: datetime
    symbols: tuple[str, ...]
    ends: datetime | None = None
    judged: bool = False


class Order(State):
    """An open position: the result of its closed parts, and whether its profit does not count in full."""

    position_id: str
    made_minor: int = 0
    tainted: bool = False


class NewsState(State):
    """`releases`: those that are not over, in order. `held`: open positions, if the rule asks since when they are.
    `deducted_minor`, `counted_minor`: of the affected orders that are closed, what does not count and what does."""

    releases: tuple[Release, ...] = ()
    orders: tuple[Order, ...] = ()
    deducted_minor: int = 0
    offences: int = 0
    held: Holdings = NOTHING_HELD
    counted_minor: int = 0


class NewsWindow(ConductRule[NewsState]):
    """No action of `applies_to` from `before_minutes` before a release to `after_minutes` after it, or after its end if
    it has one. Both ends of the window are included.

    `hold`: a position from before is still open past the first instant of the window.
    `exempt_if_opened_minutes_before`: positions opened at least so long before the release are free.

    With the consequence deduct_profit, only `counted_pct` percent of the profit of an affected order counts, and at
    most `cap` of all affected orders together. Losses count in full. A part closed in the window affects the whole
    order.
    """

    type: Literal["news_window"]
    id: RuleId = "news_window"
    before_minutes: Minutes
    after_minutes: Minutes
    applies_to: Annotated[tuple[NewsAction, ...], Field(min_length=1)]
    exempt_if_opened_minutes_before: Annotated[Minutes | None, LATER] = None
    targeted_instruments_only: bool = True
    targets: tuple[NewsTarget, ...] = ()
    impacts: tuple[str, ...] = ("high",)
    phases: tuple[Phase, ...] = ("evaluation", "funded")
    account_types: tuple[str, ...] | None = None
    counted_pct: Annotated[ExactDecimal, Field(ge=0, le=100)] | None = None
    cap: Annotated[Size | None, LATER] = None

    @model_validator(mode="after")
    def _haircut_has_its_share(self) -> Self:
        if self.deducts and self.counted_pct is None and self.cap is None:
            raise ValueError("counted_pct: say which share of the profit still counts (0: none of it)")
        if self.counted_pct is not None and not self.deducts:
            raise ValueError("counted_pct: it needs the consequence deduct_profit; add it or remove counted_pct")
        if self.cap is not None and not self.deducts:
            raise ValueError("cap: it needs the consequence deduct_profit; add it or remove cap")
        if self.targets and not self.targeted_instruments_only:
            raise ValueError("targets: every instrument is concerned already; remove it or restrict the rule")
        return self

    def problems(self, context: Context) -> Iterator[tuple[str, str]]:
        if self.counted_pct == 100 and self.cap is None:
            yield "counted_pct", "all profit counts, so that nothing is deducted; lower it, or add a cap"
        if self.cap is not None and self.cap.type not in ("amount", "pct_of_initial"):
            yield "cap", "the cap has no such basis; use amount or pct_of_initial"
        exempt = self.exempt_if_opened_minutes_before
        if exempt is not None and exempt < self.before_minutes and "open" in self.applies_to:
            yield (
                "exempt_if_opened_minutes_before",
                f"positions opened in the window would be free; use at least {self.before_minutes}",
            )

    @property
    def deducts(self) -> bool:
        return any(consequence.kind == "deduct_profit" for consequence in self.consequences)

    @property
    def _asks_since_when(self) -> bool:
        return "hold" in self.applies_to or self.exempt_if_opened_minutes_before is not None

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
        found: list[Violation] = []
        if "hold" in self.applies_to:
            state = self._held_through(state, event, found)
        if isinstance(event, Opened | Closed):
            release = self._release_for(state, event)
            if release is not None:
                state = self._offended_by(state, event, release, found)
            if self.deducts:
                state = self._booked(state, event)
            if self._asks_since_when:
                state = state.model_copy(update={"held": held_after(state.held, event)})
        if self.deducts and found:
            state = self._tainted(state, found)
        if self.deducts and isinstance(event, Closed) and event.lots_left <= 0:
            state = self._settled(state, event)
        return self._without_past(state, event.at), tuple(found)

    # releases, in the order of their time

    def _start(self, release: Release) -> datetime:
        return release.at - timedelta(minutes=self.before_minutes)

    def _end(self, release: Release) -> datetime:
        return max(release.at, release.ends or release.at) + timedelta(minutes=self.after_minutes)

    def _announced(self, state: NewsState, news: News) -> NewsState:
        """Returns the state with a release. One that is announced again, moved, replaces the earlier announcement."""
        known = next((one for one in state.releases if one.news_id == news.news_id), None)
        new = Release(news_id=news.news_id, at=news.released_at, symbols=news.symbols, ends=news.ends_at)
        if known is not None and known.model_copy(update={"judged": False}) == new and news.impact in self.impacts:
            return state
        kept = [one for one in state.releases if one.news_id != news.news_id and self._end(one) >= news.at]
        if news.impact in self.impacts:
            # nobody could know of a release that is announced when its window has begun
            kept.append(new.model_copy(update={"judged": self._start(new) < news.at}))
        elif known is None:
            return state
        return state.model_copy(update={"releases": tuple(sorted(kept, key=lambda one: one.at))})

    def _without_past(self, state: NewsState, now: datetime) -> NewsState:
        """Returns the state without the first releases that are over, so that no event looks at all of them."""
        past = 0
        while past < len(state.releases) and self._end(state.releases[past]) < now:
            past += 1
        return state.model_copy(update={"releases": state.releases[past:]}) if past else state

    def _begun(self, state: NewsState, now: datetime) -> Iterator[Release]:
        """Yields the releases with a window that has begun, in order."""
        for release in state.releases:
            if self._start(release) > now:
                return
            yield release

    # what is not allowed

    def _release_for(self, state: NewsState, event: Opened | Closed) -> Release | None:
        """Returns the first release that forbids this fill; None if it is allowed."""
        if event.action not in self.applies_to:
            return None
        near = (one for one in self._begun(state, event.at) if event.at <= self._end(one))
        concerned = (one for one in near if self.concerns(one.symbols, event.symbol))
        since = None
        if self.exempt_if_opened_minutes_before is not None:
            held = state.held.get(event.position_id)
            since = event.at if isinstance(event, Opened) else event.opened_at
            since = held.opened_at if held else since
        return next((one for one in concerned if not self._is_exempt(since, one)), None)

    def _is_exempt(self, opened_at: datetime | None, release: Release) -> bool:
        minutes = self.exempt_if_opened_minutes_before
        if minutes is None or opened_at is None:
            return False
        return opened_at <= release.at - timedelta(minutes=minutes)

    def _held_through(self, state: NewsState, event: Event, found: list[Violation]) -> NewsState:
        """Finds the positions from before a window that are open past its first instant, once for each window."""
        due = [one for one in self._begun(state, event.at) if not one.judged]
        if not due:
            return state
        told: set[tuple[str, datetime]] = set()
        for release in due:
            start = self._start(release)
            for held in state.held:
                in_time = isinstance(event, Closed) and event.position_id == held.position_id and event.lots_left <= 0
                if held.opened_at >= start or (in_time and event.at == start) or (held.position_id, start) in told:
                    continue
                if self.concerns(release.symbols, held.symbol) and not self._is_exempt(held.opened_at, release):
                    told.add((held.position_id, start))
                    state = self._offended_by_holding(state, held, release, event.at, found)
        judged = {one.news_id for one in due}
        releases = (one.model_copy(update={"judged": True}) if one.news_id in judged else one for one in state.releases)
        return state.model_copy(update={"releases": tuple(releases)})

    def due(self, state: NewsState, context: Context) -> datetime | None:
        if "hold" not in self.applies_to or not state.held or not self.binds(context):
            return None
        # a position that is closed exactly at the first instant is closed in time
        return next((self._start(one) + _NEXT for one in state.releases if not one.judged), None)

    def _offended_by(
        self, state: NewsState, event: Opened | Closed, release: Release, found: list[Violation]
    ) -> NewsState:
        offences = state.offences + 1
        action = capital(_ACTION_WORDS[event.action])
        sentence = f"{action} in {event.symbol} at {event.at:%H:%M:%S} UTC was too close to the news release at"
        sentence += f" {_span(release)} UTC."
        figures = {"release": release.news_id, "released_at": release.at, "action": event.action, "at": event.at}
        found.append(self.offended(offences, sentence, figures, (event.position_id,)))
        return state.model_copy(update={"offences": offences})

    def _offended_by_holding(
        self, state: NewsState, held: Holding, release: Release, at: datetime, found: list[Violation]
    ) -> NewsState:
        offences, start = state.offences + 1, self._start(release)
        sentence = f"The position in {held.symbol} was still open after {start:%H:%M:%S} UTC, when the time around the"
        sentence += f" news release at {_span(release)} UTC began."
        figures = {"release": release.news_id, "released_at": release.at, "action": "hold", "at": at}
        found.append(self.offended(offences, sentence, figures, (held.position_id,)))
        return state.model_copy(update={"offences": offences})

    def concerns(self, names: tuple[str, ...], symbol: str) -> bool:
        """Whether a release for `names` (empty: for everything) affects `symbol`."""
        if not names or not self.targeted_instruments_only:
            return True
        mapped = {one for target in self.targets if target.name in names for one in target.symbols}
        return symbol in names or symbol in mapped or any(_is_leg(name, symbol) for name in names)

    # profit that does not count

    def _booked(self, state: NewsState, event: Opened | Closed) -> NewsState:
        """Returns the state with the result of a fill added to its order."""
        others = tuple(order for order in state.orders if order.position_id != event.position_id)
        order = next((o for o in state.orders if o.position_id == event.position_id), None)
        order = order or Order(position_id=event.position_id)
        made = order.made_minor + (event.pnl_minor if isinstance(event, Closed) else 0)
        order = order.model_copy(update={"made_minor": made})
        return state.model_copy(update={"orders": (*others, order)})

    def _tainted(self, state: NewsState, found: list[Violation]) -> NewsState:
        """Returns the state with the orders marked that lose profit by these offences."""
        losing = {
            position
            for violation in found
            if violation.consequence.kind == "deduct_profit"
            for position in violation.position_ids
        }
        orders = tuple(
            order.model_copy(update={"tainted": True}) if order.position_id in losing else order
            for order in state.orders
        )
        return state.model_copy(update={"orders": orders})

    def _settled(self, state: NewsState, event: Closed) -> NewsState:
        """Returns the state without the order that `event` has closed."""
        order = next((o for o in state.orders if o.position_id == event.position_id), None)
        if order is None:
            return state
        left = tuple(other for other in state.orders if other is not order)
        if not order.tainted:
            return state.model_copy(update={"orders": left})
        counted = self.counted_minor(order.made_minor)
        return state.model_copy(
            update={
                "orders": left,
                "deducted_minor": state.deducted_minor + order.made_minor - counted,
                "counted_minor": state.counted_minor + counted,
            }
        )

    def counted_minor(self, profit_minor: int) -> int:
        """Returns the part of the profit of an affected order that counts, rounded half up; a loss counts in full."""
        if self.counted_pct is None or profit_minor <= 0:
            return profit_minor
        return half_up(Decimal(profit_minor) * self.counted_pct / 100)

    def above_cap_minor(self, counted_minor: int, context: Context) -> int:
        """Returns what `counted_minor`, the counted profit of all affected orders, is above the cap."""
        if self.cap is None:
            return 0
        cap = self.cap.minor(initial=context.initial_minor, basis=0, currency=context.currency)
        return max(counted_minor - cap, 0)

    def deducted_minor(self, state: NewsState, context: Context) -> int:
        made = [order.made_minor for order in state.orders if order.tainted]
        counted = sum(map(self.counted_minor, made))
        deducted = state.deducted_minor + sum(made) - counted
        return deducted + self.above_cap_minor(state.counted_minor + counted, context)

    def words(self, context: Context) -> str:
        if not self.binds(context):
            return "News. You may trade around news releases."
        acts = [_ACTION_WORDS[action] for action in self.applies_to]
        where = "the affected instruments" if self.targeted_instruments_only else "any instrument"
        words = f"News. From {self.before_minutes} minutes before to {self.after_minutes} minutes after a release of"
        words += (
            f" {listing(self.impacts, 'or')} impact, in {where}: {listing(acts)} {'is' if len(acts) == 1 else 'are'}"
        )
        words += " allowed, but the profit does not count in full." if self.deducts else " not allowed."
        words += " A release that lasts, such as a speech, counts from its beginning to its end."
        if "hold" in self.applies_to:
            words += " A position from before must be closed when that time begins."
        if self.exempt_if_opened_minutes_before is not None:
            words += f" Positions opened at least {span(60 * self.exempt_if_opened_minutes_before)} before the"
            words += " release are free."
        words += f" The rule applies in {listing([f'the {phase} phase' for phase in self.phases])}"
        words += "." if self.account_types is None else f", on accounts of type {listing(self.account_types, 'or')}."
        for target in self.targets:
            words += f" A release for {target.name} affects {', '.join(target.symbols)}."
        return f"{words}{self._haircut_words(context)} {self.consequence_words}"

    def _haircut_words(self, context: Context) -> str:
        if not self.deducts:
            return ""
        words = ""
        if self.counted_pct is not None:
            words = (
                f" Of the profit of an affected order {percent(self.counted_pct)} counts, for the whole order even if"
            )
            words += " only a part of it was closed in that time."
        if self.cap is not None:
            words += f" Of all affected orders together at most {context.size(self.cap)} counts."
        return f"{words} Losses count in full."


def _span(release: Release) -> str:
    """Returns the time of a release for people: "12:30", "18:30 to 19:20"."""
    return f"{release.at:%H:%M}" + (f" to {release.ends:%H:%M}" if release.ends else "")


def _is_leg(currency: str, symbol: str) -> bool:
    """Whether `currency` is one of the two currencies of a pair such as EURUSD or EURUSD.r."""
    pair = symbol[:6]
    return len(currency) == 3 and len(pair) == 6 and pair.isalpha() and currency in (pair[:3], pair[3:])
