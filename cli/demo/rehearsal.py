"""Simulates a firm in steps of market time. Each step plays prices, waits until the core is idle, then lets people act.

People act through the API only. The database is read to find out who has something to do, which real people know
themselves.
"""

import asyncio
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Final

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession
from temporalio.client import Client

from adapters.calendars.exchange import ExchangeCalendars
from cli.demo.actors import ApiClient, Operator, SandboxClient, Trader
from cli.demo.payouts import Figures, payout_figures
from cli.demo.personas import Persona
from cli.demo.quiescence import Quiescence
from cli.progress import Progress
from cli.stack.firm import Stack
from contracts.ids import challenge_workflow
from domain.errors import Conflict
from domain.lifecycle import CHALLENGE
from domain.payouts.eligibility import eligible_from
from firm.payouts import situation as payout_facts
from store.db import Database
from store.models import Breach, Challenge, DealRow, Dispute, Payout, Wakeup

_STEP: Final = timedelta(minutes=15)
_LONGEST_STEP: Final = timedelta(days=7)
_USUAL_SPAN: Final = timedelta(days=62)  # a little more than the longest time limit of a product
_SETTLE_STEP: Final = timedelta(hours=4)  # a transfer takes up to three hours of market time
_CHARGEBACK_AFTER: Final = timedelta(days=5)
_REFUND_AFTER: Final = timedelta(hours=6)
_ROUNDS: Final = 20
_LIVING: Final = ("active", "funded", "breached")  # states in which a trader may do something


