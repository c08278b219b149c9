"""How our keys are written into comments of at most 31 characters (COMMENT_LENGTH of names.py), and read back.

A balance operation's comment is a letter for the operation and the key. The keys of the firm's own steps are an id with
a word before or after it, and are written whole: `hhpay` and 26 characters is the hold of payout `pay_...`. Any other
key is written as a digest and cannot be read back.
"""

import base64
import hashlib
import re
from typing import Final

from ports.platform import BalanceKind

_OPERATIONS: Final[dict[BalanceKind, str]] = {
    "deposit": "d",
    "payout_hold": "h",
    "payout_release": "r",
    "payout_settled": "s",
    "adjustment": "a",
}
_BY_LETTER: Final = {letter: operation for operation, letter in _OPERATIONS.items()}
# letter -> what stands before and after the id
_FORMS: Final = {
    "i": ("", "/initial"),
    "h": ("", "/hold"),
    "r": ("", "/release"),
    "s": ("", "/settled"),
    "f": ("", "/forfeit"),
    "b": ("", "/forfeit/back"),
    "c": ("", "/hold/back"),
    "z": ("reset_balance/", ""),
    "g": ("dispute/", ""),
    "j": ("adjust/", ""),
}
_DIGEST: Final = "x"
_ID: Final = re.compile(r"([a-z]{3})_([0-9a-hjkmnp-tv-z]{26})")
_WRITTEN: Final = re.compile(r"([a-z])([a-z])([a-z]{3})([0-9a-hjkmnp-tv-z]{26})")
_DIGESTED: Final = re.compile(r"[dhrsa]x[a-z2-7]{26}")
_KIND_BITS: Final = 60


def digest(*parts: str) -> str:
    """Returns 26 letters and figures that stand for `parts`."""
    made = hashlib.sha256("\x1f".join(parts).encode()).digest()
    return base64.b32encode(made).decode().lower()[:26]


def comment_of(operation: BalanceKind, key: str) -> str:
    """Returns the comment of a balance operation: the same for the same operation and key."""
    letter = _OPERATIONS[operation]
    for form, (before, after) in _FORMS.items():
        if key.startswith(before) and key.endswith(after):
            match = _ID.fullmatch(key[len(before) : len(key) - len(after)])
            if match is not None:
                return f"{letter}{form}{match[1]}{match[2]}"
    return f"{letter}{_DIGEST}{digest(operation, key)}"


def read_comment(comment: str) -> tuple[BalanceKind, str | None] | None:
    """Returns the operation and the key of a comment of ours, the key None if it is a digest; None for a comment that
    is not ours."""
    match = _WRITTEN.fullmatch(comment)
    if match is not None and match[1] in _BY_LETTER and match[2] in _FORMS:
        before, after = _FORMS[match[2]]
        return _BY_LETTER[match[1]], f"{before}{match[3]}_{match[4]}{after}"
    return (_BY_LETTER[comment[0]], None) if _DIGESTED.fullmatch(comment) else None


def close_comment(key: str) -> str:
    """Returns the comment of a dealer request that closes a position."""
    return f"c{_DIGEST}{digest('close', key)}"


def number_of(*parts: str) -> int:
    """Returns a number of 60 bits that stands for `parts`."""
    made = hashlib.sha256("\x1f".join(parts).encode()).digest()
    return int.from_bytes(made[:8], "big") >> (64 - _KIND_BITS)
