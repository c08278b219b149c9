"""Signing up, in and out; traders and what is known of them."""

import secrets
from dataclasses import asdict
from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Depends, Request, Response
from sqlalchemy.ext.asyncio import AsyncSession

from domain.approvals import Role
from domain.key_errors import NeedsPerson
from domain.money import Currency
from firm import beneficiaries
from front.auth import Caller, Deps, SignedInCaller, allowed, browser_of, clear_cookie, set_cookie
from front.beneficiaries import give, prove_opening
from front.deciding import on_record
from front.fields import (
    Input,
    Line,
    Password,
    RailName,
    Reason,
    TokenBody,
    TraderId,
    iban,
    idempotency_key,
    window,
)
from front.identity import IdentityCheckStarted, start_check
from front.lists import asked_of
from front.once import Keyed, Once
from front.payees import PayeeView, open_payee
from front.sign_up import SignUpBody
from front.sign_up import sign_up as sign_up_once
from front.subjects.identity import IDENTITY, IdentityAnswer
from front.visits import note_visit
from store import identity_facts
from store.identity import SignedIn, sign_in, sign_out
from store.links import Account
from store.read import beneficiaries as read_beneficiaries
from store.read import people as read
from store.read.beneficiaries import BeneficiaryView
from store.read.listing import Asked
from store.read.pages import Page, View, Window, mask_iban
from store.scope import FIRM

router = APIRouter(prefix="/v1", tags=["people"])


class SignInBody(Input):
    login: Line
    password: Password


class SessionView(View):
    """`token` goes into `Authorization: Bearer`; `csrf` into X-CSRF-Token when the cookie is used instead.
    `second_factor_due`: the token is worth nothing until `POST /v1/sessions/second-factor` completed the session."""

    token: str
    csrf: str
    user_id: str
    role: Role
    trader_id: str | None
    expires_at: str
    second_factor_due: bool


class WhoAmI(View):
    user_id: str
    role: Role
    trader_id: str | None


class BeneficiaryBody(Input):
    """`currency`: what is sent to the account; without it, the currency of each payout's account."""

    iban: Line
    currency: Currency | None = None


class PayeeBody(Input):
    """`rail`: one that keeps accounts of the traders."""

    rail: RailName


class IdentityBody(Input):
    verified: bool
    reason: Reason


class BeneficiaryAnswer(View):
    """`state`: confirmed; waiting for the second channel; or mailed: nothing has changed yet, and the link of a mail
    does it. `id`: None until then."""

    trader_id: str
    id: str | None
    state: str
    beneficiary: str | None
    currency: str | None = None


class ReasonBody(Input):
    reason: Reason


class IdentityFactView(View):
    """A fact that a source told of a trader. `mark`: equal for equal values. `traders`: how many have the same."""

    kind: str
    mark: str
    source: str
    first_at: datetime
    last_at: datetime
    times: int
    traders: int


def session_view(signed_in: SignedIn) -> SessionView:
    return SessionView(
        token=signed_in.token,
        csrf=signed_in.csrf,
        user_id=signed_in.actor.user_id,
        role=signed_in.actor.role,
        trader_id=signed_in.actor.trader_id,
        expires_at=signed_in.expires_at.isoformat(),
        second_factor_due=signed_in.second_factor_due,
    )


@router.post("/sessions", status_code=201)
async def open_a_session(body: SignInBody, deps: Deps, request: Request, response: Response) -> SessionView:
    """Sign in with login and password: a bearer token, and the same as a cookie for browsers."""
    signed_in = await sign_in(
        deps.db, login=body.login, password=body.password, browser=browser_of(request), terms=deps.sign_ins
    )
    set_cookie(response, deps, signed_in)
    await note_visit(request, response, deps, signed_in, source="api")
    return session_view(signed_in)


@router.get("/sessions/current")
async def who_am_i(caller: SignedInCaller) -> WhoAmI:
    actor = caller.actor
    return WhoAmI(user_id=actor.user_id, role=actor.role, trader_id=actor.trader_id)


@router.delete("/sessions/current", status_code=204)
async def end_the_session(caller: SignedInCaller, deps: Deps, response: Response) -> None:
    """Sign out: the token is worth nothing from now on. An API key is revoked instead."""
    if caller.actor.key_id is not None:
        raise NeedsPerson("An API key has no session to end.")
    async with deps.db.transaction() as session:
        await sign_out(session, caller.token)
    clear_cookie(response, deps)


@router.post("/traders", status_code=201)
async def sign_up(
    body: SignUpBody,
    deps: Deps,
    request: Request,
    response: Response,
    key: Annotated[str, Depends(idempotency_key)],
) -> SessionView:
    """Become a trader of the firm; signed in at once. Buying and payouts wait until the address is confirmed with the
    link of a mail."""
    signed_in = await sign_up_once(deps, body, key, browser_of(request))
    set_cookie(response, deps, signed_in)
    await note_visit(request, response, deps, signed_in, source="api")
    return session_view(signed_in)


