"""What traders sign in to a venue with, on the record. A password leaves it once, to its trader."""

from dataclasses import dataclass
from datetime import datetime

from pydantic import SecretStr
from sqlalchemy import func, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from domain.credentials import State, state_of
from store.models import Account, Credential, Trader


@dataclass(frozen=True)
class Waiting:
    """Credentials that the venue is to make. `known`: the trader's user name there from an earlier account."""

    id: str
    kind: str
    platform: str
    login: int
    password: SecretStr
    email: str
    name: str
    known: str | None


@dataclass(frozen=True)
class Standing:
    """The newest credentials of an account. Wall times."""

    state: State
    username: str | None
    asked_at: datetime
    shown_at: datetime | None


async def newest(session: AsyncSession, account_id: str, *, locked: bool = False) -> Credential | None:
    of_account = select(Credential).where(Credential.account_id == account_id)
    statement = of_account.order_by(Credential.number.desc()).limit(1)
    found: Credential | None = await session.scalar(statement.with_for_update() if locked else statement)
    return found


async def standing(session: AsyncSession, account_id: str) -> Standing | None:
    """Returns None for an account without credentials where it is now. Decrypts nothing."""
    statement = (
        select(
            Credential.username,
            Credential.password.is_not(None).label("has_password"),
            Credential.recorded_at,
            Credential.shown_at,
            Credential.left_venue,
        )
        .where(Credential.account_id == account_id)
        .order_by(Credential.number.desc())
        .limit(1)
    )
    row = (await session.execute(statement)).one_or_none()
    if row is None or row.left_venue:
        return None
    state = state_of(username=row.username, has_password=row.has_password, was_shown=row.shown_at is not None)
    return Standing(state, row.username, row.recorded_at, row.shown_at)


async def waiting(session: AsyncSession, credential_id: str) -> Waiting | None:
    """Returns None for credentials that the venue has made, or that others replaced."""
    row = await session.get(Credential, credential_id)
    if row is None or row.username is not None or row.password is None:
        return None
    account = await session.get_one(Account, row.account_id)
    trader = await session.get_one(Trader, account.trader_id)
    known = await session.scalar(
        select(Credential.username)
        .join(Account, Account.id == Credential.account_id)
        .where(Account.trader_id == trader.id, Account.platform == account.platform, Credential.username.is_not(None))
        .order_by(Credential.recorded_at.desc())
        .limit(1)
    )
    assert account.login is not None
    return Waiting(
        id=row.id,
        kind=row.kind,
        platform=account.platform,
        login=account.login,
        password=SecretStr(row.password),
        email=trader.email,
        name=trader.name,
        known=known,
    )


async def arrived(session: AsyncSession, credential_id: str, *, username: str, new: bool) -> None:
    """The venue has made them. `new`: the password is the one to sign in with; else it is not needed."""
    values = {"username": username} if new else {"username": username, "password": None}
    await session.execute(
        update(Credential).where(Credential.id == credential_id, Credential.username.is_(None)).values(values)
    )


async def take(session: AsyncSession, row: Credential) -> str | None:
    """Returns the password of a locked row and forgets it; None if there is none."""
    password = row.password
    if password is not None:
        row.password, row.shown_at = None, await session.scalar(select(func.clock_timestamp()))
        await session.flush()
    return password
