"""The link with which a person without a factor adds the first one. It is mailed: others may know the password."""

from typing import Final

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from domain.errors import BadInput, Conflict, NotFound
from domain.mail.addresses import plain_address
from domain.sign_ins import SignInTerms
from firm import confirmations, mails
from store import crypto, factors, identity, links
from store.models import Trader, User

_BODY: Final = """Somebody who is signed in as you wants to add the first second factor of your login.

If it was you, open this link within 30 minutes, in the browser where you are signed in, and add it there:

{link}

The link works once, and only for you: do not pass it on.
If it was not you, do not open it. Somebody else knows your password: set a new one with "Forgot your password?" on the
sign-in page, and tell us.
"""


async def mail_link(session: AsyncSession, *, user_id: str, site: str, terms: SignInTerms) -> None:
    """Mails the link to the confirmed address of a trader, or to the login of a member of staff. `site`: the address of
    the console. Earlier links end. Raises Conflict for a person with a factor, EmailUnconfirmed, and BadInput for a
    login that is no mail address."""
    user = await factors.lock_user(session, user_id)
    to = await _mailbox(session, user, terms)
    token = await _make(session, user)
    await mails.send(
        session,
        to=to,
        subject="Add your first second factor",
        body=_BODY.format(link=_address(site, token)),
        automatic=True,
        key=f"first-factor/{identity.token_digest(token)}",
        kind="first_factor",
    )


async def print_link(session: AsyncSession, *, login: str, site: str, by: str) -> str:
    """Returns the link, for a person whose login is no mail address. Only who has the database sees it. Raises
    NotFound, Conflict."""
    user = await session.scalar(
        select(User).where(User.login_index.in_(crypto.keys().blind_indexes(login)), User.active).with_for_update()
    )
    if user is None:
        raise NotFound("There is no active user with this login.")
    token = await _make(session, user)
    await factors.note_by(session, user.id, by, "factor.link_printed")
    return _address(site, token)


async def _make(session: AsyncSession, user: User) -> str:
    if (await factors.held(session, user.id)).any:
        raise Conflict("There is a factor already.", remedy="Confirm with that factor that it is you, and add another.")
    return await links.make(session, "first_factor", user_id=user.id)


async def _mailbox(session: AsyncSession, user: User, terms: SignInTerms) -> str:
    if user.trader_id is not None:
        await confirmations.check_confirmed(session, user.trader_id, terms)
        return (await session.get_one(Trader, user.trader_id)).email
    try:
        return plain_address(user.login)
    except BadInput as problem:
        raise BadInput(
            "Your login is no mail address, so no link can be mailed to you.",
            field="login",
            remedy="Have somebody with access to the machine run `propos user factor-link` with your login.",
        ) from problem


def _address(site: str, token: str) -> str:
    return f"{site}/security?token={token}"
