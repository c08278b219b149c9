"""Hits on sanctions lists, and what is loaded. For those who decide them."""

import json
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from domain.errors import NotFound
from store.models import SanctionsEntry, SanctionsName, SanctionsVersion, Screening, ScreeningHit, Trader
from store.read.pages import View


class HitView(View):
    """`score` in thousandths. `names`, `births`, `countries`: of the listed entry as it was compared. `published`: the
    version of the list."""

    id: str
    trader_id: str
    trader_name: str
    country: str
    list: str
    ref: str
    score: int
    listed: str
    reason: str
    names: tuple[str, ...]
    births: tuple[str, ...]
    countries: tuple[str, ...]
    published: str
    state: str
    opened_at: datetime


async def hit(session: AsyncSession, hit_id: str) -> HitView:
    """Raises NotFound."""
    found = await session.execute(
        select(ScreeningHit, Trader, Screening)
        .join(Trader, Trader.id == ScreeningHit.trader_id)
        .join(Screening, Screening.id == ScreeningHit.screening_id)
        .where(ScreeningHit.id == hit_id)
    )
    row = found.one_or_none()
    if row is None:
        raise NotFound
    made, trader, screening = row
    version = await session.get_one(SanctionsVersion, screening.versions[made.list])
    entry = await session.scalar(
        select(SanctionsEntry)
        .where(SanctionsEntry.version_id == version.id, SanctionsEntry.digest == made.entry_digest)
        .limit(1)
    )
    if entry is None:
        raise NotFound
    names = await session.scalars(
        select(SanctionsName.name)
        .where(SanctionsName.version_id == version.id, SanctionsName.entry == entry.number)
        .order_by(SanctionsName.number)
    )
    evidence = json.loads(made.evidence)
    return HitView(
        id=made.id,
        trader_id=trader.id,
        trader_name=evidence["name"],
        country=trader.country,
        list=made.list,
        ref=made.ref,
        score=made.score,
        listed=evidence["listed"],
        reason=evidence["reason"],
        names=tuple(names),
        births=tuple(entry.births),
        countries=tuple(entry.countries),
        published=f"{version.published or 'no date'}, sha256 {version.sha256[:12]}",
        state=made.state,
        opened_at=made.opened_at,
    )
