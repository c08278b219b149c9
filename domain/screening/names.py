"""A name as screening compares it: its parts in plain letters, how each part sounds, and the keys to look it up by.

Lists and traders write one name in many ways: other scripts, other transliterations, another order, titles, joined or
separate parts. `parts_of` removes what carries no meaning, `sound` what transliterations disagree on.
"""

import re
import unicodedata
from dataclasses import dataclass
from functools import lru_cache
from itertools import combinations, pairwise
from typing import Final

from anyascii import anyascii

METHOD: Final = 2  # add 1 when keys or scores change: lists get new keys, and everybody is screened again
MAX_NAME: Final = 300  # characters; the rest of a longer text is not compared
MAX_PARTS: Final = 12


def _set(words: str) -> frozenset[str]:
    return frozenset(words.split())


# Said of a person: no part of the name, but written as one.
_TITLES: Final = _set(
    "mr mrs ms miss dr prof professor sir lord hon eng ing haji hajji hadji mullah mulla maulana mawlana maulavi "
    "mawlawi maulawi moulavi qari alhaj alhaji hajj colonel col general gen brigadier lieutenant lt major maj captain "
    "capt jr sr phd"
)
# The kind of company, in the words of many countries.
_COMPANY_FORMS: Final = _set(
    "ltd limited llc llp inc incorporated corp corporation co company plc gmbh ag kg sa sarl srl spa bv nv oy ab as "
    "ooo oao zao pao jsc ojsc cjsc pjsc fze fzc fzco pte pty sdn bhd holding holdings group"
)
# Link the parts of a name. Writers leave them out or join them to the next part.
_LINKS: Final = _set(
    "al el ul ur as ad an ar az ag bin ben ibn ould bint binti bt de da do dos das del della di du la le les van von "
    "der den ter zu the of and y e i wa na abu abou bou um umm st"
)
_LIGHT: Final = _TITLES | _COMPANY_FORMS | _LINKS
_WORD: Final = re.compile(r"[a-z0-9]+")
_BARE_SCRIPTS: Final = re.compile("[\u0590-\u07bf\ufb1d-\ufdff\ufe70-\ufefc]")  # Hebrew, Arabic, Syriac
_ALEF: Final = re.compile("[\u0622\u0623\u0625\u0627\u0671]")
_APOSTROPHES: Final = re.compile("['`´‘’ʻʼʽʾʿ＇\"“”.]")
# What transliterations write differently, in the order in which it is replaced.
_SOUNDS: Final = tuple(
    (re.compile(pattern), by)
    for pattern, by in (
        (r"ough", "u"),
        (r"tsch|tch|tsh|cz", "c"),
        (r"sch|sh|sz", "s"),
        (r"ch", "c"),
        (r"dzh|dj|zh", "j"),
        (r"x", "ks"),
        (r"kh|gh|ck|q", "k"),
        (r"ph|v", "f"),
        (r"th", "t"),
        (r"dh|dz", "d"),
        (r"ts|tz|z", "s"),
        (r"w(?=[aeiouy])", "w"),
        (r"oo|ou|ow|w|o", "u"),
        (r"ee|ea|ei|ey|ie|iy|ij|ay|ai|y|e", "i"),
        (r"h(?=[^aiu]|$)", ""),
        (r"(.)\1+", r"\1"),
    )
)
_SKELETON: Final = str.maketrans("bdgvzcj", "ptkfsss", "aeiouyhw")


@dataclass(frozen=True, slots=True)
class Part:
    """One part of a name. `text`: in plain letters. `sound`: the same for most of its spellings. `light`: it says
    little about who is meant, such as "bin", "Dr" or "Ltd". `bare`: written without its short vowels, as in Arabic."""

    text: str
    sound: str
    light: bool = False
    bare: bool = False


@lru_cache(maxsize=50_000)
def parts_of(name: str) -> tuple[Part, ...]:
    """Returns the parts of a name. Empty for a text without letters."""
    words = _words(name[:MAX_NAME])[:MAX_PARTS]
    some = any(word not in _LIGHT for word, _ in words)
    return tuple(Part(word, sound(word), some and word in _LIGHT, bare) for word, bare in words)


def _words(name: str) -> list[tuple[str, bool]]:
    """Returns the words in plain letters, and whether each is in a script that leaves out short vowels."""
    found = []
    for written in _APOSTROPHES.sub("", unicodedata.normalize("NFKC", name)).split():
        bare = _BARE_SCRIPTS.search(written) is not None
        plain = anyascii(_ALEF.sub("a", written)).casefold()
        found += [(word, bare) for word in _WORD.findall(_APOSTROPHES.sub("", plain))]
    return found


@lru_cache(maxsize=100_000)
def sound(word: str) -> str:
    """Returns a word of plain letters with one letter for everything that transliterations write differently."""
    for pattern, by in _SOUNDS:
        word = pattern.sub(by, word)
    return word


@lru_cache(maxsize=100_000)
def skeleton(spoken: str) -> str:
    """Returns the consonants of a sound, the voiced and the voiceless as one."""
    return re.sub(r"(.)\1+", r"\1", spoken.translate(_SKELETON))


def plain(name: str) -> str:
    """Returns a name in plain letters and one order: two spellings that differ in more are two names."""
    return " ".join(sorted(part.text for part in parts_of(name)))


def keys_of(parts: tuple[Part, ...]) -> frozenset[str]:
    """Returns the keys under which a name is kept and looked up. Two names that share none are not compared.

    Of each part: its sound, its sound without any one letter (so one wrong, missing, doubled or swapped letter leaves a
    common key), and its consonants. Of the whole name: the same, its parts joined in alphabetical order. Of each two
    parts: the consonants of both.
    """
    found: set[str] = set()
    meant = [part for part in parts if not part.light] or list(parts)
    for part in meant:
        found |= _keys(part.sound)
    for first, second in pairwise(parts):
        found |= _keys(first.sound + second.sound)
    found |= _keys("".join(sorted(part.sound for part in meant)))
    spoken = sorted(skeleton(part.sound) for part in meant)
    found |= {f"~{first}~{second}"[:40] for first, second in combinations(spoken, 2) if len(first + second) > 2}
    return frozenset(found)


@lru_cache(maxsize=50_000)
def _keys(spoken: str) -> frozenset[str]:
    found = {spoken}
    if len(spoken) > 2:
        found |= {spoken[:i] + spoken[i + 1 :] for i in range(len(spoken))}
    consonants = skeleton(spoken)
    if len(consonants) > 2:
        found.add(f"~{consonants}")
    return frozenset(key[:40] for key in found if key)
