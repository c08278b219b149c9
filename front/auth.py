"""Who is asking: a bearer token, or a browser's cookie with its csrf token on everything that changes something."""

import secrets
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Annotated, Final

from fastapi import Depends, Request, Response

from domain.approvals import Actor
from domain.errors import NotAllowed, NotSignedIn
from front import permissions
from front.deps import ApiDeps
from front.subjects.subject import Right
from store import identity
from store.identity import SESSION_HOURS, CurrentSession, SignedIn
from store.read.pages import Scope, scope_of

COOKIE: Final = "propos_session"
CSRF_HEADER: Final = "X-CSRF-Token"
_SAFE: Final = frozenset({"GET", "HEAD", "OPTIONS"})


@dataclass(frozen=True)
class Caller:
    """A signed-in person and the rows they may see."""

    actor: Actor
    scope: Scope
    token: str


def deps_of(request: Request) -> ApiDeps:
    deps: ApiDeps = request.app.state.deps
    return deps


Deps = Annotated[ApiDeps, Depends(deps_of)]


async def current(request: Request, deps: ApiDeps, token: str) -> CurrentSession | None:
    """The live session behind a token; notes the user for the access log."""
    async with deps.db.transaction() as session:
        found = await identity.current_session(session, token)
    if found is not None:
        request.state.user_id = found.actor.user_id
    return found


def _token(request: Request) -> tuple[str, bool]:
    """(token, whether it came as a cookie)."""
    header = request.headers.get("authorization")
    if header is not None:
        scheme, _, token = header.partition(" ")
        if scheme.lower() != "bearer" or not token:
            raise NotSignedIn("Send the token as `Authorization: Bearer TOKEN`.")
        return token, False
    return request.cookies.get(COOKIE, ""), True


async def caller_of(request: Request, deps: Deps) -> Caller:
    """Raises NotSignedIn, or NotAllowed for a browser's request without its csrf token."""
    token, by_cookie = _token(request)
    found = await current(request, deps, token) if token else None
    if found is None:
        raise NotSignedIn
    if by_cookie and request.method not in _SAFE:
        sent = request.headers.get(CSRF_HEADER, "")
        if not secrets.compare_digest(sent.encode(), found.csrf.encode()):
            raise NotAllowed(f"A browser's request that changes something needs the header {CSRF_HEADER}.")
    return Caller(actor=found.actor, scope=scope_of(found.actor), token=token)


SignedInCaller = Annotated[Caller, Depends(caller_of)]


def allowed(permission: str) -> Callable[[Caller], Awaitable[Caller]]:
    """A dependency: the caller, when their role has `permission` (a line of `front.permissions.CAN`)."""
    return having(permissions.right_of(permission))


def having(right: Right) -> Callable[[Caller], Awaitable[Caller]]:
    """A dependency: the caller, when their role has this right."""

    async def check(caller: SignedInCaller) -> Caller:
        right.check(caller.actor)
        return caller

    return check


def set_cookie(response: Response, deps: ApiDeps, signed_in: SignedIn) -> None:
    """Give a browser its session. Scripts cannot read it, and other sites cannot send it along."""
    response.set_cookie(
        COOKIE,
        signed_in.token,
        max_age=SESSION_HOURS * 3600,
        path="/",
        httponly=True,
        secure=deps.cookie_secure,
        samesite="lax",
    )


def clear_cookie(response: Response, deps: ApiDeps) -> None:
    response.delete_cookie(COOKIE, path="/", httponly=True, secure=deps.cookie_secure, samesite="lax")
