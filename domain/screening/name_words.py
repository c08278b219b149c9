"""The words of a person's name as search compares them: plain small letters, without accents."""

import re
import unicodedata
from typing import Final

from anyascii import anyascii

MOST: Final = 12  # the rest of a longer name is not searched
_WORD: Final = re.compile(r"[a-z0-9]+")
_APOSTROPHES: Final = re.compile("['`´‘’ʻʼ]")


def name_words(name: str) -> list[str]:
    """Returns each word once, in the order of the name: "Zoë O'Neil-Łukasz" gives zoe, oneil, lukasz."""
    plain = anyascii(_APOSTROPHES.sub("", unicodedata.normalize("NFKC", name))).casefold()
    return list(dict.fromkeys(_WORD.findall(plain)))[:MOST]
