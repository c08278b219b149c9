"""Endpoints of webhooks: where business events are sent, and what came of it."""

from datetime import datetime
from typing import Annotated, Literal

from fastapi import APIRouter, Depends
from pydantic import AwareDatetime, Field
from sqlalchemy.ext.asyncio import AsyncSession

from domain.api_keys import LONGEST_OVERLAP_HOURS
from domain.webhooks import LONGEST_URL
from firm import webhooks
from front import programs
from front.auth import Deps, allowed
from front.fields import EndpointId, EventId, Input, Line, window
from front.once import Keyed, Once
from front.programs import EndpointMade
from store.models import WebhookEndpoint
from store.read import programs as read
from store.read.pages import Page, View, Window

router = APIRouter(prefix="/v1/webhook-endpoints", tags=["programs"])
READ = [Depends(allowed("webhooks.read"))]
MANAGE = [Depends(allowed("webhooks.manage"))]
Url = Annotated[str, Field(min_length=8, max_length=LONGEST_URL)]
Kinds = Annotated[list[Annotated[str, Field(max_length=40)]], Field(min_length=1, max_length=100)]


class EndpointBody(Input):
    """`kinds`: the events to send, or `["*"]` for all. `note`: what it is, for your colleagues."""

    url: Url
    kinds: Kinds
    note: Line = "-"


class EndpointChangeBody(Input):
    """What is left out stays as it is."""

    url: Url | None = None
    kinds: Kinds | None = None


class SecretRotationBody(Input):
    """`overlap_hours`: how long the old secret signs beside the new one."""

    overlap_hours: Annotated[int, Field(ge=0, le=LONGEST_OVERLAP_HOURS)] = programs.OVERLAP_HOURS


class ReplayBody(Input):
    """One event, or all that were recorded from `since` until `until`."""

    event_id: EventId | None = None
    since: AwareDatetime | None = None
    until: AwareDatetime | None = None

    @property
    def span(self) -> tuple[datetime, datetime] | None:
        return None if self.since is None or self.until is None else (self.since, self.until)


class EndpointAnswer(View):
    id: str
    kinds: tuple[str, ...]
    state: str


class Endpoints(View):
    items: tuple[read.EndpointView, ...]


class TestSent(View):
    event_id: str


class Replayed(View):
    """`events`: how many are sent again."""

    events: int


@router.get("", dependencies=READ)
async def list_endpoints(deps: Deps) -> Endpoints:
    async with deps.db.transaction() as session:
        return Endpoints(items=tuple(await read.endpoints(session)))


@router.get("/{endpoint_id}", dependencies=READ)
async def get_endpoint(endpoint_id: EndpointId, deps: Deps) -> read.EndpointView:
    async with deps.db.transaction() as session:
        return await read.endpoint(session, endpoint_id)


@router.get("/{endpoint_id}/deliveries", dependencies=READ)
async def list_deliveries(
    endpoint_id: EndpointId,
    deps: Deps,
    page: Annotated[Window, Depends(window)],
    state: Literal["waiting", "delivered", "failed"] | None = None,
) -> Page[read.DeliveryView]:
    """What was sent, newest first, with every try and its answer."""
    async with deps.db.transaction() as session:
        return await read.deliveries(session, endpoint_id, page, state=state)


@router.post("", status_code=201, dependencies=MANAGE)
async def add_endpoint(body: EndpointBody, once: Keyed) -> EndpointMade:
    """A new endpoint. Its signing secret is in this answer and nowhere else. Needs a step-up."""
    return await programs.add_endpoint(once, url=body.url, kinds=body.kinds, note=body.note, body=body)


@router.post("/{endpoint_id}/change", dependencies=MANAGE)
async def change_endpoint(endpoint_id: EndpointId, body: EndpointChangeBody, once: Keyed) -> EndpointAnswer:
    """Other events, or another address, which needs a step-up. The secret stays."""
    if body.url is not None:
        programs.check_url(once, body.url)

    async def work(session: AsyncSession) -> EndpointAnswer:
        if body.url is not None:
            await once.prove(session, "keys", do="send to another address", which=endpoint_id, url=body.url)
        return _answer(await webhooks.change(session, endpoint_id, actor=once.actor, url=body.url, kinds=body.kinds))

    return await once.write(EndpointAnswer, body, work)


@router.post("/{endpoint_id}/rotate", status_code=201, dependencies=MANAGE)
async def rotate_secret(endpoint_id: EndpointId, body: SecretRotationBody, once: Keyed) -> EndpointMade:
    """A new signing secret; needs a step-up. Until the overlap ends, every webhook has a signature of each."""
    return await programs.rotate_secret(once, endpoint_id, overlap_hours=body.overlap_hours, body=body)


@router.post("/{endpoint_id}/enable", dependencies=MANAGE)
async def enable_endpoint(endpoint_id: EndpointId, once: Keyed) -> EndpointAnswer:
    """What waited is sent. What happened while it was disabled was not queued: replay that time."""
    return await _switch(endpoint_id, once, on=True)


@router.post("/{endpoint_id}/disable", dependencies=MANAGE)
async def disable_endpoint(endpoint_id: EndpointId, once: Keyed) -> EndpointAnswer:
    """Nothing is sent to it until it is enabled again."""
    return await _switch(endpoint_id, once, on=False)


async def _switch(endpoint_id: str, once: Once, *, on: bool) -> EndpointAnswer:
    async def work(session: AsyncSession) -> EndpointAnswer:
        return _answer(await webhooks.switch(session, endpoint_id, actor=once.actor, on=on))

    return await once.write(EndpointAnswer, None, work)


@router.post("/{endpoint_id}/test", status_code=202, dependencies=MANAGE)
async def send_test(endpoint_id: EndpointId, once: Keyed) -> TestSent:
    """Sends an event of the type `webhook.test` to this endpoint alone."""

    async def work(session: AsyncSession) -> TestSent:
        return TestSent(event_id=await webhooks.test(session, endpoint_id))

    return await once.write(TestSent, None, work)


@router.post("/{endpoint_id}/replay", status_code=202, dependencies=MANAGE)
async def replay_events(endpoint_id: EndpointId, body: ReplayBody, once: Keyed) -> Replayed:
    """Sends one event, or those of a span of time, again. Each keeps its webhook-id."""

    async def work(session: AsyncSession) -> Replayed:
        count = await webhooks.replay(session, endpoint_id, actor=once.actor, event_id=body.event_id, span=body.span)
        return Replayed(events=count)

    return await once.write(Replayed, body, work)


def _answer(row: WebhookEndpoint) -> EndpointAnswer:
    return EndpointAnswer(id=row.id, kinds=tuple(row.kinds), state=row.state)
