"""A firm with real Postgres, Temporal, worker and relay, and a fake outside world at port level, for lifecycles."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, Literal

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert
from temporalio.client import Client, WorkflowExecutionStatus, WorkflowHandle

from activities.deps import Deps
from activities.reconciliation import ReconciliationActivities
from contracts.ids import challenge_workflow, dispute_workflow, payout_workflow
from contracts.messages import BreachDetected, DecisionRequest, PhasePassed, ReconciliationStart
from contracts.operations import ReconciliationReport
from domain.approvals import Actor, Role
from domain.errors import (
    Conflict,
    CursorForgotten,
    IdempotencyMismatch,
    NotFound,
    OutcomeUnknown,
    PropOSError,
    Unavailable,
)
from domain.keys import derived_id
from domain.money import Money
from domain.products.phase_terms import phase_terms
from domain.products.product import Product
from domain.rules.state import fresh, to_json
from firm import challenges, disputes, wakeups
from firm.payouts import policies
from firm.payouts import refusals as payout_refusals
from firm.payouts import requests as payouts
from ports.acquirer import Chargeback, Checkout, CheckoutOrder, Evidence, Refund
from ports.money import EventKind, WebhookEvent
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
from relay.drops import Drops
from relay.inbox import EventSweep, InboxDispatcher
from relay.outbox import OutboxDispatcher
from relay.redrive import Redrive
from relay.temporal import connect
from store import crypto, inbox, ledger, outbox, products
from store.db import Database
from store.models import (
    Account,
    AccountLive,
    Breach,
    Challenge,
    Dispute,
    MarketClock,
    Payout,
    PhasePass,
    Proof,
    Review,
    Trader,
    Transition,
    User,
)
from tests import servers
from tests.adapters import PaymentProvider, UnusedProvider, platforms, providers
from tests.asked import ask_for
from tests.shelf import publish_shelf
from tests.working import working
from worker import core_activities, core_worker

KEYS = "k1:" + "QUJDREVGR0hJSktMTU5PUFFSU1RVVldYWVphYmNkZWY="  # 32 letters, for tests alone
START = datetime(2014, 5, 2, 9, tzinfo=UTC)
PATIENCE_SECONDS = 120.0


@dataclass
class Seat:
    """One account at the venue."""

    login: int
    balance_minor: int = 0
    enabled: bool = False
    locks: list[str] = field(default_factory=list)
    deals: list[Deal] = field(default_factory=list)
    positions: list[PositionState] = field(default_factory=list)


@dataclass
class Venue:
    """A trading platform that remembers every key."""

    name: str = "fake"
    seats: dict[int, Seat] = field(default_factory=dict)
    keys: dict[str, Any] = field(default_factory=dict)
    before_lock: Callable[[], Awaitable[None]] | None = None  # what happens once, while a lock is on its way
    after_freeze: Callable[[], Awaitable[None]] | None = None  # what happens after trading was switched off

    def seat(self, login: int) -> Seat:
        if login not in self.seats:
            raise NotFound(f"no login {login}")
        return self.seats[login]

    def _first(self, scope: str, given: Any) -> bool:
        if scope in self.keys:
            if self.keys[scope] != given:
                raise IdempotencyMismatch(scope)
            return False
        self.keys[scope] = given
        return True

    async def create_account(self, *, key: str, group: str, currency: str, leverage: int) -> int:
        if self._first(f"account:{key}", (group, currency, leverage)):
            login = 1000 + len(self.seats)
            self.seats[login] = Seat(login)
            self.keys[f"login:{key}"] = login
        return int(self.keys[f"login:{key}"])

    async def find_account(self, key: str) -> int | None:
        return self.keys.get(f"login:{key}")

    async def find_balance_operation(self, login: int, *, key: str, operation: BalanceKind) -> int | None:
        amount = self.keys.get(f"{operation}:{self.seat(login).login}:{key}")
        return None if amount is None else int(amount)

    async def balance_operation(self, login: int, *, key: str, operation: BalanceKind, amount_minor: int) -> None:
        seat, name = self.seat(login), f"{operation}:{login}:{key}"
        if name not in self.keys and amount_minor < 0 and seat.balance_minor + amount_minor < 0:
            raise Conflict("there is not enough on the account")
        if self._first(name, amount_minor):
            seat.balance_minor += amount_minor

    async def set_trading(self, login: int, *, key: str, enabled: bool) -> None:
        seat = self.seat(login)
        if self._first(f"trading:{login}:{key}", enabled):
            seat.enabled = enabled
        if not enabled and self.after_freeze is not None:
            await self.after_freeze()

    async def close_positions(self, login: int, *, key: str, position_ids: Sequence[str]) -> None:
        seat = self.seat(login)
        if self._first(f"close:{login}:{key}", list(position_ids)):
            seat.positions = [each for each in seat.positions if each.position_id not in position_ids]

    async def lock(self, login: int, *, key: str) -> None:
        if self.before_lock is not None:
            happens, self.before_lock = self.before_lock, None
            await happens()
        seat = self.seat(login)
        if self._first(f"lock:{login}:{key}", True):
            seat.enabled = False
            seat.positions.clear()
            seat.locks.append(key)

    async def snapshot(self, login: int) -> AccountSnapshot:
        seat = self.seat(login)
        return AccountSnapshot(
            login=login,
            currency="USD",
            balance_minor=seat.balance_minor,
            equity_minor=seat.balance_minor,
            trading_enabled=seat.enabled,
            positions=tuple(seat.positions),
            seq=1,
        )

    async def deals(self, login: int) -> list[Deal]:
        return self.seat(login).deals

    async def symbols(self) -> list[SymbolSpec]:
        return []

    def open_stream(self, reader: str = FIRST_READER) -> PlatformStream:
        raise NotFound("this venue has no feed")

    def marks(self, group: str) -> Marks:
        return "quotes"

    async def healthy(self) -> str:
        return "fake"

    async def aclose(self) -> None:
        return None


@dataclass
class Provider(UnusedProvider):
    """A payment provider: checkouts, what came of them, and transfers that stay under way."""

    name: str = "fakepay"
    checkouts: dict[str, Checkout] = field(default_factory=dict)
    refunded: list[str] = field(default_factory=list)  # keys
    made: dict[str, list[Refund]] = field(default_factory=dict)  # by checkout
    disputed: dict[str, Chargeback] = field(default_factory=dict)
    answered: dict[str, tuple[str, Evidence | None]] = field(default_factory=dict)  # chargebacks, with the key
    all_answers: list[tuple[str, Evidence | None]] = field(default_factory=list)  # oldest first, with their keys
    refuses: PropOSError | None = None  # the next refund, whatever its key
    loses_answers: int = 0  # so many refunds take effect and are not answered
    forgets_keys: bool = False  # a key is asked for again after the acquirer's day: it counts as a new refund
    away: bool = False  # no refund reaches it
    past: list[WebhookEvent] = field(default_factory=list)
    moved: list[StatementEntry] = field(default_factory=list)
    transfers: dict[str, Transfer] = field(default_factory=dict)
    orders: dict[str, tuple[object, ...]] = field(default_factory=dict)  # what was asked for under which key

    async def create_checkout(self, order: CheckoutOrder, *, key: str) -> Checkout:
        checkout_id = f"co_{key}"
        self._same(f"checkout/{key}", (order,))
        if checkout_id not in self.checkouts:
            self.checkouts[checkout_id] = Checkout(
                checkout_id=checkout_id,
                key=key,
                url=f"https://pay.example/{checkout_id}",
                reference=order.reference,
                status="open",
                amount_minor=order.amount_minor,
                currency=order.currency,
            )
        return self.checkouts[checkout_id]

    async def find_checkout(self, key: str) -> Checkout | None:
        return next((each for each in self.checkouts.values() if each.key == key), None)

    def _same(self, key: str, order: tuple[object, ...]) -> None:
        if self.orders.setdefault(key, order) != order:
            raise IdempotencyMismatch(key)

    def becomes(
        self, checkout_id: str, status: Literal["paid", "expired", "refunded", "charged_back"], **changes: object
    ) -> None:
        if status == "refunded":
            self._goes_back(checkout_id, None, "")
        elif status == "charged_back":
            self.disputes(checkout_id, status="lost", withdrawn=True)
        else:
            self._becomes(checkout_id, status=status, **changes)

    def _becomes(self, checkout_id: str, **changes: object) -> None:
        self.checkouts[checkout_id] = self.checkouts[checkout_id].model_copy(update=changes)

    def processes(self, checkout_id: str) -> None:
        """The buyer has ordered a bank debit: it settles days later."""
        self._becomes(checkout_id, status="processing")

    def disputes(self, checkout_id: str, *, number: int = 1, **state: object) -> str:
        """The buyer's bank asks for the payment back, or the chargeback changes. Returns its id."""
        checkout = self.checkouts[checkout_id]
        chargeback_id = f"cb_{checkout_id}_{number}"
        before = self.disputed.get(chargeback_id)
        if before is None:
            before = Chargeback(
                chargeback_id=chargeback_id,
                checkout_id=checkout_id,
                reference=checkout.reference,
                status="evidence_due",
                amount_minor=checkout.amount_minor - checkout.refunded_minor,
                currency=checkout.currency,
                reason="fraudulent",
                evidence_due_at=None,
                withdrawn=False,
            )
            self._becomes(checkout_id, status="paid", chargebacks=(*checkout.chargebacks, chargeback_id))
        self.disputed[chargeback_id] = before.model_copy(update=state)
        return chargeback_id

    async def fetch_chargeback(self, chargeback_id: str) -> Chargeback:
        if chargeback_id not in self.disputed:
            raise NotFound(f"no chargeback {chargeback_id}")
        return self.disputed[chargeback_id]

    async def submit_evidence(self, chargeback_id: str, evidence: Evidence, *, key: str) -> Chargeback:
        return await self._answer(chargeback_id, key, evidence, "under_review")

    async def accept_chargeback(self, chargeback_id: str, *, key: str) -> Chargeback:
        return await self._answer(chargeback_id, key, None, "lost")

    async def _answer(self, chargeback_id: str, key: str, evidence: Evidence | None, status: str) -> Chargeback:
        if self.refuses is not None:
            refusal, self.refuses = self.refuses, None
            raise refusal
        if self.disputed[chargeback_id].status in ("inquiry", "evidence_due"):
            assert key not in [sent for sent, _ in self.all_answers], "evidence is sent once"
            self.all_answers.append((key, evidence))
            self.answered[chargeback_id] = (key, evidence)
            self.disputed[chargeback_id] = self.disputed[chargeback_id].model_copy(update={"status": status})
        if self.loses_answers:
            self.loses_answers -= 1
            raise OutcomeUnknown("no answer")
        return self.disputed[chargeback_id]

    def _goes_back(self, checkout_id: str, amount_minor: int | None, key: str) -> Refund:
        checkout, made = self.checkouts[checkout_id], self.made.setdefault(checkout_id, [])
        left = checkout.amount_minor - checkout.refunded_minor
        amount = left if amount_minor is None else amount_minor
        if amount > left or not left:
            raise Conflict("so much is not left")
        refund = Refund(
            refund_id=f"re_{len(made) + 1}_{checkout_id}",
            key=key,
            checkout_id=checkout_id,
            status="succeeded",
            amount_minor=amount,
            currency=checkout.currency,
        )
        made.append(refund)
        self._becomes(checkout_id, status="paid", refunded_minor=checkout.refunded_minor + amount)
        return refund

    def refund_fails(self, checkout_id: str, why: str = "account closed") -> None:
        """The bank of the buyer sends the newest refund back, days later."""
        failed = self.made[checkout_id].pop()
        self.made[checkout_id].append(failed.model_copy(update={"status": "failed", "failure": why}))
        back = self.checkouts[checkout_id].refunded_minor - failed.amount_minor
        self._becomes(checkout_id, refunded_minor=back)
        self.tells("charge.refunded", checkout_id)

    async def refunds(self, checkout_id: str) -> list[Refund]:
        return self.made.get(checkout_id, [])

    async def find_refund(self, checkout_id: str, key: str) -> Refund | None:
        return next((refund for refund in await self.refunds(checkout_id) if refund.key == key), None)

    def takes(self, checkout_id: str, **paid: object) -> None:
        """The checkout is paid, with `amount_minor`, `currency` or `reference` other than was asked for."""
        self.checkouts[checkout_id] = self.checkouts[checkout_id].model_copy(update={"status": "paid", **paid})

    def tells(self, kind: EventKind, object_id: str) -> None:
        """An event that the provider keeps; whether its webhook comes is for the test."""
        event_id = f"ev_{len(self.past) + 1}"
        self.past.append(WebhookEvent(event_id=event_id, kind=kind, object_id=object_id, created_at=START))

    def refund_at_desk(self, checkout_id: str, amount_minor: int | None = None) -> None:
        """Somebody refunds all of it, or a part, on the provider's own pages."""
        refund = self._goes_back(checkout_id, amount_minor, "")
        self.moves("refund", checkout_id, -refund.amount_minor)
        self.tells("charge.refunded", checkout_id)

    def moves(self, kind: Literal["charge", "refund", "dispute"], checkout_id: str, amount_minor: int) -> None:
        """A row of the provider's own list of movements."""
        checkout = self.checkouts[checkout_id]
        self.moved.append(
            StatementEntry(
                entry_id=f"en_{len(self.moved) + 1}",
                object_id=checkout_id,
                reference=checkout.reference,
                kind=kind,
                amount_minor=amount_minor,
                currency=checkout.currency,
                at=START,
            )
        )

    async def fetch_checkout(self, object_id: str) -> Checkout:
        checkout_id = object_id
        if checkout_id not in self.checkouts:
            raise NotFound(f"no checkout {checkout_id}")
        return self.checkouts[checkout_id]

    async def expire_checkout(self, checkout_id: str, *, key: str) -> Checkout:
        if (await self.fetch_checkout(checkout_id)).status == "open":
            self.becomes(checkout_id, "expired")
        return self.checkouts[checkout_id]

    async def refund(self, checkout_id: str, *, key: str, amount_minor: int | None = None) -> Refund:
        if self.away:
            raise Unavailable("The provider cannot be reached.")
        if self.refuses is not None:
            refusal, self.refuses = self.refuses, None
            raise refusal
        checkout = await self.fetch_checkout(checkout_id)
        if key not in self.refunded or self.forgets_keys:
            if checkout.status != "paid" or checkout.chargebacks:
                raise Conflict("only a paid checkout can go back")
            self._goes_back(checkout_id, amount_minor, key)
            self.refunded.append(key)
        if self.loses_answers:
            self.loses_answers -= 1
            raise OutcomeUnknown("no answer")
        found = await self.find_refund(checkout_id, key)
        assert found is not None
        return found

    async def create_transfer(self, order: TransferOrder) -> Transfer:
        key = order.key
        self._same(f"transfer/{key}", (order,))
        if key not in self.transfers:
            self.transfers[key] = Transfer(
                transfer_id=f"tr_{len(self.transfers) + 1}",
                key=key,
                reference=order.reference,
                status="pending",
                amount_minor=order.amount_minor,
                currency=order.currency,
            )
        return self.transfers[key]

    async def fetch_transfer(self, transfer_id: str) -> Transfer:
        for transfer in self.transfers.values():
            if transfer.transfer_id == transfer_id:
                return transfer
        raise NotFound(f"no transfer {transfer_id}")

    async def find_transfer(self, key: str) -> Transfer | None:
        return self.transfers.get(key)

    async def entries(self, after: str | None, limit: int = 1000) -> list[StatementEntry]:
        ids = [entry.entry_id for entry in self.moved]
        return self.moved[_after(ids, after) :][:limit]

    async def events(self, after: str | None) -> list[WebhookEvent]:
        ids = [event.event_id for event in self.past]
        return self.past[_after(ids, after) :]

    def parse_webhook(self, body: bytes, headers: Mapping[str, str], now: datetime) -> WebhookEvent | None:
        return WebhookEvent.model_validate_json(body)


