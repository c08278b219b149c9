"""Proofs of a person: by passkey, code, recovery code, password or mailed link. At sign-in they complete the session;
before what is guarded they make a step-up."""

import secrets
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from sqlalchemy.ext.asyncio import AsyncSession

from domain.approvals import Actor
from domain.errors import BadInput, NotSignedIn
from domain.key_errors import NeedsPerson
from domain.sign_in_errors import ProofRefused, StepUpRequired
from domain.step_up import ActionClass, Held, Method, factors_of, methods, needs_step_up
from front import authenticator, passkeys
from front.access import relying_party
from front.deps import ApiDeps
from store import factors, identity, links, step_ups
from store.identity import token_digest
from store.models import StepUp
from store.scope import FIRM

_WRONG: Final[dict[Method, str]] = {
    "passkey": "This passkey was not accepted.",
    "totp": "This code is wrong, or was used before.",
    "recovery_code": "This recovery code is wrong, or was used before.",
    "password": "The password is wrong.",
    "mail": "This link was used, is too old, or was never mailed to you.",
}


@dataclass(frozen=True)
class Offer:
    """What a person offers as a proof. `text`: the password, the code, or the token of the mailed link. `credential`:
    the passkey's answer to the challenge `challenge_id`."""

    method: Method
    text: str = ""
    challenge_id: str = ""
    credential: dict[str, Any] | None = None


@dataclass(frozen=True)
class Asked:
    """What a passkey is asked; `options` go to `navigator.credentials.get`."""

    challenge_id: str
    options: dict[str, Any]


async def ask_passkey(deps: ApiDeps, user_id: str, *, purpose: str, holder: str, about: str = "") -> Asked:
    """Begins a proof by a passkey of this person. Raises Unavailable where passkeys cannot work."""
    party, challenge = relying_party(deps.access, deps.public_url), secrets.token_bytes(32)
    async with deps.db.transaction(FIRM) as session:
        known = list(await factors.passkeys(session, user_id)) if user_id else []
        made = await factors.challenge(session, purpose, holder, about, challenge)
    return Asked(made, passkeys.authentication_options(party, known, challenge))


async def ways(session: AsyncSession, deps: ApiDeps, actor: Actor, action: ActionClass) -> tuple[Method, ...]:
    """How this person can prove themselves for a class of actions."""
    held = await factors.held(session, actor.user_id)
    return methods(held, role=actor.role, factor_roles=deps.access.factor_roles, action=action)


async def step_up(deps: ApiDeps, actor: Actor, holder: str, action: ActionClass, about: str, offer: Offer) -> StepUp:
    """Checks the proof and makes a step-up for exactly this. `holder`: digest of the session's token. Raises
    ProofRefused, TooManyAttempts, or NeedsPerson for an API key."""
    if actor.key_id is not None:
        raise NeedsPerson
    async with deps.db.transaction(FIRM) as session:
        possible = await ways(session, deps, actor, action)
    if offer.method not in possible:
        raise ProofRefused("You cannot prove it in this way.", remedy=f"Use one of: {', '.join(possible) or 'none'}.")
    await _check(deps, actor.user_id, offer, purpose="step_up", holder=holder, about=about)
    async with deps.db.transaction(FIRM) as session:
        await factors.forget_attempts(session, actor.user_id)
        return await step_ups.make(
            session, user_id=actor.user_id, holder=holder, action=action, about=about, method=offer.method
        )


async def require(
    session: AsyncSession, deps: ApiDeps, actor: Actor, *, holder: str, action: ActionClass, about: str, key: str
) -> None:
    """Uses a step-up for this request, in the transaction of what it guards. Raises StepUpRequired."""
    if not needs_step_up(action, actor.role, switched_on=deps.access.step_up):
        return
    if await step_ups.use(session, user_id=actor.user_id, holder=holder, action=action, about=about, key=key):
        return
    raise StepUpRequired(action, about, await ways(session, deps, actor, action))


async def due_factors(deps: ApiDeps, token: str) -> tuple[str, Held]:
    """Returns the user who must still show a factor, and what they have. Raises NotSignedIn."""
    async with deps.db.transaction(FIRM) as session:
        user = await factors.user_of_due_session(session, token_digest(token)) if token else None
        if user is None:
            raise NotSignedIn
        return user.id, await factors.held(session, user.id)


