"""Business events, for programs that ask instead of being told."""

from typing import Annotated

from fastapi import APIRouter, Depends, Query

from front.auth import Deps, allowed
from front.fields import window
from store.read import programs as read
from store.read.pages import Page, Window

router = APIRouter(prefix="/v1/events", tags=["programs"])


@router.get("", dependencies=[Depends(allowed("events.read"))])
async def list_events(
    deps: Deps,
    page: Annotated[Window, Depends(window)],
    type: Annotated[str | None, Query(pattern=r"^[a-z_.]{1,40}$")] = None,
) -> Page[read.EventView]:
    """Newest first, each as a webhook sends it. `type`: of one kind only."""
    async with deps.db.transaction() as session:
        return await read.events(session, page, kind=type)
