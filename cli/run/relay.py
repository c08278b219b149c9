"""The relay process: carries inbox and outbox."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta

from activities.stops import keep_carrying_out
from adapters.webhooks.courier import HttpCourier
from cli.adapters import build_mail
from cli.compose import dependencies, keeping_policy, temporal, webhook_rules
from cli.ticket_desk import build_ticket_desk, desk_notes
from ports.mail import MailDesk
from ports.tickets import TicketDesk
from relay.notifications import Notifier
from relay.service import Relay
from relay.webhooks import WebhookDispatcher
from settings import Settings


async def run_relay(settings: Settings, stop: asyncio.Event) -> None:
    """Carry inbox and outbox until `stop`."""
    async with dependencies(settings) as deps, _mail(settings) as desk, _tickets(settings) as tickets:
        relay = Relay(
            deps.db,
            lambda: temporal(settings),
            deps.platforms,
            deps.payments,
            settings.shards,
            keeping_policy(settings),
            webhooks=WebhookDispatcher(
                deps.db, HttpCourier(webhook_rules(settings)), timedelta(days=settings.webhook_failing_days)
            ),
            desk=desk,
            tickets=tickets,
            notes=desk_notes(settings),
            notifier=Notifier(deps.db, desk.url),
        )
        await asyncio.gather(relay.run(stop), keep_carrying_out(deps, stop))


@asynccontextmanager
async def _mail(settings: Settings) -> AsyncIterator[MailDesk]:
    desk = build_mail(settings)
    try:
        yield desk
    finally:
        await desk.post.aclose()


@asynccontextmanager
async def _tickets(settings: Settings) -> AsyncIterator[TicketDesk | None]:
    desk = build_ticket_desk(settings)
    try:
        yield desk
    finally:
        if desk is not None:
            await desk.aclose()
