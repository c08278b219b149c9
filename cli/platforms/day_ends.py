"""Compares the anchors of our daily loss limits with a venue's own figures of the end of that day."""

import asyncio
import json
from datetime import date
from pathlib import Path

from sqlalchemy.ext.asyncio import AsyncSession

from cli.adapters import build_one_platform
from cli.transaction import in_transaction
from domain.day_ends import AnchorDrift, DayEnd, anchor_drifts
from domain.errors import BadInput
from ports.day_ends import TellsDayEnds
from settings import Settings, load
from store.daily_close import day_ends


def compare(data: Path | None, name: str, day: date, tolerance_minor: int, *, as_json: bool) -> bool:
    """Prints the accounts that differ; returns whether none does. Raises BadInput for a platform that keeps no such
    figures, NotFound while there are none, Unavailable."""
    theirs = asyncio.run(_theirs(load(data_dir=data), name, day))

    async def work(session: AsyncSession) -> dict[int, DayEnd]:
        return await day_ends(session, name, day)

    ours = in_transaction(data, work)
    drifts = anchor_drifts(ours, theirs, tolerance_minor)
    if as_json:
        rows = [each.__dict__ for each in drifts]
        print(json.dumps({"platform": name, "day": day.isoformat(), "compared": len(ours), "drifts": rows}))
    else:
        for each in drifts:
            print(_line(each))
        print(f"{name}, {day}: {len(ours)} accounts compared, {len(drifts)} differ")
    return not drifts


async def _theirs(settings: Settings, name: str, day: date) -> dict[int, DayEnd]:
    one = build_one_platform(settings, name)
    try:
        if not isinstance(one.platform, TellsDayEnds):
            raise BadInput(f"The platform {name!r} keeps no figures of the end of a day.", field="name")
        return await one.platform.day_ends(day)
    finally:
        await one.aclose()


def _line(drift: AnchorDrift) -> str:
    if drift.missing:
        return f"{drift.login}: the venue has no figures in its currency"
    return (
        f"{drift.login}: the venue has {drift.balance_minor:+} balance and {drift.equity_minor:+} equity, minor units"
    )
