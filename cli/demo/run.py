"""Runs the demo: starts a stack, simulates the firm on one day of prices, and summarises the result."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

from temporalio.client import Client

from cli.compose import build_database, temporal
from cli.demo import report as demo_report
from cli.demo.actors import ApiClient
from cli.demo.opening import Staff, open_firm
from cli.demo.operators import Operator
from cli.demo.personas import PRODUCTS, personas
from cli.demo.rehearsal import CHECKING, STARTING, Rehearsal, shares
from cli.demo.venue_report import by_venue
from cli.progress import Progress, Stages
from cli.proof import export
from cli.stack.firm import Stack
from cli.stack.options import Quotes, StackOptions
from cli.stack.venues import SANDBOX
from contracts.ids import RECONCILIATION_WORKFLOW
from contracts.operations import ReconcileRequest, ReconciliationReport

_LAST_DAYS: Final = timedelta(days=5)


@dataclass(frozen=True)
class DemoOptions:
    market: Path
    symbols: tuple[str, ...]
    date: str
    accounts: int
    seed: int
    data_dir: Path
    venues: tuple[str, ...] = ()  # besides the sandbox


@asynccontextmanager
async def scripted_staff(stack: Stack, staff: Staff) -> AsyncIterator[Operator]:
    """Signs in two people each of finance and risk, one each of support and admin, each with their own login."""
    clients = [ApiClient(stack.api_url) for _ in range(6)]
    try:
        for client, login in zip(clients, ("farid", "grace", "rosa", "rui", "sam", "ana"), strict=True):
            await client.sign_in(login, staff.password)
        yield Operator((clients[0], clients[1]), (clients[2], clients[3]), *clients[4:])
    finally:
        for client in clients:
            await client.aclose()


async def run(options: DemoOptions, progress: Progress) -> dict[str, Any]:
    """Runs the demo; returns the object that `propos demo --json` prints."""
    started = time.monotonic()
    quotes = Quotes(directory=options.market, symbols=options.symbols, date=options.date)
    stack_options = StackOptions(
        data_dir=options.data_dir,
        quotes=quotes,
        seed=options.seed,
        any_ports=True,
        simulated_people=True,
        web_ui=False,
        rehearsal=True,
        venues=options.venues,
        products=PRODUCTS,
    )
    stages = Stages(progress, shares(options.accounts))
    stages(STARTING, 0.0)
    async with Stack(stack_options) as stack:
        watchdog = asyncio.create_task(stack.failure())
        simulation = asyncio.create_task(_simulate(stack, options, stages, started))
        await asyncio.wait({watchdog, simulation}, return_when=asyncio.FIRST_COMPLETED)
        if not simulation.done():
            simulation.cancel()
            await asyncio.gather(simulation, return_exceptions=True)
            await watchdog
        watchdog.cancel()
        return await simulation


async def _simulate(stack: Stack, options: DemoOptions, progress: Progress, started: float) -> dict[str, Any]:
    settings = stack.settings
    db = build_database(settings)
    client = await temporal(settings)
    rehearsal = Rehearsal(stack, db, client, progress)
    try:
        staff = await open_firm(db, settings.data_dir, settings.products_path, options.venues)
        people = personas(options.accounts, options.seed, (SANDBOX, *options.venues))
        async with scripted_staff(stack, staff) as operator:
            ticks = await rehearsal.play_the_day(people, operator, staff.password)
            await rehearsal.play_on(operator)
            # past one more reset of every clock after the last due date, and past a late statement
            progress(CHECKING, 0.0)
            await rehearsal.pass_to(rehearsal.now + _LAST_DAYS, operator)
        progress(CHECKING, 0.5)
        await _reconcile(client)
        await asyncio.to_thread(export, settings, settings.data_dir / "proofs")
        outside = await rehearsal.happened()
        seconds = time.monotonic() - started
        summary = await demo_report.summarise(db, rehearsal.names, ticks=ticks, seconds=seconds, outside=outside)
        return summary | ({"venues": await by_venue(db, rehearsal.venues)} if options.venues else {})
    finally:
        await rehearsal.close()
        await db.close()


async def _reconcile(client: Client) -> None:
    handle = client.get_workflow_handle(RECONCILIATION_WORKFLOW)
    request = ReconcileRequest(key="end of the run")
    await handle.execute_update("reconcile", request, result_type=ReconciliationReport)
