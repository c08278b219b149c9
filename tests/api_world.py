"""A firm with two traders and one user per role behind the JSON API; Temporal and the provider are edge fakes."""

import re
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, Final, NoReturn
from uuid import uuid4

import httpx
from temporalio.client import WorkflowUpdateFailedError
from temporalio.exceptions import ApplicationError
from temporalio.service import RPCError, RPCStatusCode

from adapters.calendars import known_venues
from adapters.payments.sandbox import SandboxPayments
from api.json_api import create_json_api
from domain.approvals import ROLES, Actor
from domain.errors import IdempotencyMismatch, NotFound, PropOSError
from domain.keys import derived_id
from firm import dispute_policies
from firm.payouts import approving, policies
from front.deps import ApiDeps, ServiceHealth, WorkflowHandle
from ports.acquirer import Checkout, CheckoutOrder
from ports.money import WebhookEvent
from store import crypto, links
from store.db import Database
from store.identity import add_user, hash_password, open_session, sign_up_trader
from store.models import (
    Account,
    AccountLive,
    Alert,
    Breach,
    Challenge,
    DealRow,
    Dispute,
    EquityBar,
    MarketClock,
    Proof,
    Review,
    Ticket,
    TicketMessage,
    Trader,
)
from store.scope import FIRM, NOBODY
from tests import case_rows
from tests.adapters import PaymentProvider, UnusedProvider, providers
from tests.proofs import prove_by_api
from tests.rule_states import standing
from tests.shelf import publish_shelf

NOW: Final = datetime(2014, 5, 2, 21, tzinfo=UTC)
SECRET: Final = "whsec-test"
PASSWORD: Final = "correct horse battery"
_APPROVES: Final = re.compile(r"/v1/payouts/(pay_[0-9a-z]+)/approve")
IBAN: Final = "DE89370400440532013000"
INITIAL: Final = 10_000_000


@dataclass
class FakeTemporal:
    """Workflows by id: what each answers to an update, or the error it refuses with. Remembers what was sent."""

    answers: dict[str, Callable[[str, Any], dict[str, Any] | Awaitable[dict[str, Any]]]] = field(default_factory=dict)
    errors: dict[str, Exception] = field(default_factory=dict)
    sent: list[tuple[str, str, str | None]] = field(default_factory=list)
    down: bool = False

    async def connect(self) -> "FakeTemporal":
        if self.down:
            raise RuntimeError("Failed client connect")
        return self

    @property
    def service_client(self) -> ServiceHealth:
        return self

    async def check_health(self, *, timeout: timedelta | None) -> bool:
        return not self.down

    def get_workflow_handle(self, workflow_id: str, *, run_id: str | None = None) -> WorkflowHandle:
        return _Handle(self, workflow_id)

    def refuse(self, workflow_id: str, error: PropOSError) -> None:
        """Have the workflow refuse as ours do: the stable type crosses, the class does not."""
        cause = ApplicationError(error.message, type=error.type, non_retryable=True)
        self.errors[workflow_id] = WorkflowUpdateFailedError(cause)


@dataclass
class _Handle:
    temporal: FakeTemporal
    workflow_id: str

    async def execute_update(
        self, update: str, arg: Any, *, id: str | None, result_type: type | None, rpc_timeout: timedelta | None
    ) -> Any:
        self.temporal.sent.append((self.workflow_id, update, id))
        if self.workflow_id in self.temporal.errors:
            raise self.temporal.errors[self.workflow_id]
        try:
            decide = self.temporal.answers[self.workflow_id]
        except KeyError as error:  # as a server answers about a workflow that it does not have
            raise RPCError("workflow not found", RPCStatusCode.NOT_FOUND, b"") from error
        answer = decide(update, arg)
        return answer if isinstance(answer, dict) else await answer

    def fetch_history_events(self, **_: object) -> Any:
        raise RPCError("workflow not found", RPCStatusCode.NOT_FOUND, b"")


class FakePayments(UnusedProvider):
    """One checkout per key; webhooks are read by the sandbox adapter, with its real signature check."""

    name = "sandbox"

    def __init__(self) -> None:
        self.adapter = SandboxPayments(url="http://127.0.0.1:9", token="t", webhook_secret=SECRET)
        self.checkouts: dict[str, Checkout] = {}
        self.calls = 0
        self.fails: list[PropOSError] = []

    async def create_checkout(self, order: CheckoutOrder, *, key: str) -> Checkout:
        self.calls += 1
        if self.fails:
            raise self.fails.pop()
        fresh = Checkout(
            checkout_id=f"co_{len(self.checkouts) + 1}",
            key=key,
            url=f"https://pay.example/{len(self.checkouts) + 1}",
            reference=order.reference,
            status="open",
            amount_minor=order.amount_minor,
            currency=order.currency,
        )
        known = self.checkouts.setdefault(key, fresh)
        if (known.reference, known.amount_minor, known.currency) != (
            order.reference, order.amount_minor, order.currency,
        ):  # fmt: skip
            raise IdempotencyMismatch(key)
        return known

    async def find_checkout(self, key: str) -> Checkout | None:
        return self.checkouts.get(key)

    def parse_webhook(self, body: bytes, headers: Mapping[str, str], now: datetime) -> WebhookEvent | None:
        return self.adapter.parse_webhook(body, headers, now)

    async def aclose(self) -> None:
        await self.adapter.aclose()


