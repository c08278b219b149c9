"""Puts the firm's policies in force, from their files, and the desk at which people work on tickets."""

import asyncio

from cli.ticket_desk import build_ticket_desk
from firm import dispute_policies
from firm.desk import in_force
from firm.exposure import policy as exposure
from firm.notifications import texts
from firm.payouts.policies import load_policy, publish
from firm.service import policy as service
from settings import Settings
from store.db import Database


def put_in_force(settings: Settings) -> None:
    """Each policy is the firm's own file; without a setting the shipped one. Raises PolicyInvalid, and BadInput for a
    desk that is not configured; what was in force before stays so then."""
    payout_policy = load_policy(settings.policy)
    exposure_policy = exposure.load_policy(settings.exposure_policy)
    dispute_policy = dispute_policies.load_policy(settings.dispute_policy)
    service_policy = service.load_policy(settings.service_policy)
    words = texts.load(settings.notification_texts)
    build_ticket_desk(settings)  # it connects on first use, and is not used

    async def work() -> None:
        db = Database(settings.required("database_url"), pool_size=1)
        try:
            async with db.transaction() as session:
                await publish(session, payout_policy)
                await exposure.publish(session, exposure_policy)
                await dispute_policies.publish(session, dispute_policy)
                await service.publish(session, service_policy)
                await texts.publish(session, words)
                await in_force.put_in_force(session, settings.tickets)
        finally:
            await db.close()

    asyncio.run(work())
