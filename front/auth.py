"""Who is asking: a bearer token or an API key, or a browser's cookie with its csrf token on everything that changes
something."""

import secrets
from dataclasses import dataclass
from typing import Annotated, Final

from fastapi import Depends, Request, Response
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from domain import api_keys
from domain.approvals import Actor
from domain.errors import NotAllowed, NotSignedIn
from domain.key_errors import NeedsPerson, TooManyRequests
from front import permissions
from front.deps import ApiDeps
from front.subjects.subject import Right
from store import audit, identity
from store.api_keys import current_key
from store.db import switch
from store.identity import Browser, CurrentSession, SignedIn
from store.models import Account
from store.read import finding
from store.scope import FIRM, Scope, act_for, scope_of

COOKIE: Final = "propos_session"
KNOWN: Final = "propos_known"  # of a browser in which somebody signed in: store/known_browsers.py
_KNOWN_DAYS: Final = 400  # browsers keep no cookie for longer
CSRF_HEADER: Final = "X-CSRF-Token"
POLL: Final = "X-Poll"  # of a request that a page makes by itself, to show what is new
_SAFE: Final = frozenset({"GET", "HEAD", "OPTIONS"})


@dataclass(frozen=True)
class Caller:
    """A signed-in person and the rows they may see. `scopes`: what their API key may do; None: they sent no key."""

    actor: Actor
    scope: Scope
    token: str
    sign_in_id: str = ""
    scopes: frozenset[str] | None = None

    def check(self, right: Right) -> None:
        """Raises NotAllowed, and for an API key NeedsPerson or OutOfScope."""
        right.check(self.actor)
        if self.scopes is not None:
            api_keys.check_use(right.name, scopes=self.scopes, persons_only=permissions.PERSONS_ONLY)


def deps_of(request: Request) -> ApiDeps:
    deps: ApiDeps = request.app.state.deps
    return deps


Deps = Annotated[ApiDeps, Depends(deps_of)]


async def account_by_number(request: Request, deps: Deps) -> None:
    """Puts the id of an account in the place of its number, such as `A-10042`, in an address of the API. The route asks
    who may see the account, as for an id."""
    number = finding.account_number_in(request.path_params.get("account_id", ""))
    if number is not None:
        async with deps.db.transaction(FIRM) as session:
            found = await session.scalar(select(Account.id).where(Account.number == number))
        if found is not None:
            request.path_params["account_id"] = found


async def current(request: Request, deps: ApiDeps, token: str) -> CurrentSession | None:
    """The live session behind a token; see `recognise`."""
    async with deps.db.transaction(FIRM) as session:
        return await recognise(request, deps, session, token)


async def recognise(request: Request, deps: ApiDeps, session: AsyncSession, token: str) -> CurrentSession | None:
    """The live session behind a token. The one place where a request gets its rows: from now on this transaction, which
    began as the firm's, and all later ones of the request are on behalf of the person."""
    found = await identity.current_session(session, token, terms=deps.sign_ins, used=is_use(request))
    if found is not None:
        request.state.user_id = found.actor.user_id
        await switch(session, act_for(found.actor))
    return found


def is_use(request: Request) -> bool:
    """Whether a person or program asks. A page that looks again by itself says so."""
    return POLL not in request.headers


def browser_of(request: Request) -> Browser:
    """What the request tells of who sends it."""
    return Browser(
        known=request.cookies.get(KNOWN, ""),
        agent=request.headers.get("user-agent", "")[:500],
        address=address_of(request),
    )


def address_of(request: Request) -> str:
    """The other end of the connection, "" when there is none."""
    return request.client.host if request.client else ""


def token_of(request: Request) -> tuple[str, bool]:
    """(token, whether it came as a cookie). Raises NotSignedIn."""
    header = request.headers.get("authorization")
    if header is not None:
        scheme, _, token = header.partition(" ")
        if scheme.lower() != "bearer" or not token:
            raise NotSignedIn("Send the token as `Authorization: Bearer TOKEN`.")
        return token, False
    return request.cookies.get(COOKIE, ""), True


