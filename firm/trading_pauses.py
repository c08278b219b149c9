"""Why an active account may not trade for now."""

from typing import Final

from sqlalchemy.ext.asyncio import AsyncSession

from firm import challenges
from store import changing, deliveries, stops, suspensions

FROZEN: Final = "a person has frozen it"


async def reasons(
    session: AsyncSession, *, account_id: str, challenge_id: str, platform: str, product: str
) -> tuple[str, ...]:
    """Returns what keeps an active account from trading, each as a clause; empty if nothing is known."""
    suspended = await suspensions.binds(session, challenge_id)
    found = (
        (suspended and await suspensions.frozen_since(session, challenge_id) is not None, FROZEN),
        (suspended and not await suspensions.only_frozen(session, challenge_id), "a payment is charged back"),
        (await deliveries.is_paused_now(session, account_id), "it is paused until the next reset"),
        (await changing.is_under_way(session, account_id), "it goes to another platform"),
        (await stops.stops_account(session, platform, product), "trading at its platform is stopped"),
        (await challenges.verdict_waits(session, account_id), "a breach or a pass is being carried out"),
    )
    return tuple(words for binds, words in found if binds)
