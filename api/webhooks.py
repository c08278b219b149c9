"""What payment providers, mail programs and the desk of tickets tell us: verified, stored, acknowledged."""

import asyncio
from datetime import UTC, datetime

from fastapi import APIRouter, Request

from domain.errors import NotFound
from domain.mail.reading import read
from firm import inbound
from front.auth import Deps
from store import inbox
from store.read.pages import View
from store.scope import FIRM

router = APIRouter(tags=["webhooks"])


class Received(View):
    received: bool


@router.post("/webhooks/payments/{provider}", status_code=202)
async def payment_webhook(provider: str, request: Request, deps: Deps) -> Received:
    """Needs the database alone, so it works while the workflow engine is down. A repeated event changes nothing."""
    source = deps.payments.event_sources.get(provider)
    if source is None:
        raise NotFound
    event = source.parse_webhook(await request.body(), request.headers, datetime.now(UTC))
    if event is None:
        return Received(received=True)
    await inbox.receive_at_once(
        deps.db,
        provider=provider,
        event_id=event.event_id,
        kind=event.kind,
        object_id=event.object_id,
        problem=event.problem,
    )
    return Received(received=True)


@router.post("/webhooks/mail/{door}", status_code=202)
async def mail_webhook(door: str, request: Request, deps: Deps) -> Received:
    """The body is a whole mail. A repeated one changes nothing."""
    found = deps.mail_doors.get(door)
    if found is None:
        raise NotFound
    body = await request.body()
    found.verify(body, request.headers, datetime.now(UTC))
    mail = await asyncio.to_thread(read, body, authserv=found.authserv)
    async with deps.db.transaction(FIRM) as session:
        await inbound.receive(session, mail, door=door, our_address=deps.mail_address)
    return Received(received=True)


@router.post("/webhooks/tickets/{desk}", status_code=202)
async def ticket_webhook(desk: str, request: Request, deps: Deps) -> Received:
    """A ticket changed at the desk. Only its id is read here; the relay reads the ticket. A repeated one changes
    nothing."""
    found = deps.ticket_desk
    if found is None or found.name != desk:
        raise NotFound
    event = found.parse_webhook(await request.body(), request.headers, datetime.now(UTC))
    await inbox.receive_at_once(
        deps.db, provider=desk, event_id=event.event_id, kind=event.kind, object_id=event.object_id
    )
    return Received(received=True)
