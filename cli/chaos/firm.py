"""The firm under chaos: a stack of real processes on one rising day of gold, and traders with profit to pay out."""

import asyncio
import os
import signal
import time
import zipfile
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any, Final, TypeVar

import httpx
from psycopg import Error as PsycopgError
from sqlalchemy.exc import DBAPIError
from temporalio.client import Client
from temporalio.service import RPCError

from cli.chaos.plan import AUTOMATIC_UP_TO, ONE_CHECKER_UP_TO, PlannedPayout
from cli.compose import build_database, temporal
from cli.demo.actors import ApiClient, Trader
from cli.demo.mailbox import mailbox_of
from cli.demo.opening import Staff, open_firm
from cli.demo.outside import SandboxClient
from cli.demo.personas import Persona
from cli.demo.settling import Settling
from cli.progress import Progress
from cli.stack.firm import Stack
from cli.stack.options import Quotes, StackOptions
from domain.errors import Unavailable
from domain.payouts.policy import CurrencyPolicy, PayoutPolicy
from firm.payouts import policies
from relay.redrive import Redrive
from sandbox.bank.ibans import iban_of
from store.db import Database

T = TypeVar("T")

DAY: Final = datetime(2026, 3, 6, tzinfo=UTC)
_MINUTES: Final = 120
_PATIENCE_SECONDS: Final = 150.0
_AT_ONCE: Final = 6
_MARKS: Final = {"refused": " Unknown-Account", "returned": " Closed-Account"}
# How a process ends: at once, without a chance to tidy up. PostgreSQL and its children take SIGQUIT for that.
_SIGNALS: Final = {"postgres": signal.SIGQUIT}
OUTAGES: Final = (Unavailable, httpx.TransportError, DBAPIError, PsycopgError, RPCError, OSError)


@dataclass
class Payee:
    """A planned payout and its trader. `money`: of the account before any payout, in minor units."""

    plan: PlannedPayout
    trader: Trader
    account_id: str = ""
    login: int = 0
    money: int = 0
    payout_id: str = ""


@dataclass
class ChaosFirm:
    stack: Stack
    db: Database
    temporal: Client
    sandbox: SandboxClient
    staff: Staff
    settling: Settling
    redrive: Redrive
    progress: Progress
    now: datetime = DAY
    clients: list[Payee] = field(default_factory=list)
    people: dict[str, ApiClient] = field(default_factory=dict)
    happened: Counter[str] = field(default_factory=Counter)
    roles: list[tuple[datetime, str, str]] = field(default_factory=list)  # (wall time, login, role from then on)

    async def kill(self, name: str) -> None:
        """Kills a process and waits until the supervisor has started it again. One that is just being started is killed
        when it runs."""

        async def running() -> int:
            if (pid := self.stack.pid(name)) is None:
                raise Unavailable(f"{name} does not run now.")
            return pid

        before = await patiently(running, f"{name} runs")
        os.kill(before, _SIGNALS.get(name, signal.SIGKILL))
        self.happened[f"{name}_killed"] += 1
        await until(lambda: self._is_back(name, before), f"{name} runs again")

    async def _is_back(self, name: str, before: int) -> bool:
        if self.stack.pid(name) in (None, before):
            return False
        if name == "sandbox":
            await self.sandbox.market()
        return True

    async def settle(self, called: Iterable[str] = ()) -> None:
        """Waits until the core is idle and has heard all news. Also looks for workflows that somebody ended, as the
        relay does every half minute."""

        async def work() -> None:
            while await self.redrive.step():
                continue
            await self.settling.reached(called)

        await patiently(work, "the firm is idle")

    async def advance(self, until_time: datetime) -> None:
        """Moves market time, and lets the firm act whenever it pauses."""
        while self.now < until_time:
            self.now = await patiently(lambda: self.sandbox.advance(until_time), "market time moves")
            await self.settle()

    async def person(self, login: str) -> ApiClient:
        """Returns a signed-in member of staff."""
        if login not in self.people:
            self.people[login] = ApiClient(self.stack.api_url)
        client = self.people[login]
        await patiently(lambda: client.sign_in(login, self.staff.password), f"{login} signs in")
        return client


async def until(condition: Callable[[], Awaitable[bool]], what: str, seconds: float = _PATIENCE_SECONDS) -> None:
    """Waits for a condition. An outage counts as not yet. Raises Unavailable."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            if await condition():
                return
        except OUTAGES:
            pass
        if time.monotonic() > deadline:
            raise Unavailable(f"It did not happen within {seconds:.0f} s: {what}.")
        await asyncio.sleep(0.05)


async def patiently(work: Callable[[], Awaitable[T]], what: str, seconds: float = _PATIENCE_SECONDS) -> T:
    """Returns what `work` returns, repeated while a part of the firm is away. `work` must be safe to repeat."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            return await work()
        except OUTAGES as error:
            if time.monotonic() > deadline:
                raise Unavailable(f"It did not happen within {seconds:.0f} s: {what}. {error}") from error
        await asyncio.sleep(0.3)


