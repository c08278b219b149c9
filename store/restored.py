"""What a restored record does not know: everything that is open at a provider is asked for again."""

from typing import Any, Final

from sqlalchemy import exists, select, text
from sqlalchemy.ext.asyncio import AsyncSession

from store.models import AuditEntry

# Hints as a provider's webhooks are, so that the relay reads each object as it is now. Providers list their own events
# for weeks at most, and Stripe never those of payees' accounts. A transfer may come back long after it arrived.
_ASK: Final = text("""
    WITH open AS (
        SELECT provider, 'checkout.paid' AS kind, checkout_id AS object_id FROM challenges
         WHERE state = 'awaiting_payment' AND checkout_id IS NOT NULL
        UNION ALL
        SELECT t.rail, 'transfer.changed', t.provider_id FROM payout_transfers t JOIN payouts p ON p.id = t.payout_id
         WHERE t.provider_id IS NOT NULL
           AND (p.closed_at IS NULL OR t.recorded_at > clock_timestamp() - interval '180 days')
        UNION ALL
        SELECT payload->>'rail', 'payee.changed', result->>'payee_id' FROM intents
         WHERE kind = 'payments.payee' AND result->>'payee_id' IS NOT NULL
        UNION ALL
        SELECT checker, 'identity.changed', session_id FROM identity_checks
         WHERE session_id IS NOT NULL AND status IN ('asked', 'pending')
    )
    INSERT INTO inbox (provider, event_id, kind, object_id, attempts)
    SELECT provider, 'restored/' || CAST(:stamp AS text) || '/' || md5(kind || '/' || object_id), kind, object_id, 0
      FROM open
    ON CONFLICT (provider, event_id) DO NOTHING RETURNING kind
""")


async def is_noted(session: AsyncSession, stamp: str) -> bool:
    """Returns whether the audit log has this restore."""
    found = exists().where(
        AuditEntry.subject_kind == "restore", AuditEntry.subject_id == stamp, AuditEntry.action == "record.restored"
    )
    return bool(await session.scalar(select(found)))


async def ask_again(session: AsyncSession, stamp: str) -> dict[str, int]:
    """Stores a hint for everything that is open at a provider; returns their number by kind."""
    asked: dict[str, int] = {}
    found: Any = await session.scalars(_ASK, {"stamp": stamp})
    for kind in found:
        asked[kind] = asked.get(kind, 0) + 1
    return dict(sorted(asked.items()))
