"""Accounts that go from one platform to another in the middle of a phase."""

from typing import Annotated

from fastapi import APIRouter, Depends
from sqlalchemy.ext.asyncio import AsyncSession

from domain.platform_changes import PLATFORM_CHANGE
from firm import platform_changes
from front.auth import Deps, allowed
from front.fields import AccountId, Input, PlatformChangeId, PlatformName, Reason, one_of, window
from front.lacks import lacks_of
from front.once import Keyed
from front.subjects.platform_change import PlatformChanging
from store.models import PlatformChange
from store.read import places as read
from store.read.pages import Page, Window

router = APIRouter(prefix="/v1", tags=["platform changes"])
Paged = Annotated[Window, Depends(window)]


class PlatformChangeBody(Input):
    """`close_positions`: what is open when the account is shut is closed at market; else the change is abandoned
    then."""

    account_id: AccountId
    to_platform: PlatformName
    close_positions: bool = False
    reason: Reason


@router.post("/platform-changes", status_code=201, dependencies=[Depends(allowed("platform_changes.propose"))])
async def propose_platform_change(body: PlatformChangeBody, deps: Deps, once: Keyed) -> PlatformChanging:
    """Propose that an account goes on at another platform, with the same balance, levels and days. A second person
    approves it."""

    async def work(session: AsyncSession) -> PlatformChanging:
        row = await platform_changes.propose(
            session,
            account_id=body.account_id,
            to_platform=body.to_platform,
            close_positions=body.close_positions,
            lacks=lacks_of(deps),
            actor=once.actor,
            reason=body.reason,
        )
        return PlatformChanging(id=row.id, state=row.state)

    return await once.write(PlatformChanging, body, work)


@router.get("/platform-changes", dependencies=[Depends(allowed("platform_changes.read"))])
async def list_platform_changes(
    deps: Deps, page: Paged, state: Annotated[str, one_of(PLATFORM_CHANGE.states)] | None = None
) -> Page[read.PlatformChangeRow]:
    async with deps.db.transaction() as session:
        return await read.page(session, page, state=state)


@router.get("/platform-changes/{change_id}", dependencies=[Depends(allowed("platform_changes.read"))])
async def get_platform_change(change_id: PlatformChangeId, deps: Deps) -> read.PlatformChangeView:
    """With the figures that the change carries over. An approval carries their `seen`."""
    async with deps.db.transaction() as session:
        change = await session.get(PlatformChange, change_id)
        seen = await platform_changes.seen(session, change) if change is not None else ""
        return await read.one(session, change_id, seen)
