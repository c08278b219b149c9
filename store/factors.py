"""Passkeys, authenticator apps and recovery codes on the record. A code works once, and a wrong proof is counted."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import delete, exists, func, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from domain.errors import NotFound, TooManyAttempts
from domain.keys import new_id
from domain.step_up import ATTEMPTS_WITHIN, CHALLENGE_VALID, MOST_ATTEMPTS, Held
from store import audit, crypto
from store.clock import market_now
from store.models import Authenticator, FactorChallenge, Passkey, ProofAttempt, RecoveryCode, Session, User


async def held(session: AsyncSession, user_id: str) -> Held:
    """Returns the factors of a person."""
    row = (
        await session.execute(
            select(
                select(func.count()).where(Passkey.user_id == user_id).scalar_subquery(),
                exists().where(Authenticator.user_id == user_id, Authenticator.confirmed_at.is_not(None)),
                select(func.count())
                .where(RecoveryCode.user_id == user_id, RecoveryCode.used_at.is_(None))
                .scalar_subquery(),
            )
        )
    ).one()
    return Held(passkeys=row[0], authenticator=row[1], recovery_codes=row[2])


async def lock_user(session: AsyncSession, user_id: str) -> User:
    """Makes two changes of one person's factors wait for each other."""
    user: User = await session.get_one(User, user_id, with_for_update=True)
    return user


async def passkeys(session: AsyncSession, user_id: str) -> Sequence[Passkey]:
    """Returns the passkeys of a person, oldest first."""
    rows = await session.scalars(select(Passkey).where(Passkey.user_id == user_id).order_by(Passkey.id))
    return rows.all()


async def passkey(session: AsyncSession, user_id: str, passkey_id: str) -> Passkey:
    """Raises NotFound, also for the passkey of somebody else."""
    found: Passkey | None = await session.scalar(
        select(Passkey).where(Passkey.id == passkey_id, Passkey.user_id == user_id)
    )
    if found is None:
        raise NotFound
    return found


async def passkey_by_credential(session: AsyncSession, credential_id: bytes) -> Passkey | None:
    """Returns the locked passkey of an active user."""
    statement = (
        select(Passkey)
        .join(User, User.id == Passkey.user_id)
        .where(Passkey.credential_id == credential_id, User.active)
        .with_for_update(of=Passkey)
    )
    found: Passkey | None = await session.scalar(statement.execution_options(populate_existing=True))
    return found


async def add_passkey(session: AsyncSession, user_id: str, *, name: str, **values: Any) -> Passkey | None:
    """Returns the new row; None when the credential is registered already."""
    row = insert(Passkey).values(id=new_id("psk"), user_id=user_id, name=name, **values)
    added: Passkey | None = await session.scalar(
        row.on_conflict_do_nothing(index_elements=["credential_id"]).returning(Passkey)
    )
    return added


async def authenticator(session: AsyncSession, user_id: str) -> Authenticator | None:
    """Returns the locked row, confirmed or not."""
    statement = select(Authenticator).where(Authenticator.user_id == user_id).with_for_update()
    found: Authenticator | None = await session.scalar(statement.execution_options(populate_existing=True))
    return found


async def begin_authenticator(session: AsyncSession, user_id: str, secret: str) -> None:
    """Keeps a new secret until its first code comes; it takes the place of one that was never confirmed."""
    await session.execute(
        delete(Authenticator).where(Authenticator.user_id == user_id, Authenticator.confirmed_at.is_(None))
    )
    session.add(Authenticator(user_id=user_id, secret=secret))
    await session.flush()


async def replace_recovery_codes(session: AsyncSession, user_id: str, codes: Sequence[str]) -> None:
    await session.execute(delete(RecoveryCode).where(RecoveryCode.user_id == user_id))
    session.add_all([RecoveryCode(user_id=user_id, digest=_digest(user_id, code)) for code in codes])
    await session.flush()


async def use_recovery_code(session: AsyncSession, user_id: str, code: str) -> bool:
    """Uses the code up. Returns False for an unknown one, or one that was used."""
    used = await session.execute(
        update(RecoveryCode)
        .where(
            RecoveryCode.user_id == user_id,
            RecoveryCode.digest == _digest(user_id, code),
            RecoveryCode.used_at.is_(None),
        )
        .values(used_at=datetime.now(UTC))
        .returning(RecoveryCode.digest)
    )
    return used.first() is not None


