"""What payment providers tell us: verified, stored, acknowledged; acted on later by the relay."""

from datetime import UTC, datetime

from fastapi import APIRouter, Request

from domain.errors import NotFound
from front.auth import Deps
from store import inbox
from store.read.pages import View

router = APIRouter(tags=["webhooks"])


class Received(View):
    received: bool


@router.post("/webhooks/payments/{provider}", status_code=202)
async def payment_webhook(provider: str, request: Request, deps: Deps) -> Received:
    """Needs the database alone, so it works while the workflow engine is down. A repeated event changes nothing."""
    if provider not in deps.payments.by_name:
        raise NotFound
    event = deps.payments.of(provider).parse_webhook(await request.body(), request.headers, datetime.now(UTC))
    async with deps.db.transaction() as session:
        await inbox.receive(
            session,
            provider=provider,
            event_id=event.event_id,
            kind=event.kind,
            object_id=event.object_id,
            problem=event.problem,
        )
    return Received(received=True)
