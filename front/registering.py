"""A shop or a CRM signs a trader up: without a password, which the trader chooses with the link of a mail."""

import secrets

from sqlalchemy.ext.asyncio import AsyncSession

from firm import confirmations
from front.fields import Country, Email, Input, Line
from front.once import Once
from store import audit
from store.clock import market_now
from store.identity import hash_password, sign_up_trader
from store.read.pages import View


class RegistrationBody(Input):
    """`name`: as on an identity document. `email`: becomes the login, and gets the link that confirms it."""

    name: Line
    email: Email
    country: Country


class Registered(View):
    trader_id: str


async def register(once: Once, body: RegistrationBody) -> Registered:
    """Raises BadInput, also for an address that is registered."""
    unknown = await hash_password(secrets.token_urlsafe(32), login=body.email)

    async def work(session: AsyncSession) -> Registered:
        trader = await sign_up_trader(
            session, name=body.name, email=body.email, password_hash=unknown, country=body.country
        )
        site = once.deps.public_url
        await confirmations.ask(session, user_id=trader.user_id, email=body.email, site=site, registered=True)
        await audit.record(
            session,
            action="trader.registered",
            subject_kind="trader",
            subject_id=trader.trader_id or "",
            occurred_at=await market_now(session),
            actor=once.actor.user_id,
            role=once.actor.role,
        )
        return Registered(trader_id=trader.trader_id or "")

    return await once.write(Registered, body, work)
