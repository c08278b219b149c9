"""A small firm with one funded account, and the outside world at port level, for tests of money and surveillance."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any, Literal, NoReturn
from uuid import uuid4

import psycopg
from sqlalchemy.dialects.postgresql import insert

from activities.deps import Deps
from activities.payouts import PayoutActivities
from contracts.messages import DecisionRequest, PayoutChoice
from contracts.payouts import PayoutDecision, PayoutRef
from domain.approvals import Actor, Role
from domain.errors import (
    Conflict,
    CursorForgotten,
    IdempotencyMismatch,
    InProgress,
    NotFound,
    OutcomeUnknown,
    PropOSError,
    Unavailable,
)
from domain.money import Money
from domain.payouts.policy import CurrencyPolicy, PayoutPolicy
from domain.products.phase_terms import phase_terms
from domain.products.product import Product
from domain.rules.state import fresh, to_json
from firm.payouts import policies
from firm.payouts import refusals as payout_refusals
from firm.payouts import requests as payouts
from monitor.facts import BreachFact
from monitor.record.verdict_rows import verdict_rows
from ports.payments import Payments
from ports.platform import (
    FIRST_READER,
    AccountSnapshot,
    BalanceKind,
    Deal,
    Marks,
    PlatformStream,
    PositionState,
    SymbolSpec,
    TradingPlatform,
)
from ports.rail import Transfer, TransferOrder
from ports.statements import StatementEntry
from store import crypto, ledger, products
from store.db import Database
from store.live import claim_epoch
from store.live_write import LiveWriter
from store.models import (
    Account,
    AccountLive,
    Alert,
    Case,
    Challenge,
    DealRow,
    MarketClock,
    Payout,
    Trader,
    User,
)
from tests import case_rows
from tests.adapters import PaymentProvider, UnusedProvider, platforms, providers
from tests.asked import ask_for, shown_account
from tests.shelf import publish_shelf

SMALL, MEDIUM, LARGE = 50_000, 300_000, 400_000  # gross: 80 % of it needs nobody, one person, two people
START = datetime(2014, 5, 2, 21, tzinfo=UTC)
INITIAL = 10_000_000


class Killed(BaseException):
    """The process dies here: nothing may catch it."""


@dataclass
class Venue:
    """A trading platform: balances, and what was done to them once per (operation, key). `dies_at`: the number of the
    call at which the caller dies, and whether before or after its effect; `loses`: what the trader loses right after
    the operation of a key."""

    name: str = "fake"
    balances: dict[int, int] = field(default_factory=dict)
    positions: dict[int, tuple[PositionState, ...]] = field(default_factory=dict)
    floating: dict[int, int] = field(default_factory=dict)  # what open positions have gained or lost
    done: dict[str, tuple[BalanceKind, int]] = field(default_factory=dict)
    dies: Literal["before", "after"] | None = None
    dies_at: tuple[int, Literal["before", "after"]] | None = None
    loses: dict[str, int] = field(default_factory=dict)
    calls: int = 0
    away: bool = False

    def _call(self, moment: Literal["before", "after"]) -> None:
        self.calls += moment == "before"
        if self.away:
            raise Unavailable("The platform does not answer.")
        if self.dies == moment or self.dies_at == (self.calls, moment):
            raise Killed

    async def find_balance_operation(self, login: int, *, key: str, operation: BalanceKind) -> int | None:
        self._call("before")
        found = self.done.get(self._name(login, key, operation))
        return None if found is None else found[1]

    def _name(self, login: int, key: str, operation: BalanceKind) -> str:
        """The name in `done`: the key, or another one if it was used for another operation before."""
        self._check(login)
        return key if self.done.get(key, (operation, 0))[0] == operation else f"{key} for {operation}"

    def _check(self, login: int) -> None:
        if login not in self.balances:
            raise NotFound(f"no login {login}")

    async def balance_operation(self, login: int, *, key: str, operation: BalanceKind, amount_minor: int) -> None:
        self._call("before")
        name = self._name(login, key, operation)
        if self.done.get(name, (operation, amount_minor)) != (operation, amount_minor):
            raise IdempotencyMismatch(key)
        if name not in self.done:
            if self.balances[login] + amount_minor < 0:
                raise Conflict("there is not enough on the account")
            self.done[name] = (operation, amount_minor)
            self.balances[login] += amount_minor - self.loses.get(key, 0)
        self._call("after")

    async def snapshot(self, login: int) -> AccountSnapshot:
        self._check(login)
        return AccountSnapshot(
            login=login,
            currency="USD",
            balance_minor=self.balances[login],
            equity_minor=self.balances[login] + self.floating.get(login, 0),
            trading_enabled=True,
            positions=self.positions.get(login, ()),
            seq=1,
        )

    async def create_account(self, *, key: str, group: str, currency: str, leverage: int) -> int:
        _unused()

    async def find_account(self, key: str) -> int | None:
        _unused()

    async def set_trading(self, login: int, *, key: str, enabled: bool) -> None:
        return None

    async def close_positions(self, login: int, *, key: str, position_ids: Sequence[str]) -> None:
        _unused()

    async def lock(self, login: int, *, key: str) -> None:
        _unused()

    async def symbols(self) -> list[SymbolSpec]:
        _unused()

    async def deals(self, login: int) -> list[Deal]:
        _unused()

    def open_stream(self, reader: str = FIRST_READER) -> PlatformStream:
        _unused()

    def marks(self, group: str) -> Marks:
        _unused()

    async def healthy(self) -> str:
        return "fake"

    async def aclose(self) -> None:
        return None


@dataclass
class Provider(UnusedProvider):
    """A payment provider that keeps one transfer per key. `dies` kills the caller; `loses` swallows answers, or keeps
    the call under way until `lands`: its key is in use so long, and another call under it is refused with `in_use`."""

    name: str = "fakepay"
    transfers: dict[str, Transfer] = field(default_factory=dict)
    beneficiaries: dict[str, str] = field(default_factory=dict)
    ledger: list[StatementEntry] = field(default_factory=list)
    calls: int = 0
    dies: Literal["before", "after"] | None = None
    loses: list[Literal["request", "answer", "under way"]] = field(default_factory=list)
    refuses: PropOSError | None = None
    in_use: PropOSError = field(default_factory=lambda: InProgress("a call with this key is in progress"))
    under_way: dict[str, TransferOrder] = field(default_factory=dict)
    away: bool = False  # it answers no look-up
    cancels: bool = True  # it can stop what is pending

    async def create_transfer(self, order: TransferOrder) -> Transfer:
        self.calls += 1
        key, beneficiary = order.key, order.beneficiary.account
        lost = self.loses.pop(0) if self.loses else None
        if self.dies == "before":
            raise Killed
        if lost == "request":
            raise OutcomeUnknown("no answer")
        if self.refuses is not None:
            raise self.refuses
        if key in self.under_way:
            raise self.in_use
        if lost == "under way":
            self.under_way[key] = order
            raise OutcomeUnknown("no answer")
        known = self.transfers.get(key)
        if known is None:
            known = Transfer(
                transfer_id=f"tr_{len(self.transfers) + 1}",
                key=key,
                reference=order.reference,
                status="pending",
                amount_minor=order.amount_minor,
                currency=order.currency,
            )
            self.transfers[key], self.beneficiaries[key] = known, beneficiary
            self.enter("transfer", known.transfer_id, order.reference, -order.amount_minor)
        elif (known.amount_minor, self.beneficiaries[key]) != (order.amount_minor, beneficiary):
            raise IdempotencyMismatch(key)
        if self.dies == "after":
            raise Killed
        if lost == "answer":
            raise OutcomeUnknown("no answer")
        return known

    async def lands(self) -> None:
        """The calls under way take effect, long after their callers gave up."""
        while self.under_way:
            _, order = self.under_way.popitem()
            await self.create_transfer(order)

    def enter(self, kind: str, object_id: str, reference: str, amount_minor: int) -> None:
        entry = {"kind": kind, "object_id": object_id, "reference": reference, "amount_minor": amount_minor}
        number = len(self.ledger) + 1
        self.ledger.append(
            StatementEntry.model_validate({**entry, "entry_id": f"ent_{number}", "currency": "USD", "at": START})
        )

    def becomes(self, payout_id: str, status: Literal["paid", "returned", "undelivered", "refused"]) -> None:
        """The last transfer of a payout changes."""
        transfer = [one for one in self.transfers.values() if one.reference == payout_id][-1]
        self.transfers[transfer.key] = transfer.model_copy(update={"status": status})
        if status == "returned":
            self.enter("transfer_return", transfer.transfer_id, payout_id, transfer.amount_minor)
        if status == "refused":
            self.ledger = [entry for entry in self.ledger if entry.object_id != transfer.transfer_id]

    async def cancel_transfer(self, transfer_id: str) -> Transfer:
        """Stops what has not left, and takes back what did not arrive."""
        if self.away:
            raise Unavailable("The provider does not answer.")
        transfer = await self.fetch_transfer(transfer_id)
        if transfer.status == "undelivered":
            self.becomes(transfer.reference, "returned")
        elif transfer.status == "pending" and self.cancels:
            self.transfers[transfer.key] = transfer.model_copy(update={"status": "cancelled"})
            self.ledger = [entry for entry in self.ledger if entry.object_id != transfer_id]
        return await self.fetch_transfer(transfer_id)

    async def find_transfer(self, key: str) -> Transfer | None:
        if self.away:
            raise Unavailable("The provider does not answer.")
        return self.transfers.get(key)

    async def fetch_transfer(self, transfer_id: str) -> Transfer:
        for transfer in self.transfers.values():
            if transfer.transfer_id == transfer_id:
                return transfer
        raise NotFound(f"no transfer {transfer_id}")

    async def entries(self, after: str | None, limit: int = 1000) -> list[StatementEntry]:
        ids = [entry.entry_id for entry in self.ledger]
        if after and after not in ids:
            raise CursorForgotten(f"There is no movement {after}.")
        start = ids.index(after) + 1 if after else 0
        return self.ledger[start : start + limit]


def nobody_approves() -> PayoutPolicy:
    largest = CurrencyPolicy(automatic_up_to=Decimal(10_000_000), one_checker_up_to=Decimal(10_000_000))
    return PayoutPolicy(currencies={"USD": largest})


def breach_fact(name: str) -> BreachFact:
    """The account of `name` in the funded phase of `two-step` broke its daily limit."""
    return BreachFact(
        account_id=f"acc_{name}",
        challenge_id=f"chl_{name}",
        login=_login(name),
        phase_index=2,
        rule_id="daily_loss",
        offence=1,
        proof_id=f"prf_{name}",
        proof={"kind": "breach", "hash": "0" * 64},
        seq=77,
        at=START + timedelta(days=19),
        floor_minor=9_500_000,
        equity_minor=9_400_000,
        cause=True,
    )


def ref(payout_id: str) -> PayoutRef:
    return PayoutRef(payout_id=payout_id)


def _unused() -> NoReturn:
    raise AssertionError("this test has no use for that call")


@dataclass
class World:
    """The record, the outside, and the product `two-step` with an account of 100,000.00 USD in its funded phase."""

    db: Database
    venue: Venue = field(default_factory=Venue)
    provider: Provider = field(default_factory=Provider)
    payments: Payments | None = None  # None: those of `provider`

    def __post_init__(self) -> None:
        self.activities = PayoutActivities(self.deps, call_seconds=0)

    @property
    def deps(self) -> Deps:
        platform: TradingPlatform = self.venue
        provider: PaymentProvider = self.provider
        payments = self.payments or providers(provider)
        return Deps(db=self.db, platforms=platforms(platform), payments=payments)

    async def add_user(self, name: str, role: Role, *, person: str = "", trader_id: str | None = None) -> Actor:
        actor = Actor(user_id=f"usr_{name}", person_id=person or f"person-{name}", role=role, trader_id=trader_id)
        async with self.db.transaction() as session:
            session.add(
                User(
                    id=actor.user_id,
                    login=name,
                    login_index=name,
                    name=name.title(),
                    password_hash="-",
                    role=role,
                    person_id=actor.person_id,
                    trader_id=trader_id,
                )
            )
        return actor

    async def add_trader(self, name: str, *, profit_minor: int = 400_000, product: str = "two-step") -> Actor:
        """A verified trader with a bank account and a funded account that made `profit_minor`."""
        number = _login(name)
        async with self.db.transaction() as session:
            terms = await products.newest(session, product)
            session.add(
                Trader(
                    id=f"trd_{name}",
                    name=name,
                    email=f"{name}@example.com",
                    email_index=name,
                    country="DE",
                    beneficiary=f"DE{number}",
                    identity="verified",
                    created_at=START,
                )
            )
            await session.flush()
            session.add(_challenge(name, terms))
            await session.flush()
            session.add(_account(name, terms, number))
            await session.flush()
            session.add(_live(name, terms, INITIAL + profit_minor))
        self.venue.balances[number] = INITIAL + profit_minor
        return await self.add_user(name, "trader", trader_id=f"trd_{name}")

    async def add_product(self, name: str, *, rules: Sequence[Mapping[str, Any]] = (), **payout: Any) -> str:
        """`two-step` with other payout terms, and `rules` more in its funded phase; gives its name on the shelf."""
        async with self.db.transaction() as session:
            body = (await products.newest(session, "two-step")).model_dump(mode="json")
            body |= {"product": name, "name": name.title(), "payout": {**body["payout"], **payout}}
            body["funded"]["rules"] += rules
            await products.publish(session, Product.model_validate(body))
        return name

    async def policy(self, **changes: Any) -> None:
        """The firm's policy is changed; `USD` and the like change what holds for a currency."""
        async with self.db.transaction() as session:
            body = (await policies.in_force(session)).model_dump()
            for name, value in changes.items():
                if name in body:
                    body[name] = value
                else:
                    body["currencies"][name] = {**body["currencies"][name], **value}
            await policies.publish(session, PayoutPolicy.model_validate(body))

    async def no_approvals(self) -> None:
        """No payout needs anybody, for tests of amounts and dates."""
        async with self.db.transaction() as session:
            await policies.publish(session, nobody_approves())

    async def traded(self, name: str, *days: date, pnl_minor: int = 0, first: int = 0) -> None:
        """One lot bought at noon of each day and sold an hour later; the checkpoint's balance stays as it is."""
        async with self.db.transaction() as session:
            for number, day in enumerate(days, start=first):
                noon = datetime(day.year, day.month, day.day, 12, tzinfo=UTC)
                made = {"in": 0, "out": pnl_minor}
                for entry, at in (("in", noon), ("out", noon + timedelta(hours=1))):
                    balance = INITIAL + pnl_minor * number + made[entry]
                    session.add(_deal(name, entry, at, balance, made[entry], position=2 * number))

    async def market_time(self, at: datetime) -> None:
        async with self.db.transaction() as session:
            row = insert(MarketClock).values(feed="fake", watermark=at)
            await session.execute(row.on_conflict_do_update(index_elements=["feed"], set_={"watermark": at}))

    async def request(self, actor: Actor, gross_minor: int, cycle: str | None = None, rail: str = "") -> str:
        async with payout_refusals.kept(self.db), self.db.transaction() as session:
            payout = await payouts.request_payout(
                session,
                account_id=f"acc_{actor.user_id[4:]}",
                actor=actor,
                gross=Money(minor=gross_minor, currency="USD"),
                rail=rail or self.provider.name,
                payable=self.deps.payments.rails.check,
                cycle=cycle,
            )
            return payout.id

    async def paid(self, actor: Actor, gross_minor: int, *approvers: Actor, cycle: str | None = None) -> str:
        """A payout that went all the way."""
        payout_id = await self.awaiting(actor, gross_minor, cycle)
        for approver in approvers:
            await self.decide(payout_id, approver, key=f"{payout_id}/{approver.user_id}")
        await self.arrives(actor, payout_id)
        return payout_id

    async def arrives(self, actor: Actor, payout_id: str) -> None:
        """An approved payout is sent and arrives."""
        await self.activities.send_money(ref(payout_id))
        self.provider.becomes(payout_id, "paid")
        await self.activities.follow_transfer(ref(payout_id))
        assert (await self.activities.settle(ref(payout_id))).state == "paid"
        async with self.db.transaction() as session:  # what the monitor's next checkpoint says
            live = await session.get_one(AccountLive, f"acc_{actor.user_id[4:]}")
            live.balance_minor = live.equity_minor = self.venue.balances[_login(actor.user_id[4:])]

    async def awaiting(self, actor: Actor, gross_minor: int, cycle: str | None = None, rail: str = "") -> str:
        """A payout that is held, checked and waits for whoever must approve it."""
        ref = PayoutRef(payout_id=await self.request(actor, gross_minor, cycle, rail))
        await self.activities.place_hold(ref)
        await self.activities.check_risk(ref)
        return ref.payout_id

    async def decide(
        self,
        payout_id: str,
        actor: Actor,
        choice: PayoutChoice = "approve",
        key: str = "",
        reason: str = "looked at it",
        rail: str = "",
        account: str | None = None,
    ) -> str:
        """`account`: the digest that a person saw who sends it again; None: of the account that is shown now."""
        request = DecisionRequest(key=key or uuid4().hex, actor=actor, reason=reason, rail=rail)
        if choice == "send_again":
            seen = await shown_account(self.db, payout_id, rail) if account is None else account
            request = request.model_copy(update={"beneficiary": seen})
        await ask_for(self.db, "payout", payout_id, choice, request)
        decision = PayoutDecision(payout_id=payout_id, choice=choice, request=request, update_id=request.key)
        return (await self.activities.record_decision(decision)).state

    @property
    def fay(self) -> Actor:
        """The person who approves in most tests."""
        return Actor(user_id="usr_fay", person_id="person-fay", role="finance")

    async def payout(self, payout_id: str) -> Payout:
        async with self.db.transaction() as session:
            return await session.get_one(Payout, payout_id)

    async def books(self) -> tuple[int, int, int]:
        """(owed to traders, reserves included; at the provider, without what is in transit; imbalance) in minor
        units."""
        async with self.db.transaction() as session:
            return (
                await ledger.balance(session, "trader-payable", "USD")
                + await ledger.pending(session, "trader-payable", "USD"),
                await ledger.balance(session, f"provider:{self.provider.name}", "USD")
                + await ledger.balance(session, f"in-transit:{self.provider.name}", "USD"),
                await ledger.imbalance(session),
            )

    async def breached(self, name: str) -> str:
        """The monitor commits a breach of the account; the challenge's lifecycle has not heard of it. Gives its id."""
        return await asyncio.to_thread(self._commit_breach, name)

    def _commit_breach(self, name: str) -> str:
        epoch = claim_epoch(self.db.url, 0)
        fact = breach_fact(name)
        with psycopg.connect(self.db.url, autocommit=True) as connection:
            LiveWriter(connection, 0, epoch).commit_verdicts(verdict_rows([fact], epoch, datetime.now(UTC)))
        return fact.breach_id

    async def add_case(self, name: str, *accounts: str, state: str = "open") -> None:
        async with self.db.transaction() as session:
            alert = Alert(
                id=f"alr_{name}",
                key=name,
                detector="copy_trading",
                score=Decimal("0.9"),
                sentence="It copies.",
                evidence={"leader": accounts[0], "follower": accounts[-1], "pairs": []},
                occurred_at=START,
            )
            await case_rows.add_case(session, f"cas_{name}", alert, accounts, opened_at=START, state=state)

    async def case_becomes(self, name: str, state: str) -> None:
        async with self.db.transaction() as session:
            (await session.get_one(Case, f"cas_{name}")).state = state


