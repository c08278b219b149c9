"""API keys, business events, endpoints and deliveries as people and programs read them. No secret is in any of them."""

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from domain import api_keys
from domain.errors import NotFound
from store import webhooks as stored
from store.api_keys import of_user
from store.models import ApiKey, BusinessEvent, WebhookDelivery, WebhookEndpoint, WebhookTry
from store.read.pages import Page, View, Window, keyset


class ApiKeyView(View):
    """`scopes`: what it was made with; `works_for`: those of them that its owner's role still has. `state`: live |
    expired | revoked."""

    id: str
    owner: str
    name: str
    scopes: tuple[str, ...]
    works_for: tuple[str, ...]
    state: str
    replaces: str | None
    created_at: datetime
    expires_at: datetime
    last_used_at: datetime | None
    revoked_at: datetime | None


class EventView(View):
    """A business event. `body` is what an endpoint is sent."""

    id: str
    type: str
    occurred_at: datetime
    recorded_at: datetime
    body: dict[str, Any]


class EndpointView(View):
    """`why`: why it is disabled: person | gone | failing. `waiting`: events that are not delivered yet."""

    id: str
    url: str
    note: str
    kinds: tuple[str, ...]
    state: str
    why: str
    failing_since: datetime | None
    created_at: datetime
    waiting: int


class TryView(View):
    """`status` None: no answer came; `problem` says why."""

    at: datetime
    status: int | None
    problem: str
    milliseconds: int


class DeliveryView(View):
    """`state`: waiting | delivered | failed. `next_at`: when a waiting one is tried again. Wall times."""

    id: int
    event_id: str
    type: str
    state: str
    tries: tuple[TryView, ...]
    next_at: datetime | None
    done_at: datetime | None


def _state(row: ApiKey, now: datetime) -> str:
    if row.revoked_at is not None:
        return "revoked"
    return "live" if api_keys.is_live(now, expires_at=row.expires_at, revoked_at=None) else "expired"


async def keys(session: AsyncSession, user_id: str | None, offered: dict[str, frozenset[str]]) -> list[ApiKeyView]:
    """Returns the keys of a user, or of everybody (None), newest first. `offered`: what a key may do, by role."""
    now = datetime.now(UTC)
    return [
        ApiKeyView(
            id=row.id,
            owner=row.user_id,
            name=row.name,
            scopes=tuple(row.scopes),
            works_for=tuple(scope for scope in row.scopes if scope in offered[role]),
            state=_state(row, now),
            replaces=row.replaces,
            created_at=row.created_at,
            expires_at=row.expires_at,
            last_used_at=row.last_used_at,
            revoked_at=row.revoked_at,
        )
        for row, role in await of_user(session, user_id)
    ]


async def events(session: AsyncSession, window: Window, *, kind: str | None = None) -> Page[EventView]:
    """Newest first."""
    statement = select(BusinessEvent)
    if kind is not None:
        statement = statement.where(BusinessEvent.kind == kind)
    rows, cursor = await keyset(session, statement, [BusinessEvent.seq], window)
    return Page[EventView](items=tuple(_event(row.BusinessEvent) for row in rows), next_cursor=cursor)


def _event(row: BusinessEvent) -> EventView:
    return EventView(
        id=row.id,
        type=row.kind,
        occurred_at=row.occurred_at,
        recorded_at=row.recorded_at,
        body=stored.body_of(row),
    )


async def endpoints(session: AsyncSession) -> list[EndpointView]:
    """Oldest first."""
    waits = select(func.count()).where(
        WebhookDelivery.endpoint_id == WebhookEndpoint.id, WebhookDelivery.state == "waiting"
    )
    rows = await session.execute(
        select(WebhookEndpoint, waits.scalar_subquery()).order_by(WebhookEndpoint.created_at, WebhookEndpoint.id)
    )
    return [_endpoint(row, count) for row, count in rows]


async def endpoint(session: AsyncSession, endpoint_id: str) -> EndpointView:
    """Raises NotFound."""
    found = next((each for each in await endpoints(session) if each.id == endpoint_id), None)
    if found is None:
        raise NotFound
    return found


def _endpoint(row: WebhookEndpoint, waiting: int) -> EndpointView:
    return EndpointView(
        id=row.id,
        url=row.url,
        note=row.note,
        kinds=tuple(row.kinds),
        state=row.state,
        why=row.why,
        failing_since=row.failing_since,
        created_at=row.created_at,
        waiting=waiting,
    )


async def deliveries(
    session: AsyncSession, endpoint_id: str, window: Window, *, state: str | None = None
) -> Page[DeliveryView]:
    """Newest first, each with its last tries. Raises NotFound."""
    if await session.get(WebhookEndpoint, endpoint_id) is None:
        raise NotFound
    statement = select(WebhookDelivery, BusinessEvent.kind).join(
        BusinessEvent, BusinessEvent.id == WebhookDelivery.event_id
    )
    statement = statement.where(WebhookDelivery.endpoint_id == endpoint_id)
    if state is not None:
        statement = statement.where(WebhookDelivery.state == state)
    rows, cursor = await keyset(session, statement, [WebhookDelivery.id], window)
    tries = await _tries(session, [row.WebhookDelivery.id for row in rows])
    items = tuple(_delivery(row.WebhookDelivery, row.kind, tries.get(row.WebhookDelivery.id, [])) for row in rows)
    return Page[DeliveryView](items=items, next_cursor=cursor)


async def _tries(session: AsyncSession, delivery_ids: Iterable[int]) -> dict[int, list[TryView]]:
    found: dict[int, list[TryView]] = {}
    rows = await session.scalars(
        select(WebhookTry).where(WebhookTry.delivery_id.in_(list(delivery_ids))).order_by(WebhookTry.id)
    )
    for row in rows:
        shown = TryView(at=row.at, status=row.status, problem=row.problem, milliseconds=row.milliseconds)
        found.setdefault(row.delivery_id, []).append(shown)
    return found


def _delivery(row: WebhookDelivery, kind: str, tries: list[TryView]) -> DeliveryView:
    return DeliveryView(
        id=row.id,
        event_id=row.event_id,
        type=kind,
        state=row.state,
        tries=tuple(tries),
        next_at=row.next_at if row.state == "waiting" else None,
        done_at=row.done_at,
    )