class Rehearsal:
    """One run: the traders, the market's clock, and the database."""

    def __init__(self, stack: Stack, db: Database, temporal: Client, progress: Progress) -> None:
        self._stack = stack
        self._db = db
        self._core = Quiescence(db, temporal)
        self._progress = progress
        self.sandbox = SandboxClient(stack.sandbox_url, stack.settings.required("sandbox_token"))
        self._traders: list[Trader] = []
        self._by_challenge: dict[str, Trader] = {}
        self._asked: set[tuple[str, int]] = set()
        self._too_little: dict[str, tuple[Figures | None, datetime | None]] = {}
        self.now = datetime.min.replace(tzinfo=UTC)

    @property
    def names(self) -> Mapping[str, str]:
        """Maps each challenge id to a name that is the same in every run with the same seed."""
        return {t.challenge_id: f"{t.persona.number:04d}-{t.persona.temper}" for t in self._traders}

    async def play_the_day(self, people: list[Persona], operator: Operator, password: str) -> int:
        """Lets everybody buy when the recording begins and plays it to its end. Returns the number of ticks."""
        market = await self.sandbox.market()
        feed_ends = datetime.fromisoformat(market["feed_ends_at"])
        opened = datetime.fromisoformat(market["market_time"])
        await self._advance(opened)
        await self._buy_everything(people, password, operator)
        while self.now < feed_ends:
            await self.step(min(feed_ends, self.now + _STEP), operator)
            self._progress("playing the trading day", (self.now - opened) / (feed_ends - opened))
        return int((await self.sandbox.market())["ticks"])

    async def play_on(self, operator: Operator, until: datetime | None = None) -> None:
        """Advances from due date to due date until none is left, or to `until`."""
        began = self.now
        while (due := await self._next_date()) is not None and (until is None or due < until):
            await self.step(due, operator)
            share = (self.now - began) / ((until or began + _USUAL_SPAN) - began)
            self._progress("playing the following weeks", min(1.0, share))
        if until is not None:
            await self.step(until, operator)

    async def close(self) -> None:
        await self.sandbox.aclose()
        for trader in self._traders:
            await trader.api.aclose()

    async def _advance(self, until: datetime) -> None:
        while True:
            self.now = await self.sandbox.advance(until)
            await self._settle()
            if self.now >= until:
                return

    async def _settle(self, called: list[str] | None = None) -> None:
        """Waits until the core is idle and every webhook is delivered."""
        while True:
            await self._core.reached(also=called or ())
            if not (await self.sandbox.market())["pending_webhooks"]:
                await self._core.reached()
                return
            await asyncio.sleep(0.02)

    async def step(self, until: datetime, operator: Operator) -> None:
        await self._advance(until)
        for _ in range(_ROUNDS):
            called = await self._traders_act()
            if called:
                await self._settle(called)
            decided = await operator.work()
            if decided is not None:
                await self._settle(decided)
            if not called and decided is None:
                return
        raise Conflict(f"Traders and operators were still acting after {_ROUNDS} rounds at {self.now.isoformat()}.")

    async def _buy_everything(self, people: list[Persona], password: str, operator: Operator) -> None:
        self._traders = [Trader(person, ApiClient(self._stack.api_url)) for person in people]
        gate = asyncio.Semaphore(6)
        done = 0

        async def order(trader: Trader) -> str:
            nonlocal done
            async with gate:
                await trader.sign_up(password)
                url = await trader.buy()
                done += 1
                self._progress("buying challenges", done / len(people))
                return url

        urls = await asyncio.gather(*(order(trader) for trader in self._traders))
        self._by_challenge = {trader.challenge_id: trader for trader in self._traders}
        operator.doubtful |= {t.trader_id for t in self._traders if not t.persona.identity_holds}
        for trader, url in zip(self._traders, urls, strict=True):
            leader = trader.persona.leader
            followed = self._traders[leader].challenge_id if leader is not None else None
            await self.sandbox.bind_trader(trader.challenge_id, trader.persona, followed)
            if not trader.persona.abandons_checkout:
                await self.sandbox.pay(url)
        await self._settle()

    async def _traders_act(self) -> list[str]:
        """Requests refunds, chargebacks, disputes and payouts as the personas would. Returns the workflow ids."""
        async with self._db.transaction() as session:
            living = select(Challenge).where(Challenge.state.in_(_LIVING)).order_by(Challenge.id)
            rows = (await session.scalars(living)).all()
            traded = await self._traded(session, rows)
            figures = await payout_figures(session, [row.account_id for row in rows if row.state == "funded"])
            disputed = set(await session.scalars(select(Dispute.challenge_id)))
            breaches = {
                b.account_id: b.id
                for b in await session.scalars(
                    select(Breach).where(Breach.status == "confirmed").order_by(Breach.seq.desc())
                )
            }
        acted: list[str] = []
        ordered = sorted(rows, key=lambda row: self._by_challenge[row.id].persona.number)
        for row in ordered:
            trader = self._by_challenge[row.id]
            habit = trader.persona
            age = self.now - row.bought_at
            if habit.wants_refund and row.state == "active" and row.phase_index == 1 and age >= _REFUND_AFTER:
                if row.account_id not in traded:
                    await trader.ask_refund()
                    acted.append(challenge_workflow(row.id))
            elif habit.charges_back and row.state in ("active", "funded", "breached") and age >= _CHARGEBACK_AFTER:
                await self.sandbox.charge_back(trader.checkout_id)
                acted.append(challenge_workflow(row.id))
            elif habit.disputes and row.state == "breached" and row.id not in disputed and row.account_id in breaches:
                await trader.dispute(breaches[row.account_id])
                acted.append(challenge_workflow(row.id))
            elif (
                row.state == "funded"
                and row.account_id in figures
                and await self._request_payout(trader, row.account_id, figures[row.account_id])
            ):
                acted.append(challenge_workflow(row.id))
        return acted

    async def _traded(self, session: AsyncSession, rows: Sequence[Challenge]) -> set[str]:
        """Returns those accounts that have traded, of the traders who may want a refund."""
        asking = [row.account_id for row in rows if self._by_challenge[row.id].persona.wants_refund and row.account_id]
        if not asking:
            return set()
        return set(await session.scalars(select(DealRow.account_id).where(DealRow.account_id.in_(asking)).distinct()))

    async def _request_payout(self, trader: Trader, account_id: str, figures: Figures) -> bool:
        """Requests all that may be paid out. What was found too early or too little is not looked at again until it
        is time, or until `figures` of the account have changed."""
        known, until = self._too_little.get(account_id, (None, None))
        if known == figures and (until is None or self.now < until):
            return False
        async with self._db.transaction() as session:
            now = await payout_facts.situation(session, account_id, calendars=ExchangeCalendars())
            count = await session.scalar(select(func.count()).where(Payout.account_id == account_id))
        since = eligible_from(now.facts, now.product.payout)
        if since is None or now.facts.open_payout_id or now.facts.open_positions:
            return False
        # each amount is requested once: a rejected request is not repeated
        asked = (account_id, now.most.minor)
        if self.now < since or now.most.amount < now.product.payout.min_request or asked in self._asked:
            self._too_little[account_id] = figures, since if self.now < since else None
            return False
        self._asked.add(asked)
        await trader.request_payout(account_id, now.most.amount, attempt=int(count or 0))
        return True

    async def _next_date(self) -> datetime | None:
        """Returns the next instant at which something is due; None if nothing is."""
        async with self._db.transaction() as session:
            wakeup = await session.scalar(
                select(func.min(Wakeup.due_at)).where(
                    Wakeup.fired_at.is_(None), Wakeup.workflow_id.regexp_match("^(challenge|payout)/")
                )
            )
            sent = await session.scalar(select(func.count()).where(Payout.state == "sent"))
            open_now = select(Challenge).where(Challenge.state.not_in(CHALLENGE.terminal))
            challenges = (await session.scalars(open_now)).all()
            funded = [c for c in challenges if c.state == "funded" and c.account_id]
            dates = [wakeup] if wakeup else []
            if sent:
                dates.append(self.now + _SETTLE_STEP)
            for challenge in funded:
                now = await payout_facts.situation(session, str(challenge.account_id), calendars=ExchangeCalendars())
                since = eligible_from(now.facts, now.product.payout)
                if since and since > self.now and now.most.amount >= now.product.payout.min_request:
                    dates.append(since)
            for challenge in challenges:
                habit = self._by_challenge[challenge.id].persona
                due = challenge.bought_at + _CHARGEBACK_AFTER
                if habit.charges_back and due > self.now and challenge.state in ("active", "funded", "breached"):
                    dates.append(due)
        ahead = [date for date in dates if date > self.now]
        return min(*ahead, self.now + _LONGEST_STEP) if ahead else None
