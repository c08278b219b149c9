"""Endpoints of webhooks: made, changed, rotated, switched on and off by people; switched off when they are gone or fail
for days."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Final, Literal

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from domain import api_keys, record_keys, webhooks
from domain.approvals import Actor
from domain.errors import BadInput, Conflict, NotFound
from domain.keys import new_id
from firm import reviews
from store import audit, rows
from store import webhooks as stored
from store.clock import market_now
from store.models import BusinessEvent, WebhookEndpoint, WebhookSecret

_LONGEST_REPLAY: Final = timedelta(days=31)
Why = Literal["gone", "failing"]
_WORDS: Final[dict[Why, str]] = {
    "gone": "The receiver answered 410: it wants no more events.",
    "failing": "Every try has failed for days.",
}


async def add(
    session: AsyncSession, *, actor: Actor, url: str, kinds: Sequence[str], note: str
) -> tuple[WebhookEndpoint, str]:
    """Makes an enabled endpoint. `url` is checked by the caller. Returns the row and its secret, which is shown once.
    Raises BadInput."""
    row = WebhookEndpoint(
        id=new_id("whk"),
        url=url,
        note=note,
        kinds=webhooks.check_kinds(kinds),
        state="enabled",
        created_by=actor.user_id,
    )
    session.add(row)
    await session.flush()
    secret = webhooks.new_secret()
    session.add(WebhookSecret(endpoint_id=row.id, secret=secret))
    await session.flush()
    await _record(session, row, "webhook_endpoint.added", actor, kinds=row.kinds)
    return row, secret


async def change(
    session: AsyncSession, endpoint_id: str, *, actor: Actor, url: str | None, kinds: Sequence[str] | None
) -> WebhookEndpoint:
    """Sends other kinds of events, or to another address. Raises NotFound, BadInput."""
    row = await rows.locked(session, WebhookEndpoint, endpoint_id)
    if kinds is not None:
        row.kinds = webhooks.check_kinds(kinds)
    if url is not None and url != row.url:
        row.url, row.failing_since = url, None
    await session.flush()
    await _record(session, row, "webhook_endpoint.changed", actor, kinds=row.kinds, moved=url is not None)
    return row


async def rotate(
    session: AsyncSession, endpoint_id: str, *, actor: Actor, overlap_hours: int
) -> tuple[WebhookEndpoint, str]:
    """Makes a new secret; the ones before sign as well for `overlap_hours`. Returns the row and the secret. Raises
    NotFound, BadInput."""
    row = await rows.locked(session, WebhookEndpoint, endpoint_id)
    now = datetime.now(UTC)
    old = await session.scalars(
        select(WebhookSecret).where(WebhookSecret.endpoint_id == row.id, WebhookSecret.expires_at.is_(None))
    )
    for each in old:
        each.expires_at = api_keys.end_of_overlap(now, overlap_hours, datetime.max.replace(tzinfo=UTC))
    secret = webhooks.new_secret()
    session.add(WebhookSecret(endpoint_id=row.id, secret=secret))
    await session.flush()
    await _record(session, row, "webhook_endpoint.rotated", actor, overlap_hours=overlap_hours)
    return row, secret


async def switch(session: AsyncSession, endpoint_id: str, *, actor: Actor, on: bool) -> WebhookEndpoint:
    """Enables or disables an endpoint. What waits for it stays and is sent once it is enabled; what happens while it is
    disabled is not queued: replay it. Raises NotFound."""
    row = await rows.locked(session, WebhookEndpoint, endpoint_id)
    state = "enabled" if on else "disabled"
    if row.state != state:
        row.state, row.why, row.failing_since = state, "" if on else "person", None
        await session.flush()
        await _record(session, row, f"webhook_endpoint.{state}", actor)
    return row


async def test(session: AsyncSession, endpoint_id: str) -> str:
    """Sends an event of the kind `webhook.test` to this endpoint alone. Returns its id. Raises NotFound, Conflict."""
    await _enabled(session, endpoint_id)
    return await stored.emit_test(session, endpoint_id, await market_now(session))


async def replay(
    session: AsyncSession,
    endpoint_id: str,
    *,
    actor: Actor,
    event_id: str | None,
    span: tuple[datetime, datetime] | None,
) -> int:
    """Sends one event again, or every event of the endpoint's kinds that was recorded in `span` (wall time). Returns
    how many. Raises NotFound, Conflict, BadInput."""
    row = await _enabled(session, endpoint_id)
    if (event_id is None) == (span is None):
        raise BadInput(
            "Name one event, or a span of time.", field="event_id", remedy="Send event_id, or since and until."
        )
    if span is not None and not timedelta(0) < span[1] - span[0] <= _LONGEST_REPLAY:
        raise BadInput(
            f"A span is at most {_LONGEST_REPLAY.days} days and ends after it begins.", field="until",
            remedy="Replay it in parts.",
        )  # fmt: skip
    if event_id is not None and await session.get(BusinessEvent, event_id) is None:
        raise NotFound
    count = await stored.ask_again(session, endpoint_id, event_ids=[event_id] if event_id else (), span=span)
    await _record(session, row, "webhook_endpoint.replayed", actor, events=count, event_id=event_id)
    return count


async def _enabled(session: AsyncSession, endpoint_id: str) -> WebhookEndpoint:
    row = await rows.locked(session, WebhookEndpoint, endpoint_id)
    if row.state != "enabled":
        raise Conflict("This endpoint is disabled.", remedy="Enable it first.")
    return row


async def note_failure(session: AsyncSession, endpoint_id: str, *, gone: bool, patience: timedelta) -> Why | None:
    """Notes a failed try. Disables the endpoint when its receiver is gone, or when every try has failed for longer than
    `patience`, and opens a review so that a person looks. Returns why, or None."""
    row = await rows.locked(session, WebhookEndpoint, endpoint_id)
    now = datetime.now(UTC)
    row.failing_since = row.failing_since or now
    if row.state != "enabled" or not (gone or now - row.failing_since >= patience):
        return None
    why: Why = "gone" if gone else "failing"
    row.state, row.why = "disabled", why
    await session.flush()
    detail = {
        "endpoint": row.id,
        "words": f"{_WORDS[why]} The endpoint is disabled.",
        "since": row.failing_since.isoformat(),
    }
    await reviews.report(
        session,
        key=record_keys.webhook_review(row.id, now.isoformat()),
        kind=reviews.WEBHOOK_DISABLED,
        detail=detail,
    )
    await _record(session, row, "webhook_endpoint.disabled", None, why=why)
    return why


async def _record(
    session: AsyncSession, row: WebhookEndpoint, action: str, actor: Actor | None, **evidence: object
) -> None:
    await audit.record(
        session,
        action=action,
        subject_kind="webhook",
        subject_id=row.id,
        occurred_at=await market_now(session),
        actor=actor.user_id if actor else "system",
        role=actor.role if actor else "system",
        evidence=evidence,
    )
