"""Certificates: a page about a passed phase or a payout that arrived, behind a link that its trader can revoke.

The link has 32 random bytes, and the firm keeps only their digest: whoever reads the database cannot open the page.
"""

import hashlib
import re
import secrets
from typing import Final, Literal, NamedTuple

Kind = Literal["pass", "payout"]
NameShown = Literal["full", "initials", "none"]
KINDS: Final[tuple[Kind, ...]] = ("pass", "payout")
NAMES_SHOWN: Final[tuple[NameShown, ...]] = ("full", "initials", "none")
_TOKEN: Final = re.compile(r"[A-Za-z0-9_-]{43}")


class NewToken(NamedTuple):
    """`token` is in the link and stored nowhere; `digest` is stored."""

    token: str
    digest: str


def new_token() -> NewToken:
    token = secrets.token_urlsafe(32)
    return NewToken(token, digest_of(token))


def digest_of(token: str) -> str:
    """SHA-256 in hex: the token itself is random, so no slow hash is needed."""
    return hashlib.sha256(token.encode()).hexdigest()


def is_token(text: str) -> bool:
    """Whether `text` can be a token at all."""
    return _TOKEN.fullmatch(text) is not None


def shown_name(name: str, shown: NameShown) -> str:
    """Returns what the page says of a name: all of it, "M. L.", or nothing."""
    if shown == "full":
        return name
    parts = [part for part in re.split(r"[\s-]+", name) if part] if shown == "initials" else []
    return " ".join(f"{part[0].upper()}." for part in parts)
