"""Becoming a trader of the firm, and the limits of it. The API and the console share it."""

from typing import Final

from domain.errors import TooManyAttempts
from domain.sign_ins import Limit
from firm import confirmations
from front.deps import ApiDeps
from front.fields import Country, Email, Input, Line, Password
from store import attempts
from store.attempts import key_of
from store.idempotency import ask, claim, remember
from store.identity import Browser, SignedIn, hash_password, open_session, sign_in, sign_up_trader
from store.known_browsers import remembered
from store.scope import FIRM

_FIRM: Final = "the firm"


class SignUpBody(Input):
    name: Line
    email: Email
    password: Password
    country: Country


async def sign_up(deps: ApiDeps, body: SignUpBody, key: str, browser: Browser) -> SignedIn:
    """Creates the trader, mails the link that confirms the address, and signs in. A repetition with the same key signs
    in instead: neither a token nor a digest of the password is kept for it.

    Raises BadInput (also for an address that is registered), TooManyAttempts.
    """
    asked = ask("anonymous", key, "POST /v1/traders", body.model_dump(exclude={"password"}))
    password_hash = await hash_password(body.password, login=body.email)
    await _count(deps, "sign-up", browser.address, deps.sign_ins.sign_ups, "from your address")
    await _count(deps, "sign-ups", _FIRM, deps.sign_ins.firm_sign_ups, "at the moment")
    async with deps.db.transaction(FIRM) as session:
        if await claim(session, asked) is None:
            actor = await sign_up_trader(
                session, name=body.name, email=body.email, password_hash=password_hash, country=body.country
            )
            await confirmations.ask(session, user_id=actor.user_id, email=body.email, site=deps.public_url)
            await remember(session, asked, {"trader_id": actor.trader_id})
            known = remembered(browser.known, body.email)
            return await open_session(session, actor, browser=browser, known=known, terms=deps.sign_ins)
    return await sign_in(deps.db, login=body.email, password=body.password, browser=browser, terms=deps.sign_ins)


async def _count(deps: ApiDeps, kind: str, whose: str, limit: Limit, words: str) -> None:
    try:
        await attempts.count(deps.db, key_of(kind, whose), limit, refusal=f"Too many people signed up {words}.")
    except TooManyAttempts as refused:
        raise TooManyAttempts(refused.message, remedy="Try again in an hour, or write to us.") from None
