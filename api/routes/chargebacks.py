"""Chargebacks. They are answered by the routes of decisions."""

from typing import Annotated

from fastapi import APIRouter, Depends

from domain.chargebacks import CHARGEBACK
from front.auth import Deps, allowed
from front.fields import ChargebackId, one_of, window
from store.read import chargebacks as read
from store.read.pages import Page, Window

router = APIRouter(prefix="/v1", tags=["chargebacks"], dependencies=[Depends(allowed("chargebacks.read"))])


@router.get("/chargebacks")
async def list_chargebacks(
    deps: Deps, page: Annotated[Window, Depends(window)], state: Annotated[str, one_of(CHARGEBACK.states)] | None = None
) -> Page[read.ChargebackRow]:
    async with deps.db.transaction() as session:
        return await read.page(session, page, state=state)


@router.get("/chargebacks/{chargeback_id}")
async def get_chargeback(chargeback_id: ChargebackId, deps: Deps) -> read.ChargebackView:
    async with deps.db.transaction() as session:
        return await read.one(session, chargeback_id)
