"""The overview of the firm: counts, open work, books, exposure. For staff."""

from collections.abc import Iterable
from datetime import datetime
from decimal import Decimal
from typing import Any, Final, NamedTuple

from sqlalchemy import Select, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from domain.lifecycle import CHALLENGE
from domain.payouts.payout import PAYOUT
from domain.pnl import REPORTING_CURRENCY
from store import ledger, operations
from store.clock import market_now, watermark
from store.models import Account, Breach, Challenge, Exposure, MarketClock, Payout, PhasePass, Shard
from store.read import queue
from store.read.accounts import STATUSES
from store.read.listing import COUNTED
from store.read.pages import View
from store.read.work_items import Kinds
from store.reconciliation import breaks
from store.together import OneFixedValueEach

MEASURED: Final = 1_000  # the newest locks are measured


class Latency(View):
    """Milliseconds of wall time; None before the first measurement."""

    p50: float | None
    p99: float | None


class SummaryView(View):
    """Counts by state, and of breaches by rule. Each goes up to 10,000: 10,001 stands for any more. `breaches`: of the
    newest 10,000. `open_holds`: closed payouts that still hold money, of the 10,000 that were closed last.
    `ledger_imbalance` is in minor units; anything but 0 is a fault."""

    market_time: datetime
    watermark: datetime | None
    last_tick_at: datetime | None
    challenges: dict[str, int]
    accounts: dict[str, int]
    breaches: dict[str, int]
    passes: int
    payouts: dict[str, int]
    open_work: dict[str, int]
    ledger_imbalance: int
    unreconciled: int
    open_holds: int
    breach_to_lock_ms: Latency


class Overview(NamedTuple):
    """What the firm page shows of the whole firm. `challenges` (by state) and `unreconciled` are counted up to
    `COUNTED`: one more stands for any more. `locks`: how many `breach_to_lock_ms` are measured."""

    market_time: datetime
    challenges: dict[str, int]
    ledger_imbalance: int
    unreconciled: int
    breach_to_lock_ms: Latency
    locks: int


class ExposureRow(View):
    """The traders' net position in one symbol of a platform. `floating_minor` is their profit, the firm's cost, in
    `currency`: that of accounts in other currencies is converted at the live rate of the last checkpoint."""

    platform: str
    symbol: str
    long_lots: Decimal
    short_lots: Decimal
    net_lots: Decimal
    accounts: int
    floating_minor: int
    currency: str
    bid: Decimal
    ask: Decimal
    at: datetime


async def summary(session: AsyncSession, kinds: Kinds) -> SummaryView:
    """`kinds`: the kinds of work that `open_work` counts."""
    return SummaryView(
        market_time=await market_now(session),
        watermark=await watermark(session),
        last_tick_at=await session.scalar(select(func.max(MarketClock.last_tick_at))),
        challenges=await _by_state(session, _CHALLENGES),
        accounts=await _by_state(session, _ACCOUNTS),
        breaches={rule: int(count) for rule, count in await session.execute(_BREACHES)},
        passes=await session.scalar(_PASSES) or 0,
        payouts=await _by_state(session, _PAYOUTS),
        open_work=await queue.counts(session, kinds),
        ledger_imbalance=await ledger.imbalance(session),
        unreconciled=await breaks.unreconciled(session, await market_now(session), at_most=COUNTED + 1),
        open_holds=await operations.open_holds(session, newest=COUNTED),
        breach_to_lock_ms=await breach_to_lock(session),
    )


def _each(column: Any, states: Iterable[str]) -> OneFixedValueEach:
    """How many rows are in each state, up to one more than COUNTED."""

    def rows(state: str) -> Select[Any]:
        some = select(column.class_.id).where(column == state).limit(COUNTED + 1)
        return select(func.count()).select_from(some.subquery())

    return OneFixedValueEach(**{state: rows(state) for state in sorted(states)})


async def _by_state(session: AsyncSession, counting: OneFixedValueEach) -> dict[str, int]:
    """The states in which there is anything."""
    return {state: int(count) for state, count in (await counting.read(session))._mapping.items() if count}


_CHALLENGES: Final = _each(Challenge.state, CHALLENGE.states)
_ACCOUNTS: Final = _each(Account.status, STATUSES)
_PAYOUTS: Final = _each(Payout.state, PAYOUT.states)
_NEWEST: Final = select(Breach.rule_id).order_by(Breach.occurred_at.desc(), Breach.id.desc()).limit(COUNTED).subquery()
_BREACHES: Final = select(_NEWEST.c.rule_id, func.count()).group_by(_NEWEST.c.rule_id).order_by(_NEWEST.c.rule_id)
_PASSES: Final = select(func.count()).select_from(select(PhasePass.id).limit(COUNTED + 1).subquery())


async def overview(session: AsyncSession) -> Overview:
    """Costs the same in a large firm as in a small one: the page looks again every few seconds."""
    now = await market_now(session)
    locks = await _breach_to_lock(session)
    return Overview(
        market_time=now,
        challenges=await _by_state(session, _CHALLENGES),
        ledger_imbalance=await ledger.imbalance(session),
        unreconciled=await breaks.unreconciled(session, now, at_most=COUNTED + 1),
        breach_to_lock_ms=_latency(locks),
        locks=locks.number,
    )


async def breach_to_lock(session: AsyncSession) -> Latency:
    """Returns the time from the arrival of the deciding event to the venue's confirmation of the lock, of the newest
    locks."""
    return _latency(await _breach_to_lock(session))


async def _breach_to_lock(session: AsyncSession) -> Any:
    took = (func.extract("epoch", Breach.locked_at - Breach.received_at) * 1000).label("took")
    newest = select(took).where(Breach.locked_at.is_not(None)).order_by(Breach.locked_at.desc()).limit(MEASURED)
    each = newest.subquery()
    return (
        await session.execute(
            select(
                func.count().label("number"),
                func.percentile_cont(0.5).within_group(each.c.took).label("p50"),
                func.percentile_cont(0.99).within_group(each.c.took).label("p99"),
            )
        )
    ).one()


def _latency(row: Any) -> Latency:
    p50, p99 = (None if value is None else round(float(value), 2) for value in (row.p50, row.p99))
    return Latency(p50=p50, p99=p99)


async def exposure(session: AsyncSession, platform: str = "") -> tuple[ExposureRow, ...]:
    """Returns the exposure per platform and symbol over all shards, largest net position first, with the newest quote.
    `platform`: of this one only."""
    shards: dict[tuple[str, str], list[Exposure]] = {}
    rows = select(Exposure, Shard.platform).join(Shard, Shard.id == Exposure.shard).order_by(Exposure.at.desc())
    for row, name in await session.execute(rows.where(Shard.platform == platform) if platform else rows):
        shards.setdefault((name, row.symbol), []).append(row)
    found = [_over_shards(name, symbol, rows) for (name, symbol), rows in shards.items()]
    return tuple(sorted(found, key=lambda row: abs(row.net_lots), reverse=True))


def _over_shards(platform: str, symbol: str, rows: list[Exposure]) -> ExposureRow:
    long_lots = sum((row.long_lots for row in rows), Decimal(0))
    short_lots = sum((row.short_lots for row in rows), Decimal(0))
    return ExposureRow(
        platform=platform,
        symbol=symbol,
        long_lots=long_lots,
        short_lots=short_lots,
        net_lots=long_lots - short_lots,
        accounts=sum(row.accounts for row in rows),
        floating_minor=sum(row.floating_minor for row in rows),
        currency=REPORTING_CURRENCY,
        bid=rows[0].bid,
        ask=rows[0].ask,
        at=rows[0].at,
    )
