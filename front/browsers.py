"""A browser that nobody has signed in at: a cookie of its own binds what it began to what it brings back."""

import re
import secrets
from typing import Final

from fastapi import Request, Response

from front.deps import ApiDeps
from store.identity import token_digest

_COOKIE: Final = "propos_door"
_TOKEN: Final = re.compile(r"[A-Za-z0-9_-]{43}")
_SECONDS: Final = 900


def token_of(request: Request) -> str:
    """Returns the browser's token, or a new one."""
    told = request.cookies.get(_COOKIE, "")
    return told if _TOKEN.fullmatch(told) else secrets.token_urlsafe(32)


def remember(response: Response, deps: ApiDeps, token: str) -> None:
    response.set_cookie(
        _COOKIE, token, max_age=_SECONDS, path="/", httponly=True, secure=deps.cookie_secure, samesite="lax"
    )


def holder_of(token: str) -> str:
    return token_digest(f"door/{token}")
