"""Users, passwords and sessions. Only a digest of a session's token is stored."""

import asyncio
import hashlib
import secrets
import time
from collections import OrderedDict, deque
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Final, cast

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from sqlalchemy import select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from domain.approvals import STAFF, Actor, Role
from domain.errors import BadInput, NotFound, NotSignedIn, TooManyAttempts
from domain.keys import new_id
from store import audit, crypto
from store.clock import market_now
from store.db import Database
from store.models import Session, Trader, User

SESSION_HOURS: Final = 12
MIN_PASSWORD: Final = 10
_WRONG: Final = "Login or password is wrong."
# OWASP's second recommended setting for argon2id: 19 MiB, two passes, one lane
_HASHER: Final = PasswordHasher(time_cost=2, memory_cost=19 * 1024, parallelism=1)


@dataclass
class Throttle:
    """Limits failed sign-ins per login in this process: `limit` within `seconds`. Remembers `logins_kept` logins."""

    limit: int = 10
    seconds: float = 300
    logins_kept: int = 10_000
    _failures: OrderedDict[str, deque[float]] = field(default_factory=OrderedDict)

    def attempt(self, login_index: str) -> None:
        """Count the attempt as failed until `succeeded` is called, so that parallel attempts count too.

        Raises TooManyAttempts.
        """
        recent = self._failures.setdefault(login_index, deque())
        while recent and time.monotonic() - recent[0] > self.seconds:
            recent.popleft()
        if len(recent) >= self.limit:
            minutes = int(self.seconds // 60)
            raise TooManyAttempts(
                "Too many failed sign-ins for this login.", remedy=f"Wait {minutes} minutes, then try again."
            )
        recent.append(time.monotonic())
        self._failures.move_to_end(login_index)
        while len(self._failures) > self.logins_kept:
            self._failures.popitem(last=False)

    def succeeded(self, login_index: str) -> None:
        self._failures.pop(login_index, None)


@dataclass(frozen=True)
class SignedIn:
    """A new session. `token` is not stored anywhere; `csrf` goes into every browser form; `expires_at` is wall time."""

    token: str
    csrf: str
    actor: Actor
    expires_at: datetime


@dataclass(frozen=True)
class CurrentSession:
    """A valid session, with the user's current role."""

    actor: Actor
    csrf: str


def token_digest(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()


async def hash_password(password: str) -> str:
    """Returns the argon2id hash, computed in a thread. Raises BadInput for a password that is too short."""
    if len(password) < MIN_PASSWORD:
        raise BadInput(f"A password has at least {MIN_PASSWORD} characters.", field="password")
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


def _actor(user: User) -> Actor:
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
    index = crypto.keys().index(login)
    row = insert(User).values(
        id=new_id("usr"),
        login=login.strip(),
        login_index=index,
        name=name,
        password_hash=password_hash,
        role=role,
        person_id=person_id,
        trader_id=trader_id,
        active=True,
    )
    user = await session.scalar(row.on_conflict_do_nothing(index_elements=["login_index"]).returning(User))
    if user is None:
        raise BadInput("This login is taken.", field="login", remedy="Sign in, or choose another one.")
    await audit.record(
        session,
        action="user.created",
        subject_kind="user",
        subject_id=user.id,
        occurred_at=await market_now(session),
        actor=by,
        evidence={"role": role},
    )
    return _actor(user)


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
    """Disable a login and end its sessions. Returns False when it is disabled already. Raises NotFound."""
    user = await _locked_user(session, login)
    if not user.active:
        return False
    user.active = False
    await _end_sessions(session, user, "user.disabled", by, {"role": user.role})
    return True


async def staff(session: AsyncSession) -> list[User]:
    """Returns every staff user, disabled ones included, oldest first."""
    return list(await session.scalars(select(User).where(User.trader_id.is_(None)).order_by(User.recorded_at, User.id)))


async def _locked_user(session: AsyncSession, login: str) -> User:
    index = crypto.keys().index(login)
    statement = select(User).where(User.login_index == index).with_for_update()
    user = await session.scalar(statement.execution_options(populate_existing=True))
    if user is None:
        raise NotFound("There is no user with this login.")
    return user


async def _end_sessions(session: AsyncSession, user: User, action: str, by: str, evidence: dict[str, str]) -> None:
    await session.execute(
        update(Session)
        .where(Session.user_id == user.id, Session.revoked_at.is_(None))
        .values(revoked_at=datetime.now(UTC))
    )
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
    """Create a trader and their user. The e-mail address is the login. Raises BadInput when it is taken."""
    index = crypto.keys().index(email)
    row = insert(Trader).values(
        id=new_id("trd"),
        name=name,
        email=email.strip(),
        email_index=index,
        country=country,
        identity="unverified",
        created_at=await market_now(session),
    )
    trader_id = await session.scalar(row.on_conflict_do_nothing(index_elements=["email_index"]).returning(Trader.id))
    if trader_id is None:
        raise BadInput("This e-mail address is registered.", field="email", remedy="Sign in instead.")
    return await add_user(
        session,
        login=email,
        name=name,
        password_hash=password_hash,
        role="trader",
        person_id=trader_id,
        trader_id=trader_id,
    )


async def open_session(session: AsyncSession, actor: Actor) -> SignedIn:
    """Open a session with a fresh token for a user who has just signed in. Never accepts a token from outside."""
    token, csrf = secrets.token_urlsafe(32), secrets.token_urlsafe(24)
    expires_at = datetime.now(UTC) + timedelta(hours=SESSION_HOURS)
    session.add(Session(token_digest=token_digest(token), user_id=actor.user_id, csrf=csrf, expires_at=expires_at))
    await session.flush()
    return SignedIn(token=token, csrf=csrf, actor=actor, expires_at=expires_at)


async def sign_in(db: Database, throttle: Throttle, *, login: str, password: str) -> SignedIn:
    """Check the password and open a session. Raises NotSignedIn (the same sentence for every cause) or TooManyAttempts.

    Takes the database, not a session: the password is checked in a thread between two transactions.
    """
    index = crypto.keys().index(login)
    throttle.attempt(index)
    async with db.transaction() as session:
        user = await session.scalar(select(User).where(User.login_index == index, User.active))
    right = await asyncio.to_thread(_verify, user.password_hash if user else None, password)
    if user is None or not right:
        raise NotSignedIn(_WRONG)
    throttle.succeeded(index)
    async with db.transaction() as session:
        return await open_session(session, _actor(user))


async def current_session(session: AsyncSession, token: str) -> CurrentSession | None:
    """Returns the session of this token, or None when it is unknown, expired or revoked, or its user is disabled."""
    row = (
        await session.execute(
            select(Session.csrf, User)
            .join(User, User.id == Session.user_id)
            .where(
                Session.token_digest == token_digest(token),
                Session.revoked_at.is_(None),
                Session.expires_at > datetime.now(UTC),
                User.active,
            )
        )
    ).one_or_none()
    return None if row is None else CurrentSession(actor=_actor(row.User), csrf=row.csrf)


async def sign_out(session: AsyncSession, token: str) -> None:
    """Revoke the session; an unknown token changes nothing."""
    await session.execute(
        update(Session)
        .where(Session.token_digest == token_digest(token), Session.revoked_at.is_(None))
        .values(revoked_at=datetime.now(UTC))
    )
