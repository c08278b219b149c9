"""Sign-in of staff with the firm's identity provider: out, back, and how an identity is linked to a login."""

import secrets
from typing import Final

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from domain.approvals import STAFF, Actor
from domain.errors import BadInput, Conflict, NotFound
from domain.mail.addresses import plain_address
from domain.sign_in_errors import SignInRefused
from firm import mails
from front.deps import ApiDeps
from ports.sign_in import IdentityProvider, ProviderPerson
from store import crypto, factors, identity, provider_identities
from store.models import User
from store.scope import FIRM

RETURN: Final = "/sign-in/provider/return"
_STALE: Final = "This sign-in was begun in another browser, or too long ago. Start again."
_USED: Final = "This invitation was used before, or is too old. Ask for another one."
_INVITATION: Final = """You are invited to sign in with the identity provider of the firm.

Open this link within three days, and sign in there:

{link}

From then on you sign in here with that identity. The link works once, and it is for you alone: do not pass it on.
If you did not expect it, do nothing.
"""
_UNKNOWN: Final = "Nobody here has this identity. Ask for an invitation, or link it on the page Security."


def provider(deps: ApiDeps) -> IdentityProvider:
    """Raises Conflict when none is configured."""
    if deps.access.provider is None:
        raise Conflict(
            "No identity provider signs people in here.", remedy="Set PROPOS_OIDC_ISSUER; see docs/sign-in.md."
        )
    return deps.access.provider


async def go(
    deps: ApiDeps, holder: str, *, next_page: str = "/", user_id: str | None = None, invitation: str | None = None
) -> str:
    """Returns where the browser goes. `holder`: digest of its cookie. `user_id`: whom the identity is linked to;
    `invitation`: digest of the invitation that says it instead."""
    state, nonce, verifier = secrets.token_urlsafe(32), secrets.token_urlsafe(32), secrets.token_urlsafe(48)
    address = await provider(deps).address(
        redirect_uri=_redirect_uri(deps), state=state, nonce=nonce, verifier=verifier
    )
    async with deps.db.transaction() as session:
        await provider_identities.begin(
            session,
            state=state,
            holder=holder,
            nonce=nonce,
            verifier=verifier,
            next_page=next_page[:400],
            user_id=user_id,
            invitation=invitation,
        )
    return address


async def come_back(
    deps: ApiDeps, holder: str, *, state: str, code: str, browser: identity.Browser = identity.PROGRAM
) -> tuple[identity.SignedIn, str]:
    """Signs in the person behind the identity, and links it first if that was begun. Returns the session and the page
    to go to. Raises SignInRefused, Conflict or Unavailable."""
    async with deps.db.transaction() as session:
        visit = await provider_identities.take(session, state=state, holder=holder)
    if visit is None:
        raise SignInRefused(_STALE)
    person = await provider(deps).redeem(
        code=code, redirect_uri=_redirect_uri(deps), nonce=visit.nonce, verifier=visit.verifier
    )
    async with deps.db.transaction(FIRM) as session:
        if visit.invitation is not None:
            invited = await provider_identities.use_invitation(session, visit.invitation)
            if invited is None:
                raise SignInRefused(_USED)
            await _link(session, person, *invited)
        elif visit.user_id is not None:
            await _link(session, person, visit.user_id, visit.user_id)
        user_id = await provider_identities.user_of(session, person.issuer, person.subject)
        actor = await identity.active_actor(session, user_id) if user_id else None
        if actor is None or actor.role not in STAFF:
            raise SignInRefused(_UNKNOWN)
        due = (await factors.held(session, actor.user_id)).any
        signed_in = await identity.open_session(
            session, actor, browser=browser, terms=deps.sign_ins, second_factor_due=due
        )
        return signed_in, visit.next_page


async def accept(deps: ApiDeps, holder: str, token: str) -> str:
    """Returns where the browser of an invited person goes. The invitation is used when they come back, so that a
    program that follows links in mails uses nothing up. Raises SignInRefused."""
    digest = identity.token_digest(token)
    async with deps.db.transaction() as session:
        if not await provider_identities.is_invited(session, digest):
            raise SignInRefused(_USED)
    return await go(deps, holder, invitation=digest)


async def invitation(session: AsyncSession, public_url: str, login: str, by: str) -> str:
    """Returns the address that invites a member of staff to link their login to an identity. Whoever opens it becomes
    this person, so only who has the database sees it; `mail_invitation` is for everybody else. Raises NotFound."""
    return await _invite(session, public_url, await _invited(session, login), by)


async def mail_invitation(session: AsyncSession, public_url: str, login: str, by: str) -> str:
    """Mails the address to the mailbox of the login, and tells it to nobody else. Returns the id of the invited user.
    Raises NotFound, or BadInput for a login that is no mail address."""
    user = await _invited(session, login)
    try:
        to = plain_address(user.login)
    except BadInput as problem:
        raise BadInput(
            "This login is no mail address, so the invitation cannot be sent to its owner.",
            field="login",
            remedy="Have somebody with access to the machine run `propos user invite`.",
        ) from problem
    link = await _invite(session, public_url, user, by)
    await mails.send(
        session,
        to=to,
        subject="Sign in with the identity provider",
        body=_INVITATION.format(link=link),
        automatic=True,
        key=f"sign-in-invitation/{identity.token_digest(link)}",
        kind="invitation",
    )
    return user.id


async def _invited(session: AsyncSession, login: str) -> User:
    user: User | None = await session.scalar(
        select(User).where(User.login_index.in_(crypto.keys().blind_indexes(login)), User.active)
    )
    if user is None:
        raise NotFound("There is no user with this login.")
    if user.role not in STAFF:
        raise BadInput("Only staff sign in with the identity provider.", field="login")
    return user


async def _invite(session: AsyncSession, public_url: str, user: User, by: str) -> str:
    token = secrets.token_urlsafe(32)
    await provider_identities.invite(session, token=token, user_id=user.id, by=by)
    await factors.note_by(session, user.id, by, "sign_in.invited")
    return f"{public_url}/sign-in/provider/invitation/{token}"


async def unlink(session: AsyncSession, actor: Actor) -> None:
    if await provider_identities.unlink(session, actor.user_id):
        await factors.note(session, actor.user_id, "sign_in.unlinked")


async def _link(session: AsyncSession, person: ProviderPerson, user_id: str, by: str) -> None:
    if not await provider_identities.link(
        session, issuer=person.issuer, subject=person.subject, user_id=user_id, by=by
    ):
        raise Conflict("This identity is linked already.", remedy="Sign in with it, or unlink it first.")
    await factors.note_by(session, user_id, by, "sign_in.linked")


def _redirect_uri(deps: ApiDeps) -> str:
    return f"{deps.public_url}{RETURN}"
