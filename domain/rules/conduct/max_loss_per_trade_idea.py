"""Maximum loss per trade idea: a position that is split, or opened again after a loss, is still the same idea."""

from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Annotated, Any, Final, Literal, Self

from pydantic import Field, model_validator

from domain.money import ExactDecimal, half_up
from domain.rules.base import ConductRule, Context, State, Violation
from domain.rules.events import Closed, Event, Opened, Side
from domain.rules.positions.size_basis import SizeBasis, basis_after, figures
from domain.rules.terms import LATER, NO_LIMIT, RuleId, Size, Terms
from domain.wording import percent, span

_ANCHOR: Final = "the balance at the last reset"


class ShareOfDailyAllowance(Terms):
    """A percentage of the rule's own `daily_allowance`."""

    type: Literal["pct_of_daily_allowance"]
    value: Annotated[ExactDecimal, Field(gt=0)]


class Idea(State):
    """Positions that count as one. `made_minor`: the closed net result. `lost_at`: the last losing close."""

    symbol: str
    side: Side
    open_ids: tuple[str, ...] = ()
    made_minor: int = 0
    lost_at: datetime | None = None
    told: bool = False

    @property
    def loss_minor(self) -> int:
        return max(-self.made_minor, 0)


class IdeasState(State):
    """`ideas`: those that may still continue. `loss_minor`: the loss of the idea that changed last."""

    basis: SizeBasis = SizeBasis()
    ideas: tuple[Idea, ...] = ()
    loss_minor: int = 0
    offences: int = 0

    @model_validator(mode="before")
    @classmethod
    def _from_one_figure(cls, data: Any) -> Any:
        """Reads a state of an earlier version, which knew the balance at the last reset only."""
        if not isinstance(data, Mapping) or "anchor_minor" not in data:
            return data
        kept = {name: value for name, value in data.items() if name != "anchor_minor"}
        return kept | {"basis": {"anchor_minor": data["anchor_minor"]}}


