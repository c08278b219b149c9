"""A second generator of names written wrong or otherwise, made without a look at tests/name_noise.py.

It works on parts: each noise takes the list of parts and a seeded generator of random numbers and returns parts.
`write(seed, kinds, name)` applies several kinds one after the other.
"""

import random
from collections.abc import Callable, Sequence
from typing import Final

Parts = list[str]
Change = Callable[[random.Random, Parts], Parts]

_KEYBOARD: Final = ("qwertyuiop", "asdfghjkl", "zxcvbnm")
_VOWELS: Final = {"a": "eo", "e": "ai", "i": "ey", "o": "ua", "u": "oe", "y": "ij"}
_CONSONANTS: Final = {
    "b": "p", "p": "b", "d": "t", "t": "d", "g": "k", "k": "g", "z": "s", "s": "z", "f": "v", "v": "f", "q": "k",
    "c": "k", "w": "v", "j": "y", "x": "k",
}  # fmt: skip
_SCHOOLS: Final = (
    # (Arabic and Persian) (Russian) (Korean) (French)
    {"sh": "ch", "j": "dj", "u": "ou", "w": "ou", "k": "c", "kh": "k"},
    {"oo": "u", "ee": "i", "ai": "ei", "aw": "au", "dh": "z", "q": "gh", "th": "s", "yy": "y", "ss": "s"},
    {"yu": "iu", "ya": "ia", "ye": "e", "zh": "j", "kh": "h", "iy": "y", "v": "w", "y": "i", "ts": "c"},
    {"ch": "j", "p": "b", "r": "l", "o": "eo", "u": "oo", "i": "ee", "y": "i"},
    {"al": "el", "ul": "al", "mad": "med", "ah": "a", "eh": "e", "i": "y", "ou": "u", "z": "dh", "d": "dh"},
)
_ARABIC: Final = {
    "sh": "ش", "kh": "خ", "gh": "غ", "th": "ث", "dh": "ذ", "ch": "چ", "oo": "و", "ou": "و", "ee": "ي", "aa": "ا",
    "b": "ب", "t": "ت", "j": "ج", "h": "ه", "d": "د", "r": "ر", "z": "ز", "s": "س", "f": "ف", "q": "ق", "k": "ك",
    "l": "ل", "m": "م", "n": "ن", "w": "و", "y": "ي", "p": "پ", "g": "گ", "v": "و", "c": "ك", "x": "كس", "o": "و",
    "u": "و", "i": "ي",
}  # fmt: skip
_RUSSIAN: Final = {
    "shch": "щ", "sh": "ш", "ch": "ч", "zh": "ж", "kh": "х", "ts": "ц", "ya": "я", "yu": "ю", "ye": "е", "dj": "дж",
    "j": "дж", "a": "а", "b": "б", "c": "к", "d": "д", "e": "е", "f": "ф", "g": "г", "h": "х", "i": "и", "k": "к",
    "l": "л", "m": "м", "n": "н", "o": "о", "p": "п", "q": "к", "r": "р", "s": "с", "t": "т", "u": "у", "v": "в",
    "w": "в", "x": "кс", "y": "й", "z": "з",
}  # fmt: skip


def _in_one_part(change: Callable[[random.Random, str], str]) -> Change:
    """Longer parts are hit more often, as by a slip of the finger."""

    def noise(rng: random.Random, parts: Parts) -> Parts:
        at = rng.choices(range(len(parts)), [len(part) for part in parts])[0]
        return [*parts[:at], change(rng, parts[at]) or parts[at], *parts[at + 1 :]]

    return noise


def _swap(rng: random.Random, word: str) -> str:
    at = rng.randrange(max(1, len(word) - 1))
    return word[:at] + word[at + 1 : at + 2] + word[at : at + 1] + word[at + 2 :]


def _drop(rng: random.Random, word: str) -> str:
    at = rng.randrange(len(word))
    return word[:at] + word[at + 1 :]


def _double(rng: random.Random, word: str) -> str:
    at = rng.randrange(len(word))
    return word[: at + 1] + word[at:]


def _key_beside(rng: random.Random, word: str) -> str:
    at = rng.randrange(len(word))
    row = next((keys for keys in _KEYBOARD if word[at] in keys), word[at])
    beside = row.index(word[at]) + rng.choice((-1, 1))
    return word[:at] + row[max(0, min(beside, len(row) - 1))] + word[at + 1 :]


def _heard(rng: random.Random, word: str) -> str:
    """Another letter of a like sound."""
    at = rng.randrange(len(word))
    like = {**_VOWELS, **_CONSONANTS}.get(word[at], word[at])
    return word[:at] + rng.choice(like) + word[at + 1 :]


def _shuffle(rng: random.Random, parts: Parts) -> Parts:
    return rng.sample(parts, len(parts))


def _family_name_first(_: random.Random, parts: Parts) -> Parts:
    return [parts[-1] + ",", *parts[:-1]] if len(parts) > 1 else parts


