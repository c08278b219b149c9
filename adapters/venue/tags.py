"""Names and marks derived from our keys. A venue without idempotency keys stores them, and they find effects again."""

import base64
import hashlib
from typing import Final

TAG_CHARACTERS: Final = 26


def tag(operation: str, key: str) -> str:
    """Returns the tag of an operation under a key, at most 26 capital letters and digits: the first letters of the
    operation's words, then base32 of the key's SHA-256. `payout_hold` under any key begins with PH."""
    digest = base64.b32encode(hashlib.sha256(key.encode()).digest()).decode()
    return (initials(operation) + digest)[:TAG_CHARACTERS]


def initials(operation: str) -> str:
    """Returns the first letters of the operation's words in capitals: PH for `payout_hold`."""
    return "".join(word[0] for word in operation.split("_")).upper()


def digits(key: str, count: int) -> str:
    """Returns `count` decimal digits derived from the key, for names that may have digits only. `count`: up to 60, so
    that the digest has more."""
    number = int.from_bytes(hashlib.sha256(key.encode()).digest(), "big")
    return f"{number % 10**count:0{count}d}"


def mark(operation: str, key: str, limit: int) -> str:
    """Returns a comment of at most `limit` characters that is always the same for this operation and key. It holds the
    key itself (`PH:key`) when that fits and is printable, else the tag. `limit`: at least 26."""
    plain = f"{initials(operation)}:{key}"
    printable = all("!" <= character <= "~" for character in key)
    return plain if printable and len(plain) <= limit else tag(operation, key)


def marked(comment: str) -> tuple[str, str] | None:
    """Returns the initials and the key of a comment that holds a key; None for every other comment."""
    letters, colon, key = comment.partition(":")
    if not colon or not key or not letters.isascii() or not letters.isalpha() or not letters.isupper():
        return None
    return letters, key
