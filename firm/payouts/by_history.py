"""What the rules that look at the whole history of an account say of a payout: the gates, and the profit left out.

The stored fills, operations, daily snapshots and news are folded here and now, through the rules' own steps. The
monitor keeps the same state in its checkpoints, in a form of its own; money is paid by what is on the record, which
anyone can fold again. Requests are rare compared with ticks.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, Final, NamedTuple

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from domain.histories.recorded import Bar, RecordedLife, events
from domain.money import Money
from domain.payouts import GateFact
from domain.payouts.tainted import TaintedTrade, beside_tainted, total_minor
from domain.products.phase_terms import PhaseTerms
from domain.rules import history
from domain.rules.base import HistoryRule
from domain.rules.events import Event, Moment, News
from firm.payouts import deducted, paid
from store.models import Account, NewsRelease
from store.read import impact

_MINUTE: Final = timedelta(minutes=1)
_NEWS_BEFORE: Final = timedelta(days=1)  # a release just before the account was opened can still concern it


class Past(NamedTuple):
    """`offences`: what they left out of the profit, by rule; `recent`: what of it since the trades in `tainted`.
    `life` and `news`: of the account, where a rule needs them."""

    offences: Mapping[str, int]
    recent: Mapping[str, int]
    tainted: tuple[TaintedTrade, ...]
    life: RecordedLife | None
    news: Sequence[Event]


async def of(
    session: AsyncSession,
    account: Account,
    terms: PhaseTerms,
    now: datetime,
    offences: Mapping[str, int],
    tainted: tuple[TaintedTrade, ...],
) -> Past:
    recent = await deducted.offences_since(session, account.id, tainted) if offences else {}
    if not _asked(terms) or account.opened_at is None:
        return Past(offences, recent, tainted, None, ())
    life = await impact.life(session, account, bars=False)
    return Past(offences, recent, tainted, life, await announced(session, account, terms, now))


def _asked(terms: PhaseTerms) -> tuple[HistoryRule[Any], ...]:
    return tuple(rule for rule in terms.history_rules if history.leaves_out(rule))


def judged(
    past: Past, terms: PhaseTerms, money: tuple[int, int], now: datetime, requested: Money | None
) -> tuple[tuple[GateFact, ...], int]:
    """Returns (the gates that block payouts, the profit that the rules leave out, in minor units). What they leave out
    of the profit of `tainted` trades is no part of it. `money`: (balance, equity). `requested`: the amount that is
    asked for, which some gates compare with."""
    rules, (offences, recent, tainted, life, news) = _asked(terms), past
    if life is None:
        return (), beside_tainted({}, {}, offences, recent, total_minor(tainted))

    def folded(life: RecordedLife, money: tuple[int, int]) -> tuple[history.HistoryState, Moment]:
        state = history.start(rules, terms.context)
        for event in (*news, *lived(life, terms, money, now)):
            state, _ = history.step(state, event, rules, terms.context)
        state = history.asked(state, rules, terms.context, None if requested is None else requested.minor)
        return state, Moment(seq=0, at=now, balance_minor=money[0], equity_minor=money[1])

    state, moment = folded(life, money)
    gates = tuple(
        GateFact(rule_id=gate.id, met=status.met, sentence=status.sentence)
        for gate, status in history.gates(state, rules, terms.context, moment)
        if "payout" in gate.blocks
    )
    counted = clean = history.deductions(state, rules, terms.context, moment)
    if tainted and counted:
        made = total_minor(tainted)
        without = life.without_profit_of({trade.position_id for trade in tainted})
        clean_state, clean_moment = folded(without, (money[0] - made, money[1] - made))
        clean = history.deductions(clean_state, rules, terms.context, clean_moment)
    return gates, beside_tainted(counted, clean, offences, recent, total_minor(tainted))


def lived(life: RecordedLife, terms: PhaseTerms, money: tuple[int, int], now: datetime) -> Iterator[Event]:
    """Yields the account's events up to now, in order, without equity within the minutes, which no gate uses. The last
    bar is the present, so every reset up to now is included."""
    balance, equity = money
    present = Bar(now - _MINUTE, *(4 * (equity,)), balance_minor=balance)
    return events(replace(life, bars=(present,)), terms.product, terms.initial_minor)


async def announced(session: AsyncSession, account: Account, terms: PhaseTerms, now: datetime) -> list[Event]:
    """Returns the news releases since the account was opened."""
    begun = paid.utc(account.opened_at)
    assert begun is not None
    announced = await session.scalars(
        select(NewsRelease)
        .where(NewsRelease.released_at >= begun - _NEWS_BEFORE, NewsRelease.released_at <= now)
        .order_by(NewsRelease.released_at)
    )
    return [_news(row, terms, begun) for row in announced]


def _news(row: NewsRelease, terms: PhaseTerms, known_at: datetime) -> Event:
    """Scheduled ahead: known from the start."""
    return News(
        seq=0,
        at=known_at,
        balance_minor=terms.initial_minor,
        news_id=row.key,
        released_at=row.released_at.astimezone(UTC),
        ends_at=row.ends_at.astimezone(UTC) if row.ends_at else None,
        symbols=tuple(row.names),
        impact=row.impact,
    )