async def caller_of(request: Request, deps: Deps) -> Caller:
    """Raises NotSignedIn, NotAllowed for a browser's request without its csrf token, or TooManyRequests."""
    token, by_cookie = token_of(request)
    if not by_cookie and token.startswith(api_keys.PREFIX):
        return await _by_key(request, deps, token)
    audit.acting_key.set(None)
    found = await current(request, deps, token) if token else None
    if found is None:
        raise NotSignedIn
    if by_cookie and request.method not in _SAFE:
        sent = request.headers.get(CSRF_HEADER, "")
        if not secrets.compare_digest(sent.encode(), found.csrf.encode()):
            raise NotAllowed(f"A browser's request that changes something needs the header {CSRF_HEADER}.")
    await _count(request, deps, found.actor)
    return Caller(actor=found.actor, scope=scope_of(found.actor), token=token, sign_in_id=found.id)


async def _by_key(request: Request, deps: ApiDeps, token: str) -> Caller:
    async with deps.db.transaction(FIRM) as session:
        found = await current_key(session, token)
    if found is None:
        raise NotSignedIn("This API key is unknown or has expired.")
    act_for(found.actor)
    request.state.user_id = found.actor.user_id
    audit.acting_key.set(found.actor.key_id)
    await _count(request, deps, found.actor)
    return Caller(actor=found.actor, scope=scope_of(found.actor), token=token, scopes=found.scopes)


async def _count(request: Request, deps: ApiDeps, actor: Actor) -> None:
    """Counts the request; the edge adds the headers to whatever is answered. A venue that is signed in asks for a
    verdict on every order, so it is not counted. Raises TooManyRequests."""
    if actor.role == "venue" and actor.key_id is None:
        return
    try:
        spent = await deps.limits.spend(deps.db, "person", actor.user_id)
        if actor.key_id is not None:
            spent = await deps.limits.spend(deps.db, "key", actor.key_id)
    except TooManyRequests as error:
        request.state.rate_headers = {"Retry-After": str(error.retry_after)}
        raise
    request.state.rate_headers = spent.headers


SignedInCaller = Annotated[Caller, Depends(caller_of)]


async def person_of(caller: SignedInCaller) -> Caller:
    """Raises NeedsPerson for an API key."""
    if caller.scopes is not None:
        raise NeedsPerson
    return caller


SignedInPerson = Annotated[Caller, Depends(person_of)]


@dataclass(frozen=True)
class Having:
    """A dependency: the caller, when their role, and the scopes of their API key, have this right."""

    right: Right

    async def __call__(self, caller: SignedInCaller) -> Caller:
        """Raises NotAllowed, NeedsPerson, OutOfScope."""
        caller.check(self.right)
        return caller


def allowed(permission: str) -> Having:
    """`permission`: a line of `front.permissions.CAN`. Raises KeyError."""
    return Having(permissions.right_of(permission))


def set_cookie(response: Response, deps: ApiDeps, signed_in: SignedIn) -> None:
    """Give a browser its session, and make it known unless a second factor is due. Scripts cannot read it, and other
    sites cannot send it along."""
    lasts = int(deps.sign_ins.longest.total_seconds())
    _set(response, deps, COOKIE, signed_in.token, lasts)
    if signed_in.known and not signed_in.second_factor_due:
        make_known(response, deps, signed_in.known)


def make_known(response: Response, deps: ApiDeps, known: str) -> None:
    """`known`: the new cookie of known browsers."""
    _set(response, deps, KNOWN, known, _KNOWN_DAYS * 24 * 3600)


def _set(response: Response, deps: ApiDeps, name: str, value: str, seconds: int) -> None:
    response.set_cookie(
        name, value, max_age=seconds, path="/", httponly=True, secure=deps.cookie_secure, samesite="lax"
    )


def clear_cookie(response: Response, deps: ApiDeps) -> None:
    response.delete_cookie(COOKIE, path="/", httponly=True, secure=deps.cookie_secure, samesite="lax")