def _after(ids: list[str], cursor: str | None) -> int:
    """Where a list goes on after `cursor`. Raises CursorForgotten."""
    if cursor is None:
        return 0
    if cursor not in ids:
        raise CursorForgotten(f"There is nothing under the id {cursor}.")
    return ids.index(cursor) + 1


@dataclass
class Firm:
    db: Database
    client: Client
    venue: Venue
    provider: Provider
    relay: OutboxDispatcher
    redrive: Redrive

    async def add_user(self, name: str, role: Role, trader_id: str | None = None) -> Actor:
        actor = Actor(user_id=f"usr_{name}", person_id=f"person-{name}", role=role, trader_id=trader_id)
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

    async def add_trader(self, name: str, identity: str = "unverified") -> Actor:
        async with self.db.transaction() as session:
            session.add(
                Trader(
                    id=f"trd_{name}",
                    name=name,
                    email=f"{name}@example.com",
                    email_index=name,
                    country="DE",
                    identity=identity,
                    beneficiary=f"DE {name}",
                    created_at=START,
                )
            )
        return await self.add_user(name, "trader", f"trd_{name}")

    async def market_time(self, at: datetime) -> None:
        async with self.db.transaction() as session:
            row = insert(MarketClock).values(feed="fake", watermark=at)
            await session.execute(row.on_conflict_do_update(index_elements=["feed"], set_={"watermark": at}))

    async def buy(self, actor: Actor, product: str = "two-step") -> str:
        async with self.db.transaction() as session:
            row = await challenges.buy(
                session,
                trader_id=actor.trader_id or "",
                product=await products.newest(session, product),
                return_url="https://firm.example/",
                provider=self.provider.name,
                actor=actor,
            )
        await self.until(lambda: self._has_checkout(row.id))
        return row.id

    async def _has_checkout(self, challenge_id: str) -> bool:
        return (await self.challenge(challenge_id)).checkout_id is not None

    async def lenient_product(self) -> str:
        """`two-step` whose phases can be extended once by 14 days and taken again; gives its name on the shelf."""
        async with self.db.transaction() as session:
            body = (await products.newest(session, "two-step")).model_dump(mode="json")
            body |= {"product": "lenient"}
            for phase in body["phases"]:
                phase |= {"extension": {"days": 14, "times": 1}, "free_retake": True}
            await products.publish(session, Product.model_validate(body))
        return "lenient"

    async def pay(self, challenge_id: str) -> None:
        checkout_id = str((await self.challenge(challenge_id)).checkout_id)
        self.provider.becomes(checkout_id, "paid")
        await self.signal(challenge_id, "payment_settled", {"key": f"paid/{challenge_id}", "checkout_id": checkout_id})

    async def bought(self, actor: Actor, product: str = "two-step") -> str:
        """A paid challenge whose first account trades."""
        challenge_id = await self.buy(actor, product)
        await self.pay(challenge_id)
        await self.becomes(challenge_id, "funded" if product == "instant" else "active")
        return challenge_id

    async def signal(self, challenge_id: str, name: str, payload: dict[str, Any]) -> None:
        async with self.db.transaction() as session:
            await outbox.signal_workflow(
                session,
                key=f"{name}/{payload['key']}",
                workflow_id=challenge_workflow(challenge_id),
                name=name,
                payload=payload,
            )

    async def breach(
        self,
        challenge_id: str,
        *,
        equity_minor: int = 8_990_000,
        offence: int = 1,
        account: Account | None = None,
        at: datetime | None = None,
    ) -> str:
        """What the monitor commits and sends when an account breaks its maximum loss: the current account now, or an
        earlier one at an earlier time."""
        row = await self.challenge(challenge_id)
        account = account or await self.account(challenge_id)
        breach_id = derived_id("brc", account.id, row.phase_index, "max_loss", offence)
        now = at or await self.now()
        quote = {"symbol": "XAUUSD", "bid": "1290.10", "ask": "1290.50"}
        body = {"event": {"symbol": "XAUUSD"}, "positions": [{"quote": quote}], "hash": "0" * 64}
        async with self.db.transaction() as session:
            proof = Proof(id=f"prf_{breach_id[4:]}", account_id=account.id, kind="breach", digest="0" * 64, body=body)
            session.add(proof)
            await session.flush()
            session.add(
                Breach(
                    id=breach_id,
                    account_id=account.id,
                    challenge_id=challenge_id,
                    phase_index=row.phase_index,
                    rule_id="max_loss",
                    offence=offence,
                    proof_id=proof.id,
                    seq=10 * offence,
                    occurred_at=now,
                    floor_minor=9_000_000,
                    equity_minor=equity_minor,
                    epoch=1,
                    received_at=now,
                )
            )
            floors = {"max_loss": {"floor_minor": 9_000_000, "operator": "equity < floor", "room_minor": -1}}
            live = {"account_id": account.id, "batch": 1, "at": now, "balance_minor": equity_minor}
            specs = phase_terms(
                await products.load(session, account.product, account.version), account.phase_index
            ).specs
            state = {"rules": to_json(fresh(specs))}
            live |= {"equity_minor": equity_minor, "positions": [], "floors": floors, "rule_state": state}
            await session.execute(insert(AccountLive).values(live).on_conflict_do_nothing())
        assert account.login is not None
        self.venue.seats[account.login].balance_minor = equity_minor
        await self.venue.lock(account.login, key=f"lock/{breach_id}")
        fact = BreachDetected(key=f"breach/{breach_id}", breach_id=breach_id, account_id=account.id, occurred_at=now)
        await self.signal(challenge_id, "breach_detected", fact.model_dump(mode="json"))
        return breach_id

    async def passes(self, challenge_id: str) -> None:
        """What the monitor commits and sends when an account reaches its target."""
        row, account, now = await self.challenge(challenge_id), await self.account(challenge_id), await self.now()
        pass_id = derived_id("psg", account.id, row.phase_index)
        async with self.db.transaction() as session:
            session.add(Proof(id=f"prf_{pass_id[4:]}", account_id=account.id, kind="pass", digest="1" * 64, body={}))
            await session.flush()
            session.add(
                PhasePass(
                    id=pass_id,
                    account_id=account.id,
                    challenge_id=challenge_id,
                    phase_index=row.phase_index,
                    proof_id=f"prf_{pass_id[4:]}",
                    seq=9,
                    occurred_at=now,
                    balance_minor=10_800_000,
                )
            )
        fact = PhasePassed(key=f"pass/{pass_id}", pass_id=pass_id, account_id=account.id, occurred_at=now)
        await self.signal(challenge_id, "phase_passed", fact.model_dump(mode="json"))

    async def review_opens(self, kind: str) -> Review:
        """The only review of this kind, once it is there."""

        async def there() -> bool:
            return bool(await self.reviews(kind))

        await self.until(there)
        (found,) = await self.reviews(kind)
        return found

    async def books_say(self, **balances: int) -> None:
        async def so() -> bool:
            return await self.books() == balances

        await self.until(so)

    async def earns(self, challenge_id: str, profit_minor: int) -> None:
        """A profit on the funded account, as the venue and the monitor's checkpoint have it."""
        account = await self.account(challenge_id)
        seat = self.venue.seats[account.login or 0]
        seat.balance_minor += profit_minor
        async with self.db.transaction() as session:
            terms = await products.load(session, account.product, account.version)
            specs = phase_terms(terms, account.phase_index).specs
            live = {"account_id": account.id, "batch": 1, "at": START, "balance_minor": seat.balance_minor}
            live |= {"equity_minor": seat.balance_minor, "positions": [], "floors": {}}
            live |= {"rule_state": {"rules": to_json(fresh(specs))}}
            await session.execute(insert(AccountLive).values(live))

    async def ask_payout(self, challenge_id: str, actor: Actor, gross_minor: int) -> str:
        account = await self.account(challenge_id)
        async with payout_refusals.kept(self.db), self.db.transaction() as session:
            gross = Money(minor=gross_minor, currency="USD")
            payout = await payouts.request_payout(
                session,
                account_id=account.id,
                actor=actor,
                gross=gross,
                rail=self.provider.name,
                payable=providers(self.provider).rails.check,
            )
            return payout.id

    async def payout(self, payout_id: str) -> Payout:
        async with self.db.transaction() as session:
            return await session.get_one(Payout, payout_id)

    async def payout_becomes(self, payout_id: str, state: str) -> None:
        async def there() -> bool:
            return (await self.payout(payout_id)).state == state

        await self.until(there)

    async def arrives(self, payout_id: str) -> None:
        """The provider reports that the transfer of a payout has arrived."""
        await self.payout_becomes(payout_id, "sent")
        for key, transfer in self.provider.transfers.items():
            self.provider.transfers[key] = transfer.model_copy(update={"status": "paid"})
        async with self.db.transaction() as session:
            await outbox.signal_workflow(
                session,
                key=f"arrived/{payout_id}",
                workflow_id=payout_workflow(payout_id),
                name="transfer_changed",
                payload={"key": f"arrived/{payout_id}", "transfer_id": "tr_1"},
            )
        await self.payout_becomes(payout_id, "paid")

    async def dispute(self, breach_id: str, actor: Actor) -> str:
        async with self.db.transaction() as session:
            row = await disputes.open_dispute(session, breach_id=breach_id, actor=actor, statement="The price was odd.")
        await self.until(lambda: self._dispute_is(row.id, "awaiting_decision"))
        return row.id

    async def decide(self, dispute_id: str, decision: str, actor: Actor, *, key: str = "d1") -> dict[str, Any]:
        """This person decides, and a second one agrees where the policy asks for two. Returns the last answer."""
        result = await self.vote(dispute_id, decision, actor, key=key)
        if result["approvals"] < result["approvals_needed"]:
            second = await self.add_user(f"second-{dispute_id[-6:]}", "risk")
            result = await self.vote(dispute_id, decision, second, key=key)
        return result

    async def vote(
        self, dispute_id: str, decision: str, actor: Actor, *, key: str = "d1", **said: str
    ) -> dict[str, Any]:
        request = DecisionRequest(
            key=f"{actor.user_id}-{key}", actor=actor, **({"reason": "Looked at the evidence."} | said)
        )
        await ask_for(self.db, "dispute", dispute_id, decision, request)
        handle: WorkflowHandle[Any, Any] = self.client.get_workflow_handle(dispute_workflow(dispute_id))
        result: dict[str, Any] = await handle.execute_update(decision, request, id=request.key)
        return result

    async def dispute_becomes(self, dispute_id: str, state: str) -> None:
        await self.until(lambda: self._dispute_is(dispute_id, state))

    async def _dispute_is(self, dispute_id: str, state: str) -> bool:
        async with self.db.transaction() as session:
            return (await session.get_one(Dispute, dispute_id)).state == state

    async def becomes(self, challenge_id: str, state: str, phase_index: int | None = None) -> None:
        async def there() -> bool:
            row = await self.challenge(challenge_id)
            return row.state == state and phase_index in (None, row.phase_index)

        await self.until(there)

    async def ends(self, challenge_id: str, state: str) -> None:
        """The record and the workflow both say so."""
        await self.becomes(challenge_id, state)
        async with asyncio.timeout(PATIENCE_SECONDS):
            assert await self.handle(challenge_id).result() == state

    async def becomes_running(self, challenge_id: str) -> None:
        """The next run of the workflow is under way."""

        async def runs() -> bool:
            return (await self.handle(challenge_id).describe()).status == WorkflowExecutionStatus.RUNNING

        await self.until(runs)

    def handle(self, challenge_id: str) -> WorkflowHandle[Any, Any]:
        return self.client.get_workflow_handle(challenge_workflow(challenge_id))

    async def until(self, condition: Any) -> None:
        """Run relay and wake-ups until `condition` holds."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not await condition():
            assert time.monotonic() < deadline, "it did not come to that in time"
            await self.pump()

    async def pump(self) -> None:
        async with self.db.transaction() as session:
            fired = await wakeups.fire(session, limit=100)
        if not await self.relay.step() and not fired:
            await asyncio.sleep(0.02)

    async def quiet(self) -> None:
        """Everything on its way has arrived and been acted on: the outbox is empty, and no workflow has a task or an
        activity that is due for the first time."""
        deadline, at_rest = time.monotonic() + PATIENCE_SECONDS, 0
        while at_rest < 2:  # a run that has just begun is listed a moment later
            assert time.monotonic() < deadline, "the workflows did not come to rest in time"
            moving = await self.relay.step() or await servers.at_work(self.client)
            at_rest = 0 if moving else at_rest + 1
            await asyncio.sleep(0.03)

    async def now(self) -> datetime:
        async with self.db.transaction() as session:
            return (await session.scalars(select(MarketClock.watermark))).one()

    async def challenge(self, challenge_id: str) -> Challenge:
        async with self.db.transaction() as session:
            return await session.get_one(Challenge, challenge_id)

    async def account(self, challenge_id: str) -> Account:
        row = await self.challenge(challenge_id)
        async with self.db.transaction() as session:
            return await session.get_one(Account, str(row.account_id))

    async def steps(self, kind: str, subject_id: str) -> list[str]:
        """The triggers that were taken, in order."""
        async with self.db.transaction() as session:
            rows = await session.scalars(
                select(Transition.trigger)
                .where(Transition.subject_kind == kind, Transition.subject_id == subject_id)
                .order_by(Transition.id)
            )
            return list(rows)

    async def books(self) -> dict[str, int]:
        async with self.db.transaction() as session:
            names = (f"provider:{self.provider.name}", "fees", "chargebacks")
            return {name.split(":")[0]: await ledger.balance(session, name, "USD") for name in names}

    async def balance(self, account: str, currency: str = "USD") -> int:
        async with self.db.transaction() as session:
            return await ledger.balance(session, account, currency)

    async def news(self) -> None:
        """The sweep finds every event of the provider, the relay routes it, and all of it is acted on."""
        await EventSweep(self.db, self.provider).step()
        await InboxDispatcher(self.db, providers(self.provider)).step()
        await self.quiet()

    async def reconcile(self) -> ReconciliationReport:
        deps = Deps(db=self.db, platforms=platforms(self.venue), payments=providers(self.provider))
        return await ReconciliationActivities(deps).reconcile(ReconciliationStart())

    async def reviews(self, kind: str) -> list[Review]:
        async with self.db.transaction() as session:
            found = select(Review).where(Review.kind == kind).order_by(Review.occurred_at, Review.id)
            return list(await session.scalars(found))

    async def webhook(self, event_id: str, kind: str, object_id: str) -> bool:
        async with self.db.transaction() as session:
            return await inbox.receive(
                session, provider=self.provider.name, event_id=event_id, kind=kind, object_id=object_id
            )


def deal(login: int) -> Deal:
    return Deal(
        seq=1,
        at=START,
        deal_id="d1",
        login=login,
        position_id="p1",
        symbol="XAUUSD",
        side="buy",
        lots=Decimal("0.1"),
        price=Decimal(1290),
        entry="in",
        profit_minor=0,
        commission_minor=0,
        swap_minor=0,
        balance_minor=10_000_000,
        reason="client",
    )


@asynccontextmanager
async def a_firm(
    database_url: str,
    temporal_address: str,
    venue: Venue | None = None,
    provider: Any = None,
    others: Sequence[Venue] = (),
) -> AsyncIterator[Firm]:
    """Open for business at START, with a worker. `provider`: a PaymentProvider; the fake of this module without it.
    `others`: further platforms, which get no new challenges."""
    crypto.install(crypto.FieldKeys.parse(KEYS))
    db = Database(database_url, pool_size=5)
    venue, provider = venue or Venue(), provider or Provider()
    platform: TradingPlatform = venue
    payments: PaymentProvider = provider
    deps = Deps(db=db, platforms=platforms(platform, *others), payments=providers(payments))
    drops = Drops()
    client = await connect(temporal_address, servers.NAMESPACE, KEYS, drops.note)

    async def connected() -> Client:
        return client

    relay, redrive = OutboxDispatcher(db, connected, deps.platforms), Redrive(db, connected, tuple)
    firm = Firm(db, client, venue, provider, relay, redrive)
    async with db.transaction() as session:
        await publish_shelf(session)
        await policies.publish(session, policies.load_policy())
    await firm.market_time(START)
    # no cache: every task replays from the beginning, so that what is not deterministic shows
    async with working(core_worker(client, core_activities(deps), drops, max_cached_workflows=0)):
        yield firm
    await db.close()


def after(days: float = 0, hours: float = 0) -> datetime:
    return START + timedelta(days=days, hours=hours)