def _unused() -> NoReturn:
    raise AssertionError("the API does not call this")


@dataclass(frozen=True)
class Person:
    """A signed-in user and what belongs to them; ids follow from the name."""

    name: str
    actor: Actor
    token: str
    csrf: str

    @property
    def trader_id(self) -> str:
        return self.actor.trader_id or ""

    def has(self, noun: Any) -> str:
        return derived_id(noun, self.name)


@dataclass
class ApiWorld:
    db: Database
    temporal: FakeTemporal
    payments: FakePayments
    http: httpx.AsyncClient
    deps: ApiDeps
    people: dict[str, Person] = field(default_factory=dict)

    async def ask(
        self,
        who: str | None,
        method: str,
        path: str,
        body: Any = None,
        *,
        key: str | None = None,
        proves: bool = True,
        **more: Any,
    ) -> httpx.Response:
        """A request as `who` (a role or a trader's name; None: nobody); POSTs get a fresh key unless one is given. An
        approval of a payout carries what is to be seen now, unless the body has a `seen`. Who is asked for a proof
        gives their password, or for the first factor a link, unless they do not want to."""
        if body is not None and "seen" not in body and (payout := _APPROVES.fullmatch(path)):
            body = await self._seen(payout.group(1), body)
        headers: dict[str, str] = dict(more.pop("headers", {}))
        if who is not None:
            headers["Authorization"] = f"Bearer {self.people[who].token}"
        if method == "POST":
            headers.setdefault("Idempotency-Key", key or uuid4().hex)
        answer = await self.http.request(method, path, json=body, headers=headers, **more)
        return await prove_by_api(self.http, answer, PASSWORD, lambda: self.link(str(who))) if proves else answer

    async def link(self, who: str) -> str:
        """The token of a link for the first factor."""
        async with self.db.transaction() as session:
            return await links.make(session, "first_factor", user_id=self.people[who].actor.user_id)

    async def _seen(self, payout_id: str, body: Any) -> Any:
        async with self.db.transaction() as session:
            with suppress(NotFound):
                return {**body, "seen": (await approving.viewed(session, FIRM, payout_id)).seen}
        return body


@asynccontextmanager
async def api_world(database_url: str, **more: Any) -> AsyncIterator[ApiWorld]:
    """Traders `tina` and `eve`, each with a breached account, a dispute and a ticket; one user per other role. `more`:
    further dependencies of the API."""
    crypto.install(crypto.FieldKeys({"k1": b"\x07" * 32}))
    db, temporal, payments = Database(database_url), FakeTemporal(), FakePayments()
    connect: Callable[[], Awaitable[FakeTemporal]] = temporal.connect
    provider: PaymentProvider = payments
    seen = Database(database_url, scope=NOBODY)  # as the process of the API makes it
    deps = ApiDeps(
        db=seen,
        temporal=connect,
        payments=providers(provider),
        public_url="http://firm.test",
        cookie_secure=False,
        venues=known_venues,
        **more,
    )
    transport = httpx.ASGITransport(app=create_json_api(deps))
    try:
        async with httpx.AsyncClient(transport=transport, base_url="http://firm.test") as http:
            world = ApiWorld(db, temporal, payments, http, deps)
            await _furnish(world)
            yield world
    finally:
        await payments.aclose()
        await seen.close()
        await db.close()


async def _furnish(world: ApiWorld) -> None:
    password_hash = await hash_password(PASSWORD)
    async with world.db.transaction() as session:
        session.add(MarketClock(feed="sandbox", watermark=NOW))
        await publish_shelf(session)
        await policies.publish(session, policies.load_policy())
        await dispute_policies.publish(session, dispute_policies.load_policy())
        for role in ROLES:
            if role != "trader":
                actor = await add_user(
                    session, login=role, name=f"{role} person", password_hash=password_hash, role=role,
                    person_id=f"person-{role}",
                )  # fmt: skip
                world.people[role] = await _person(session, role, actor)
        for name in ("tina", "eve"):
            actor = await sign_up_trader(
                session, name=f"{name} Trader", email=f"{name}@example.org", password_hash=password_hash, country="DE"
            )
            world.people[name] = await _person(session, name, actor)
            await _give_account(session, world.people[name])
        await _give_case(session, world.people["tina"])


