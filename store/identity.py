"""Users, passwords and sessions. Only a digest of a session's token is stored."""

import asyncio
import hashlib
import secrets
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Final, cast

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from sqlalchemy import func, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from domain.approvals import STAFF, Actor, Role
from domain.errors import BadInput, NotFound, NotSignedIn
from domain.keys import new_id
from domain.passwords import check_password
from domain.sign_ins import STANDARD, SignInTerms, device_words
from store import attempts, audit, crypto, factors
from store.clock import market_now
from store.db import Database
from store.known_browsers import counter_of, remembered
from store.models import Session, Trader, User
from store.revoking import revoke_keys
from store.scope import FIRM

_USE_NOTED_AFTER: Final = timedelta(minutes=1)
_WRONG: Final = "Login or password is wrong."
# OWASP's second recommended setting for argon2id: 19 MiB, two passes, one lane
_HASHER: Final = PasswordHasher(time_cost=2, memory_cost=19 * 1024, parallelism=1)


@dataclass(frozen=True, slots=True)
class Browser:
    """Who signs in, as the request tells: `known` is the cookie of known browsers, `agent` the user agent."""

    known: str = ""
    agent: str = ""
    address: str = ""


PROGRAM: Final = Browser()  # tells nothing of itself


@dataclass(frozen=True)
class SignedIn:
    """A new session. `token` is not stored anywhere; `csrf` goes into every browser form; `expires_at` is its latest
    end, wall time. `known`: the new cookie of known browsers; "" when nobody proved a password. `second_factor_due`:
    the session is worth nothing until the person has shown a factor."""

    token: str
    csrf: str
    actor: Actor
    expires_at: datetime
    known: str = ""
    second_factor_due: bool = False


@dataclass(frozen=True)
class CurrentSession:
    """A valid session, with the user's current role and name. `id` names it in lists."""

    actor: Actor
    name: str
    csrf: str
    id: str


