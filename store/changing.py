"""Whether an account is on its way to another platform: then it may not trade, and nothing of it may be paid out."""

from sqlalchemy import Select, select
from sqlalchemy.ext.asyncio import AsyncSession

from domain.platform_changes import UNDER_WAY
from domain.platform_errors import PlatformChanges
from store.models import PlatformChange
from store.reading import read_once
from store.together import Param


@read_once
async def is_under_way(session: AsyncSession, account_id: str, *, but: str = "") -> bool:
    """`but`: the id of a change that does not count."""
    found = under_way_query(account_id).where(PlatformChange.id != but)
    return await session.scalar(found) is not None


def under_way_query(account_id: Param[str]) -> Select[tuple[str]]:
    """The change of the account that is under way."""
    found = select(PlatformChange.id)
    return found.where(PlatformChange.account_id == account_id, PlatformChange.state.in_(UNDER_WAY)).limit(1)


async def check_not(session: AsyncSession, account_id: str) -> None:
    """Raises PlatformChanges while the account is on its way."""
    if await is_under_way(session, account_id):
        raise PlatformChanges
