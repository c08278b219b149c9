"""What a sign-in tells of a trader: the address it came from, and the browser, which gets a name of its own."""

import re
import secrets
from typing import Final

from fastapi import Request, Response

from domain.approvals import Actor
from front.auth import KNOWN, make_known
from front.deps import ApiDeps
from store import identity_facts
from store.identity import SignedIn
from store.known_browsers import remembered
from store.models import User
from store.scope import FIRM, Scope

DEVICE: Final = "propos_device"
_DAYS: Final = 400  # browsers keep no cookie for longer
_NAME: Final = re.compile(r"[A-Za-z0-9_-]{22,64}")


async def note_visit(request: Request, response: Response, deps: ApiDeps, signed_in: SignedIn, *, source: str) -> None:
    """Records address and device of a trader who has signed in; nothing while a second factor is due. The names of
    staff are not recorded."""
    if not signed_in.second_factor_due:
        await _note(request, response, deps, signed_in.actor, source)


async def note_completed(request: Request, response: Response, deps: ApiDeps, actor: Actor, *, source: str) -> None:
    """What a sign-in by password does at once, for one that a second factor or the identity provider completed: makes
    the browser known for the login, and records the visit of a trader."""
    async with deps.db.transaction(FIRM) as session:
        login = (await session.get_one(User, actor.user_id)).login
    make_known(response, deps, remembered(request.cookies.get(KNOWN, ""), login))
    await _note(request, response, deps, actor, source)


async def _note(request: Request, response: Response, deps: ApiDeps, actor: Actor, source: str) -> None:
    trader_id = actor.trader_id
    if trader_id is None:
        return
    told = request.cookies.get(DEVICE, "")
    device = told if _NAME.fullmatch(told) else secrets.token_urlsafe(24)
    response.set_cookie(
        DEVICE,
        device,
        max_age=_DAYS * 24 * 3600,
        path="/",
        httponly=True,
        secure=deps.cookie_secure,
        samesite="lax",
    )
    address = request.client.host if request.client else ""
    async with deps.db.transaction(Scope(trader_id)) as session:
        await identity_facts.note(session, trader_id, "ip", address, source=source)
        if device == told:  # a browser that keeps no cookie would be a new device each time
            await identity_facts.note(session, trader_id, "device", device, source=source)
