"""The firm's symbol map: its names of a venue's symbols, and what the venue does not say of them.

Everything behind the gateway knows the firm's names only.
"""

from collections import defaultdict
from collections.abc import AsyncIterator, Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Annotated, Any

import structlog
from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

from domain.money import Currency, ExactDecimal, is_known
from ports.platform import SymbolSpec
from ports.venue import Decoder, Fact, Message, Snapshot, VenueFeed

Name = Annotated[str, StringConstraints(min_length=1, max_length=80)]

_log = structlog.get_logger(__name__)


class SymbolRule(BaseModel):
    """`synonyms`: the venue's names of this symbol. Every other value replaces the venue's. P&L of a position = lots x
    `contract_size` x price difference, in `quote_currency`. The last four are those of `ports.platform.SymbolSpec`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    synonyms: tuple[Name, ...] = ()
    contract_size: Annotated[ExactDecimal, Field(gt=0)] | None = None
    quote_currency: Currency | None = None
    digits: Annotated[int, Field(ge=0, le=12)] | None = None
    asset: Annotated[str, Field(pattern=r"^[a-z][a-z_]{0,15}$")] | None = None
    base_currency: Annotated[str, Field(pattern=r"^[A-Z0-9]{2,8}$")] | None = None
    synonym_of: Name | None = None
    together: Annotated[str, StringConstraints(min_length=1, max_length=40)] | None = None


class SymbolMap(BaseModel):
    """`suffixes`: endings that are cut off the venue's names. `symbols`: rules, by the firm's name."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    suffixes: tuple[Name, ...] = ()
    symbols: dict[Name, SymbolRule] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _one_symbol_for_a_name(self) -> "SymbolMap":
        seen: dict[str, str] = {name: name for name in self.symbols}
        for name, rule in self.symbols.items():
            for synonym in rule.synonyms:
                if seen.setdefault(synonym, name) != name:
                    raise ValueError(f"{synonym} is {seen[synonym]} and {name}")
        return self

    @cached_property
    def _names(self) -> dict[str, str]:
        own = {name: name for name in self.symbols}
        return own | {synonym: name for name, rule in self.symbols.items() for synonym in rule.synonyms}

    @property
    def renames(self) -> bool:
        return bool(self.suffixes) or any(rule.synonyms for rule in self.symbols.values())

    def name(self, venue: str) -> str:
        """Returns the firm's name of the venue's symbol: by synonym, else without the longest suffix, else the same."""
        found = self._names.get(venue)
        if found is None:
            found = self._names[venue] = self._without_suffix(venue)
        return found

    def _without_suffix(self, venue: str) -> str:
        for suffix in sorted(self.suffixes, key=len, reverse=True):
            if venue.endswith(suffix) and venue != suffix:
                rest = venue.removesuffix(suffix)
                return self._names.get(rest, rest)
        return venue

    def spec(self, venue: SymbolSpec) -> SymbolSpec:
        """Returns the venue's symbol under the firm's name, with the values of its rule."""
        name = self.name(venue.symbol)
        rule = self.symbols.get(name, SymbolRule())
        changes = rule.model_dump(exclude={"synonyms"}, exclude_none=True)
        return venue.model_copy(update={"symbol": name} | changes)

    def fact(self, fact: Fact) -> Fact:
        """Returns the fact under the firm's names."""
        if isinstance(fact, Snapshot):
            positions = tuple(
                each.model_copy(update={"symbol": self.name(each.symbol)}) for each in fact.account.positions
            )
            return replace(fact, account=fact.account.model_copy(update={"positions": positions}))
        named: Any = fact  # most kinds name a symbol
        symbol = getattr(fact, "symbol", None)
        return replace(named, symbol=self.name(symbol)) if isinstance(symbol, str) else fact


@dataclass(frozen=True)
class Described:
    """A symbol of the firm. `venue`: the venue's names of it. `missing`: what must be known before it can be judged,
    in words; empty if nothing is missing."""

    spec: SymbolSpec
    venue: tuple[str, ...]
    missing: tuple[str, ...]


def describe(venue: Iterable[SymbolSpec], symbols: SymbolMap) -> list[Described]:
    """Returns the firm's symbols, by name."""
    by_name: dict[str, list[SymbolSpec]] = defaultdict(list)
    names: dict[str, list[str]] = defaultdict(list)
    for each in venue:
        spec = symbols.spec(each)
        names[spec.symbol].append(each.symbol)
        if spec not in by_name[spec.symbol]:
            by_name[spec.symbol].append(spec)
    return [
        Described(specs[0], tuple(sorted(names[name])), tuple(_missing(specs)))
        for name, specs in sorted(by_name.items())
    ]


def _missing(specs: list[SymbolSpec]) -> list[str]:
    spec, missing = specs[0], []
    if len(specs) > 1:
        missing.append("the venue has it under several names that differ in size, currency or digits")
    if not spec.symbol.strip():
        missing.append("its name is empty")
    if not (spec.contract_size.is_finite() and spec.contract_size > 0):
        missing.append("no contract size")
    if not spec.quote_currency:
        missing.append("no quote currency")
    elif not is_known(spec.quote_currency):
        missing.append(f"{spec.quote_currency[:20]} is no known currency")
    if spec.digits < 0:
        missing.append("no digits")
    return missing


def unconverted(described: Iterable[Described], account_currency: str) -> list[str]:
    """Returns the quote currencies that no symbol converts into the currency of the accounts."""
    complete = [each.spec for each in described if not each.missing]
    known = {spec.symbol for spec in complete}
    wanted = {spec.quote_currency for spec in complete} - {account_currency}
    return sorted(each for each in wanted if not {f"{each}{account_currency}", f"{account_currency}{each}"} & known)


class MappedFeed:
    """A venue's feed under the firm's names. A symbol of which something is missing is not described to anybody: a deal
    in it asks for a person."""

    def __init__(self, feed: VenueFeed, symbols: SymbolMap) -> None:
        self.name, self._feed, self._symbols = feed.name, feed, symbols

    def messages(self, cursors: Mapping[str, str]) -> AsyncIterator[Message]:
        return self._feed.messages(cursors)

    def fills(self, login: int, cursor: str) -> AsyncIterator[Message]:
        return self._feed.fills(login, cursor)

    def snapshots(self, logins: Iterable[int]) -> AsyncIterator[Message]:
        return self._feed.snapshots(logins)

    def decoder(self) -> Decoder:
        decoder = self._feed.decoder()
        return _MappedDecoder(decoder, self._symbols) if self._symbols.renames else decoder

    async def symbols(self) -> list[SymbolSpec]:
        described = describe(await self._feed.symbols(), self._symbols)
        for each in described:
            if each.missing:
                _log.warning("symbol left out", platform=self.name, symbol=each.spec.symbol, missing=each.missing)
        return [each.spec for each in described if not each.missing]

    async def aclose(self) -> None:
        await self._feed.aclose()


class _MappedDecoder:
    def __init__(self, decoder: Decoder, symbols: SymbolMap) -> None:
        self._decoder, self._symbols = decoder, symbols

    def facts(self, message: Message) -> Iterable[Fact]:
        # not a generator: one ends at its first error, and the venue's decoder may go on after one
        return map(self._symbols.fact, self._decoder.facts(message))
