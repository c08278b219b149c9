"""What the API and the console share about what traders sign in to a venue with."""

from sqlalchemy.ext.asyncio import AsyncSession

from domain.approvals import Actor
from firm import credentials
from front.deps import ApiDeps
from store.models import Account


async def reset(session: AsyncSession, deps: ApiDeps, account_id: str, actor: Actor, reason: str) -> None:
    """See `firm.credentials.reset`; whether the venue can is what its adapter declares."""
    account = await session.get(Account, account_id)
    resettable = account is not None and can_reset(deps, account.platform)
    await credentials.reset(session, account_id, resettable=resettable, actor=actor, reason=reason)


def can_reset(deps: ApiDeps, platform: str) -> bool:
    return any(each.name == platform and each.capabilities.credentials == "reset" for each in deps.platforms)
