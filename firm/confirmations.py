"""A trader confirms the e-mail address with a link that was sent to it."""

from datetime import UTC, datetime

from sqlalchemy.ext.asyncio import AsyncSession

from domain.approvals import Actor
from domain.errors import Conflict, NotAllowed
from domain.sign_in_errors import EmailUnconfirmed
from domain.sign_ins import SignInTerms
from firm import mails
from store import attempts, audit, identity, links
from store.clock import market_now
from store.db import Database
from store.models import Trader, User

_BODY = """Please confirm that this is your address. Open this link within three days:

{link}

Until then you can look around, but neither buy a challenge nor ask for a payout.
If you did not sign up with us, do nothing.
"""
_REGISTERED = """An account was opened for you with this address. Please confirm that it is yours.
Open this link within three days:

{link}

Then choose a password here: {site}/forgot

Until you have confirmed the address, no payout can be asked for.
If you do not know of this, do nothing.
"""


async def ask(session: AsyncSession, *, user_id: str, email: str, site: str, registered: bool = False) -> None:
    """Mail the link. `site`: the address of the console. `registered`: somebody else signed the trader up. Earlier
    links of the same user end."""
    token = await links.make(session, "confirmation", user_id=user_id)
    await mails.send(
        session,
        to=email,
        subject="Confirm your e-mail address",
        body=(_REGISTERED if registered else _BODY).format(link=f"{site}/confirm?token={token}", site=site),
        automatic=True,
        key=f"confirmation/{identity.token_digest(token)}",
        kind="confirmation",
    )


async def ask_again(db: Database, actor: Actor, *, site: str, terms: SignInTerms) -> None:
    """Mail another link. Raises NotAllowed for staff, Conflict when the address is confirmed, TooManyAttempts."""
    if actor.trader_id is None:
        raise NotAllowed("Only traders confirm an address.")
    counter = attempts.key_of("confirmation", actor.user_id)
    await attempts.count(db, counter, terms.mails, refusal="We sent you several mails already.")
    async with db.transaction() as session:
        trader = await session.get_one(Trader, actor.trader_id)
        if trader.email_confirmed_at is not None:
            raise Conflict("Your e-mail address is confirmed already.")
        await ask(session, user_id=actor.user_id, email=trader.email, site=site)


async def confirm(session: AsyncSession, token: str) -> None:
    """Confirm the address to which the link was sent. Raises BadInput for a link that is no good."""
    link = await links.use(session, "confirmation", token)
    user = await session.get_one(User, link.user_id)
    trader = await session.get_one(Trader, user.trader_id, with_for_update=True)
    if trader.email_confirmed_at is not None:
        return
    trader.email_confirmed_at = datetime.now(UTC)
    await audit.record(
        session,
        action="trader.email_confirmed",
        subject_kind="trader",
        subject_id=trader.id,
        occurred_at=await market_now(session),
        actor=user.id,
        role=user.role,
    )


async def check_confirmed(session: AsyncSession, trader_id: str, terms: SignInTerms) -> None:
    """Raises EmailUnconfirmed, unless the firm does not ask for it."""
    if terms.confirm_email and (await session.get_one(Trader, trader_id)).email_confirmed_at is None:
        raise EmailUnconfirmed
