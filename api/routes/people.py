"""Signing up, in and out; traders and what is known of them."""

from typing import Annotated

from fastapi import APIRouter, Depends, Response
from sqlalchemy.ext.asyncio import AsyncSession

from domain.approvals import Role
from firm import people
from front.auth import Caller, Deps, SignedInCaller, allowed, clear_cookie, set_cookie
from front.deciding import on_record
from front.deps import ApiDeps
from front.fields import Country, Email, Input, Line, Password, Reason, TraderId, iban, idempotency_key, window
from front.once import Keyed
from front.subjects.identity import IDENTITY, IdentityAnswer
from store.idempotency import ask, claim, remember
from store.identity import SignedIn, hash_password, open_session, sign_in, sign_out, sign_up_trader
from store.read import people as read
from store.read.pages import Page, View, Window

router = APIRouter(prefix="/v1", tags=["people"])


class SignInBody(Input):
    login: Line
    password: Password


class SignUpBody(Input):
    name: Line
    email: Email
    password: Password
    country: Country


class SessionView(View):
    """`token` goes into `Authorization: Bearer`; `csrf` into X-CSRF-Token when the cookie is used instead."""

    token: str
    csrf: str
    user_id: str
    role: Role
    trader_id: str | None
    expires_at: str


class WhoAmI(View):
    user_id: str
    role: Role
    trader_id: str | None


class BeneficiaryBody(Input):
    iban: Line


class IdentityBody(Input):
    verified: bool
    reason: Reason


class BeneficiaryAnswer(View):
    trader_id: str
    beneficiary: str | None


def _session_view(signed_in: SignedIn) -> SessionView:
    return SessionView(
        token=signed_in.token,
        csrf=signed_in.csrf,
        user_id=signed_in.actor.user_id,
        role=signed_in.actor.role,
        trader_id=signed_in.actor.trader_id,
        expires_at=signed_in.expires_at.isoformat(),
    )


@router.post("/sessions", status_code=201)
async def open_a_session(body: SignInBody, deps: Deps, response: Response) -> SessionView:
    """Sign in with login and password: a bearer token, and the same as a cookie for browsers."""
    signed_in = await sign_in(deps.db, deps.throttle, login=body.login, password=body.password)
    set_cookie(response, deps, signed_in)
    return _session_view(signed_in)


@router.get("/sessions/current")
async def who_am_i(caller: SignedInCaller) -> WhoAmI:
    actor = caller.actor
    return WhoAmI(user_id=actor.user_id, role=actor.role, trader_id=actor.trader_id)


@router.delete("/sessions/current", status_code=204)
async def end_the_session(caller: SignedInCaller, deps: Deps, response: Response) -> None:
    """Sign out: the token is worth nothing from now on."""
    async with deps.db.transaction() as session:
        await sign_out(session, caller.token)
    clear_cookie(response, deps)


@router.post("/traders", status_code=201)
async def sign_up(
    body: SignUpBody,
    deps: Deps,
    response: Response,
    key: Annotated[str, Depends(idempotency_key)],
) -> SessionView:
    """Become a trader of the firm; signed in at once."""
    signed_in = await _sign_up(deps, body, key)
    set_cookie(response, deps, signed_in)
    return _session_view(signed_in)


async def _sign_up(deps: ApiDeps, body: SignUpBody, key: str) -> SignedIn:
    """A repetition signs in instead: neither a token nor a digest of the password is kept for it."""
    asked = ask("anonymous", key, "POST /v1/traders", body.model_dump(exclude={"password"}))
    password_hash = await hash_password(body.password)
    async with deps.db.transaction() as session:
        if await claim(session, asked) is None:
            actor = await sign_up_trader(
                session, name=body.name, email=body.email, password_hash=password_hash, country=body.country
            )
            await remember(session, asked, {"trader_id": actor.trader_id})
            return await open_session(session, actor)
    return await sign_in(deps.db, deps.throttle, login=body.email, password=body.password)


@router.get("/traders", dependencies=[Depends(allowed("traders.list"))])
async def list_traders(
    caller: SignedInCaller, deps: Deps, page: Annotated[Window, Depends(window)]
) -> Page[read.TraderView]:
    async with deps.db.transaction() as session:
        return await read.page(session, caller.scope, page)


@router.get("/traders/{trader_id}")
async def get_trader(
    trader_id: TraderId, caller: Annotated[Caller, Depends(allowed("traders.read"))], deps: Deps
) -> read.TraderView:
    async with deps.db.transaction() as session:
        return await read.one(session, caller.scope, trader_id)


@router.put("/traders/{trader_id}/beneficiary")
async def put_beneficiary(
    trader_id: TraderId,
    body: BeneficiaryBody,
    caller: Annotated[Caller, Depends(allowed("traders.set_beneficiary"))],
    deps: Deps,
) -> BeneficiaryAnswer:
    """Where this trader's payouts go from now on."""
    async with deps.db.transaction() as session:
        await read.one(session, caller.scope, trader_id)  # 404 before anything is said about the IBAN
        account = iban(body.iban)
        await people.set_beneficiary(session, trader_id=trader_id, beneficiary=account, actor=caller.actor)
        stored = await read.one(session, caller.scope, trader_id)
        return BeneficiaryAnswer(trader_id=trader_id, beneficiary=stored.beneficiary)


@router.post("/traders/{trader_id}/identity", dependencies=[Depends(allowed("traders.decide_identity"))])
async def decide_identity(trader_id: TraderId, body: IdentityBody, once: Keyed) -> IdentityAnswer:
    """Say whether a trader is who they claim to be; challenges that wait for it move on."""

    verb = IDENTITY.verb("verify" if body.verified else "refuse")

    async def work(session: AsyncSession) -> IdentityAnswer:
        taken = await on_record(session, verb, trader_id, body.reason, once)
        return IdentityAnswer.model_validate(taken.answer)

    return await once.write(IdentityAnswer, body, work)
