"""A whole firm on real processes for one test: a small recorded market, staff, and traders who do as they are told."""

import zipfile
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

from cli.compose import field_keys
from cli.demo.actors import ApiClient, Trader
from cli.demo.mailbox import mailbox_of
from cli.demo.opening import Staff, open_firm
from cli.demo.outside import SandboxClient
from cli.demo.personas import PRODUCTS, Persona
from cli.demo.quiescence import Quiescence
from cli.stack.firm import Stack
from cli.stack.options import Quotes, StackOptions
from relay.temporal import connect
from sandbox.bank.ibans import iban_of
from store.crypto import install
from store.db import Database

DAY = datetime(2026, 3, 6, tzinfo=UTC)


def write_gold(folder: Path, quotes: Iterable[tuple[timedelta, str]], spread: str = "0.20") -> None:
    """A recorded day of XAUUSD from (time since midnight, bid)."""
    folder.mkdir(parents=True, exist_ok=True)
    lines = [f"{int(at.total_seconds() * 1000)},{Decimal(bid)},{Decimal(bid) + Decimal(spread)}" for at, bid in quotes]
    with zipfile.ZipFile(folder / f"test__tick__xauusd__{DAY:%Y%m%d}_quote.zip", "w") as archive:
        archive.writestr("quotes.csv", "\n".join(lines))


def minutes(prices: Iterable[tuple[int, str]]) -> list[tuple[timedelta, str]]:
    return [(timedelta(minutes=minute), bid) for minute, bid in prices]


@dataclass
class Firm:
    stack: Stack
    db: Database
    sandbox: SandboxClient
    staff: Staff
    rest: Quiescence
    clients: list[ApiClient] = field(default_factory=list)

    def _client(self) -> ApiClient:
        client = ApiClient(self.stack.api_url)
        self.clients.append(client)
        return client

    async def signed_in(self, login: str, password: str) -> ApiClient:
        client = self._client()
        await client.sign_in(login, password)
        return client

    async def operator(self, login: str) -> ApiClient:
        return await self.signed_in(login, self.staff.password)

    async def trader(self, number: int, product: str, temper: str = "idle", *, pays: bool = True) -> Trader:
        """Signed up and bought; its account is open when this returns, if it paid."""
        (made,) = await self.traders([number], product, temper, pays=pays)
        return made

    async def traders(
        self, numbers: Iterable[int], product: str, temper: str = "idle", *, pays: bool = True
    ) -> list[Trader]:
        """Likewise several, all at the same market time."""
        made = []
        for number in numbers:
            persona = Persona(
                number=number, seed=number, name=f"Canary Lindqvist{number}", email=f"canary.{number}@example.org",
                country="SE", iban=iban_of(f"canary {number}"), product=product, temper=temper, leader=None,
                abandons_checkout=not pays, wants_refund=False, charges_back=False, disputes=False,
                identity_holds=True,
            )  # fmt: skip
            trader = Trader(persona, self._client(), mailbox_of(self.stack.settings.data_dir))
            await trader.sign_up(f"canary-password-{number}")
            url = await trader.buy()
            if pays:
                await self.sandbox.pay(url)
            made.append(trader)
        await self.settle()
        return made

    async def account(self, trader: Trader) -> dict[str, Any]:
        """The trader's newest account as the API shows it."""
        accounts = await trader.api.items("/v1/accounts")
        return max(accounts, key=lambda account: account["phase_index"])

    async def position(self, login: int) -> str:
        """The id of the account's one open position."""
        positions = (await self.sandbox.account(login))["positions"]
        assert len(positions) == 1
        return str(positions[0]["position_id"])

    async def order(self, login: int, key: str, side: str, lots: str, position_id: str | None = None) -> None:
        body = {"key": key, "symbol": "XAUUSD", "side": side, "lots": lots, "position_id": position_id}
        await self.sandbox.order(login, body)

    async def advance(self, to: datetime) -> None:
        while await self.sandbox.advance(to) < to:
            await self.settle()
        await self.settle()

    async def settle(self, *called: str) -> None:
        """The core at rest and every webhook delivered."""
        while True:
            await self.rest.reached(also=called)
            if not (await self.sandbox.market())["pending_news"]:
                await self.rest.reached()
                return


@asynccontextmanager
async def open_for_business(
    data_dir: Path, quotes: Iterable[tuple[timedelta, str]], venues: tuple[str, ...] = ()
) -> AsyncIterator[Firm]:
    """Start everything on the given market, at midnight of the recorded day, with the staff seeded; or go on with a
    folder where it ended. `venues`: besides the sandbox."""
    market_dir = data_dir.parent / "market"
    write_gold(market_dir, quotes)
    recorded = Quotes(directory=market_dir, symbols=("XAUUSD",), date=f"{DAY:%Y-%m-%d}")
    options = StackOptions(
        data_dir=data_dir,
        quotes=recorded,
        any_ports=True,
        simulated_people=True,
        web_ui=False,
        venues=venues,
        products=PRODUCTS,
    )
    async with Stack(options) as stack:
        settings = stack.settings
        keys = settings.required("payload_keys")
        install(field_keys(settings))
        db = Database(stack.database_url)
        sandbox = SandboxClient(stack.sandbox_url, settings.required("sandbox_token"))
        temporal = await connect(stack.temporal_address, settings.temporal_namespace, keys)
        staff = await open_firm(db, settings.data_dir, settings.products_path, venues)
        firm = Firm(stack, db, sandbox, staff, Quiescence(db, temporal))
        try:
            if datetime.fromisoformat((await sandbox.market())["market_time"]) < DAY:
                await firm.advance(DAY)
            yield firm
        finally:
            for client in firm.clients:
                await client.aclose()
            await sandbox.aclose()
            await db.close()
