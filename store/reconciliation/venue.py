"""Accounts of a platform as the record has them, to compare them with the platform."""

from collections.abc import Sequence
from datetime import date, datetime, timedelta
from typing import Any, Final, NamedTuple

from sqlalchemy import CompoundSelect, Select, and_, case, func, or_, select, union
from sqlalchemy.ext.asyncio import AsyncSession

from store.models import Account, AccountLive, AccountPlace, PlatformChange, ReconciliationBreak, Shard, VenueCheck

_AFTER_THE_END: Final = timedelta(days=7)  # for so long an account that has ended is asked for one by one


class RecordedAccount(NamedTuple):
    """`balance_minor` and `positions`: of the last checkpoint; None: there is none yet. `read_until`: the market time
    up to which the shard of the account has stored what it read, at the wall time `stored_at`; None: nothing yet.
    `shard`: the one that reads; None: none does."""

    id: str
    login: int
    status: str
    currency: str
    challenge_id: str
    product: str
    balance_minor: int | None
    positions: list[dict[str, Any]] | None
    read_until: datetime | None
    stored_at: datetime | None
    shard: int | None


def _rows() -> Select[Any]:
    return (
        select(
            Account.id,
            Account.login,
            Account.status,
            Account.currency,
            Account.challenge_id,
            Account.product,
            AccountLive.balance_minor,
            AccountLive.positions,
            Shard.watermark,
            Shard.checkpoint_at,
            Shard.id,
        )
        .outerjoin(AccountLive, AccountLive.account_id == Account.id)
        .outerjoin(Shard, and_(Shard.id == Account.shard, Shard.platform == Account.platform))
        .where(Account.login.is_not(None), Account.status.in_(("active", "locked", "closed")))
    )


async def _read(session: AsyncSession, statement: Select[Any]) -> list[RecordedAccount]:
    return [RecordedAccount(*row) for row in await session.execute(statement)]


async def next_accounts(
    session: AsyncSession, platform: str, now: datetime, *, after: str, limit: int
) -> list[RecordedAccount]:
    """Returns the next accounts of a platform that may trade, or ended a short time ago."""
    asked = or_(Account.status == "active", Account.ended_at >= now - _AFTER_THE_END)
    chosen = _rows().where(Account.platform == platform, asked, Account.id > after)
    return await _read(session, chosen.order_by(Account.id).limit(limit))


async def by_login(session: AsyncSession, platform: str, logins: Sequence[int]) -> dict[int, RecordedAccount]:
    """Returns the accounts with these logins, however long ago they ended."""
    found = await _read(session, _rows().where(Account.platform == platform, Account.login.in_(logins)))
    return {each.login: each for each in found}


async def known_logins(session: AsyncSession, platform: str, logins: Sequence[int]) -> set[int]:
    """Returns those of these logins that belong to any account of ours, also to one that is being opened, and to one
    that has left or was to come."""
    known: CompoundSelect[Any] = union(
        select(Account.login).where(Account.platform == platform, Account.login.in_(logins)),
        select(AccountPlace.login).where(AccountPlace.platform == platform, AccountPlace.login.in_(logins)),
        select(PlatformChange.to_login).where(
            PlatformChange.to_platform == platform, PlatformChange.to_login.in_(logins)
        ),
    )
    return {login for login in await session.scalars(known) if login is not None}


async def these(session: AsyncSession, account_ids: Sequence[str]) -> dict[str, RecordedAccount]:
    found = await _read(session, _rows().where(Account.id.in_(account_ids)))
    return {each.id: each for each in found}


async def doubted(session: AsyncSession, platform: str) -> tuple[list[RecordedAccount], list[int]]:
    """Returns the accounts of a platform with a difference that is not closed, and the logins that the record does
    not know."""
    open_now = select(ReconciliationBreak.account_id, ReconciliationBreak.subject).where(
        ReconciliationBreak.source == platform,
        ReconciliationBreak.kind.startswith("venue_", autoescape=True),
        ReconciliationBreak.state != "closed",
    )
    rows = (await session.execute(open_now)).all()
    ids = {row.account_id for row in rows if row.account_id is not None}
    logins = {int(row.subject) for row in rows if row.account_id is None and row.subject.isdecimal()}
    return await _read(session, _rows().where(Account.id.in_(ids)).order_by(Account.id)), sorted(logins)


async def check(session: AsyncSession, platform: str, day: date, request: str = "") -> VenueCheck:
    """Returns how far the platform's accounts were compared on this day, locked. A request of a person begins anew,
    once."""
    row = await session.get(VenueCheck, platform, with_for_update=True)
    if row is None:
        row = VenueCheck(platform=platform, day=day, after="", done=False, request="", compared=0)
        session.add(row)
    if row.day != day or (request and row.request != request):
        row.day, row.after, row.done, row.compared = day, "", False, 0
    row.request = request or row.request
    await session.flush()
    return row


async def open_breaks(session: AsyncSession, platform: str) -> dict[str, int]:
    """Returns how many breaks are open at a platform, by kind, and under "suspected" what was seen once."""
    name = case((ReconciliationBreak.state == "open", ReconciliationBreak.kind), else_="suspected")
    found = select(name, func.count()).where(
        ReconciliationBreak.source == platform,
        ReconciliationBreak.kind.startswith("venue_", autoescape=True),
        ReconciliationBreak.state != "closed",
    )
    rows = await session.execute(found.group_by(name).order_by(name))
    return dict(rows.tuples().all())


async def checks(session: AsyncSession) -> Sequence[VenueCheck]:
    """Returns how far each platform was compared, by name."""
    return (await session.scalars(select(VenueCheck).order_by(VenueCheck.platform))).all()
