"""Simulates a firm in steps of market time. Each step plays prices, waits until the core is idle, then lets people act.

People act through the API only. The database is read to find out who has something to do, which real people know
themselves.
"""

import asyncio
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Final

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession
from temporalio.client import Client

from adapters.calendars.exchange import ExchangeCalendars
from cli.demo.actors import ApiClient, Trader
from cli.demo.dates import CHARGEBACK_AFTER, DESK_REFUND_AFTER, SENT_BACK_AFTER, next_date
from cli.demo.mailbox import mailbox_of
from cli.demo.operators import Operator
from cli.demo.outside import SandboxClient, VenueDesk
from cli.demo.payouts import Figures, TooLittle, payout_figures
from cli.demo.personas import Persona
from cli.demo.settling import Settling
from cli.progress import Progress
from cli.stack.firm import Stack
from cli.stack.venues import SANDBOX
from contracts.ids import challenge_workflow, chargeback_workflow, payout_workflow
from domain.errors import Conflict
from domain.payouts.eligibility import eligible_from
from firm.payouts import situation as payout_facts
from store.db import Database
from store.models import Breach, Challenge, Chargeback, DealRow, Dispute, Payout, PayoutTransfer

# The steps of a run.
STARTING, BUYING, DAY, WEEKS, CHECKING = (
    "starting the firm",
    "buying challenges",
    "playing the trading day",
    "playing the following weeks",
    "checking the books",
)
# How long each takes as a rule, compared with the others: always, and more for each buyer.
_TAKES: Final = {STARTING: (13, 0), BUYING: (2, 0.26), DAY: (16, 0.17), WEEKS: (18, 0.23), CHECKING: (1, 0.01)}

_HOUR: Final = timedelta(hours=1)  # on the trading day people look at what there is to do on the hour
_DAY: Final = timedelta(days=1)  # and later each midnight after something has happened
_USUAL_SPAN: Final = timedelta(days=62)  # a little more than the longest time limit of a product
_MOST_IS_EARLY: Final = 0.6  # most is due in the first of the weeks
_ORDERED, _PAID = 0.6, 0.7  # the shares of the buying that are done then
_REFUND_AFTER: Final = timedelta(hours=6)
_SETTLED_EVERY: Final = timedelta(days=7)  # how often the firm has its money at the acquirer sent to its bank
_RETURNS: Final = 3  # payouts of each venue that the payee's bank sends back; for some accounts it always does
_LOST_WEBHOOKS, _DOUBLE_WEBHOOKS, _LATE_STATEMENTS = 2, 3, 1
_ROUNDS: Final = 20
_LIVING: Final = ("active", "funded", "breached")  # states in which a trader may do something


def shares(buyers: int, *steps: str) -> dict[str, float]:
    """Returns the parts of the time that these steps take of a run with so many buyers; without `steps`, all."""
    return {step: once + each * buyers for step, (once, each) in _TAKES.items() if not steps or step in steps}