@asynccontextmanager
async def open_for_chaos(folder: Path, progress: Progress) -> AsyncIterator[ChaosFirm]:
    """Starts everything at midnight of the recorded day."""
    market = folder.parent / f"{folder.name}-market"
    _write_gold(market)
    quotes = Quotes(directory=market, symbols=("XAUUSD",), date=f"{DAY:%Y-%m-%d}")
    progress("starting the firm", 0.0)
    async with Stack(
        StackOptions(data_dir=folder, quotes=quotes, any_ports=True, simulated_people=True, web_ui=False)
    ) as stack:
        settings = stack.settings
        db, client = build_database(settings), await temporal(settings)
        sandbox = SandboxClient(stack.sandbox_url, settings.required("sandbox_token"))
        settling = Settling(db, client, sandbox, settings)

        async def connected() -> Client:
            return client

        staff = await open_firm(db, settings.data_dir, settings.products_path)
        band = CurrencyPolicy(automatic_up_to=Decimal(AUTOMATIC_UP_TO), one_checker_up_to=Decimal(ONE_CHECKER_UP_TO))
        async with db.transaction() as session:
            await policies.publish(session, PayoutPolicy(currencies={"USD": band}))
        firm = ChaosFirm(stack, db, client, sandbox, staff, settling, Redrive(db, connected, tuple), progress)
        try:
            await firm.advance(DAY + timedelta(minutes=1))
            yield firm
        finally:
            await settling.aclose()
            await sandbox.aclose()
            await db.close()
            for api in (*firm.people.values(), *(each.trader.api for each in firm.clients)):
                await api.aclose()


async def open_accounts(firm: ChaosFirm, plans: list[PlannedPayout], seed: int) -> None:
    """Gives every planned payout a trader with a funded account, a closed profit, a checked identity, and a place to be
    paid to; lets the waiting time of the product pass."""
    gate, mailbox = asyncio.Semaphore(_AT_ONCE), mailbox_of(firm.stack.settings.data_dir)
    done = 0

    async def one(planned: PlannedPayout) -> Payee:
        nonlocal done
        async with gate:
            trader = Trader(_persona(planned, seed), ApiClient(firm.stack.api_url), mailbox)
            await trader.sign_up("chaos-password-1")
            await firm.sandbox.pay(await trader.buy())
            done += 1
            firm.progress("buying challenges", done / len(plans))
            return Payee(planned, trader)

    firm.clients = list(await asyncio.gather(*(one(planned) for planned in plans)))
    for each in firm.clients:
        if each.plan.rail == "stripe":
            await firm.sandbox.complete_account(await each.trader.open_payee())
    await firm.settle()
    risk = await firm.person("rosa")
    for each in firm.clients:
        (account,) = await each.trader.api.items("/v1/accounts")
        each.account_id, each.login = account["id"], account["login"]
        await firm.sandbox.order(each.login, _order(f"open-{each.login}", "buy"))
        body = {"verified": True, "reason": "Documents match."}
        await risk.post(f"/v1/traders/{each.trader.trader_id}/identity", body)
    await firm.advance(DAY + timedelta(minutes=_MINUTES - 5))
    for each in firm.clients:
        (position,) = (await firm.sandbox.account(each.login))["positions"]
        order = _order(f"close-{each.login}", "sell") | {"position_id": position["position_id"]}
        await firm.sandbox.order(each.login, order)
    await firm.settle()
    await firm.advance(DAY + timedelta(days=10, hours=6))  # a Monday morning
    for each in firm.clients:
        each.money = int((await firm.sandbox.account(each.login))["balance_minor"])


def _order(key: str, side: str) -> dict[str, Any]:
    return {"key": key, "symbol": "XAUUSD", "side": side, "lots": "2", "position_id": None}


def _persona(planned: PlannedPayout, seed: int) -> Persona:
    number, rail = planned.number, planned.rail
    return Persona(
        number=number, seed=number, name=f"Chaos{number} Berg{_MARKS.get(planned.fate, '')}",
        email=f"chaos.{number}@example.org", country="DE", iban=_safe_iban(planned, seed), product="instant",
        temper="idle", leader=None, abandons_checkout=False, wants_refund=False, charges_back=False, disputes=False,
        identity_holds=True, connects=rail == "stripe",
    )  # fmt: skip


def _safe_iban(planned: PlannedPayout, seed: int) -> str:
    return iban_of(f"chaos {seed}/{planned.number}")


def _write_gold(folder: Path) -> None:
    """One quote a minute; the price rises by 50 dollars."""
    folder.mkdir(parents=True)
    lines = []
    for minute in range(_MINUTES):
        bid = 2650 + minute / 2
        lines.append(f"{minute * 60_000},{bid:.3f},{bid + 0.2:.3f}")
    with zipfile.ZipFile(folder / f"chaos__tick__xauusd__{DAY:%Y%m%d}_quote.zip", "w") as archive:
        archive.writestr("quotes.csv", "\n".join(lines))
