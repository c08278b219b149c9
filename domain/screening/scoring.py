"""How much two names have in common: a score of 0 to 1 and the reason.

Each part of the one name is paired with the part of the other that is most like it; two neighbouring parts may pair
with one ("Abd al Rahman", "Abdulrahman"). The score is the part of both names that was paired, weighted by how much
each part says: long and rare parts say more than short and frequent ones, "bin" or "Dr" say almost nothing. A part that
only the list has counts little, because people leave parts out, if the shared parts together are rare enough to tell
people apart. A part that only the asked name has counts more.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final, NamedTuple

from rapidfuzz.distance import OSA

from domain.screening.names import Part, skeleton

Rarity = Callable[[str], float]
"""Returns how much a part says by its sound: 1 for a rare one, less for one that many names have."""

_LIGHT: Final = 0.15  # the weight of a part that says little
_ASKED_ALONE: Final = 0.75  # of the weight of a part that only the asked name has
_LISTED_ALONE: Final = 0.3  # of the weight of a part that only the listed name has
_SOUNDS_ALIKE: Final = 0.3  # what other letters of the same sound cost, in letters
_SWAPPED: Final = 0.6  # what two swapped letters cost, in letters
_WEAK: Final = 0.3  # what an h, w or y more or less costs, in letters, where vowels are not written
_INITIAL: Final = 0.8  # how alike an initial and a part with this letter are
_STEEP: Final = 1.5  # how much faster than its letters a part loses what it says
_VOWELS: Final = str.maketrans("", "", "aeiou")
_JOINED: Final = 0.95  # how alike a part and the same letters in two parts are
_LEAST_JOINED: Final = 0.8
_ENOUGH: Final = 1.0  # how much shared parts say together before other listed parts count little
_SCALE: Final = 0.53  # so that names that may be of one person have 0.72 and more
LEAST_ALIKE: Final = 0.5  # two parts that are less alike are no pair


@dataclass(frozen=True, slots=True)
class Pair:
    """Parts of the asked name, the parts of the listed name they were paired with, how alike they are (0..1)."""

    asked: str
    listed: str
    alike: float


@dataclass(frozen=True, slots=True)
class Score:
    value: float
    pairs: tuple[Pair, ...]

    @property
    def reason(self) -> str:
        """What was found alike, for a person."""
        return ", ".join(
            pair.listed if pair.asked == pair.listed else f"{pair.asked} ~ {pair.listed}" for pair in self.pairs
        )


def score(asked: Sequence[Part], listed: Sequence[Part], rarity: Rarity = lambda _: 1.0) -> Score:
    """Returns how much the names have in common."""
    pairs, left_asked, left_listed = _paired(asked, listed)
    agreed = weight = told = 0.0
    for mine, theirs, how in pairs:
        worth, says = _pair_weight(mine, theirs, rarity), max(0.0, 1 - _STEEP * (1 - how))
        agreed += worth * says
        weight += worth
        told += says * min(_rarest(mine, rarity), _rarest(theirs, rarity))
    listed_alone = _LISTED_ALONE + (1 - _LISTED_ALONE) * max(0.0, 1 - told / _ENOUGH)
    weight += _ASKED_ALONE * _weight(left_asked, rarity) + listed_alone * _weight(left_listed, rarity)
    found = tuple(Pair(_text(mine), _text(theirs), how) for mine, theirs, how in pairs)
    return Score((agreed / weight) ** _SCALE if weight else 0.0, found)


def _text(parts: Sequence[Part]) -> str:
    return " ".join(part.text for part in parts)


def _weight(parts: Sequence[Part], rarity: Rarity) -> float:
    return sum(_part_weight(part, rarity) for part in parts)


def _part_weight(part: Part, rarity: Rarity) -> float:
    return math.sqrt(len(part.text)) * (_LIGHT if part.light else rarity(part.sound))


def _rarest(parts: Sequence[Part], rarity: Rarity) -> float:
    return max(0.0 if part.light else rarity(part.sound) for part in parts)


def _pair_weight(mine: Sequence[Part], theirs: Sequence[Part], rarity: Rarity) -> float:
    """A misspelled common part is as common as its right spelling."""
    if len(mine) == len(theirs) == 1:
        each = [_part_weight(part, rarity) / math.sqrt(len(part.text)) for part in (mine[0], theirs[0])]
        return math.sqrt(max(len(mine[0].text), len(theirs[0].text))) * min(each)
    return max(_weight(mine, rarity), _weight(theirs, rarity))


class _Group(NamedTuple):
    """Neighbouring parts of a name, read as one. `places`: their places, a bit each."""

    parts: tuple[Part, ...]
    places: int
    text: str
    sound: str
    bare: bool


def _paired(
    asked: Sequence[Part], listed: Sequence[Part]
) -> tuple[list[tuple[tuple[Part, ...], tuple[Part, ...], float]], list[Part], list[Part]]:
    """Returns the pairs, the most alike first, and what is left of each name."""
    mine_alone, mine_joined = _groups(tuple(asked))
    theirs_alone, theirs_joined = _groups(tuple(listed))
    possible = [
        (-how * math.sqrt(min(len(mine.text), len(theirs.text))), mine.places, theirs.places, how, mine, theirs)
        for some, others, joined in (
            (mine_alone, theirs_alone, False), (mine_alone, theirs_joined, True), (mine_joined, theirs_alone, True),
        )
        for mine in some
        for theirs in others
        if (how := _alike_joined(mine, theirs) if joined else _alike_alone(mine, theirs))
    ]  # fmt: skip
    possible.sort(key=lambda found: found[:3])
    used_asked = used_listed = 0
    pairs = []
    for *_, how, mine, theirs in possible:
        if mine.places & used_asked or theirs.places & used_listed:
            continue
        used_asked |= mine.places
        used_listed |= theirs.places
        pairs.append((mine.parts, theirs.parts, how))
    left_asked = [part for i, part in enumerate(asked) if not used_asked & 1 << i]
    left_listed = [part for i, part in enumerate(listed) if not used_listed & 1 << i]
    return pairs, left_asked, left_listed


def _alike_alone(mine: _Group, theirs: _Group) -> float:
    """Returns how alike two parts are; 0 for those that are no pair."""
    how = alike(mine.text, theirs.text, mine.sound, theirs.sound, mine.bare != theirs.bare)
    return how if how >= LEAST_ALIKE else 0.0


def _alike_joined(mine: _Group, theirs: _Group) -> float:
    """Returns how alike a part and several joined parts are; 0 for those that are no pair."""
    bare, first, second = mine.bare != theirs.bare, len(mine.text), len(theirs.text)
    if not bare and (first < _LEAST_JOINED * second or second < _LEAST_JOINED * first):
        return 0.0
    how = _JOINED * alike(mine.text, theirs.text, mine.sound, theirs.sound, bare)
    return how if how >= _LEAST_JOINED else 0.0


@lru_cache(maxsize=50_000)
def _groups(parts: tuple[Part, ...]) -> tuple[list[_Group], list[_Group]]:
    """Returns each part alone, and neighbouring parts joined: two, or three with a light one between."""
    joined = [range(i, i + 2) for i in range(len(parts) - 1)]
    joined += [range(i, i + 3) for i in range(len(parts) - 2) if parts[i + 1].light]
    return [_group(parts, range(i, i + 1)) for i in range(len(parts))], [_group(parts, at) for at in joined]


def _group(parts: tuple[Part, ...], at: range) -> _Group:
    some = tuple(parts[i] for i in at)
    text, sound = "".join(part.text for part in some), "".join(part.sound for part in some)
    return _Group(some, sum(1 << i for i in at), text, sound, any(part.bare for part in some))


def _unvowelled(text: str) -> bool:
    """Some scripts write no short vowels."""
    return len(text) > 2 and not any(letter in "aeiou" for letter in text[1:])


@lru_cache(maxsize=200_000)
def alike(mine: str, theirs: str, mine_sound: str, theirs_sound: str, bare: bool = False) -> float:
    """Returns how alike two parts are, 0..1: 1 without the share of letters that would have to change. `bare`: one of
    them is written without its short vowels."""
    if mine == theirs:
        return 1.0
    if 1 in (len(mine), len(theirs)):
        return _INITIAL if mine[0] == theirs[0] else 0.0
    longest = max(len(mine), len(theirs), 3)
    ours, others = skeleton(mine_sound), skeleton(theirs_sound)
    consonants = OSA.distance(ours, others) / max(len(ours), len(others), 2)
    if bare or _unvowelled(mine) or _unvowelled(theirs):
        first, second = mine_sound.translate(_VOWELS), theirs_sound.translate(_VOWELS)
        weak = abs(len(first) - len(ours) - len(second) + len(others))
        return max(0.0, 1 - consonants - (_SOUNDS_ALIKE + _WEAK * weak) / max(len(ours), len(others), 3))
    spoken = OSA.distance(mine_sound, theirs_sound) / max(len(mine_sound), len(theirs_sound), 3)
    letters = float(OSA.distance(mine, theirs))
    if letters == 1 and len(mine) == len(theirs) and sorted(mine) == sorted(theirs):
        letters = _SWAPPED
    return max(0.0, 1 - min(letters / longest, _SOUNDS_ALIKE / longest + (spoken + consonants) / 2))
