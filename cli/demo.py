"""`propos demo`: a firm's whole life on recorded prices, in one command.

Market time moves in steps. After each step the core comes to rest, then traders and operators act on what they see,
until nobody has anything to do; then the next step. Nothing here reaches around the API but to *find* who has
something to do, which each person in the real world knows of themselves.
"""

import asyncio
import secrets
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

from sqlalchemy import func, select
from temporalio.client import Client

from cli import demo_report
from cli.actors import ApiClient, Operator, SandboxClient, Trader
from cli.firm import Staff, open_firm
from cli.personas import personas
from cli.quiescence import Quiescence
from cli.stack import Market, Stack, StackOptions
from contracts.ids import RECONCILIATION_WORKFLOW
from contracts.operations import ReconcileRequest, ReconciliationReport
from domain import payouts as payout_rules
from domain.errors import Conflict
from domain.lifecycle import CHALLENGE
from relay.temporal import connect
from store import payouts
from store.crypto import FieldKeys, install
from store.db import Database
from store.models import Breach, Challenge, DealRow, Dispute, Payout, Wakeup

_STEP: Final = timedelta(minutes=15)
_IDLE_STEP: Final = timedelta(days=1)
_SETTLE_STEP: Final = timedelta(hours=4)  # a transfer takes up to three hours of market time
_CHARGEBACK_AFTER: Final = timedelta(days=5)
_REFUND_AFTER: Final = timedelta(hours=6)


@dataclass(frozen=True)
class DemoOptions:
    market: Path
    symbols: tuple[str, ...]
    date: str
    accounts: int
    seed: int
    data_dir: Path


Progress = Callable[[str, float], None]


class Rehearsal:
    """One run: the people, the market's clock, and the record to see who has something to do."""

    def __init__(self, stack: Stack, options: DemoOptions, db: Database, temporal: Client, progress: Progress) -> None:
        self._options = options
        self._stack = stack
        self._db = db
        self._temporal = temporal
        self._rest = Quiescence(db, temporal)
        self._progress = progress
        self._sandbox = SandboxClient(stack.sandbox_url, stack.settings.required("sandbox_token"))
        self._traders: list[Trader] = []
        self._by_challenge: dict[str, Trader] = {}
        self._asked: set[tuple[str, int]] = set()
        self.doubtful_identities: set[str] = set()  # trader ids whose documents will not hold
        self.now = datetime.min.replace(tzinfo=UTC)

    @property
    def names(self) -> Mapping[str, str]:
        """Challenge id -> a name that is the same in every run of one seed."""
        return {t.challenge_id: f"{t.persona.number:04d}-{t.persona.temper}" for t in self._traders}

    async def run(self, operator: Operator) -> int:
        """Play to the end; gives the number of ticks that were judged."""
        market = await self._sandbox.market()
        feed_ends = datetime.fromisoformat(market["feed_ends_at"])
        opened = datetime.fromisoformat(market["market_time"])
        await self._advance(opened)
        await self._buy_everything()
        while self.now < feed_ends:
            await self._step(min(feed_ends, self.now + _STEP), operator)
            self._progress("the recorded day", (self.now - opened) / (feed_ends - opened))
        first_due = await self._next_date()
        while (due := await self._next_date()) is not None:
            await self._step(due, operator)
            last = first_due + timedelta(days=75) if first_due else due
            self._progress("until the last date has passed", min(1.0, (self.now - feed_ends) / (last - feed_ends)))
        for _ in range(2):  # one more reset of every clock after the last date
            await self._step(self.now + _IDLE_STEP, operator)
        await self._reconcile()
        ticks = int((await self._sandbox.market())["ticks"])
        await self.close()
        return ticks

    async def _reconcile(self) -> None:
        handle = self._temporal.get_workflow_handle(RECONCILIATION_WORKFLOW)
        await handle.execute_update(
            "reconcile", ReconcileRequest(key="end of the run"), result_type=ReconciliationReport
        )

    async def close(self) -> None:
        await self._sandbox.aclose()
        for trader in self._traders:
            await trader.api.__aexit__(None, None, None)

    async def _advance(self, until: datetime) -> None:
        answer = await self._sandbox.advance(until.isoformat())
        self.now = datetime.fromisoformat(answer["market_time"])
        await self._settle()

    async def _settle(self, called: list[str] | None = None) -> None:
        """At rest, with every webhook delivered."""
        while True:
            await self._rest.reached(also=called or ())
            if not (await self._sandbox.market())["pending_webhooks"]:
                await self._rest.reached()
                return
            await asyncio.sleep(0.02)

    async def _step(self, until: datetime, operator: Operator) -> None:
        await self._advance(until)
        for _ in range(20):
            called = await self._traders_act()
            if called:
                await self._settle(called)
            decided = await operator.work()
            if decided:
                await self._settle(decided)
            if not called and not decided:
                return
        raise Conflict(f"Traders and operators did not come to an end at {self.now.isoformat()}.")

    async def _buy_everything(self) -> None:
        people = personas(self._options.accounts, self._options.seed)
        password = secrets.token_urlsafe(12)
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
        self.doubtful_identities |= {t.trader_id for t in self._traders if not t.persona.identity_holds}
        for trader, url in zip(self._traders, urls, strict=True):
            leader = trader.persona.leader
            followed = self._traders[leader].challenge_id if leader is not None else None
            await self._sandbox.bind_trader(trader.challenge_id, trader.persona, followed)
            if not trader.persona.abandons_checkout:
                await self._sandbox.pay(url)
        await self._settle()

    async def _traders_act(self) -> list[str]:
        """Refunds, chargebacks, disputes, payout requests, each by who would; gives what they set in motion."""
        async with self._db.transaction() as session:
            rows = (await session.scalars(select(Challenge).order_by(Challenge.id))).all()
            traded = set(await session.scalars(select(DealRow.account_id).distinct()))
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
                    acted.append(f"challenge/{row.id}")
            elif habit.charges_back and row.state in ("active", "funded", "breached") and age >= _CHARGEBACK_AFTER:
                await self._sandbox.charge_back(trader.checkout_id)
                acted.append(f"challenge/{row.id}")
            elif habit.disputes and row.state == "breached" and row.id not in disputed and row.account_id in breaches:
                await trader.dispute(breaches[row.account_id])
                acted.append(f"challenge/{row.id}")
            elif row.state == "funded" and row.account_id and await self._request_payout(trader, row.account_id):
                acted.append(f"challenge/{row.id}")
        return acted

    async def _request_payout(self, trader: Trader, account_id: str) -> bool:
        async with self._db.transaction() as session:
            now = await payouts.situation(session, account_id)
            count = await session.scalar(select(func.count()).where(Payout.account_id == account_id))
        since = payout_rules.eligible_from(now.facts, now.product.payout)
        if since is None or self.now < since or now.facts.open_payout_id or now.facts.open_positions:
            return False
        # asked once for this much: a rejected request is not simply repeated
        asked = (account_id, now.most.minor)
        if now.most.amount < now.product.payout.min_request or asked in self._asked:
            return False
        self._asked.add(asked)
        await trader.request_payout(account_id, now.most.amount, attempt=int(count or 0))
        return True

    async def _next_date(self) -> datetime | None:
        """The next instant at which something of this run is due; None when every date has passed."""
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
                now = await payouts.situation(session, str(challenge.account_id))
                since = payout_rules.eligible_from(now.facts, now.product.payout)
                if since and since > self.now and now.most.amount >= now.product.payout.min_request:
                    dates.append(since)
            for challenge in challenges:
                habit = self._by_challenge[challenge.id].persona
                due = challenge.bought_at + _CHARGEBACK_AFTER
                if habit.charges_back and due > self.now and challenge.state in ("active", "funded", "breached"):
                    dates.append(due)
        ahead = [date for date in dates if date > self.now]
        if not ahead:
            return None
        return min(min(ahead), self.now + 7 * _IDLE_STEP)


