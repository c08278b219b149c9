"""API keys: what one looks like, what is stored of it, and which scopes it may carry. A key is a program: it never
counts as a person."""

import hashlib
import re
import secrets
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Final, NamedTuple

from domain.errors import BadInput
from domain.key_errors import NeedsPerson, OutOfScope

PREFIX: Final = "propos_"
ID_PREFIX: Final = "key_"
LONGEST_DAYS: Final = 400
LONGEST_OVERLAP_HOURS: Final = 24 * 14
_TOKEN: Final = re.compile(r"propos_([0-9a-z]{26})_([A-Za-z0-9_-]{43})")


class NewToken(NamedTuple):
    """A token to show once, and the digest to store."""

    token: str
    digest: str


def make(key_id: str) -> NewToken:
    """Returns a token with 32 random bytes for the row `key_id` (`key_…`)."""
    token = f"{PREFIX}{key_id.removeprefix(ID_PREFIX)}_{secrets.token_urlsafe(32)}"
    return NewToken(token, digest(token))


def digest(token: str) -> str:
    """Returns the SHA-256 of a token, 64 hex digits. A token is random, so it needs no slow hash."""
    return hashlib.sha256(token.encode()).hexdigest()


def id_in(token: str) -> str | None:
    """Returns the id of the row (`key_…`) that a token names; None for a text that cannot be one of our tokens."""
    found = _TOKEN.fullmatch(token)
    return None if found is None else f"{ID_PREFIX}{found[1]}"


def is_live(now: datetime, *, expires_at: datetime, revoked_at: datetime | None) -> bool:
    """Returns whether a key works at the wall time `now`."""
    return revoked_at is None and now < expires_at


def end_of_overlap(now: datetime, hours: int, expires_at: datetime) -> datetime:
    """Returns the wall time until which a rotated key still works. Raises BadInput."""
    if not 0 <= hours <= LONGEST_OVERLAP_HOURS:
        raise BadInput(
            f"The overlap is 0 to {LONGEST_OVERLAP_HOURS} hours.", field="overlap_hours", remedy="Send a number in it."
        )
    return min(expires_at, now + timedelta(hours=hours))


def check_days(days: int) -> None:
    """Raises BadInput for a key that would never end, or that ends at once."""
    if not 1 <= days <= LONGEST_DAYS:
        raise BadInput(
            f"A key lasts 1 to {LONGEST_DAYS} days.", field="days", remedy="Rotate it before it ends instead."
        )


def check_scopes(scopes: Iterable[str], *, offered: frozenset[str], persons_only: frozenset[str]) -> list[str]:
    """Returns the wanted scopes, sorted, each once. `offered`: what the owner's role may do. `persons_only`: what no
    key may do. Raises BadInput."""
    wanted = sorted(set(scopes))
    if not wanted:
        raise BadInput("A key needs at least one scope.", field="scopes", remedy="Name what the program has to do.")
    for scope in wanted:
        if scope in persons_only:
            raise BadInput(
                f"No API key can have the scope {scope}: it needs a person.", field="scopes", remedy="Leave it out."
            )
        if scope not in offered:
            raise BadInput(
                f"Your role has no scope {scope[:60]}.", field="scopes", remedy="See the table in docs/api-keys.md."
            )
    return wanted


def check_use(scope: str, *, scopes: frozenset[str], persons_only: frozenset[str]) -> None:
    """Checks that a key with these scopes may do `scope`; the role of its owner is checked elsewhere. Raises
    NeedsPerson or OutOfScope."""
    if scope in persons_only:
        raise NeedsPerson
    if scope not in scopes:
        raise OutOfScope(scope)
