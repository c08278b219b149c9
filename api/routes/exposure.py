"""What the traders hold together, its history and limits, and what a shock would do."""

from typing import Annotated

from fastapi import APIRouter, Depends, Query
from sqlalchemy.ext.asyncio import AsyncSession

from domain.exposure.firm import FirmFigures
from domain.exposure.history import HistoryPoint
from domain.exposure.shocks import HISTORIC, HistoricDay, Shock
from domain.exposure.what_if import FirmAnswer
from firm.exposure import what_if
from front import stops
from front.auth import Caller, Deps, allowed
from front.fields import PlatformName
from front.once import Keyed
from front.stops import StopAnswer, StopBody
from front.what_if import WhatIfBody, shock_of
from store.read import exposure, summary
from store.read.pages import View

router = APIRouter(prefix="/v1/exposure", tags=["exposure"])
Asker = Annotated[Caller, Depends(allowed("exposure.what_if"))]
Hours = Annotated[int, Query(ge=1, le=24 * 60)]


class Exposure(View):
    items: tuple[summary.ExposureRow, ...]
    next_cursor: None = None
    firm: FirmFigures


class History(View):
    items: tuple[HistoryPoint, ...]
    next_cursor: None = None


class Limits(View):
    items: tuple[exposure.LimitView, ...]
    next_cursor: None = None


class Days(View):
    items: tuple[HistoricDay, ...]
    next_cursor: None = None


class WhatIfView(View):
    """`shocks[i]` leads to `answer.outcomes[i]`."""

    shocks: tuple[Shock, ...]
    answer: FirmAnswer


@router.get("", dependencies=[Depends(allowed("exposure.read"))])
async def get_exposure(deps: Deps, platform: PlatformName | None = None) -> Exposure:
    """`items`: net position per platform and symbol, as of the last checkpoint. `firm`: per underlying, currency,
    product, phase, platform and trader, the accounts nearest to each limit, and what the firm would owe; about a second
    old. `platform`: of this one only."""
    async with deps.db.transaction() as session:
        items = await summary.exposure(session, platform or "")
        return Exposure(items=items, firm=await exposure.firm(session, platform or ""))


@router.get("/history", dependencies=[Depends(allowed("exposure.read"))])
async def get_exposure_history(deps: Deps, hours: Hours = 24) -> History:
    """One point a minute of market time, oldest first."""
    async with deps.db.transaction() as session:
        return History(items=await exposure.history(session, hours=hours))


@router.get("/limits", dependencies=[Depends(allowed("exposure.read"))])
async def get_exposure_limits(deps: Deps) -> Limits:
    """Every limit with its figure, the most used first."""
    async with deps.db.transaction() as session:
        return Limits(items=await exposure.limits(session, await exposure.firm(session)))


@router.get("/days", dependencies=[Depends(allowed("exposure.read"))])
async def get_historic_days() -> Days:
    """Historic days whose moves a what-if can repeat."""
    return Days(items=HISTORIC)


@router.post("/what-if")
async def ask_what_if(body: WhatIfBody, caller: Asker, deps: Deps) -> WhatIfView:
    """Which accounts a shock would break or pass, and what the firm would owe. Changes nothing."""
    shock = shock_of(body)
    shocks: tuple[Shock, ...] = (shock,)
    if body.ladder:
        async with deps.db.transaction() as session:
            shocks = await what_if.ladder(session, shock)
    return WhatIfView(shocks=shocks, answer=await what_if.ask(deps.db, shocks, caller.actor.user_id))


@router.post("/stops", dependencies=[Depends(allowed("exposure.stop"))])
async def ask_for_stop(body: StopBody, keyed: Keyed, deps: Deps) -> StopAnswer:
    """Asks for a stop of the trading in a symbol, of a product, at a platform or of the firm, or for its end; a second
    person who asks for the same agrees to it, and then it is carried out at the venues."""

    async def work(session: AsyncSession) -> StopAnswer:
        return await stops.ask(session, deps, body, keyed.actor)

    return await keyed.write(StopAnswer, body, work)