@router.get("/traders", dependencies=[Depends(allowed("traders.list"))])
async def list_traders(
    caller: SignedInCaller,
    deps: Deps,
    page: Annotated[Window, Depends(window)],
    asked: Annotated[Asked, Depends(asked_of(read.TRADERS))],
) -> Page[read.TraderView]:
    async with deps.db.transaction() as session:
        return await read.page(session, caller.scope, page, asked)


@router.get("/traders/{trader_id}")
async def get_trader(
    trader_id: TraderId, caller: Annotated[Caller, Depends(allowed("traders.read"))], deps: Deps
) -> read.TraderView:
    async with deps.db.transaction() as session:
        return await read.one(session, caller.scope, trader_id)


@router.post("/traders/{trader_id}/identity-facts", dependencies=[Depends(idempotency_key)])
async def read_identity_facts(
    trader_id: TraderId,
    body: ReasonBody,
    caller: Annotated[Caller, Depends(allowed("traders.identity_facts"))],
    deps: Deps,
) -> tuple[IdentityFactView, ...]:
    """What is known of who stands behind a trader, as marks that can only be compared. Who reads it, and why, goes into
    the audit log: so this is no GET."""
    async with deps.db.transaction() as session:
        found = await identity_facts.read(session, trader_id, caller.actor, body.reason)
    return tuple(IdentityFactView.model_validate(asdict(each)) for each in found)


@router.put("/traders/{trader_id}/beneficiary")
async def put_beneficiary(
    trader_id: TraderId,
    body: BeneficiaryBody,
    caller: Annotated[Caller, Depends(allowed("traders.set_beneficiary"))],
    deps: Deps,
) -> BeneficiaryAnswer:
    """Where this trader's payouts go from now on. Another account than the one before needs a proof: a step-up of a
    trader with a factor, else the link of a mail. Then it waits until support has confirmed it with the trader, and for
    the firm's cooling period."""
    once = Once(deps, caller.actor, "PUT beneficiary", secrets.token_hex(20), caller.token)
    async with deps.db.transaction() as session:
        trader = await read.one(session, caller.scope, trader_id)  # 404 before anything is said about the IBAN
        account = iban(body.iban)
        rail = deps.payments.rails.for_currency(account, trader.name, body.currency)
        row = await give(session, once, trader_id, Account(account, rail, body.currency))
        return BeneficiaryAnswer(
            trader_id=trader_id,
            id=row.id if row else None,
            state=row.state if row else "mailed",
            beneficiary=mask_iban(account),
            currency=body.currency,
        )


@router.put("/beneficiary-confirmation", status_code=204)
async def confirm_beneficiary_by_mail(body: TokenBody, deps: Deps) -> None:
    """Change where a trader is paid with the link of a mail. The account then waits as every changed one does."""
    async with deps.db.transaction(FIRM) as session:
        await beneficiaries.confirm_link(session, body.token)


@router.post("/traders/{trader_id}/payees")
async def open_account_at_rail(
    trader_id: TraderId,
    body: PayeeBody,
    caller: Annotated[Caller, Depends(allowed("traders.set_beneficiary"))],
    once: Keyed,
    deps: Deps,
) -> PayeeView:
    """Open the trader's account at a rail that keeps accounts of its own, once, or ask how it is. Payouts go there as
    soon as the trader has completed it; where it replaces another account, once the link of a mail is used. A trader
    with a factor proves the opening with a step-up."""
    async with deps.db.transaction() as session:
        await read.one(session, caller.scope, trader_id)
        await prove_opening(session, once, trader_id, body.rail)
    return await open_payee(deps.db, deps.payments, trader_id, body.rail, site=deps.public_url)


@router.get("/traders/{trader_id}/beneficiaries")
async def list_beneficiaries(
    trader_id: TraderId, caller: Annotated[Caller, Depends(allowed("traders.read"))], deps: Deps
) -> list[BeneficiaryView]:
    """The bank accounts of a trader, newest first. A payout request may name one."""
    async with deps.db.transaction() as session:
        await read.one(session, caller.scope, trader_id)
        return list(await read_beneficiaries.of_trader(session, caller.scope, trader_id))


@router.post("/traders/{trader_id}/identity-check")
async def check_identity(
    trader_id: TraderId,
    caller: Annotated[Caller, Depends(allowed("traders.check_identity"))],
    deps: Deps,
) -> IdentityCheckStarted:
    """Start a check of this trader's identity at the firm's checker, or continue the open one."""
    async with deps.db.transaction() as session:
        await read.one(session, caller.scope, trader_id)
    return await start_check(deps, trader_id)


@router.post("/traders/{trader_id}/identity", dependencies=[Depends(allowed("traders.decide_identity"))])
async def decide_identity(trader_id: TraderId, body: IdentityBody, once: Keyed) -> IdentityAnswer:
    """Say whether a trader is who they claim to be; challenges that wait for it move on."""

    verb = IDENTITY.verb("verify" if body.verified else "refuse")

    async def work(session: AsyncSession) -> IdentityAnswer:
        taken = await on_record(session, IDENTITY, verb, trader_id, body.reason, once)
        return IdentityAnswer.model_validate(taken.answer)

    return await once.write(IdentityAnswer, body, work)