async def complete_sign_in(deps: ApiDeps, token: str, offer: Offer) -> Actor:
    """Completes a session with the second factor. Raises NotSignedIn, ProofRefused or TooManyAttempts."""
    user_id, held = await due_factors(deps, token)
    if offer.method not in factors_of(held):
        raise ProofRefused("You cannot prove it in this way.")
    await _check(deps, user_id, offer, purpose="second_factor", holder=token_digest(token))
    async with deps.db.transaction(FIRM) as session:
        await factors.forget_attempts(session, user_id)
        await factors.end_due(session, token_digest(token))
        actor = await identity.active_actor(session, user_id)
    if actor is None:
        raise NotSignedIn
    return actor


async def sign_in_with_passkey(
    deps: ApiDeps, holder: str, offer: Offer, browser: identity.Browser = identity.PROGRAM
) -> identity.SignedIn:
    """Signs in whoever the passkey belongs to. `holder`: digest of the browser's cookie. Raises ProofRefused."""
    async with deps.db.transaction(FIRM) as session:
        challenge = await factors.take_challenge(session, offer.challenge_id, purpose="sign_in", holder=holder)
    async with deps.db.transaction(FIRM) as session:
        user_id = await _by_passkey(session, deps, offer, challenge)
        actor = await identity.active_actor(session, user_id)
        if actor is None:
            raise ProofRefused(_WRONG["passkey"])
        return await identity.open_session(session, actor, browser=browser, terms=deps.sign_ins)


async def _check(deps: ApiDeps, user_id: str, offer: Offer, *, purpose: str, holder: str, about: str = "") -> None:
    """Raises ProofRefused or TooManyAttempts. What was offered is used up even if it is refused."""
    async with deps.db.transaction(FIRM) as session:
        await factors.count_attempt(session, user_id)
        challenge = None
        if offer.method == "passkey":
            challenge = await factors.take_challenge(
                session, offer.challenge_id, purpose=purpose, holder=holder, about=about
            )
    if offer.method == "password":
        right = await identity.has_password(deps.db, user_id, offer.text)
    else:
        async with deps.db.transaction(FIRM) as session:
            right = await _is_right(session, deps, user_id, offer, challenge)
    if not right:
        raise ProofRefused(_WRONG[offer.method], remedy="Try again.")


async def _is_right(session: AsyncSession, deps: ApiDeps, user_id: str, offer: Offer, challenge: bytes | None) -> bool:
    if offer.method == "passkey":
        return await _by_passkey(session, deps, offer, challenge) == user_id
    if offer.method == "recovery_code":
        used = await factors.use_recovery_code(session, user_id, authenticator.plain_recovery_code(offer.text))
        if used:
            await factors.note(session, user_id, "factor.recovery_code_used")
        return used
    if offer.method == "mail":
        return await _uses_link(session, user_id, offer.text)
    return await uses_code(session, user_id, offer.text, confirmed=True)


async def _uses_link(session: AsyncSession, user_id: str, token: str) -> bool:
    """Uses the link up that was mailed to this person; returns whether it was good."""
    try:
        await links.use(session, "first_factor", token, of=user_id)
    except BadInput:
        return False
    return True


async def uses_code(session: AsyncSession, user_id: str, code: str, *, confirmed: bool) -> bool:
    """Uses a code of the authenticator app up; returns whether it was right."""
    row = await factors.authenticator(session, user_id)
    if row is None or (row.confirmed_at is not None) != confirmed:
        return False
    step = authenticator.step_of(row.secret, code, datetime.now(UTC), row.last_step)
    if step is None:
        return False
    row.last_step = step
    return True


async def _by_passkey(session: AsyncSession, deps: ApiDeps, offer: Offer, challenge: bytes | None) -> str:
    """Returns whose passkey answered the challenge. Raises ProofRefused."""
    credential = offer.credential or {}
    known = await factors.passkey_by_credential(session, passkeys.credential_id_of(credential))
    if challenge is None or known is None:
        raise ProofRefused(_WRONG["passkey"], remedy="Try again.")
    party = relying_party(deps.access, deps.public_url)
    known.sign_count = passkeys.authenticated(party, credential, challenge, known)
    known.last_used_at = datetime.now(UTC)
    return known.user_id
