"""Opaque ids: a noun's prefix and 26 characters that sort by creation time and say nothing of a person."""

import hashlib
import os
import time
from typing import Final, Literal

Noun = Literal[
    "trd",
    "usr",
    "chl",
    "acc",
    "pay",
    "brc",
    "psg",
    "dsp",
    "cas",
    "alr",
    "tkt",
    "msg",
    "rev",
    "ord",
    "off",
    "prf",
    "ses",
    "ppr",
    "mov",
    "smv",
]

_ALPHABET: Final = "0123456789abcdefghjkmnpqrstvwxyz"


def _base32(value: int) -> str:
    digits = []
    for _ in range(26):
        value, rest = divmod(value, 32)
        digits.append(_ALPHABET[rest])
    return "".join(reversed(digits))


def new_id(noun: Noun) -> str:
    """A fresh id such as `acc_01k…`: 48 bits of milliseconds, 80 random bits."""
    millis = time.time_ns() // 1_000_000
    return f"{noun}_{_base32((millis << 80) | int.from_bytes(os.urandom(10), 'big'))}"


def derived_id(noun: Noun, *parts: str | int) -> str:
    """The id that the business key `parts` always has: making it twice makes the same row."""
    digest = hashlib.sha256("\x1f".join(str(p) for p in parts).encode()).digest()
    return f"{noun}_{_base32(int.from_bytes(digest[:16], 'big'))}"
