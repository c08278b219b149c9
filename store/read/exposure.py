"""What the traders hold together: now, by minute, against the limits. For staff."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from domain.exposure.figures import ShardFigures
from domain.exposure.firm import FirmFigures, merged
from domain.exposure.history import HistoryPoint, MinuteFigures, point_of
from domain.exposure.limits import standings
from domain.exposure.policy import NO_POLICY, ExposurePolicy, Level
from store.models import Account, ExposureMinute, ExposureNow, ExposurePolicyRow, ExposureStanding, Trader
from store.read.pages import View, account_number

MOST_POINTS: Final = 1_500


class LimitView(View):
    """A limit and what it compares. Minor units of the reporting currency."""

    limit: str
    of: str
    name: str
    measure: str
    value_minor: int
    soft_minor: int
    hard_minor: int
    level: Level
    since: datetime | None


async def newest_policy(session: AsyncSession) -> ExposurePolicyRow | None:
    newest = select(ExposurePolicyRow).order_by(ExposurePolicyRow.number.desc()).limit(1)
    found: ExposurePolicyRow | None = await session.scalar(newest)
    return found


async def policy(session: AsyncSession) -> ExposurePolicy:
    """Returns the policy in force; before one was published, no symbol has another name and there are no limits."""
    row = await newest_policy(session)
    return NO_POLICY if row is None else ExposurePolicy.model_validate(row.body)


async def shards(session: AsyncSession, platform: str = "") -> list[ShardFigures]:
    """Returns the figures of every shard; of one platform's if given."""
    rows = await session.scalars(select(ExposureNow.body).order_by(ExposureNow.shard))
    found = [ShardFigures.model_validate(body) for body in rows]
    return [each for each in found if platform in ("", each.platform)]


async def shards_with_accounts(session: AsyncSession) -> list[int]:
    rows = await session.execute(select(ExposureNow.shard, ExposureNow.body["accounts"].as_integer()))
    return sorted(shard for shard, accounts in rows if accounts)


async def firm(session: AsyncSession, platform: str = "") -> FirmFigures:
    """Returns the firm's figures, added up over all shards, or over those of one platform."""
    return merged(await shards(session, platform), (await policy(session)).names)


async def history(session: AsyncSession, *, hours: int) -> tuple[HistoryPoint, ...]:
    """Returns one point a minute, the newest `hours` of market time; every so many minutes for a long time."""
    newest = await session.scalar(select(ExposureMinute.minute).order_by(ExposureMinute.minute.desc()).limit(1))
    if newest is None:
        return ()
    names = (await policy(session)).names
    since = newest - timedelta(hours=hours)
    rows = await session.execute(
        select(ExposureMinute.minute, ExposureMinute.body)
        .where(ExposureMinute.minute > since)
        .order_by(ExposureMinute.minute)
    )
    minutes: dict[datetime, list[MinuteFigures]] = {}
    for minute, body in rows:
        minutes.setdefault(minute, []).append(MinuteFigures.model_validate(body))
    step = -(-len(minutes) // MOST_POINTS) if minutes else 1
    kept = [minute for number, minute in enumerate(reversed(minutes)) if number % step == 0]
    return tuple(point_of(minute, minutes[minute], names) for minute in reversed(kept))


async def limits(session: AsyncSession, figures: FirmFigures) -> tuple[LimitView, ...]:
    """Returns every limit with its figure, the most used first."""
    in_force = await policy(session)
    rows = (await session.scalars(select(ExposureStanding))).all()
    before: Mapping[tuple[str, str], Level] = {(row.limit_id, row.name): _level(row.level) for row in rows}
    since = {(row.limit_id, row.name): row.since for row in rows if row.level != "inside"}
    named = {limit.id: limit for limit in in_force.limits}
    found = [
        LimitView(
            limit=each.limit,
            of=named[each.limit].of,
            name=each.name,
            measure=named[each.limit].measure,
            value_minor=each.value_minor,
            soft_minor=each.soft_minor,
            hard_minor=each.hard_minor,
            level=each.level,
            since=since.get(each.key),
        )
        for each in standings(in_force, figures, before)
    ]
    return tuple(sorted(found, key=_use))


def _use(limit: LimitView) -> tuple[float, str, str]:
    return -limit.value_minor / limit.hard_minor, limit.limit, limit.name


def _level(word: str) -> Level:
    return "hard" if word == "hard" else "soft" if word == "soft" else "inside"


async def names_of_traders(session: AsyncSession, trader_ids: list[str]) -> dict[str, str]:
    rows = await session.execute(select(Trader.id, Trader.name).where(Trader.id.in_(trader_ids)))
    return {row.id: row.name for row in rows}


async def numbers_of_accounts(session: AsyncSession, account_ids: list[str]) -> dict[str, str]:
    rows = await session.execute(select(Account.id, Account.number).where(Account.id.in_(account_ids)))
    return {account_id: account_number(number) for account_id, number in rows}
