"""Which listed names are one symbol: suffixes of brokers, other names, expiries, minis and micros put together.

The firm's own facts win. Where they do not say what a name is a synonym of, the name itself tells: `EURUSD.ecn`,
`EURUSDm` and `EUR/USD` are EURUSD, `GOLD` is XAUUSD, `MESZ5` is a tenth of ES.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from math import isnan
from typing import Final

import numpy as np

from surveillance.book import UNKNOWN, Floats, Indexes, Symbols
from surveillance.known_symbols import MONTHS, SMALL_LOTS, SUFFIXES, SymbolFacts, currency_pair, known_symbols

_APART: Final = re.compile(r"[^A-Z0-9&]+")
_EXPIRY: Final = re.compile(rf"([A-Z0-9]{{1,4}}?)(?:[{MONTHS}](?:20)?\d{{1,2}}|\d{{4,6}})")
_SHORTEST: Final = 3  # of a known name that a longer one may begin with: ES does not begin ESTX50


@dataclass(frozen=True)
class SymbolTable:
    """`listed`: names as they were told. `main`: the row of `symbols` that each of them is. `part`: how many lots of
    the main symbol one lot of it is. `unknown`: names of which nothing is known; each is a symbol of its own."""

    symbols: Symbols
    listed: tuple[str, ...]
    main: Indexes
    part: Floats
    unknown: tuple[str, ...] = ()

    def main_name(self, name: str) -> str | None:
        """Returns the main symbol that a name means, also one that is not listed; None when it is none of these."""
        if name in self._rows:
            return str(self.symbols.name[self._rows[name]])
        known = _well_known(name)
        spelled = _spell(name)
        for main in self.symbols.name.tolist():
            other = _well_known(main)
            if _spell(main) == spelled or (known is not None and other is not None and other.main == known.main):
                return str(main)
        return None

    @cached_property
    def _rows(self) -> dict[str, int]:
        rows = {str(name): row for row, name in enumerate(self.symbols.name)}
        return rows | dict(zip(self.listed, self.main.tolist(), strict=True))


@dataclass(frozen=True, slots=True)
class _Meant:
    """What a listed name is: the name of its main symbol, how much of its lot, and whether anything is known of it."""

    main: str
    part: float = 1.0
    known: bool = True


def symbol_table(listed: Iterable[str], told: Sequence[SymbolFacts] = ()) -> SymbolTable:
    """Returns the symbols that these names mean. `told`: facts of the firm, which win; a symbol that is named there as
    its own synonym is merged with no other."""
    names = tuple(sorted({*listed, *(each.name for each in told)}))
    naming = _Naming(told)
    meant = [naming.meant(name) for name in names]
    mains = sorted({each.main for each in meant})
    row = {name: number for number, name in enumerate(mains)}
    facts = [naming.facts(name) for name in mains]
    groups = {name: number for number, name in enumerate(sorted({each.group for each in facts if each.group}))}
    return SymbolTable(
        symbols=Symbols(
            name=np.array(mains, dtype=object),
            asset=np.array([each.asset for each in facts], dtype=object),
            base=np.array([each.base for each in facts], dtype=object),
            quote=np.array([each.quote for each in facts], dtype=object),
            contract_size=np.array([each.contract_size for each in facts], dtype=np.float64),
            point=np.array([each.point for each in facts], dtype=np.float64),
            group=np.array([groups.get(each.group, UNKNOWN) for each in facts], dtype=np.int32),
        ),
        listed=names,
        main=np.array([row[each.main] for each in meant], dtype=np.int32),
        part=np.array([each.part for each in meant], dtype=np.float64),
        unknown=tuple(name for name, each in zip(names, meant, strict=True) if not each.known),
    )


class _Naming:
    """Knows what a name means by the firm's own facts first, then by the well-known ones, then by its spelling."""

    def __init__(self, told: Sequence[SymbolFacts]) -> None:
        self._told = {each.name: each for each in told}
        self._spelled = {_spell(name): name for name in reversed(self._told)}
        self._own: dict[str, str] = {}  # a well-known name -> the name by which the firm lists it
        for name, each in self._told.items():
            known = _well_known(name)
            if known is None or known.part != 1.0 or each.synonym_of:
                continue
            taken = self._own.get(known.main)
            if taken is None or (_spell(name) == known.main and _spell(taken) != known.main):
                self._own[known.main] = name

    def meant(self, name: str) -> _Meant:
        told = self._told.get(name) or self._told.get(self._spelled.get(_spell(name), ""))
        if told is not None and told.synonym_of == told.name:
            return _Meant(told.name)
        if told is not None and told.synonym_of:
            return self._told_synonym(told)
        known = _well_known(name)
        if known is not None:
            main = self._own.get(known.main, known.main)
            return _Meant(main, self._part(name, main, known.part))
        if told is not None:
            return _Meant(told.name)
        stem = _without_suffix(name)
        if stem != name and stem in self._spelled:
            return self.meant(self._spelled[stem])
        return _Meant(stem, known=False)

    def facts(self, main: str) -> SymbolFacts:
        """Returns what is known of a main symbol: the firm's own facts, the well-known ones where it tells none."""
        known = _well_known(main)
        found = SymbolFacts(main) if known is None else replace(_facts(known.main), name=main)
        told = self._told.get(main)
        if told is None:
            return found
        return SymbolFacts(
            main,
            told.asset or found.asset,
            told.base or found.base,
            told.quote or found.quote,
            found.contract_size if isnan(told.contract_size) else told.contract_size,
            found.point if isnan(told.point) else told.point,
            told.group or found.group,
        )

    def _told_synonym(self, told: SymbolFacts) -> _Meant:
        """Follows the firm's synonyms to the last; one that leads back to itself is its own symbol."""
        seen, each = {told.name}, told
        while each.synonym_of and each.synonym_of in self._told and each.synonym_of not in seen:
            each = self._told[each.synonym_of]
            seen.add(each.name)
        last = each.name
        if each.synonym_of and each.synonym_of not in self._told:
            last = self._own.get(each.synonym_of, each.synonym_of)
        known = _well_known(told.name)
        part = known.part if known is not None and known.part != 1.0 else 1.0
        return _Meant(last, self._part(told.name, last, part))

    def _part(self, name: str, main: str, otherwise: float) -> float:
        """Returns one lot of `name` in lots of `main`, by the contract sizes when the firm tells both."""
        told, of_main = self._told.get(name), self._told.get(main)
        if told is None or of_main is None or isnan(told.contract_size) or not of_main.contract_size > 0:
            return otherwise
        return told.contract_size / of_main.contract_size


