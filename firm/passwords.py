"""A person's own password: changed with the old one, or recovered with a link that was sent by mail."""

import structlog
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from domain.approvals import Actor
from domain.errors import BadInput
from domain.sign_ins import SignInTerms
from firm import mails
from store import attempts, audit, crypto, identity, links
from store.clock import market_now
from store.db import Database
from store.models import User
from store.revoking import revoke_keys
from store.scope import FIRM

_log = structlog.get_logger("firm.passwords")


async def change(db: Database, actor: Actor, *, old: str, new: str, but: str, terms: SignInTerms) -> None:
    """Replace the own password. All other sign-ins end; the one with the id `but` stays.

    Raises BadInput (the old one is wrong, the new one is too easily guessed), TooManyAttempts.
    """
    counter = attempts.key_of("password", actor.user_id)
    await attempts.count(db, counter, terms.checks, refusal="Too many wrong passwords.")
    if not await identity.has_password(db, actor.user_id, old):
        raise BadInput("The old password is wrong.", field="old", remedy="Type it again.")
    await attempts.forget(db, counter)
    if old == new:
        raise BadInput("This is the old password.", field="new", remedy="Choose another one.")
    async with db.transaction() as session:
        login = (await session.get_one(User, actor.user_id)).login
    hashed = await identity.hash_password(new, login=login)
    async with db.transaction() as session:
        await _set(session, actor.user_id, hashed, action="user.password_changed", but=but)
        await _tell(session, login, "user.password_changed")


async def _set(
    session: AsyncSession, user_id: str, password_hash: str, *, action: str, but: str = "", keys_too: bool = False
) -> None:
    """Replace the password, end the user's sessions but the one with the id `but`, and record the `action`. `keys_too`:
    whoever had the old password may have made API keys, so they end too."""
    user = await session.get_one(User, user_id, with_for_update=True)
    user.password_hash = password_hash
    ended = await identity.end_sessions(session, user_id, but=but)
    revoked = await revoke_keys(session, user_id) if keys_too else {}
    await audit.record(
        session,
        action=action,
        subject_kind="user",
        subject_id=user_id,
        occurred_at=await market_now(session),
        actor=user_id,
        role=user.role,
        evidence={"sign_ins_ended": ended, **revoked},
    )


async def ask_recovery(db: Database, *, login: str, address: str, site: str, terms: SignInTerms) -> None:
    """Mail a link with which the owner of this login can set a new password, if there is such a login with a mailbox.
    `address`: where the request comes from; `site`: the address of the console. Whether a mail was sent is told to
    nobody.

    Raises TooManyAttempts for too many requests from one address.
    """
    await attempts.count(
        db, attempts.key_of("recovery", address), terms.recoveries, refusal="Too many requests from your address."
    )
    wanted = await attempts.within(db, attempts.key_of("recovery-mail", login), terms.mails)
    indexes = crypto.keys().blind_indexes(login)
    async with db.transaction(FIRM) as session:
        user = await session.scalar(select(User).where(User.login_index.in_(indexes), User.active))
        if user is None or not wanted or "@" not in user.login:
            return
        token = await links.make(session, "recovery", user_id=user.id)
        try:
            await mails.send(
                session,
                to=user.login,
                subject="Set a new password",
                body=_RECOVERY.format(link=f"{site}/recover?token={token}"),
                automatic=True,
                key=f"recovery/{identity.token_digest(token)}",
                kind="recovery",
            )
        except BadInput:  # answered like any other login
            _log.warning("no mail can be sent to this login", user_id=user.id)


async def recover(db: Database, *, token: str, new: str) -> None:
    """Set a new password with a link from a mail. The link is used up, and all sign-ins and API keys of the
    user end.

    Raises BadInput: the link is no good, or the password is too easily guessed (the link can be used again then).
    """
    async with db.transaction(FIRM) as session:
        link = await links.peek(session, "recovery", token)
        login = (await session.get_one(User, link.user_id)).login
    hashed = await identity.hash_password(new, login=login)
    async with db.transaction(FIRM) as session:
        used = await links.use(session, "recovery", token)
        user = await session.get_one(User, used.user_id)
        if not user.active:
            raise links.no_good()
        await _set(session, user.id, hashed, action="user.password_recovered", keys_too=True)
        await _tell(session, login, "user.password_recovered")
    await attempts.forget(db, attempts.key_of("sign-in", login))


async def _tell(session: AsyncSession, login: str, action: str) -> None:
    """Tells the owner, who may not be the one who did it."""
    if "@" not in login:
        return
    await mails.send(
        session,
        to=login,
        subject="Your password was changed",
        body=_CHANGED,
        automatic=True,
        key=f"{action}/{links.random_key()}",
        kind="password_changed",
    )


_RECOVERY = """Somebody asked for a new password for this address.

If it was you, open this link within 30 minutes and set one:

{link}

The link works once. All your sign-ins and API keys end when you use it.
If it was not you, do nothing: your password stays as it is.
"""

_CHANGED = """Your password was changed, and your other sign-ins have ended.

If it was not you, set a new password at once with "Forgot your password?" on the sign-in page, and tell us.
"""
