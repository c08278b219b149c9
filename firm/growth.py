"""The scaling plan at work: a funded account that meets the plan ends, and a larger one follows it.

Each account has one size for its whole life, so every floor, proof and history belongs to one size. The facts of a step
are those of the account since it was opened: it was opened by the last step, or when the challenge was funded.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import NamedTuple

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from domain import record_keys
from domain.money import Money
from domain.payouts.eligibility import TOO_SMALL, refusals
from domain.payouts.scaling import Scaling, ScalingFacts
from domain.payouts.tainted import taken_off
from domain.products.product import Product
from domain.rules.base import VenueCalendar
from firm import challenges
from firm.payouts import account as payout_account
from firm.payouts import deducted, paid
from firm.payouts.situation import Holdings, Situation, credited, situation
from store import audit, products
from store.clock import market_now
from store.deadlines import deadline
from store.models import Account, Breach, Challenge, DealRow, Payout, ScalingRow

Venues = Mapping[str, VenueCalendar]


class Step(NamedTuple):
    """A step of the plan: what it still needs, as clauses for people (empty: it can be made now), and its size."""

    missing: tuple[str, ...]
    facts: ScalingFacts
    size_minor: int


def plan_of(product: Product, account: Account) -> Scaling | None:
    """Returns the plan by which this account grows; None when it does not grow."""
    return product.payout.scaling if account.phase_index == product.funded_index else None


async def next_wake(session: AsyncSession, challenge: Challenge, account: Account, product: Product) -> datetime | None:
    """Returns the market time at which something of this account must be looked at: the end of its time, or the first
    day on which it may grow; once that has come, the start of the next day."""
    ends, plan = await deadline(session, challenge, account, product), plan_of(product, account)
    if plan is None or account.opened_at is None:
        return ends
    now, clock = await market_now(session), product.clock
    due = clock.day_start(plan.due_on(clock.trading_day(account.opened_at.astimezone(UTC))))
    grows = due if due > now else clock.next_reset(now)
    return grows if ends is None else min(ends, grows)


async def recorded_holdings(session: AsyncSession, account: Account, calendars: Venues) -> Holdings:
    """Returns the money and positions of an account as the record has them."""
    known = (await situation(session, account.id, calendars=calendars)).facts
    equity = known.balance_minor if known.equity_minor is None else known.equity_minor
    return Holdings(known.balance_minor, equity, known.open_positions)


async def next_step(
    session: AsyncSession, account: Account, product: Product, plan: Scaling, holdings: Holdings, calendars: Venues
) -> Step:
    """Returns the next step of the plan as things are now. `holdings`: the money as the platform has it.
    `calendars`: those of the venues, for gates that name one."""
    facts = await _facts(session, account, product, plan, holdings.balance_minor)
    size = plan.next_size(facts, account.currency)
    missing = list(plan.missing(facts, account.currency))
    if not missing:
        missing += await _in_the_way(session, account, plan, holdings, calendars)
    return Step(tuple(missing), facts, size)


async def _in_the_way(
    session: AsyncSession, account: Account, plan: Scaling, holdings: Holdings, calendars: Venues
) -> Sequence[str]:
    """Returns what keeps an account that meets the plan from growing now."""
    wants: list[str] = []
    if holdings.open_positions:
        wants.append("all positions must be closed")
    open_payout = select(Payout.id).where(Payout.account_id == account.id, Payout.closed_at.is_(None)).limit(1)
    if await session.scalar(open_payout) is not None:
        wants.append("a payout of it is open")
    if await challenges.verdict_waits(session, account.id):
        wants.append("a rule was broken")
    if await payout_account.reset_waits(session, account.id):
        wants.append("its balance becomes the initial one first")
    if await payout_account.adjustment_waits(session, account.id):
        wants.append("an adjustment of its balance is being carried out")
    if await payout_account.open_reviews(session, account.id):
        wants.append("a review of it is open")
    if not wants and plan.of != "balance":
        current = await situation(session, account.id, holdings=holdings, calendars=calendars)
        if current.most.minor > 0 and not _too_small(current):
            wants.append(f"its profit must be paid out first: {current.most} can be requested")
    return wants


def _too_small(current: Situation) -> bool:
    """Returns whether all the profit is less than the smallest payout: nothing of it can be requested, so the account
    grows without waiting for it."""
    return any(part.code in TOO_SMALL for part in refusals(current.facts, current.product.payout, current.most))


async def _facts(
    session: AsyncSession, account: Account, product: Product, plan: Scaling, balance_minor: int
) -> ScalingFacts:
    count, taken = (
        await session.execute(
            select(func.count(), func.coalesce(func.sum(Payout.gross_minor + Payout.forfeited_minor), 0)).where(
                Payout.account_id == account.id, paid.COUNTS_AS_PAID
            )
        )
    ).one()
    profit = balance_minor - account.initial_minor - await credited(session, account.id) + int(taken)
    profit = taken_off(profit, await deducted.in_force_minor(session, account.id))
    clock, now = product.clock, await market_now(session)
    return ScalingFacts(
        today=clock.trading_day(now.astimezone(UTC)),
        since=None if account.opened_at is None else clock.trading_day(account.opened_at.astimezone(UTC)),
        profit_minor=profit,
        payouts_paid=int(count),
        original_minor=product.initial_of(account.phase_index),
        current_minor=account.initial_minor,
        balance_minor=balance_minor,
        profitable_months=await _profitable_months(session, account, product) if plan.min_profitable_months else 0,
        steps=await _steps(session, account),
    )


async def _steps(session: AsyncSession, account: Account) -> int:
    """Returns the number of steps that led to the size of this account."""
    made = await session.scalar(
        select(func.count()).where(
            ScalingRow.challenge_id == account.challenge_id, ScalingRow.to_minor <= account.initial_minor
        )
    )
    return int(made or 0)


async def _last_number(session: AsyncSession, challenge_id: str) -> int:
    last = await session.scalar(select(func.max(ScalingRow.number)).where(ScalingRow.challenge_id == challenge_id))
    return int(last or 0)


async def _profitable_months(session: AsyncSession, account: Account, product: Product) -> int:
    """Returns the number of calendar months in which the fills of the account made a profit."""
    made = DealRow.profit_minor + DealRow.commission_minor + DealRow.swap_minor
    months: dict[tuple[int, int], int] = {}
    for at, minor in await session.execute(select(DealRow.at, made).where(DealRow.account_id == account.id)):
        day = product.clock.trading_day(at.astimezone(UTC))
        month = (day.year, day.month)
        months[month] = months.get(month, 0) + int(minor)
    return sum(minor > 0 for minor in months.values())


async def grow(session: AsyncSession, challenge: Challenge, account: Account, step: Step) -> None:
    """Records a step, ends the account, and has the next one opened. The caller holds the challenge's row lock and
    knows that nothing is missing."""
    now = await market_now(session)
    size, was = step.size_minor, account.initial_minor
    number = await _last_number(session, challenge.id) + 1
    session.add(
        ScalingRow(
            challenge_id=challenge.id,
            number=number,
            account_id=account.id,
            from_minor=was,
            to_minor=size,
            facts=step.facts.model_dump(mode="json"),
            occurred_at=now,
        )
    )
    await session.flush()
    await challenges.end_account(session, challenge, "closed", now)
    await challenges.wake(session, challenge, None)
    sizes = [str(Money(minor=minor, currency=account.currency)) for minor in (was, size)]
    await challenges.move(
        session,
        challenge,
        "account_scaled",
        key=record_keys.account_grown(account.id, number),
        at=now,
        detail={"account_id": account.id, "phase_index": account.phase_index, "from_minor": was, "to_minor": size},
        reason=f"The account grows from {sizes[0]} to {sizes[1]}. Every rule begins anew at the new size.",
    )
    challenge.phase_index = account.phase_index - 1  # the next account opens phase_index + 1
    await audit.record(
        session,
        action="account.scaled",
        subject_kind="account",
        subject_id=account.id,
        occurred_at=now,
        evidence={"from_minor": was, "to_minor": size, "facts": step.facts.model_dump(mode="json")},
    )


async def broken_before(session: AsyncSession, challenge: Challenge, breach_id: str) -> bool:
    """Returns whether this breach was made on an account that grew afterwards, and was stored after the step: with it,
    the account would not have grown."""
    found = await session.scalar(
        select(Breach.id)
        .join(ScalingRow, ScalingRow.account_id == Breach.account_id)
        .where(
            Breach.id == breach_id,
            Breach.status == "confirmed",
            Breach.account_id != challenge.account_id,
            ScalingRow.challenge_id == challenge.id,
            Breach.occurred_at <= ScalingRow.occurred_at,
        )
        .limit(1)
    )
    return found is not None


async def go_back(session: AsyncSession, challenge: Challenge, breach: Breach) -> None:
    """Closes the account that grew out of a broken one; the locked challenge has the broken one again. If its breach
    is overturned, that account trades again, and grows as soon as it meets the plan."""
    await challenges.end_account(session, challenge, "closed", await market_now(session))
    challenge.account_id, challenge.phase_index = breach.account_id, breach.phase_index


class Shown(NamedTuple):
    """The growth of a challenge for people. `steps`: (from, to, market time) of the steps made. `missing`: what the
    next step to `next_size` still needs; None when this account grows no more."""

    steps: tuple[tuple[Money, Money, datetime], ...]
    next_size: Money
    missing: tuple[str, ...] | None


async def shown(session: AsyncSession, account_id: str, calendars: Venues) -> Shown | None:
    """Returns the growth of an account as the record has it; None when its product has no scaling plan."""
    account = await session.get_one(Account, account_id)
    product = await products.load(session, account.product, account.version)
    plan = plan_of(product, account)
    if plan is None:
        return None
    rows = await session.scalars(
        select(ScalingRow).where(ScalingRow.challenge_id == account.challenge_id).order_by(ScalingRow.number)
    )

    def money(minor: int) -> Money:
        return Money(minor=minor, currency=account.currency)

    steps = tuple((money(row.from_minor), money(row.to_minor), row.occurred_at) for row in rows)
    holdings = await recorded_holdings(session, account, calendars)
    step = await next_step(session, account, product, plan, holdings, calendars)
    return Shown(steps, money(step.size_minor), step.missing if account.status == "active" else None)