def _digest(user_id: str, code: str) -> str:
    return crypto.keys().digest(f"recovery/{user_id}/{code}")


async def forget(session: AsyncSession, user_id: str) -> None:
    """Removes every factor of a person."""
    await session.execute(delete(Passkey).where(Passkey.user_id == user_id))
    await session.execute(delete(Authenticator).where(Authenticator.user_id == user_id))
    await session.execute(delete(RecoveryCode).where(RecoveryCode.user_id == user_id))


async def challenge(session: AsyncSession, purpose: str, holder: str, about: str, value: bytes) -> str:
    """Keeps a challenge for a passkey; removes those that have expired. Returns its id."""
    now = datetime.now(UTC)
    await session.execute(delete(FactorChallenge).where(FactorChallenge.expires_at < now))
    row = FactorChallenge(
        id=new_id("fch"), purpose=purpose, holder=holder, about=about, challenge=value, expires_at=now + CHALLENGE_VALID
    )
    session.add(row)
    await session.flush()
    return row.id


async def take_challenge(
    session: AsyncSession, challenge_id: str, *, purpose: str, holder: str, about: str = ""
) -> bytes | None:
    """Uses a challenge up, whatever comes of it. Returns None when it is not for this, has expired or was used."""
    row = (
        await session.execute(
            delete(FactorChallenge)
            .where(FactorChallenge.id == challenge_id)
            .returning(
                FactorChallenge.challenge,
                FactorChallenge.purpose,
                FactorChallenge.holder,
                FactorChallenge.about,
                FactorChallenge.expires_at,
            )
        )
    ).one_or_none()
    if row is None or (row.purpose, row.holder, row.about) != (purpose, holder, about):
        return None
    return bytes(row.challenge) if row.expires_at > datetime.now(UTC) else None


async def count_attempt(session: AsyncSession, user_id: str) -> None:
    """Counts a try before it is checked, so that parallel ones count too. Raises TooManyAttempts."""
    await lock_user(session, user_id)
    since = datetime.now(UTC) - ATTEMPTS_WITHIN
    await session.execute(delete(ProofAttempt).where(ProofAttempt.user_id == user_id, ProofAttempt.at < since))
    tried = await session.scalar(select(func.count()).where(ProofAttempt.user_id == user_id)) or 0
    if tried >= MOST_ATTEMPTS:
        minutes = ATTEMPTS_WITHIN // timedelta(minutes=1)
        raise TooManyAttempts("Too many wrong proofs.", remedy=f"Wait {minutes} minutes, then try again.")
    session.add(ProofAttempt(user_id=user_id))
    await session.flush()


async def forget_attempts(session: AsyncSession, user_id: str) -> None:
    await session.execute(delete(ProofAttempt).where(ProofAttempt.user_id == user_id))


async def user_of_due_session(session: AsyncSession, token_digest: str) -> User | None:
    """Returns the active user of a session that waits for a second factor."""
    found: User | None = await session.scalar(
        select(User)
        .join(Session, Session.user_id == User.id)
        .where(
            Session.token_digest == token_digest,
            Session.second_factor_due,
            Session.revoked_at.is_(None),
            Session.expires_at > datetime.now(UTC),
            User.active,
        )
    )
    return found


async def end_due(session: AsyncSession, token_digest: str) -> None:
    """From now on the session is worth what its user is allowed."""
    await session.execute(update(Session).where(Session.token_digest == token_digest).values(second_factor_due=False))


async def note(session: AsyncSession, user: str, action: str, **evidence: Any) -> None:
    """Audits a person's change of how they sign in."""
    await note_by(session, user, user, action, **evidence)


async def note_by(session: AsyncSession, user: str, by: str, action: str, **evidence: Any) -> None:
    """Audits a change of how `user` signs in, made by `by`."""
    await audit.record(
        session,
        action=action,
        subject_kind="user",
        subject_id=user,
        occurred_at=await market_now(session),
        actor=by,
        evidence=evidence,
    )
