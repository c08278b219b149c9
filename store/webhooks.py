"""Webhooks on the record: endpoints with their secrets, and the delivery of events."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from sqlalchemy import func, or_, select, text, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from domain import business_events
from store.models import BusinessEvent, WebhookDelivery, WebhookEndpoint, WebhookSecret, WebhookTry


@dataclass(frozen=True)
class Due:
    """A delivery to try now. `tries` counts this one. `secrets`: the newest first."""

    id: int
    endpoint_id: str
    event_id: str
    tries: int
    url: str
    secrets: tuple[str, ...]
    body: dict[str, Any]


# At most `each` of one endpoint, so that an endpoint with many waiting events does not hold up the others. An endpoint
# in `busy` has that many on the way already. A taken delivery is due again after `lease`: what a killed relay sent and
# did not record is sent again under the same webhook-id.
_CLAIM: Final = text("""
    WITH due AS (
        SELECT each.id FROM webhook_endpoints e CROSS JOIN LATERAL (
            SELECT d.id, d.next_at FROM webhook_deliveries d
             WHERE d.endpoint_id = e.id AND d.state = 'waiting' AND d.next_at <= clock_timestamp()
             ORDER BY d.next_at
             LIMIT greatest(0, CAST(:each AS integer) - coalesce((CAST(:busy AS jsonb)->>e.id)::integer, 0))
               FOR UPDATE SKIP LOCKED
        ) each WHERE e.state = 'enabled'
         ORDER BY each.next_at, each.id LIMIT :limit
    )
    UPDATE webhook_deliveries d SET tries = d.tries + 1, next_at = clock_timestamp() + make_interval(secs => :lease)
      FROM due WHERE d.id = due.id
    RETURNING d.id
