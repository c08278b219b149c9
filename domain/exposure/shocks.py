"""A shock to prices: which symbols move, how crosses follow, and the quotes afterwards. Exact, in Decimal."""

import re
from collections.abc import Iterable, Mapping, Sequence
from decimal import ROUND_HALF_UP, Decimal
from typing import Annotated, Final, Literal

from pydantic import Field

from domain.errors import BadInput
from domain.exposure.figures import Part
from domain.exposure.symbols import NO_SYNONYMS, Synonyms, Underlying, pair_of, underlying
from domain.money import ExactDecimal
from domain.pnl import REPORTING_CURRENCY
from domain.quoting import cut

Quotes = Mapping[str, tuple[Decimal, Decimal]]

_MOVE: Final = re.compile(r"([A-Za-z0-9#._-]{2,20})\s*([+\-−]?)\s*(\d{1,5}(?:\.\d{1,6})?)\s*%?")
_MOST_MOVES: Final = 100
_LEAST: Final = Decimal(-99)
_MOST: Final = Decimal(1000)
_REMEDY: Final = "Write it like: XAUUSD -2 %, EURUSD +0.5 %"
_CLOSE: Final = Decimal("1e-12")


class Shock(Part):
    """`moves`: percent of the price, by symbol. `crosses`: `implied`, a pair of two currencies moves as the named pairs
    say; `named`, nothing else moves. Conversion rates follow the quotes in both. `spread`: by which factor the spread
    widens. `stops`: `none`, stop losses and take profits are left out; `gap`, those that are reached fill at the
    shocked price; `walk`, at their own. `passes`: `closing`, an account passes if it would after closing everything at
    these prices; `flat`, only if it is flat."""

    moves: dict[str, Annotated[ExactDecimal, Field(gt=-100, le=1000)]]
    crosses: Literal["implied", "named"] = "implied"
    spread: Annotated[ExactDecimal, Field(ge=1, le=100)] = Decimal(1)
    stops: Literal["none", "gap", "walk"] = "gap"
    passes: Literal["closing", "flat"] = "closing"


NOTHING: Final = Shock(moves={}, stops="none")


def parse(text: str) -> dict[str, Decimal]:
    """Reads "XAUUSD -2 %, EURUSD +0.5 %": symbols with percentages, separated by commas, semicolons or lines. Raises
    BadInput that names the part that cannot be read."""
    parts = [part.strip() for part in re.split(r"[,;\n]", text) if part.strip()]
    if not parts:
        raise BadInput("The shock is empty.", field="shock", remedy=_REMEDY)
    if len(parts) > _MOST_MOVES:
        raise BadInput(f"A shock names at most {_MOST_MOVES} symbols.", field="shock", remedy="Name fewer.")
    found: dict[str, Decimal] = {}
    for part in parts:
        match = _MOVE.fullmatch(part)
        if match is None:
            raise BadInput(f"{cut(part, 60)!r} is no symbol with a percentage.", field="shock", remedy=_REMEDY)
        symbol, sign, number = match.groups()
        percent = Decimal(number) * (1 if sign in ("", "+") else -1)
        if symbol in found:
            raise BadInput(f"{symbol} is named twice.", field="shock", remedy="Name each symbol once.")
        if not _LEAST <= percent <= _MOST:
            raise BadInput(
                f"{symbol} cannot move by {percent} %.", field="shock", remedy=f"Use {_LEAST} to {_MOST} percent."
            )
        found[symbol] = percent
    return found


def check_known(moves: Iterable[str], known: Iterable[str], synonyms: Synonyms = NO_SYNONYMS) -> None:
    """Raises BadInput for a symbol that no account could hold and that moves no pair either."""
    have = {synonyms.main(symbol) for symbol in known}
    for symbol in moves:
        if synonyms.main(symbol) not in have and pair_of(synonyms.main(symbol)) is None:
            some = ", ".join(sorted(have)[:8])
            raise BadInput(
                f"No platform quotes {symbol}.", field="shock", remedy=f"Use a quoted symbol, such as {some}."
            )


