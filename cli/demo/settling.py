"""Waits until the firm and the world outside have heard all that they have to tell each other."""

import asyncio
from collections.abc import Iterable

from temporalio.client import Client

from cli.adapters import build_payments
from cli.demo.outside import SandboxClient
from cli.demo.quiescence import Quiescence
from relay.inbox import EventSweep
from settings import Settings
from store.db import Database


class Settling:
    """Files have no webhooks, and a webhook may be lost: the relay asks each connection for its events every minute.
    Market time does not wait for that minute here, so each wait asks too. Asking twice changes nothing."""

    def __init__(self, db: Database, temporal: Client, sandbox: SandboxClient, settings: Settings) -> None:
        self._core = Quiescence(db, temporal)
        self._sandbox = sandbox
        self._payments = build_payments(settings)
        self._sweeps = [EventSweep(db, source) for source in self._payments.event_sources.values()]

    async def aclose(self) -> None:
        await self._payments.aclose()

    async def reached(self, called: Iterable[str] = ()) -> None:
        """Returns when the core is idle, every webhook is delivered and every file is read. `called`: workflows that
        were called directly."""
        before = await self._sandbox.market()
        while True:
            await self._core.reached(also=called)
            market, *new = await asyncio.gather(self._sandbox.market(), *(sweep.step() for sweep in self._sweeps))
            if not any(new) and not market["pending_news"]:
                if before["pending_news"] or market["news"] != before["news"]:
                    await self._core.reached()  # some of it may have arrived after the core was idle
                return
            before = market
            await asyncio.sleep(0.02)