async def _person(session: Any, name: str, actor: Actor) -> Person:
    signed_in = await open_session(session, actor)
    return Person(name, actor, signed_in.token, signed_in.csrf)


async def _give_account(session: Any, person: Person) -> None:
    """A funded two-step account, with money enough to ask for a payout, and a breach of the phase before."""
    trader = await session.get_one(Trader, person.trader_id)
    trader.beneficiary, trader.identity, trader.email_confirmed_at = IBAN, "verified", NOW
    common: dict[str, Any] = {"trader_id": person.trader_id, "product": "two-step", "version": 1}
    session.add(
        Challenge(
            id=person.has("chl"), state="funded", phase_index=3, account_id=person.has("acc"), fee_minor=54_000,
            currency="USD", checkout_id=f"co_{person.name}", bought_at=NOW, changed_at=NOW, **common,
        )
    )  # fmt: skip
    await session.flush()
    session.add(
        Account(
            id=person.has("acc"), challenge_id=person.has("chl"), phase_index=3, platform="sandbox",
            clock_group="Europe/Prague@00:00", currency="USD", initial_minor=INITIAL, status="active",
            opened_at=NOW - timedelta(days=30), **common,
        )
    )  # fmt: skip
    await session.flush()
    floors = {"daily_loss": {"floor_minor": 9_700_000, "operator": "equity < floor", "room_minor": 600_000}}
    session.add_all([
        AccountLive(
            account_id=person.has("acc"), batch=1, at=NOW, balance_minor=10_300_000, equity_minor=10_300_000,
            positions=[], floors=floors,
            rule_state=standing("two-step", 3, {"daily_loss": 9_700_000}),
        ),
        Proof(id=person.has("prf"), account_id=person.has("acc"), kind="breach", digest="0" * 64, body={"hash": "x"}),
    ])  # fmt: skip
    for number in range(5):
        session.add(_deal(person, number))
        session.add(
            EquityBar(
                account_id=person.has("acc"), minute=NOW + timedelta(minutes=number), open_minor=10_300_000,
                high_minor=10_300_000, low_minor=10_300_000, close_minor=10_300_000, balance_minor=10_300_000,
            )
        )  # fmt: skip
    await session.flush()
    await _give_dispute(session, person)


def _deal(person: Person, number: int) -> DealRow:
    return DealRow(
        account_id=person.has("acc"), deal_id=f"d{number}", seq=number, at=NOW + timedelta(minutes=number),
        position_id="p1", symbol="EURUSD", side="buy", entry="out", lots=Decimal("1.5"), price=Decimal("1.38700"),
        profit_minor=100, commission_minor=0, swap_minor=0, balance_minor=INITIAL, reason="client",
    )  # fmt: skip


async def _give_dispute(session: Any, person: Person) -> None:
    session.add(
        Breach(
            id=person.has("brc"), account_id=person.has("acc"), challenge_id=person.has("chl"), phase_index=3,
            rule_id="daily_loss", offence=1, proof_id=person.has("prf"), seq=9, occurred_at=NOW, floor_minor=9_500_000,
            equity_minor=9_499_000, status="overturned", epoch=1, received_at=NOW,
            locked_at=NOW + timedelta(milliseconds=12),
        )
    )  # fmt: skip
    ticket = Ticket(
        id=person.has("tkt"), trader_id=person.trader_id, account_id=person.has("acc"), subject="A question",
        state="open", opened_at=NOW, changed_at=NOW,
    )  # fmt: skip
    session.add(ticket)
    await session.flush()
    session.add_all([
        TicketMessage(
            id=person.has("msg"), ticket_id=ticket.id, author_id=person.actor.user_id, body="Why?", occurred_at=NOW
        ),
        Dispute(
            id=person.has("dsp"), breach_id=person.has("brc"), challenge_id=person.has("chl"),
            account_id=person.has("acc"), trader_id=person.trader_id, state="awaiting_decision",
            statement="It was not me", evidence={"spread_ratio": "4"}, opened_at=NOW,
        ),
    ])  # fmt: skip
    await session.flush()


async def _give_case(session: Any, person: Person) -> None:
    alert = Alert(
        id=derived_id("alr", "one"), key="one", detector="copy_trading", score=Decimal("0.93"),
        sentence="One mirrors the other.", evidence={"follower": person.has("acc"), "pairs": []}, occurred_at=NOW,
    )  # fmt: skip
    await case_rows.add_case(session, derived_id("cas", "one"), alert, [person.has("acc")], opened_at=NOW)
    session.add(
        Review(id=derived_id("rev", "one"), key="bad/1", kind="bad_tick", detail={}, status="open", occurred_at=NOW)
    )