def worths(moves: Mapping[str, Decimal]) -> dict[str, Decimal]:
    """Returns by which factor the named pairs change each currency, metal and coin, with the reporting currency fixed.

    Where the pairs of a group do not lead to the reporting currency, the base currency of its first pair keeps its
    value, and the others move against it. Raises BadInput for moves that contradict one another.
    """
    edges: dict[str, list[tuple[str, Decimal]]] = {}
    pairs: list[tuple[str, str, Decimal]] = []
    for symbol, percent in moves.items():
        pair = pair_of(symbol)
        if pair is not None:
            factor = 1 + percent / 100
            pairs.append((*pair, factor))
            edges.setdefault(pair[1], []).append((pair[0], factor))
            edges.setdefault(pair[0], []).append((pair[1], 1 / factor))
    found: dict[str, Decimal] = {}
    for start in (REPORTING_CURRENCY, *(base for base, _, _ in pairs)):
        if start in edges and start not in found:
            found[start] = Decimal(1)
            _spread(start, edges, found)
    for base, quote, factor in pairs:
        if abs(found[base] / found[quote] / factor - 1) > _CLOSE:
            raise BadInput(
                f"The moves contradict one another at {base}{quote}.",
                field="shock",
                remedy="Leave one of the pairs out: it follows from the others. Or let only the named symbols move.",
            )
    return found


def _spread(start: str, edges: Mapping[str, Sequence[tuple[str, Decimal]]], found: dict[str, Decimal]) -> None:
    waiting = [start]
    while waiting:
        here = waiting.pop()
        for there, factor in edges[here]:
            if there not in found:
                found[there] = found[here] * factor
                waiting.append(there)


def factor_of(symbol: Underlying, moves: Mapping[str, Decimal], values: Mapping[str, Decimal]) -> Decimal:
    """Returns by which factor a symbol's price changes. `values`: of `worths`; empty: only the named symbols move."""
    named = moves.get(symbol.symbol)
    if named is not None:
        return 1 + named / 100
    if symbol.base is None or not values:
        return Decimal(1)
    one = Decimal(1)
    return values.get(symbol.base, one) / values.get(symbol.quote_currency, one)


def shocked(
    quotes: Quotes, quoted_in: Mapping[str, str], shock: Shock, synonyms: Synonyms = NO_SYNONYMS
) -> dict[str, tuple[Decimal, Decimal]]:
    """Returns the quotes after a shock. `quoted_in`: the currency of each symbol's price. The middle moves by the
    factor; the spread stays as it is, or widens; both sides are rounded to the digits that the quote had."""
    moves = {synonyms.main(symbol): percent for symbol, percent in shock.moves.items()}
    values = worths(moves) if shock.crosses == "implied" else {}
    after: dict[str, tuple[Decimal, Decimal]] = {}
    for name, (bid, ask) in quotes.items():
        found = underlying(name, quoted_in.get(name, ""), synonyms)
        factor = factor_of(found, moves, values)
        if factor == 1 and shock.spread == 1:
            after[name] = (bid, ask)
            continue
        middle, half = (bid + ask) / 2 * factor, (ask - bid) / 2 * shock.spread
        grain = min(Decimal(1).scaleb(_exponent(bid)), Decimal(1).scaleb(_exponent(ask)))
        low = max((middle - half).quantize(grain, ROUND_HALF_UP), grain)
        after[name] = (low, max((middle + half).quantize(grain, ROUND_HALF_UP), low))
    return after


def _exponent(value: Decimal) -> int:
    power = value.as_tuple().exponent
    assert isinstance(power, int)
    return min(power, 0)


LADDER: Final = tuple(Decimal(percent) for percent in (-5, -4, -3, -2, -1, 0, 1, 2, 3, 4, 5))


class HistoricDay(Part):
    """A day on which prices jumped, as rounded moves from the close before to the day's extreme."""

    name: str
    words: str
    moves: dict[str, Decimal]


def _day(name: str, words: str, **moves: str) -> HistoricDay:
    return HistoricDay(name=name, words=words, moves={symbol: Decimal(percent) for symbol, percent in moves.items()})


HISTORIC: Final = (
    _day("2013-04-15", "Gold falls for the second day", XAUUSD="-9", XAGUSD="-11"),
    _day("2015-01-15", "The franc is freed from its floor to the euro", EURCHF="-19", EURUSD="-1"),
    _day("2016-06-24", "Britain votes to leave the Union", GBPUSD="-8", EURUSD="-2", USDJPY="-4", XAUUSD="5"),
)


def ladder_of(symbols: Iterable[str], shock: Shock = NOTHING) -> tuple[Shock, ...]:
    """Returns one shock for each step of the ladder, in which all `symbols` move together; the rest is as in `shock`.
    Only the named symbols move: pairs that all rise together contradict one another."""
    names = tuple(symbols)
    return tuple(shock.model_copy(update={"moves": dict.fromkeys(names, step), "crosses": "named"}) for step in LADDER)
