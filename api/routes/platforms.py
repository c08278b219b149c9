"""What the configured trading platforms can do."""

from datetime import datetime

from fastapi import APIRouter, Depends

from domain.stops import EVERYWHERE
from front.auth import Deps, allowed
from ports.capabilities import PlatformCapabilities
from store import stops
from store.read.pages import View

router = APIRouter(prefix="/v1", tags=["platforms"])


class StopView(View):
    """Nobody can open a position in `symbol` (null: in anything); with `product`, only its accounts cannot. `since` is
    market time."""

    id: str
    symbol: str | None
    product: str | None
    since: datetime
    reason: str


class PlatformView(View):
    """`default`: new challenges get their accounts there, except those of the `products` of other platforms. `words`: a
    sentence for each capability, in their order. `stops`: those that bind now."""

    name: str
    adapter: str
    default: bool
    products: tuple[str, ...]
    capabilities: PlatformCapabilities
    words: tuple[str, ...]
    stops: tuple[StopView, ...]


class PlatformList(View):
    items: tuple[PlatformView, ...]
    next_cursor: None = None


@router.get("/platforms", dependencies=[Depends(allowed("platforms.read"))])
async def list_platforms(deps: Deps) -> PlatformList:
    """Every configured platform, by name. Settings and record say it: no platform is asked."""
    async with deps.db.transaction() as session:
        binding = await stops.all_in_force(session)
    return PlatformList(
        items=tuple(
            PlatformView(
                name=each.name,
                adapter=each.adapter,
                default=each.default,
                products=each.products,
                capabilities=each.capabilities,
                words=tuple(each.capabilities.in_words()),
                stops=tuple(
                    StopView(
                        id=stop.id, symbol=stop.symbol, product=stop.product, since=stop.proposed_at, reason=stop.reason
                    )
                    for stop in binding
                    if stop.platform in (each.name, EVERYWHERE)
                ),
            )
            for each in deps.platforms
        )
    )