def _login(name: str) -> int:
    return sum(map(ord, name))


def _deal(name: str, entry: str, at: datetime, balance: int, profit: int, *, position: int) -> DealRow:
    number = position + (entry == "out")
    return DealRow(
        account_id=f"acc_{name}",
        deal_id=f"{name}-{number}",
        seq=number + 1,
        at=at,
        position_id=f"{name}-{position}",
        symbol="EURUSD",
        side="buy" if entry == "in" else "sell",
        entry=entry,
        lots=Decimal(1),
        price=Decimal("1.1"),
        profit_minor=profit,
        commission_minor=0,
        swap_minor=0,
        balance_minor=balance,
        reason="client",
    )


def _challenge(name: str, terms: Product) -> Challenge:
    return Challenge(
        id=f"chl_{name}",
        trader_id=f"trd_{name}",
        product=terms.product,
        version=terms.version,
        state="funded",
        phase_index=terms.funded_index,
        account_id=f"acc_{name}",
        fee_minor=terms.fee_minor,
        currency=terms.currency,
        provider="fakepay",
        bought_at=START,
        changed_at=START,
    )


def _account(name: str, terms: Product, login: int) -> Account:
    return Account(
        id=f"acc_{name}",
        challenge_id=f"chl_{name}",
        trader_id=f"trd_{name}",
        phase_index=terms.funded_index,
        product=terms.product,
        version=terms.version,
        platform="fake",
        login=login,
        clock_group=terms.clock.group,
        currency=terms.currency,
        initial_minor=terms.initial_minor,
        status="active",
        opened_at=START,
    )


def _live(name: str, terms: Product, balance: int) -> AccountLive:
    floors = {
        rule: {"floor_minor": floor, "operator": "equity < floor", "room_minor": balance - floor}
        for rule, floor in (("daily_loss", INITIAL - 500_000), ("max_loss", INITIAL - 1_000_000))
    }
    return AccountLive(
        account_id=f"acc_{name}",
        batch=1,
        at=START,
        balance_minor=balance,
        equity_minor=balance,
        positions=[],
        floors=floors,
        rule_state={"rules": to_json(fresh(phase_terms(terms, terms.funded_index).specs))},
    )


@asynccontextmanager
async def a_firm(
    database_url: str, venue: Venue | None = None, provider: Provider | None = None
) -> AsyncIterator[World]:
    """The shelf is published; market time is past the first payout date."""
    crypto.install(crypto.FieldKeys({"k1": bytes(range(32))}))
    db = Database(database_url, pool_size=5)
    world = World(db, venue or Venue(), provider or Provider())
    async with db.transaction() as session:
        await publish_shelf(session)
        await policies.publish(session, policies.load_policy())
    await world.market_time(START + timedelta(days=20))
    yield world
    await db.close()