def _well_known(name: str) -> _Meant | None:
    for spelling, small in _spellings(name):
        if (facts := known_symbols().get(spelling)) is not None:
            return _Meant(facts.synonym_of or facts.name, 1.0 if isnan(facts.part) else facts.part)
        if currency_pair(spelling) is not None:
            return _Meant(spelling, small)
    return None


def _facts(name: str) -> SymbolFacts:
    return known_symbols().get(name) or currency_pair(name) or SymbolFacts(name)


def _spellings(name: str) -> Iterator[tuple[str, float]]:
    """Yields (a name that may be meant, the size of its lot), from the most literal on."""
    spelled = _spell(name)
    yield spelled, 1.0
    words = [word for word in _APART.split(name.upper()) if word]
    if len(words) > 1:
        yield words[0], SMALL_LOTS.get(words[-1], 1.0)
        yield "".join(words[:2]), SMALL_LOTS.get(words[-1], 1.0)
    for stem in {spelled: None, **dict.fromkeys(words[:1])}:
        for end in range(len(stem) - 1, _SHORTEST - 1, -1):
            if stem[end:] in SUFFIXES:
                yield stem[:end], SMALL_LOTS.get(stem[end:], 1.0)
    if (future := _EXPIRY.fullmatch(spelled)) is not None and future[1] in known_symbols():
        yield future[1], 1.0


def _spell(name: str) -> str:
    return _APART.sub("", name.upper())


def _without_suffix(name: str) -> str:
    """Returns an unknown name without what follows a point or a dash, if that is a usual suffix."""
    words = [word for word in _APART.split(name.upper()) if word]
    if len(words) > 1 and words[-1] in SUFFIXES:
        return "".join(words[:-1])
    return _spell(name) or name
