"""Ways in which a name is written wrong or otherwise, each for a seeded generator of random numbers."""

import random
from collections.abc import Callable, Sequence
from typing import Final

Noise = Callable[[random.Random, str], str]
_ALPHABET: Final = "abcdefghiklmnoprstuvwyz"
_SPELLINGS: Final = (
    ("ou", "u"), ("kh", "h"), ("q", "k"), ("y", "i"), ("ee", "i"), ("oo", "u"), ("dh", "d"), ("al-", "el "),
    ("sh", "ch"), ("j", "dj"), ("ah", "a"), ("o", "u"), ("u", "o"), ("f", "ph"), ("v", "w"), ("k", "q"), ("'", ""),
    ("abdul", "abd al "), ("mohammad", "muhammed"), ("mohamed", "mohammad"),
)  # fmt: skip
_CYRILLIC: Final = str.maketrans("abvgdezijklmnoprstufhyc", "абвгдезийклмнопрстуфхык")


def _letters(rng: random.Random, name: str, kinds: Sequence[str]) -> str:
    """One edit."""
    text = list(name)
    places = [i for i, letter in enumerate(text) if letter.isalpha()]
    at, kind = rng.choice(places), rng.choice(list(kinds))
    pairs = [i for i in places if i + 1 < len(text) and text[i + 1].isalpha() and text[i] != text[i + 1]]
    if kind == "swap" and pairs:
        at = rng.choice(pairs)
        text[at], text[at + 1] = text[at + 1], text[at]
    elif kind == "drop" and len(places) > 3:
        del text[at]
    elif kind == "double":
        text.insert(at, text[at])
    elif kind == "other":
        text[at] = rng.choice(_ALPHABET)
    return "".join(text)


def _edits(count: int, *kinds: str) -> Noise:
    def noise(rng: random.Random, name: str) -> str:
        for _ in range(count):
            name = _letters(rng, name, kinds)
        return name

    return noise


def _reordered(rng: random.Random, name: str) -> str:
    words = name.split()
    rng.shuffle(words)
    return " ".join(words)


def _missing(rng: random.Random, name: str) -> str:
    """Without one part, of a name that has three."""
    words = name.split()
    if len(words) > 2:
        del words[rng.randrange(len(words))]
    return " ".join(words)


def _initial(rng: random.Random, name: str) -> str:
    words = name.split()
    if len(words) > 1:
        at = rng.randrange(len(words))
        words[at] = f"{words[at][0]}."
    return " ".join(words)


def _joined(rng: random.Random, name: str) -> str:
    words = name.split()
    if len(words) > 1:
        at = rng.randrange(len(words) - 1)
        words[at : at + 2] = [words[at] + words[at + 1]]
    return " ".join(words)


def _spelled(rng: random.Random, name: str) -> str:
    """Two transliteration rules of another school."""
    text = name.casefold()
    rules = [rule for rule in _SPELLINGS if rule[0] in text]
    rng.shuffle(rules)
    for old, new in rules[:2]:
        text = text.replace(old, new)
    return text


def _cyrillic(_: random.Random, name: str) -> str:
    return (
        name.casefold().replace("sh", "ш").replace("ch", "ч").replace("q", "к").replace("w", "в").translate(_CYRILLIC)
    )


def _both(first: Noise, second: Noise) -> Noise:
    return lambda rng, name: second(rng, first(rng, name))


KINDS: Final[dict[str, Noise]] = {
    "as listed": lambda _, name: name,
    "swapped": _edits(1, "swap"),
    "dropped": _edits(1, "drop"),
    "doubled": _edits(1, "double"),
    "any edit": _edits(1, "swap", "drop", "double", "other"),
    "two edits": _edits(2, "swap", "drop", "double", "other"),
    "reordered": _reordered,
    "missing part": _missing,
    "initial": _initial,
    "joined": _joined,
    "spelling": _spelled,
    "cyrillic": _cyrillic,
    "reordered, one edit": _both(_reordered, _edits(1, "swap", "drop", "double")),
    "missing part, one edit": _both(_missing, _edits(1, "swap", "drop", "double")),
}