def token_digest(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()


async def hash_password(password: str, *, login: str = "") -> str:
    """Returns the argon2id hash, computed in a thread. Raises BadInput for a password that is short or easily guessed,
    also from the login that it is for."""
    check_password(password, login=login)
    return await asyncio.to_thread(_HASHER.hash, password)


@lru_cache(maxsize=1)
def _nobody_hash() -> str:
    """Verified for unknown logins, so that they take as long as known ones."""
    return _HASHER.hash(secrets.token_urlsafe(16))


def _verify(password_hash: str | None, password: str) -> bool:
    try:
        _HASHER.verify(password_hash or _nobody_hash(), password)
    except (VerificationError, InvalidHashError):
        return False
    return password_hash is not None


def actor_of(user: User) -> Actor:
    """Returns the person behind a login, with the role of this moment."""
    return Actor(user_id=user.id, person_id=user.person_id, role=cast("Role", user.role), trader_id=user.trader_id)


async def add_user(
    session: AsyncSession,
    *,
    login: str,
    name: str,
    password_hash: str,
    role: Role,
    person_id: str,
    trader_id: str | None = None,
    by: str = "system",
) -> Actor:
    """Create a user for the human `person_id`; `by` is the creator's user id. Raises BadInput for a taken login."""
    await _take_turn(session, "login", login)
    if await session.scalar(select(User.id).where(User.login_index.in_(crypto.keys().blind_indexes(login)))):
        raise _login_taken()
    row = insert(User).values(
        id=new_id("usr"),
        login=login.strip(),
        login_index=crypto.keys().blind_index(login),
        name=name,
        password_hash=password_hash,
        role=role,
        person_id=person_id,
        trader_id=trader_id,
        active=True,
    )
    user = await session.scalar(row.on_conflict_do_nothing(index_elements=["login_index"]).returning(User))
    if user is None:
        raise _login_taken()
    await audit.record(
        session,
        action="user.created",
        subject_kind="user",
        subject_id=user.id,
        occurred_at=await market_now(session),
        actor=by,
        evidence={"role": role},
    )
    return actor_of(user)


async def change_role(session: AsyncSession, *, login: str, role: Role, by: str) -> bool:
    """Change the role of a member of staff and end their sessions. Returns False when they have the role already.

    Raises NotFound for an unknown login, and BadInput for a trader: traders never get a staff role.
    """
    user = await _locked_user(session, login)
    if user.trader_id is not None or role not in STAFF:
        raise BadInput("A trader is no member of staff.", field="role", remedy="Add a login of its own for the role.")
    if user.role == role:
        return False
    before, user.role = user.role, role
    await _end_sessions(session, user, "user.role_changed", by, {"from": before, "to": role})
    return True


async def disable_user(session: AsyncSession, *, login: str, by: str) -> bool:
    """Disable a login; its sessions and API keys end. Returns False when it is disabled already. Raises NotFound."""
    user = await _locked_user(session, login)
    if not user.active:
        return False
    user.active = False
    revoked = await revoke_keys(session, user.id)
    await _end_sessions(session, user, "user.disabled", by, {"role": user.role} | revoked)
    return True


async def enable_user(session: AsyncSession, *, login: str, by: str) -> bool:
    """Let a disabled login sign in again, with the role that it had. Returns False when it may already. Raises
    NotFound."""
    user = await _locked_user(session, login)
    if user.active:
        return False
    user.active = True
    await _end_sessions(session, user, "user.enabled", by, {"role": user.role})
    return True


async def reset_password(session: AsyncSession, *, login: str, password_hash: str, by: str) -> None:
    """Replace the password of a login, end its sessions and revoke its API keys. Raises NotFound."""
    user = await _locked_user(session, login)
    user.password_hash = password_hash
    revoked = await revoke_keys(session, user.id)
    await _end_sessions(session, user, "user.password_reset", by, {"role": user.role} | revoked)


async def forget_factors(session: AsyncSession, *, login: str, by: str) -> None:
    """Remove every factor of a login and end its sessions. Raises NotFound."""
    user = await _locked_user(session, login)
    await factors.forget(session, user.id)
    await _end_sessions(session, user, "user.factors_forgotten", by, {})


async def staff(session: AsyncSession) -> list[User]:
    """Returns every staff user, disabled ones included, oldest first."""
    return list(await session.scalars(select(User).where(User.trader_id.is_(None)).order_by(User.recorded_at, User.id)))


async def _locked_user(session: AsyncSession, login: str) -> User:
    indexes = crypto.keys().blind_indexes(login)
    statement = select(User).where(User.login_index.in_(indexes)).with_for_update()
    user = await session.scalar(statement.execution_options(populate_existing=True))
    if user is None:
        raise NotFound("There is no user with this login.")
    return user


async def _take_turn(session: AsyncSession, kind: str, text: str) -> None:
    """Waits until no other transaction adds the same text. The unique column alone is not enough: during a rotation of
    the keys a text has one blind index for each key."""
    name = f"{kind}/{crypto.keys().digest(text)}"
    await session.execute(select(func.pg_advisory_xact_lock(func.hashtextextended(name, 0))))


def _login_taken() -> BadInput:
    return BadInput("This login is taken.", field="login", remedy="Sign in, or choose another one.")


def _email_taken() -> BadInput:
    return BadInput("This e-mail address is registered.", field="email", remedy="Sign in instead.")


async def end_sessions(session: AsyncSession, user_id: str, *, but: str = "") -> int:
    """End every session of a user, but the one with the id `but`. Returns how many were open."""
    ended = await session.scalars(
        update(Session)
        .where(Session.user_id == user_id, Session.revoked_at.is_(None), Session.id != but)
        .values(revoked_at=datetime.now(UTC))
        .returning(Session.id)
    )
    return len(ended.all())


async def _end_sessions(session: AsyncSession, user: User, action: str, by: str, evidence: dict[str, str]) -> None:
    await end_sessions(session, user.id)
    now = await market_now(session)
    await audit.record(
        session,
        action=action,
        subject_kind="user",
        subject_id=user.id,
        occurred_at=now,
        actor=by,
        evidence=dict(evidence),
    )


async def sign_up_trader(session: AsyncSession, *, name: str, email: str, password_hash: str, country: str) -> Actor:
    """Create a trader and their user. The e-mail address is the login; it is not confirmed yet. Raises BadInput when it
    is taken."""
    await _take_turn(session, "email", email)
    if await session.scalar(select(Trader.id).where(Trader.email_index.in_(crypto.keys().blind_indexes(email)))):
        raise _email_taken()
    row = insert(Trader).values(
        id=new_id("trd"),
        name=name,
        email=email.strip(),
        email_index=crypto.keys().blind_index(email),
        country=country,
        identity="unverified",
        created_at=await market_now(session),
    )
    trader_id = await session.scalar(row.on_conflict_do_nothing(index_elements=["email_index"]).returning(Trader.id))
    if trader_id is None:
        raise _email_taken()
    return await add_user(
        session,
        login=email,
        name=name,
        password_hash=password_hash,
        role="trader",
        person_id=trader_id,
        trader_id=trader_id,
    )


async def open_session(
    session: AsyncSession,
    actor: Actor,
    *,
    browser: Browser = PROGRAM,
    known: str = "",
    terms: SignInTerms = STANDARD,
    second_factor_due: bool = False,
) -> SignedIn:
    """Open a session with a fresh token for a user who has just signed in. Never accepts a token from outside."""
    token, csrf, now = secrets.token_urlsafe(32), secrets.token_urlsafe(24), datetime.now(UTC)
    session.add(
        Session(
            token_digest=token_digest(token),
            id=new_id("ses"),
            user_id=actor.user_id,
            csrf=csrf,
            device=device_words(browser.agent),
            address=browser.address or None,
            created_at=now,
            used_at=now,
            expires_at=now + terms.longest,
            second_factor_due=second_factor_due,
        )
    )
    await session.flush()
    return SignedIn(token, csrf, actor, now + terms.longest, known, second_factor_due)


async def sign_in(
    db: Database, *, login: str, password: str, browser: Browser = PROGRAM, terms: SignInTerms = STANDARD
) -> SignedIn:
    """Check the password and open a session. Raises NotSignedIn (the same sentence for every cause) or TooManyAttempts.

    Takes the database, not a session: the password is checked in a thread between two transactions.
    """
    counter = counter_of(browser.known, login)
    await attempts.count(
        db,
        counter,
        terms.wrong,
        refusal="Too many failed sign-ins for this login.",
        remedy="A browser in which you signed in before is counted apart.",
    )
    user = await _with_password(db, login, password)
    await attempts.forget(db, counter)
    async with db.transaction() as session:
        known = remembered(browser.known, login)
        due = (await factors.held(session, user.id)).any
        return await open_session(
            session, actor_of(user), browser=browser, known=known, terms=terms, second_factor_due=due
        )


async def _with_password(db: Database, login: str, password: str) -> User:
    """Raises NotSignedIn."""
    indexes = crypto.keys().blind_indexes(login)
    async with db.transaction(FIRM) as session:
        user = await session.scalar(select(User).where(User.login_index.in_(indexes), User.active))
    right = await asyncio.to_thread(_verify, user.password_hash if user else None, password)
    if user is None or not right:
        raise NotSignedIn(_WRONG)
    return user


async def has_password(db: Database, user_id: str, password: str) -> bool:
    """Whether this is the user's password. The caller counts the attempts."""
    async with db.transaction() as session:
        kept = await session.scalar(select(User.password_hash).where(User.id == user_id, User.active))
    return await asyncio.to_thread(_verify, kept, password)


async def active_actor(session: AsyncSession, user_id: str) -> Actor | None:
    """Returns an active user as decisions see them."""
    user = await session.scalar(select(User).where(User.id == user_id, User.active))
    return None if user is None else actor_of(user)


async def current_session(
    session: AsyncSession, token: str, *, terms: SignInTerms = STANDARD, used: bool = True
) -> CurrentSession | None:
    """Returns the session of this token, or None when it is unknown, revoked or over, or its user is disabled.

    `used`: a person or program does something with it, which puts off its idle end. A page that only looks again by
    itself is no use.
    """
    now = datetime.now(UTC)
    row = (
        await session.execute(
            select(Session, User)
            .join(User, User.id == Session.user_id)
            .where(
                Session.token_digest == token_digest(token),
                Session.revoked_at.is_(None),
                Session.expires_at > now,
                Session.created_at > now - terms.longest,
                Session.used_at > now - terms.idle,
                ~Session.second_factor_due,
                User.active,
            )
        )
    ).one_or_none()
    if row is None:
        return None
    if used and row.Session.used_at < now - _USE_NOTED_AFTER:
        noted = update(Session).where(Session.id == row.Session.id, Session.used_at < now)
        await session.execute(noted.values(used_at=now), execution_options={"synchronize_session": False})
    return CurrentSession(actor=actor_of(row.User), name=row.User.name, csrf=row.Session.csrf, id=row.Session.id)


async def sign_out(session: AsyncSession, token: str) -> None:
    """Revoke the session; an unknown token changes nothing."""
    await session.execute(
        update(Session)
        .where(Session.token_digest == token_digest(token), Session.revoked_at.is_(None))
        .values(revoked_at=datetime.now(UTC))
    )
