"""Links that are sent by mail and can be used once. Only a digest of the token is stored."""

import secrets
from datetime import UTC, datetime, timedelta
from typing import Final, Literal, NamedTuple

from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncSession

from domain.errors import BadInput
from store.identity import token_digest
from store.models import Link

Kind = Literal["recovery", "invitation", "confirmation", "beneficiary", "first_factor"]
LASTS: Final[dict[Kind, timedelta]] = {
    "recovery": timedelta(minutes=30),
    "invitation": timedelta(days=3),
    "confirmation": timedelta(days=3),
    "beneficiary": timedelta(hours=24),
    "first_factor": timedelta(minutes=30),
}


class Account(NamedTuple):
    """Where a trader wants to be paid. `currency`: what is sent there; None: the currency of each payout's account."""

    number: str
    rail: str
    currency: str | None


async def make(
    session: AsyncSession,
    kind: Kind,
    *,
    user_id: str | None = None,
    email: str | None = None,
    change_id: str | None = None,
    account: Account | None = None,
) -> str:
    """Returns the token of a new link. Earlier ones of this kind of the same user or change end."""
    now = datetime.now(UTC)
    same = Link.user_id == user_id if user_id else Link.change_id == change_id
    await session.execute(
        update(Link)
        .where(Link.kind == kind, same, Link.used_at.is_(None), Link.expires_at > now)
        .values(expires_at=now)
    )
    token = secrets.token_urlsafe(32)
    link = Link(
        token_digest=token_digest(token),
        kind=kind,
        user_id=user_id,
        email=email,
        change_id=change_id,
        account=account.number if account else None,
        rail=account.rail if account else None,
        currency=account.currency if account else None,
        expires_at=now + LASTS[kind],
    )
    session.add(link)
    await session.flush()
    return token


async def use(session: AsyncSession, kind: Kind, token: str, *, of: str | None = None) -> Link:
    """Take the link, so that nobody can use it again. Raises BadInput for one that is unknown, used or too old. `of`:
    the user whose link it must be."""
    now = datetime.now(UTC)
    which = [Link.token_digest == token_digest(token), Link.kind == kind, Link.used_at.is_(None), Link.expires_at > now]
    if of is not None:
        which.append(Link.user_id == of)
    found = await session.scalar(update(Link).where(*which).values(used_at=now).returning(Link))
    if found is None:
        raise no_good()
    return found


async def peek(session: AsyncSession, kind: Kind, token: str) -> Link:
    """Returns the link without using it. Raises BadInput as `use` does."""
    now = datetime.now(UTC)
    found = await session.scalar(
        select(Link).where(
            Link.token_digest == token_digest(token), Link.kind == kind, Link.used_at.is_(None), Link.expires_at > now
        )
    )
    if found is None:
        raise no_good()
    return found


async def asked_for(session: AsyncSession, user_id: str) -> Account | None:
    """Returns the account that an open link of this user would set; None when there is no such link."""
    link = await session.scalar(
        select(Link).where(
            Link.kind == "beneficiary",
            Link.user_id == user_id,
            Link.used_at.is_(None),
            Link.expires_at > datetime.now(UTC),
        )
    )
    return None if link is None else account_of(link)


def account_of(link: Link) -> Account:
    return Account(link.account or "", link.rail or "", link.currency)


def no_good() -> BadInput:
    return BadInput(
        "This link was used, is too old, or never was one of ours.",
        field="token",
        remedy="Ask for a new one; only the newest works.",
    )


def random_key() -> str:
    """Returns a key for a mail that is sent each time."""
    return secrets.token_hex(16)
