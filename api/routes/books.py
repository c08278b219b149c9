"""What the firm books: the deals of all accounts, and the lines of the ledger."""

from typing import Annotated

from fastapi import APIRouter, Depends

from front.auth import Deps, allowed
from front.fields import window
from front.lists import asked_of
from store.read import deals, entries
from store.read.listing import Asked
from store.read.pages import Page, Window

router = APIRouter(prefix="/v1", tags=["books"])
Paged = Annotated[Window, Depends(window)]


@router.get("/deals", dependencies=[Depends(allowed("deals.read"))])
async def list_all_deals(
    deps: Deps, page: Paged, asked: Annotated[Asked, Depends(asked_of(deals.DEALS))]
) -> Page[deals.FirmDeal]:
    """Fills of every account, in the order in which they were stored."""
    async with deps.db.transaction() as session:
        return await deals.page(session, page, asked)


@router.get("/ledger-entries", dependencies=[Depends(allowed("ledger.read"))])
async def list_ledger_entries(
    deps: Deps, page: Paged, asked: Annotated[Asked, Depends(asked_of(entries.ENTRIES))]
) -> Page[entries.EntryLine]:
    """Lines of the double-entry ledger, debit positive, in the order in which they were posted."""
    async with deps.db.transaction() as session:
        return await entries.page(session, page, asked)
