"""Known browsers: a browser in which somebody signed in has a cookie that says so, for each login that did.

Wrong passwords from a known browser are counted for it alone, those from all others together. So whoever tries
passwords of a login cannot lock out the person who signs in where they always do. After OWASP's device cookies.
"""

import hmac
import re
import secrets
from typing import Final

from store import crypto
from store.attempts import key_of

_KEPT: Final = 5  # logins that one browser can be known for
_ENTRY: Final = re.compile(r"([0-9a-f]{32})\.([0-9a-f]{64})")


def counter_of(cookie: str, login: str) -> str:
    """Returns the counter of failed sign-ins for this login from a browser with this cookie."""
    name = _name_in(cookie, login)
    return key_of("sign-in-known", name) if name else key_of("sign-in", login)


def remembered(cookie: str, login: str) -> str:
    """Returns the cookie of a browser in which `login` has just signed in."""
    name = _name_in(cookie, login) or secrets.token_hex(16)
    own = f"{name}.{_mark(name, login)}"
    others = [f"{name}.{mark}" for name, mark in _ENTRY.findall(cookie) if f"{name}.{mark}" != own]
    return "-".join([own, *others[: _KEPT - 1]])


def _name_in(cookie: str, login: str) -> str:
    """Returns the browser's name if the cookie shows that `login` signed in there; "" otherwise."""
    for name, mark in _ENTRY.findall(cookie)[:_KEPT]:
        if hmac.compare_digest(mark, _mark(name, login)):
            return str(name)
    return ""


def _mark(name: str, login: str) -> str:
    """Only this firm can make it: it is keyed."""
    return crypto.keys().digest(f"known browser/{name}/{login.strip()}")
