"""Reads numbers as terminals print them in every locale: 1 234.56, 1.234,56, 1'234.56, with hard spaces."""

import re
import unicodedata
from collections.abc import Iterable
from decimal import Decimal
from typing import Final, Literal

Mark = Literal[".", ","]

_SPACES: Final = dict.fromkeys(map(ord, " \t\u00a0\u2007\u2009\u202f'\u2019\u066c"), None)
_SIGNS: Final = {ord(minus): "-" for minus in "\u2212\u2012\u2013\ufe63\uff0d"} | {ord("\u066b"): "."}
_TWO_DECIMALS: Final = re.compile(r"-?(?:\d{1,3}(?:[., '\u00a0\u2007\u2009\u202f\u2019]\d{3})*|\d+)([.,])\d{2}")
_SHAPES: Final = {
    ".": re.compile(r"[+-]?(\d+|\d{1,3}(,\d{3})+)(\.\d+)?"),
    ",": re.compile(r"[+-]?(\d+|\d{1,3}(\.\d{3})+)(,\d+)?"),
}


class NotANumber(ValueError):
    """The text is not a number in this locale."""


def plain(text: str) -> str:
    """Returns `text` in ASCII digits and signs, without spaces and apostrophes."""
    stripped = text.translate(_SPACES).translate(_SIGNS)
    if stripped.isascii():
        return stripped
    return "".join(str(unicodedata.decimal(c)) if c.isdecimal() else c for c in stripped)


def decimal_mark(texts: Iterable[str]) -> Mark:
    """Returns the decimal mark of most amounts in `texts` that have two decimals; a point when there are none."""
    votes = {".": 0, ",": 0}
    for text in texts:
        if match := _TWO_DECIMALS.fullmatch(text.translate(_SIGNS)):
            votes[match[1]] += 1
    return "," if votes[","] > votes["."] else "."


def number(text: str, mark: Mark = ".") -> Decimal:
    """Returns one number. Raises NotANumber, also for a thousands mark in a wrong place."""
    written = plain(text)
    if not _SHAPES[mark].fullmatch(written):
        raise NotANumber(f"{text.strip()!r} is not a number")
    return Decimal(written.replace("," if mark == "." else ".", "").replace(",", "."))


_UNIT: Final = re.compile(r"(.*\d)\s*[A-Za-z%]+\.?")
_CODES: Final = "USD|EUR|GBP|JPY|CHF|AUD|CAD|NZD|SGD|HKD|USDT|USDC|US|A|C"
_CURRENCY: Final = re.compile(rf"[$€£¥₹₽₩₿₮]|\b(?:{_CODES})(?=[\s$\d(.,-]|$)")


def amount(text: str, mark: Mark = ".") -> Decimal:
    """Returns a number as venues export it: with the sign of a currency, in parentheses when it is negative
    ("$(41.00)"), with a unit ("0.10 Lots"). Raises NotANumber."""
    bare = _CURRENCY.sub("", text).strip()
    negative = "(" in bare and bare.endswith(")")
    bare = bare.replace("(", "", 1).removesuffix(")") if negative else bare
    if unit := _UNIT.fullmatch(bare.strip()):
        bare = unit[1]
    try:
        value = number(bare.strip(), mark)
        if negative and value < 0:
            raise NotANumber
    except NotANumber:
        raise NotANumber(f"{text.strip()!r} is not a number") from None
    return -value if negative else value
