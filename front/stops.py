"""A stop of trading as people ask for it, with a command, a form or over the API: whether the venues can do it."""

from collections.abc import Mapping
from typing import Annotated

from pydantic import Field
from sqlalchemy.ext.asyncio import AsyncSession

from domain.approvals import Actor
from domain.errors import BadInput
from domain.stops import ACTIONS, EVERYWHERE, Action, check_possible
from firm import stops
from front.deps import ApiDeps
from front.fields import Input, Reason
from ports.capabilities import PlatformCapabilities
from store.read.pages import View


def action_named(name: str) -> Action:
    """Raises BadInput."""
    found = next((action for action in ACTIONS if action == name.replace("-", "_")), None)
    if found is None:
        raise BadInput(f"There is no action {name!r}.", field="action", remedy=f"Use one of {', '.join(ACTIONS)}.")
    return found


def one_call(
    platforms: Mapping[str, PlatformCapabilities],
    *,
    platform: str,
    symbol: str | None,
    product: str | None,
    action: Action,
) -> bool:
    """Returns whether one call at the venue does it for everybody. Raises BadInput for a platform that is not
    configured, and for what a platform cannot do."""
    if platform != EVERYWHERE and platform not in platforms:
        raise BadInput(
            f"There is no platform {platform!r}.",
            field="name",
            remedy=f"Give one of {', '.join(sorted(platforms))}, or {EVERYWHERE} for all.",
        )
    names = sorted(platforms) if platform == EVERYWHERE else [platform]
    found = [
        check_possible(
            platform=name,
            symbol=symbol,
            stops_everybody=platforms[name].kill_switch,
            close_only=platforms[name].close_only,
            sets_trading=platforms[name].sets_trading,
            cancels_orders=platforms[name].cancels_orders,
            product=product,
            action=action,
        )
        for name in names
    ]
    return platform != EVERYWHERE and all(found)


class StopBody(Input):
    """`platform` `*`: at every platform. `symbol`: the venue's name of one; null: everything. `product`: only accounts
    of this product. `action`: `close_only` binds until it is lifted; `cancel_orders` and `flatten` are done once, while
    it binds."""

    platform: Annotated[str, Field(pattern=r"^(\*|[a-z][a-z0-9_-]{0,38})$")]
    symbol: Annotated[str, Field(min_length=1, max_length=40)] | None = None
    product: Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]{0,40}$")] | None = None
    action: Action = "close_only"
    lifts: bool = False
    reason: Reason


class StopAnswer(View):
    """`state` `proposed`: a second person asks for the same within an hour. `approved`: it is being carried out."""

    id: str
    state: str


async def ask(session: AsyncSession, deps: ApiDeps, body: StopBody, actor: Actor) -> StopAnswer:
    """Asks for a stop, or agrees to one. Raises BadInput, NotAllowed, Conflict."""
    known = {each.name: each.capabilities for each in deps.platforms}
    whole = one_call(known, platform=body.platform, symbol=body.symbol, product=body.product, action=body.action)
    row = await stops.ask(
        session,
        platform=body.platform,
        symbol=body.symbol,
        product=body.product,
        action=body.action,
        lifts=body.lifts,
        whole=whole,
        actor=actor,
        reason=body.reason,
    )
    return StopAnswer(id=row.id, state=row.state)