def _leave_out(rng: random.Random, parts: Parts) -> Parts:
    """One part less, of three or more."""
    if len(parts) < 3:
        return parts
    at = rng.randrange(len(parts))
    return [*parts[:at], *parts[at + 1 :]]


def _join(rng: random.Random, parts: Parts) -> Parts:
    if len(parts) < 2:
        return parts
    at = rng.randrange(len(parts) - 1)
    return [*parts[:at], parts[at] + parts[at + 1], *parts[at + 2 :]]


def _split(rng: random.Random, parts: Parts) -> Parts:
    long = [i for i, part in enumerate(parts) if len(part) > 6]
    if not long:
        return parts
    at = rng.choice(long)
    cut = rng.randrange(3, len(parts[at]) - 2)
    return [*parts[:at], parts[at][:cut], parts[at][cut:], *parts[at + 1 :]]


def _hyphens(rng: random.Random, parts: Parts) -> Parts:
    if len(parts) < 2:
        return parts
    at = rng.randrange(len(parts) - 1)
    return [*parts[:at], f"{parts[at]}-{parts[at + 1]}", *parts[at + 2 :]]


def _school(rng: random.Random, parts: Parts) -> Parts:
    """Up to two rules of one school of transliteration, in every part."""
    text = " ".join(parts)
    rules = [(old, new) for old, new in rng.choice(_SCHOOLS).items() if old in text]
    for old, new in rng.sample(rules, min(2, len(rules))):
        text = text.replace(old, new)
    return text.split()


def _vowels(rng: random.Random, parts: Parts) -> Parts:
    """About every third vowel is heard otherwise."""
    return ["".join(rng.choice(_VOWELS[c]) if c in _VOWELS and rng.random() < 0.33 else c for c in p) for p in parts]


def _script(table: dict[str, str], *, silent: str = "") -> Change:
    longest = sorted(table, key=len, reverse=True)

    def noise(_: random.Random, parts: Parts) -> Parts:
        found = []
        for part in parts:
            text, rest = "", part
            while rest:
                old = next((key for key in longest if rest.startswith(key)), rest[0])
                at_start = len(rest) == len(part)
                text += ("ا" if at_start else "") if old in silent else table.get(old, "")
                rest = rest[len(old) :]
            found.append(text)
        return [part for part in found if part]

    return noise


def _many(*changes: Change) -> Change:
    def noise(rng: random.Random, parts: Parts) -> Parts:
        for change in changes:
            parts = change(rng, parts)
        return parts

    return noise


def _any(*changes: Change) -> Change:
    return lambda rng, parts: rng.choice(changes)(rng, parts)


_SWAP, _DROP, _DOUBLE = _in_one_part(_swap), _in_one_part(_drop), _in_one_part(_double)
_BESIDE, _HEARD = _in_one_part(_key_beside), _in_one_part(_heard)
_SLIP = _any(_SWAP, _DROP, _DOUBLE, _BESIDE)
KINDS: Final[dict[str, Change]] = {
    "swap": _SWAP,
    "drop": _DROP,
    "double": _DOUBLE,
    "key beside": _BESIDE,
    "heard otherwise": _many(_HEARD, _HEARD),
    "two slips": _many(_SLIP, _SLIP),
    "three slips": _many(_SLIP, _SLIP, _SLIP),
    "order": _shuffle,
    "family name first": _family_name_first,
    "part left out": _leave_out,
    "joined": _join,
    "split": _split,
    "hyphen": _hyphens,
    "school": _school,
    "vowels": _vowels,
    "russian": _script(_RUSSIAN),
    "arabic": _script(_ARABIC, silent="aeiou"),
    "arabic, long vowels": _script(_ARABIC, silent="ae"),
    "order + slip": _many(_shuffle, _SLIP),
    "order + drop + double": _many(_shuffle, _DROP, _DOUBLE),
    "order + three slips": _many(_shuffle, _SLIP, _SLIP, _SLIP),
    "left out + slip": _many(_leave_out, _SLIP),
    "left out + order + two slips": _many(_leave_out, _shuffle, _SLIP, _SLIP),
    "school + order": _many(_school, _shuffle),
    "school + slip": _many(_school, _SLIP),
    "school + left out + slip": _many(_school, _leave_out, _SLIP),
    "school + order + left out": _many(_school, _shuffle, _leave_out),
    "joined + slip": _many(_join, _SLIP),
}


def write(seed: str, kind: str, name: str) -> str:
    """Returns the name with this kind of noise. The same seed, kind and name give the same text."""
    rng = random.Random(f"{seed}/{kind}/{name}")
    parts = name.casefold().replace("-", " ").replace("'", "").replace(".", " ").split()
    return " ".join(KINDS[kind](rng, parts or [name])).strip(", ") or name


def halves(names: Sequence[str]) -> tuple[list[str], list[str]]:
    """Returns the names for tuning and the names for reporting, by a hash that does not depend on the order."""
    first = {name for name in names if random.Random(f"half/{name}").random() < 0.5}
    return sorted(first), sorted(set(names) - first)