class Rehearsal:
    """One run: the traders, the market's clock, and the database."""

    def __init__(self, stack: Stack, db: Database, temporal: Client, progress: Progress) -> None:
        self._stack = stack
        self._db = db
        self._progress = progress
        self.sandbox = SandboxClient(stack.sandbox_url, stack.settings.required("sandbox_token"))
        self._settling = Settling(db, temporal, self.sandbox, stack.settings)
        self._desks = {venue.name: VenueDesk(venue) for venue in stack.venues}
        self.outside = Counter[str]()  # what happened outside the firm
        self._settles_at = datetime.max.replace(tzinfo=UTC)
        self._traders: list[Trader] = []
        self._by_challenge: dict[str, Trader] = {}
        self._asked: set[tuple[str, int]] = set()
        self._took_back: set[Trader] = set()
        self._sent_back: dict[str, str] = {}  # venue of each payout that was sent back
        self._asked_about: dict[str, str] = {}  # likewise of each that came back and whose trader was asked
        self._too_little = TooLittle()
        self.now = datetime.min.replace(tzinfo=UTC)

    @property
    def names(self) -> Mapping[str, str]:
        """Maps each challenge id to a name that is the same in every run with the same seed."""
        return {t.challenge_id: f"{t.persona.number:04d}-{t.persona.temper}" for t in self._traders}

    @property
    def venues(self) -> Mapping[str, list[str]]:
        """The challenges of each venue."""
        found: dict[str, list[str]] = {SANDBOX: [], **{name: [] for name in self._desks}}
        for trader in self._traders:
            found[trader.persona.venue].append(trader.challenge_id)
        return found

    async def play_the_day(self, people: list[Persona], operator: Operator, password: str) -> int:
        """Lets everybody buy when the recording begins and plays it to its end. Returns the number of ticks."""
        market = await self.sandbox.market()
        feed_ends = datetime.fromisoformat(market["feed_ends_at"])
        opened = datetime.fromisoformat(market["market_time"])
        self.now = await self.sandbox.advance(opened)
        await self._settling.reached()
        self._settles_at = opened + _SETTLED_EVERY
        await self._buy_everything(people, password, operator)
        while self.now < feed_ends:
            await self.step(min(feed_ends, self.now + _HOUR), operator)
            self._progress(DAY, (self.now - opened) / (feed_ends - opened))
        return int((await self.sandbox.market())["ticks"])

    async def play_on(self, operator: Operator, until: datetime | None = None) -> None:
        """Advances to the midnight after each due date and after each news, until none is left, or to `until`."""
        began = self.now
        while (due := await self._next_date()) is not None and (until is None or due < until):
            midnight = _next(due, _DAY)
            await self.step(midnight if until is None else min(midnight, until), operator)
            share = (self.now - began) / ((until or began + _USUAL_SPAN) - began)
            self._progress(WEEKS, min(1.0, share) ** _MOST_IS_EARLY)
        self._progress(WEEKS, 1.0)
        if until is not None:
            await self.pass_to(until, operator)

    async def pass_to(self, until: datetime, operator: Operator) -> None:
        """Advances to `until`; people act there, and at the midnight after each news before."""
        while self.now < until:
            await self.step(until, operator)

    async def close(self) -> None:
        await self._settling.aclose()
        await self.sandbox.aclose()
        for desk in self._desks.values():
            await desk.aclose()
        for trader in self._traders:
            await trader.api.aclose()

    async def _advance(self, until: datetime) -> None:
        """Advances to `until`, or to the midnight after the first news on the way. Waits for the core at the full hour
        after each due date, so that it is dealt with at the same market time in every run."""
        while self.now < until:
            stop = until
            if until - self.now > _HOUR and (due := await self._next_date()) is not None:
                stop = min(until, _next(due, _HOUR))
            self.now = await self.sandbox.advance(stop)
            await self._settling.reached()
            if self.now < stop:
                until = min(until, _next(self.now, _DAY))

    async def step(self, until: datetime, operator: Operator) -> None:
        """Advances as `_advance` does, then lets people act until nobody has anything to do."""
        await self._advance(until)
        for _ in range(_ROUNDS):
            called = await self._traders_act()
            called += await self._banks_decide()
            called += await self._banks_send_back()
            if called:
                await self._settling.reached(called)
            await self._payees_answer(operator)
            decided = await operator.work()
            if decided is not None:
                await self._settling.reached(decided)
            if not called and decided is None:
                return
        raise Conflict(f"Traders and operators were still acting after {_ROUNDS} rounds at {self.now.isoformat()}.")

    async def _buy_everything(self, people: list[Persona], password: str, operator: Operator) -> None:
        mailbox = mailbox_of(self._stack.settings.data_dir)
        self._traders = [Trader(person, ApiClient(self._stack.api_url), mailbox) for person in people]
        gate = asyncio.Semaphore(6)
        done = 0

        async def order(trader: Trader) -> str:
            nonlocal done
            async with gate:
                await trader.sign_up(password)
                url = await trader.buy()
                done += 1
                self._progress(BUYING, _ORDERED * done / len(people))
                return url

        urls = await asyncio.gather(*(order(trader) for trader in self._traders))
        self._by_challenge = {trader.challenge_id: trader for trader in self._traders}
        operator.doubtful |= {t.trader_id for t in self._traders if not t.persona.identity_holds}
        for trader in self._traders:  # one after the other: the acquirer numbers the accounts
            if trader.persona.connects:
                await self._connect(trader)
        await self.sandbox.stripe_faults(drop_webhooks=_LOST_WEBHOOKS, duplicate_webhooks=_DOUBLE_WEBHOOKS)
        await self.sandbox.bank_faults(late_statement=_LATE_STATEMENTS)
        for trader, url in zip(self._traders, urls, strict=True):
            leader = trader.persona.leader
            followed = self._traders[leader].challenge_id if leader is not None else None
            desk = self._desks.get(trader.persona.venue, self.sandbox)
            await desk.bind_trader(trader.challenge_id, trader.persona, followed)
            await self._pay(trader.persona, url)
        self._progress(BUYING, _PAID)
        await self._settling.reached()
        self._progress(BUYING, 1.0)

    async def _connect(self, trader: Trader) -> None:
        url = await trader.open_payee()
        if url:
            await self.sandbox.complete_account(url)
            self.outside["payee_accounts"] += 1

    async def _pay(self, persona: Persona, url: str) -> None:
        if persona.abandons_checkout:
            self.outside["checkouts_left"] += 1
            return
        if persona.pays == "declined":
            await self.sandbox.pay(url, "declined")
            self.outside["cards_declined"] += 1
        await self.sandbox.pay(url, "bank_debit" if persona.pays == "bank_debit" else "card")
        self.outside["paid_by_bank_debit" if persona.pays == "bank_debit" else "paid_by_card"] += 1

    async def happened(self) -> dict[str, int]:
        """Returns how often what happened outside the firm, faults of the providers included."""
        stripe, bank = await self.sandbox.stripe_faults_left(), await self.sandbox.bank_faults_left()
        faults = {
            "webhooks_lost": _LOST_WEBHOOKS - int(stripe["drop_webhooks"]),
            "webhooks_doubled": _DOUBLE_WEBHOOKS - int(stripe["duplicate_webhooks"]),
            "statements_late": _LATE_STATEMENTS - int(bank["late_statement"]),
        }
        return {**dict(sorted(self.outside.items())), **faults}

    async def _banks_decide(self) -> list[str]:
        """Lets banks that believe the buyer decide against the firm, and settles the acquirer's balance when it is
        due. Returns the workflow ids that hear of it."""
        if self.now >= self._settles_at:
            self._settles_at = self.now + _SETTLED_EVERY
            self.outside["settlements"] += await self.sandbox.settle()
        async with self._db.transaction() as session:
            submitted = (await session.scalars(select(Chargeback).where(Chargeback.state == "submitted"))).all()
        against = [row for row in submitted if self._by_challenge[row.challenge_id].persona.bank_believes_buyer]
        for row in against:
            await self.sandbox.decide_against_firm(row.provider_id)
        return [chargeback_workflow(row.id) for row in against]

    async def _traders_act(self) -> list[str]:
        """Requests refunds, chargebacks, disputes and payouts, and appeals, as the personas would. Returns the workflow
        ids."""
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
        for row in sorted(rows, key=lambda row: self._by_challenge[row.id].persona.number):
            trader = self._by_challenge[row.id]
            habit = trader.persona
            untraded = row.state == "active" and row.phase_index == 1 and row.account_id not in traded
            if habit.wants_refund and untraded and self.now >= row.bought_at + _REFUND_AFTER:
                await trader.ask_refund()
            elif await self._money_goes_back(row, trader):
                pass
            elif habit.disputes and row.state == "breached" and row.id not in disputed and row.account_id in breaches:
                await trader.dispute(breaches[row.account_id])
            elif habit.appeals and row.account_id is not None and await self._appeals(trader, row.account_id):
                pass
            elif not (
                row.state == "funded"
                and row.account_id in figures
                and await self._request_payout(trader, row.account_id, figures[row.account_id])
            ):
                continue
            acted.append(challenge_workflow(row.id))
        return acted

    async def _appeals(self, trader: Trader, account_id: str) -> bool:
        """Appeals against what was decided about the trading on an account; returns whether there was something."""
        decided = await trader.api.get(f"/v1/accounts/{account_id}/actions")
        new = [each for each in decided if each["appeal_id"] is None and each["state"] == "approved"]
        for each in new:
            await trader.appeal(each["id"])
        return bool(new)

    async def _money_goes_back(self, row: Challenge, trader: Trader) -> bool:
        """Lets a buyer's bank take the payment back, or somebody of the firm refund it at the acquirer's desk, once."""
        if trader in self._took_back:
            return False
        habit = trader.persona
        if habit.charges_back and row.state in _LIVING and self.now >= row.bought_at + CHARGEBACK_AFTER:
            await self.sandbox.charge_back(trader.checkout_id, asks_first=habit.bank_asks_first)
            self.outside["chargebacks"] += 1
        elif habit.refunded_at_desk and row.state == "active" and self.now >= row.bought_at + DESK_REFUND_AFTER:
            await self.sandbox.refund_at_desk(trader.checkout_id)
            self.outside["refunds_at_desk"] += 1
        else:
            return False
        self._took_back.add(trader)
        return True

    async def _banks_send_back(self) -> list[str]:
        """Lets the payees' banks send the first payouts back, days after they arrived. Returns the workflow ids."""
        if all(self._left_to_send_back(venue) == 0 for venue in self.venues):
            return []
        async with self._db.transaction() as session:
            arrived = select(Payout).where(Payout.state == "paid", Payout.changed_at <= self.now - SENT_BACK_AFTER)
            rows = [row for row in await session.scalars(arrived) if row.id not in self._sent_back]
            rows.sort(key=lambda row: (row.changed_at, self._by_challenge[row.challenge_id].persona.number))
            rows = [
                row
                for venue in self.venues
                for row in [each for each in rows if self._venue_of(each) == venue][: self._left_to_send_back(venue)]
            ]
            keys = {row.id: await self._transfer_key(session, row.id) for row in rows}
        for row in rows:
            self._sent_back[row.id] = self._venue_of(row)
            if row.rail == "stripe":
                await self.sandbox.send_back_newest(row.beneficiary)
            else:
                await self.sandbox.send_back(keys[row.id])
            self.outside["payouts_sent_back"] += 1
        return [payout_workflow(row.id) for row in rows]

    def _venue_of(self, payout: Payout) -> str:
        return self._by_challenge[payout.challenge_id].persona.venue

    def _left_to_send_back(self, venue: str) -> int:
        return _RETURNS - [*self._sent_back.values()].count(venue)

    async def _transfer_key(self, session: AsyncSession, payout_id: str) -> str:
        newest = select(PayoutTransfer.id).where(PayoutTransfer.payout_id == payout_id)
        return (await session.scalars(newest.order_by(PayoutTransfer.number.desc()).limit(1))).one()

    async def _payees_answer(self, operator: Operator) -> None:
        """Asks the traders whose money came back: one gives an account for the other rail, the next has none, the
        third does not answer, and so on."""
        async with self._db.transaction() as session:
            back = (await session.scalars(select(Payout).where(Payout.state == "returned"))).all()
        waiting = [(self._by_challenge[row.challenge_id], row) for row in back if row.id not in self._asked_about]
        for trader, row in sorted(waiting, key=lambda pair: pair[0].persona.number):
            venue = trader.persona.venue
            turn = [*self._asked_about.values()].count(venue) % 3
            self._asked_about[row.id] = venue
            if turn == 0:
                await self._give_other_account(trader, row.rail)
            elif turn == 2:
                operator.silent.add(trader.trader_id)

    async def _give_other_account(self, trader: Trader, rail: str) -> None:
        """The trader gives an account for another rail than this one, and opens the link that is mailed for it."""
        if rail == "stripe":
            await trader.give_iban()
        else:
            await self._connect(trader)
            await self._settling.reached()
        await trader.confirm_account()

    async def _traded(self, session: AsyncSession, rows: Sequence[Challenge]) -> set[str]:
        """Returns those accounts that have traded, of the traders who may want a refund."""
        asking = [row.account_id for row in rows if self._by_challenge[row.id].persona.wants_refund and row.account_id]
        if not asking:
            return set()
        return set(await session.scalars(select(DealRow.account_id).where(DealRow.account_id.in_(asking)).distinct()))

    async def _request_payout(self, trader: Trader, account_id: str, figures: Figures) -> bool:
        """Requests all that may be paid out. What was found too early or too little is not looked at again until it
        is time, or until `figures` of the account have changed."""
        if self._too_little.is_known(account_id, figures, self.now):
            return False
        async with self._db.transaction() as session:
            now = await payout_facts.situation(session, account_id, calendars=ExchangeCalendars())
            count = await session.scalar(select(func.count()).where(Payout.account_id == account_id))
        since = eligible_from(now.facts, now.product.payout)
        if now.facts.open_payout_id or now.facts.open_positions:
            return False
        # each amount is requested once: a rejected request is not repeated
        asked = (account_id, now.most.minor)
        too_little = now.most.amount < now.product.payout.min_request or asked in self._asked
        if since is None or too_little or self.now < since:
            self._too_little.note(account_id, figures, self.now, None if too_little else since)
            return False
        self._asked.add(asked)
        await trader.request_payout(account_id, now.most.amount, attempt=int(count or 0))
        return True

    async def _next_date(self) -> datetime | None:
        async with self._db.transaction() as session:
            habits = {challenge_id: trader.persona for challenge_id, trader in self._by_challenge.items()}
            return await next_date(session, self.now, habits, self._too_little.payable())


def _next(at: datetime, every: timedelta) -> datetime:
    """Returns the first full hour, or day, that is not before `at`."""
    return at + (datetime.min.replace(tzinfo=UTC) - at) % every