async def _staff(stack: Stack, staff: Staff) -> tuple[dict[str, ApiClient], tuple[ApiClient, ApiClient], ApiClient]:
    clients: dict[str, ApiClient] = {}
    for member in staff.members:
        if member.login in ("farid", "grace", "rosa"):
            clients[member.login] = ApiClient(stack.api_url)
            await clients[member.login].sign_in(member.login, staff.password)
    return clients, (clients["farid"], clients["grace"]), clients["rosa"]


async def demo(options: DemoOptions, progress: Progress) -> dict[str, Any]:
    """Run it and give the summary object of `propos demo --json`."""
    started = time.monotonic()
    market = Market(directory=options.market, symbols=options.symbols, date=options.date)
    stack_options = StackOptions(
        data_dir=options.data_dir, market=market, seed=options.seed, any_ports=True, web_ui=False
    )
    progress("starting the firm", 0.0)
    async with Stack(stack_options) as stack:
        watchdog = asyncio.create_task(stack.failure())
        play = asyncio.create_task(_play(stack, options, progress, started))
        await asyncio.wait({watchdog, play}, return_when=asyncio.FIRST_COMPLETED)
        if not play.done():
            play.cancel()
            await asyncio.gather(play, return_exceptions=True)
            await watchdog
        watchdog.cancel()
        return await play


async def _play(stack: Stack, options: DemoOptions, progress: Progress, started: float) -> dict[str, Any]:
    settings = stack.settings
    keys = settings.required("payload_keys")
    install(FieldKeys.parse(keys))
    db = Database(stack.database_url)
    try:
        temporal = await connect(stack.temporal_address, settings.temporal_namespace, keys)
        staff = await open_firm(db, settings.data_dir, settings.products_path)
        clients, finance, risk = await _staff(stack, staff)
        rehearsal = Rehearsal(stack, options, db, temporal, progress)
        ticks = await rehearsal.run(Operator(finance, risk, rehearsal.doubtful_identities))
        summary = await demo_report.summarise(db, rehearsal.names, ticks=ticks, seconds=time.monotonic() - started)
        for client in clients.values():
            await client.__aexit__(None, None, None)
        return summary
    finally:
        await db.close()