""")


async def claim(
    session: AsyncSession, *, limit: int, each: int, lease_seconds: float, busy: Mapping[str, int]
) -> list[Due]:
    """Takes due deliveries, oldest first, at most `each` of an endpoint together with the `busy` ones."""
    values = {"limit": limit, "each": each, "lease": lease_seconds, "busy": _json(busy)}
    ids = list(await session.scalars(_CLAIM, values))
    if not ids:
        return []
    found = await session.execute(
        select(WebhookDelivery, WebhookEndpoint, BusinessEvent)
        .join(WebhookEndpoint, WebhookEndpoint.id == WebhookDelivery.endpoint_id)
        .join(BusinessEvent, BusinessEvent.id == WebhookDelivery.event_id)
        .where(WebhookDelivery.id.in_(ids))
        .order_by(WebhookDelivery.id)
    )
    taken = [(delivery, endpoint, event) for delivery, endpoint, event in found]
    signing = await live_secrets(session, {endpoint.id for _, endpoint, _ in taken})
    return [
        Due(
            id=delivery.id,
            endpoint_id=endpoint.id,
            event_id=event.id,
            tries=delivery.tries,
            url=endpoint.url,
            secrets=tuple(signing.get(endpoint.id, ())),
            body=body_of(event),
        )
        for delivery, endpoint, event in taken
    ]


def _json(busy: Mapping[str, int]) -> str:
    return "{" + ",".join(f'"{name}":{count}' for name, count in busy.items()) + "}"


def body_of(event: BusinessEvent) -> dict[str, Any]:
    """Returns what is sent of an event; every try sends the same."""
    return business_events.body(
        kind=event.kind,
        subject_kind=event.subject_kind,
        subject_id=event.subject_id,
        trader_id=event.trader_id,
        account_id=event.account_id,
        challenge_id=event.challenge_id,
        occurred_at=event.occurred_at.astimezone(UTC),
        recorded_at=event.recorded_at.astimezone(UTC),
    )


async def live_secrets(session: AsyncSession, endpoint_ids: set[str]) -> dict[str, list[str]]:
    """Returns the secrets that sign now, by endpoint, the newest first."""
    rows = await session.scalars(
        select(WebhookSecret)
        .where(
            WebhookSecret.endpoint_id.in_(endpoint_ids),
            or_(WebhookSecret.expires_at.is_(None), WebhookSecret.expires_at > func.clock_timestamp()),
        )
        .order_by(WebhookSecret.id.desc())
    )
    found: dict[str, list[str]] = {}
    for row in rows:
        found.setdefault(row.endpoint_id, []).append(row.secret)
    return found


async def record_try(session: AsyncSession, due: Due, *, status: int | None, problem: str, milliseconds: int) -> None:
    session.add(WebhookTry(delivery_id=due.id, status=status, problem=problem[:120], milliseconds=milliseconds))
    await session.flush()


async def finish(session: AsyncSession, due: Due, state: str) -> None:
    """Ends a delivery: delivered or failed."""
    await session.execute(
        update(WebhookDelivery)
        .where(WebhookDelivery.id == due.id)
        .values(state=state, done_at=func.clock_timestamp())
        .execution_options(synchronize_session=False)
    )


async def postpone(session: AsyncSession, due: Due, seconds: float) -> None:
    again = func.clock_timestamp() + func.make_interval(0, 0, 0, 0, 0, 0, seconds)
    await session.execute(
        update(WebhookDelivery)
        .where(WebhookDelivery.id == due.id)
        .values(next_at=again)
        .execution_options(synchronize_session=False)
    )


async def note_good(session: AsyncSession, endpoint_id: str) -> None:
    await session.execute(
        update(WebhookEndpoint)
        .where(WebhookEndpoint.id == endpoint_id, WebhookEndpoint.failing_since.is_not(None))
        .values(failing_since=None)
        .execution_options(synchronize_session=False)
    )


async def ask_again(
    session: AsyncSession, endpoint_id: str, *, event_ids: Sequence[str] = (), span: tuple[datetime, datetime] | None
) -> int:
    """Has events sent (again) to an endpoint: those named, or those recorded in `span` (from, until; wall time) of the
    kinds that it takes. Returns how many."""
    wanted = select(BusinessEvent.id)
    if span is not None:
        kinds = await session.scalar(select(WebhookEndpoint.kinds).where(WebhookEndpoint.id == endpoint_id)) or []
        since, until = span
        wanted = wanted.where(
            BusinessEvent.recorded_at >= since, BusinessEvent.recorded_at < until, BusinessEvent.kind != _TEST
        )
        if business_events.ALL not in kinds:
            wanted = wanted.where(BusinessEvent.kind.in_(kinds))
    else:
        wanted = wanted.where(BusinessEvent.id.in_(list(event_ids)))
    now = func.clock_timestamp()
    columns = wanted.add_columns(
        text("CAST(:endpoint AS varchar)").bindparams(endpoint=endpoint_id),
        text("'waiting'"),
        text("clock_timestamp()"),
    )
    new = insert(WebhookDelivery).from_select(["event_id", "endpoint_id", "state", "next_at"], columns)
    again = new.on_conflict_do_update(
        index_elements=["endpoint_id", "event_id"],
        set_={"state": "waiting", "tries": 0, "next_at": now, "done_at": None},
    ).returning(WebhookDelivery.id)
    return len((await session.scalars(again)).all())


_TEST: Final = business_events.TEST
_EMIT: Final = text(
    "SELECT emit_event(:kind, 'endpoint', CAST(:endpoint AS text), NULL, NULL, NULL, CAST(:at AS timestamptz))"
)


async def emit_test(session: AsyncSession, endpoint_id: str, at: datetime) -> str:
    """Writes an event that only this endpoint is sent. `at`: market time. Returns its id."""
    event_id = str(await session.scalar(_EMIT, {"kind": _TEST, "endpoint": endpoint_id, "at": at}))
    await ask_again(session, endpoint_id, event_ids=[event_id], span=None)
    return event_id
