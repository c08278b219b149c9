"""No hedging: no position against another one, in one symbol or in a group of symbols that move together."""

from collections.abc import Iterator
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from domain.rules.base import ConductRule, Context, State, Violation
from domain.rules.events import Closed, Event, Opened, Side
from domain.rules.holdings import NOTHING_HELD, Holding, Holdings, held_after
from domain.rules.terms import RuleId

Symbols = Annotated[tuple[Annotated[str, Field(min_length=1)], ...], Field(min_length=2)]


class SymbolHeld(State):
    """How many positions of each side are open in one symbol."""

    buy: int = 0
    sell: int = 0


class HedgingState(State):
    """`symbols`: what is open now, by symbol."""

    holdings: Holdings = NOTHING_HELD
    symbols: dict[str, SymbolHeld] = Field(default_factory=dict)
    offences: int = 0


class NoHedging(ConductRule[HedgingState]):
    """A position opened against another open one is an offence. Adding to an open position is none.

    `bans` opposite_sides: the other one is of the other side, in the same symbol or in one that shares one of the
    `groups`. any_two_symbols: the other one is in another symbol of a shared group, on either side.
    """

    type: Literal["no_hedging"]
    id: RuleId = "no_hedging"
    groups: tuple[Symbols, ...] = ()
    bans: Literal["opposite_sides", "any_two_symbols"] = "opposite_sides"

    @model_validator(mode="after")
    def _groups_fit(self) -> Self:
        if self.bans == "any_two_symbols" and not self.groups:
            raise ValueError("groups: any_two_symbols forbids two symbols of one group; list the groups")
        if any(len(set(group)) < len(group) for group in self.groups):
            raise ValueError("groups: name each symbol of a group once")
        return self

    def start(self, context: Context) -> HedgingState:
        return HedgingState()

    def step(self, state: HedgingState, event: Event, context: Context) -> tuple[HedgingState, tuple[Violation, ...]]:
        if not isinstance(event, Opened | Closed):
            return state, ()
        holdings = held_after(state.holdings, event)
        if holdings is state.holdings:
            return state, ()
        before, after = state.holdings.get(event.position_id), holdings.get(event.position_id)
        against = self._against(state, event) if isinstance(event, Opened) and before is None else None
        symbols = state.symbols
        if before is None and after is not None:
            symbols = _counted(symbols, after, 1)
        elif before is not None and after is None:
            symbols = _counted(symbols, before, -1)
        offences = state.offences + (against is not None)
        now = HedgingState(holdings=holdings, symbols=symbols, offences=offences)
        if against is None:
            return now, ()
        symbol, side = against
        sentence = f"A {event.side} position in {event.symbol} was opened while a {side} position in {symbol} was open."
        figures = {"symbol": event.symbol, "side": event.side, "other_symbol": symbol, "other_side": side}
        return now, (self.offended(offences, sentence, figures, (event.position_id,)),)

    def _against(self, state: HedgingState, event: Opened) -> tuple[str, Side] | None:
        """Returns the symbol and the side of an open position that forbids the opening; None if there is none."""
        sides: tuple[Side, ...] = ("sell",) if event.side == "buy" else ("buy",)
        sides = ("buy", "sell") if self.bans == "any_two_symbols" else sides
        for symbol in self._related(event.symbol):
            held = state.symbols.get(symbol)
            for side in sides if held is not None else ():
                if getattr(held, side):
                    return symbol, side
        return None

    def _related(self, symbol: str) -> Iterator[str]:
        """Yields the symbols in which an open position may forbid an opening in `symbol`."""
        if self.bans == "opposite_sides":
            yield symbol
        for group in self.groups:
            if symbol in group:
                yield from (other for other in group if other != symbol)

    def words(self, context: Context) -> str:
        groups = "; ".join(", ".join(group) for group in self.groups)
        if self.bans == "any_two_symbols":
            words = "Two symbols. You may not open a position while one in another symbol of the same group is open."
        else:
            words = "Hedging. You may not open a position while one of the opposite side is open in the same symbol"
            words += ", or in a symbol of the same group." if groups else "."
        if groups:
            words += f" {'Groups' if len(self.groups) > 1 else 'Group'}: {groups}."
        return f"{words} Each position opened that way is a separate offence. {self.consequence_words}"


def _counted(symbols: dict[str, SymbolHeld], holding: Holding, change: int) -> dict[str, SymbolHeld]:
    held = symbols.get(holding.symbol) or SymbolHeld()
    now = held.model_copy(update={holding.side: getattr(held, holding.side) + change})
    after = {**symbols, holding.symbol: now}
    if not now.buy and not now.sell:
        del after[holding.symbol]
    return after
