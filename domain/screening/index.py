"""A list in memory, to screen names without a database. store/screening.py answers the same from Postgres."""

import heapq
import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from domain.screening.countries import code_of
from domain.screening.entries import Entry
from domain.screening.names import Part, keys_of, parts_of
from domain.screening.scoring import Score, score

COMPARED: Final = 60  # listed names that are compared in full: those that share the most, rarest keys
UNDER_KEY: Final = 200  # names that are read under one key; a commoner key tells nobody apart
THRESHOLD: Final = 0.72  # docs/screening.md has the measurements behind it
_COMMONEST: Final = 0.3  # what a part says that nearly every name of a list has
_YEARS_APART: Final = 2  # lists often give the year only, or about
_OTHER_BIRTH: Final = 0.15
_SAME_BIRTH: Final = 0.03
_OTHER_COUNTRY: Final = 0.03
_SAME_COUNTRY: Final = 0.02


@dataclass(frozen=True, slots=True)
class Match:
    entry: Entry
    name: str
    score: Score
    value: float


class Index:
    def __init__(self, entries: Sequence[Entry]) -> None:
        self.entries = tuple(entries)
        self._names = [(entry, name, parts_of(name)) for entry in entries for name in entry.names]
        self._by_key: dict[str, list[int]] = defaultdict(list)
        for number, (_, _, parts) in enumerate(self._names):
            for key in keys_of(parts):
                self._by_key[key].append(number)
        self._rarity = Rarities(len(self._names), common_sounds(parts for _, _, parts in self._names)).of

    def best(self, name: str, births: Sequence[str] = (), countries: Sequence[str] = ()) -> Match | None:
        """Returns the listed name that has the most in common with `name`; None if none has anything."""
        parts = parts_of(name)
        found: Match | None = None
        for number in self.near(parts):
            entry, listed, listed_parts = self._names[number]
            compared = score(parts, listed_parts, self._rarity)
            value = adjusted(compared.value, births, entry.births, countries, entry.countries)
            if found is None or value > found.value:
                found = Match(entry, listed, compared, value)
        return found

    def near(self, parts: tuple[Part, ...]) -> list[int]:
        """Returns the places of the listed names that share the most, the first of equal ones first."""
        shared = Counter[int]()
        for key in keys_of(parts):
            under = self._by_key.get(key, [])[:UNDER_KEY]
            if under:
                each = worth(len(self._names), len(under))
                for number in under:
                    shared[number] += each
        return heapq.nsmallest(COMPARED, shared, key=lambda number: (-shared[number], number))


class Rarities:
    """How much a part says in a list. `names`: of the list. `common`: sound -> in how many of its names, without the
    sounds that only one name has."""

    def __init__(self, names: int, common: Mapping[str, int]) -> None:
        self._names, self._common = max(names, 2), common

    def of(self, sound: str) -> float:
        under = self._common.get(sound, 1)
        return max(_COMMONEST, math.log(self._names / under) / math.log(self._names))


def common_sounds(names: Iterable[Sequence[Part]]) -> dict[str, int]:
    """Returns the sounds that parts of several names have, with the number of these names."""
    counted = Counter(sound for parts in names for sound in {part.sound for part in parts if not part.light})
    return {sound: under for sound, under in counted.items() if under > 1}


def worth(names: int, under: int) -> int:
    """Returns how much a shared key says: more for one that few of the names have."""
    return round(100 * math.log(1 + names / under))


def adjusted(
    value: float,
    births: Sequence[str],
    listed_births: Sequence[str],
    countries: Sequence[str] = (),
    listed_countries: Sequence[str] = (),
) -> float:
    """Returns the score of the names raised by an equal year of birth or country and lowered by another one, where both
    are known. Countries say less: people move, and lists name several."""
    mine, theirs = _years(births), _years(listed_births)
    if mine and theirs:
        apart = min(abs(a - b) for a in mine for b in theirs)
        value += _SAME_BIRTH if apart == 0 else -_OTHER_BIRTH if apart > _YEARS_APART else 0.0
    here, there = _codes(countries), _codes(listed_countries)
    if here and there:
        value += _SAME_COUNTRY if here & there else -_OTHER_COUNTRY
    return min(1.0, max(0.0, value))


def _years(births: Sequence[str]) -> list[int]:
    words = (word for birth in births for word in birth.replace("-", " ").replace("/", " ").split())
    return [int(word) for word in words if len(word) == 4 and word.isascii() and word.isdigit()]


def _codes(countries: Sequence[str]) -> frozenset[str]:
    """Returns the ISO codes of countries given as codes or as English names. Leaves out what is neither."""
    return frozenset(code for country in countries if (code := code_of(country)))