class MaxLossPerTradeIdea(ConductRule[IdeasState]):
    """The closed loss of one idea must not exceed the limit (`compare` >), or not even reach it (>=).

    An opening in the same symbol and side within `merge_within_minutes` of a losing close continues that idea. With
    `splits`, an opening while a position in the same symbol and side is open continues it too. A percentage of the
    anchor is one of the balance at the last reset, of the peak one of the highest balance at a reset.
    """

    type: Literal["max_loss_per_trade_idea"]
    id: RuleId = "max_loss_per_trade_idea"
    limit: Annotated[Size | ShareOfDailyAllowance, Field(discriminator="type")]
    daily_allowance: Size | None = None
    merge_within_minutes: Annotated[int, Field(ge=0, le=24 * 60)] = 0
    splits: bool = True
    compare: Annotated[Literal[">", ">="], LATER] = ">"

    @model_validator(mode="after")
    def _sizes_fit(self) -> Self:
        if isinstance(self.limit, ShareOfDailyAllowance) != (self.daily_allowance is not None):
            raise ValueError("daily_allowance: a limit of pct_of_daily_allowance needs it, and no other has it")
        for name, size in (("limit", self.limit), ("daily_allowance", self.daily_allowance)):
            if isinstance(size, Size) and size.type == "pct_of_trade_value":
                raise ValueError(f"{name}: an idea has no value of its own; use another type")
        return self

    def problems(self, context: Context) -> Iterator[tuple[str, str]]:
        initial = context.initial_minor
        if initial and self.limit_minor(self.start(context), context) >= initial:
            yield "limit", "one idea could lose the whole account; set a limit below the initial balance"

    def start(self, context: Context) -> IdeasState:
        return IdeasState()

    def daily_allowance_minor(
        self, state: IdeasState, context: Context, balance_minor: int | None = None
    ) -> int | None:
        """Returns the daily allowance that the limit is a share of; None without one."""
        if self.daily_allowance is None:
            return None
        return self.daily_allowance.minor_of(figures(state.basis, context, balance_minor), context.currency)

    def limit_minor(self, state: IdeasState, context: Context, balance_minor: int | None = None) -> int:
        """Returns the largest loss of one idea that is allowed, in minor units. `balance_minor`: the balance now; None:
        that of the last reset."""
        if isinstance(self.limit, ShareOfDailyAllowance):
            daily = self.daily_allowance_minor(state, context, balance_minor) or 0
            return NO_LIMIT if daily == NO_LIMIT else half_up(Decimal(daily) * self.limit.value / 100)
        return self.limit.minor_of(figures(state.basis, context, balance_minor), context.currency)

    def step(self, state: IdeasState, event: Event, context: Context) -> tuple[IdeasState, tuple[Violation, ...]]:
        basis = basis_after(state.basis, event, context.initial_minor)
        if basis is not state.basis:
            return state.model_copy(update={"basis": basis}), ()
        if isinstance(event, Opened):
            return self._opened(state, event), ()
        if isinstance(event, Closed):
            return self._closed(state, event, context)
        return state, ()

    def _opened(self, state: IdeasState, event: Opened) -> IdeasState:
        merge = timedelta(minutes=self.merge_within_minutes)
        alive = [i for i in state.ideas if i.open_ids or (i.lost_at is not None and event.at - i.lost_at <= merge)]
        idea = next((i for i in reversed(alive) if self._continues(i, event, merge)), None)
        others = tuple(i for i in alive if i is not idea)
        idea = idea or Idea(symbol=event.symbol, side=event.side)
        if event.position_id not in idea.open_ids:
            idea = idea.model_copy(update={"open_ids": (*idea.open_ids, event.position_id)})
        return state.model_copy(update={"ideas": (*others, idea), "loss_minor": idea.loss_minor})

    def _continues(self, idea: Idea, event: Opened, merge: timedelta) -> bool:
        if event.position_id in idea.open_ids:
            return True
        if (idea.symbol, idea.side) != (event.symbol, event.side):
            return False
        soon = idea.lost_at is not None and event.at - idea.lost_at <= merge
        return soon or (self.splits and bool(idea.open_ids))

    def _closed(self, state: IdeasState, event: Closed, context: Context) -> tuple[IdeasState, tuple[Violation, ...]]:
        idea = next((i for i in state.ideas if event.position_id in i.open_ids), None)
        others = tuple(i for i in state.ideas if i is not idea)
        idea = idea or Idea(symbol=event.symbol, side=event.side)
        gone = event.lots_left <= 0
        idea = idea.model_copy(
            update={
                "made_minor": idea.made_minor + event.pnl_minor,
                "lost_at": event.at if event.pnl_minor < 0 else idea.lost_at,
                "open_ids": tuple(i for i in idea.open_ids if not (gone and i == event.position_id)),
            }
        )
        limit = self.limit_minor(state, context, event.balance_minor)
        found: tuple[Violation, ...] = ()
        offences = state.offences
        beyond = idea.loss_minor > limit if self.compare == ">" else 0 < idea.loss_minor >= limit
        if beyond and not idea.told:
            idea, offences = idea.model_copy(update={"told": True}), offences + 1
            loss, allowed = context.money(idea.loss_minor), context.money(limit)
            sentence = f"One trade idea in {idea.symbol} ({idea.side}) lost {loss}; the limit is {allowed}."
            figures = {"idea_loss_minor": idea.loss_minor, "limit_minor": limit}
            found = (self.offended(offences, sentence, figures, (event.position_id,)),)
        update = {"ideas": (*others, idea), "loss_minor": idea.loss_minor, "offences": offences}
        return state.model_copy(update=update), found

    def words(self, context: Context) -> str:
        if isinstance(self.limit, Size):
            limit = context.size(self.limit, anchor=_ANCHOR)
        else:
            limit = f"{percent(self.limit.value)} of the daily allowance"
            if self.daily_allowance is not None:
                limit += f", which is {context.size(self.daily_allowance, anchor=_ANCHOR)}"
        most = "no more than" if self.compare == ">" else "less than"
        words = f"Loss per trade idea. One trade idea may lose {most} {limit}."
        if self.merge_within_minutes:
            words += (
                f" Opening the same symbol in the same direction within {span(60 * self.merge_within_minutes)} after a"
            )
            words += " losing close continues the same idea."
        if self.splits:
            words += " Positions in the same symbol and direction that are open at the same time are one idea."
        return f"{words} {self.consequence_words}"
