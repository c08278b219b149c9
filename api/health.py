"""Is the process there, can it work, and the numbers for Prometheus."""

import asyncio
from collections.abc import Mapping
from datetime import timedelta
from ipaddress import ip_address

from fastapi import APIRouter, Request, Response
from prometheus_client import CONTENT_TYPE_LATEST
from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError
from temporalio.service import RPCError

from api.metrics import Metrics
from domain.errors import NotFound, Unavailable
from front.auth import Deps, caller_of
from front.deps import ApiDeps
from front.permissions import right_of
from front.subjects.subject import kinds
from front.updates import connected
from store.read import queue
from store.read.delivery import Delivery, delivery, feed_ages
from store.read.pages import View
from store.scope import FIRM

router = APIRouter(tags=["health"])
_SECONDS = 3
_LAG_SECONDS = 60


class Health(View):
    status: str


class Readiness(View):
    """Part -> "ok", or what is wrong with it."""

    ready: bool
    parts: dict[str, str]


@router.get("/healthz")
async def get_health() -> Health:
    return Health(status="ok")


@router.get("/readyz", responses={503: {"model": Readiness, "description": "A part is down; `parts` says which."}})
async def get_readiness(deps: Deps, response: Response) -> Readiness:
    """503 while the database or the workflow engine cannot be reached, the relay has fallen behind, the worker or the
    monitor does nothing, or the disk is nearly full."""
    database, temporal, others = await asyncio.gather(_database(deps), _temporal(deps), _others(deps))
    relay = "unknown"
    if database == "ok":
        async with deps.db.transaction(FIRM) as session:
            relay = _relay(await delivery(session))
    parts = {"database": database, "temporal": temporal, "relay": relay, **others}
    ready = all(state == "ok" for state in parts.values())
    if not ready:
        response.status_code = 503
    return Readiness(ready=ready, parts=parts)


async def _database(deps: ApiDeps) -> str:
    try:
        async with asyncio.timeout(_SECONDS), deps.db.transaction() as session:
            await session.execute(text("SELECT 1"))
    except (SQLAlchemyError, TimeoutError, OSError) as error:
        return f"cannot be reached ({type(error).__name__})"
    return "ok"


async def _temporal(deps: ApiDeps) -> str:
    try:
        async with asyncio.timeout(_SECONDS):
            client = await connected(deps)
            serving = await client.service_client.check_health(timeout=timedelta(seconds=_SECONDS))
    except (Unavailable, RPCError, TimeoutError) as error:
        return f"cannot be reached ({type(error).__name__})"
    return "ok" if serving else "does not serve"


async def _others(deps: ApiDeps) -> Mapping[str, str]:
    if deps.others is None:
        return {}
    try:
        async with asyncio.timeout(_SECONDS):
            return await deps.others()
    except TimeoutError:
        return {"worker": "cannot be asked in time", "monitor": "cannot be asked in time"}


def _relay(found: Delivery) -> str:
    if found.lag_seconds > _LAG_SECONDS:
        return f"{found.lag_seconds:.0f} s behind with {found.inbox_waiting + found.outbox_waiting} messages"
    return "ok"


@router.get("/metrics", include_in_schema=False)
async def metrics(request: Request, deps: Deps) -> Response:
    """From this machine without a sign-in; from elsewhere with an API key for the summary, and else not to be found."""
    if request.client is None or not ip_address(request.client.host).is_loopback:
        if "authorization" not in request.headers:
            raise NotFound
        (await caller_of(request, deps)).check(right_of("summary.read"))
    numbers: Metrics = request.app.state.metrics
    async with deps.db.transaction(FIRM) as session:
        found = await delivery(session)
        ages = await feed_ages(session)
        work = await queue.counts(session, kinds(deps.subjects), snoozed=True)  # an alert must not fall silent by it
    waiting = {
        ("inbox", False): found.inbox_waiting,
        ("inbox", True): found.inbox_parked,
        ("outbox", False): found.outbox_waiting,
        ("outbox", True): found.outbox_parked,
        ("aside", False): found.aside_waiting,
    }
    return Response(numbers.scrape(waiting, work, found.lag_seconds, ages), media_type=CONTENT_TYPE_LATEST)
