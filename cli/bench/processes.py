"""The processes of the payout benchmark: the worker of the core queue, and the API that takes webhooks.

`python -m cli.bench.processes worker|api READY_FILE [PORT SECRET]`; the settings come from the environment.
"""

import asyncio
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Final

from activities.deps import Deps
from adapters.stripe.acquirer import StripeAcquirer
from adapters.stripe.client import EventSettings
from api.json_api import create_json_api
from cli.bench import bare, outside
from cli.compose import build_database, temporal
from cli.service import run_service
from cli.serving import serve_http
from front.deps import ApiDeps
from ports.acquirer import Acquirer, Acquirers
from ports.payments import Payments
from relay.drops import Drops
from relay.temporal import SharedClient
from settings import Settings, load
from worker import core_activities, core_worker
from workflows.registry import WORKFLOWS

STRIPE: Final = "stripe"
_POOL: Final = 24


async def work(settings: Settings, ready: Path, stop: asyncio.Event) -> None:
    """The worker as `propos up` runs it, with the outside in memory, and the bare workflow beside the real ones."""
    drops = Drops()
    deps = Deps(
        db=build_database(settings, pool_size=_POOL), platforms=outside.platforms(), payments=outside.payments()
    )
    client = await temporal(settings, drops.note)
    activities = [*core_activities(deps), *bare.all_activities()]
    async with core_worker(client, activities, drops, workflows=(*WORKFLOWS, bare.BareWorkflow)):
        ready.touch()
        await stop.wait()


async def serve(settings: Settings, ready: Path, secret: str, stop: asyncio.Event) -> None:
    """The API with the webhooks of Stripe; nothing here asks Stripe anything."""
    given = {"key": "sk_test_bench", "url": "http://127.0.0.1:9", "webhook_secrets": secret}
    stripe: Acquirer = StripeAcquirer(STRIPE, EventSettings.model_validate(given))
    quiet = outside.payments()
    app = create_json_api(
        ApiDeps(
            db=build_database(settings),
            temporal=SharedClient(lambda: temporal(settings)),
            payments=Payments(Acquirers({STRIPE: stripe}, STRIPE), quiet.rails, quiet.statements, quiet.identity),
            public_url=settings.api_url,
        )
    )
    ready.touch()
    await serve_http(app, settings, stop)


def main() -> None:
    name, ready, *more = sys.argv[1:]
    settings = load() if name == "worker" else load(api_port=int(more[0]))
    begin: Callable[[asyncio.Event], Awaitable[None]]
    if name == "worker":

        async def begin(stop: asyncio.Event) -> None:
            await work(settings, Path(ready), stop)
    else:

        async def begin(stop: asyncio.Event) -> None:
            await serve(settings, Path(ready), more[1], stop)

    run_service(name, settings, begin)


if __name__ == "__main__":
    main()
