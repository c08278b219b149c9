"""What the traders hold together: heat map, currencies, history, limits, and what a shock would do."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, Response
from sqlalchemy.ext.asyncio import AsyncSession

from console.desk import Desk, Visit, redirect
from console.present import exposure as present
from console.views.frame import Crumb
from domain.approvals import Actor
from domain.errors import PropOSError
from domain.exposure.firm import FirmFigures
from domain.exposure.shocks import HISTORIC, Shock
from domain.exposure.what_if import Affected, FirmAnswer
from firm.exposure import what_if
from front import permissions, stops
from front.stops import StopAnswer, StopBody, action_named
from front.what_if import read_body, shock_of
from store import products
from store import stops as stored
from store.read import exposure

_HOURS: Final = 24
_NAMED: Final = 30
_FIELDS: Final = ("shock", "day", "crosses", "spread", "stops", "passes")


@dataclass(frozen=True)
class Asked:
    """A what-if with its answer, or the reason that there is none."""

    values: Mapping[str, str]
    shocks: tuple[Shock, ...] = ()
    answer: FirmAnswer | None = None
    problem: str = ""


class ExposurePages:
    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    def routes(self, router: APIRouter) -> None:
        router.add_api_route("/exposure", self.show, methods=["GET"], response_model=None)
        router.add_api_route("/exposure/stops", self.stop, methods=["POST"], response_model=None)
        router.add_api_route("/exposure/figures", self.figures, methods=["GET"], response_model=None)

    async def show(self, request: Request) -> HTMLResponse:
        """The page. A what-if is asked with the address, so that it can be reloaded and sent to a colleague."""
        async with self._desk.visit(request, permissions.CAN["exposure.read"]) as visit:
            asker = visit.actor
        asked = await self._ask(request, asker)
        async with self._desk.visit(request, permissions.CAN["exposure.read"]) as visit:
            values = await _values(visit, request)
            numbers = await exposure.numbers_of_accounts(visit.session, _affected(asked))
            return await visit.render(
                "exposure.html",
                [Crumb("Risk", "/risk"), Crumb("Exposure")],
                asked=asked,
                numbers=numbers,
                days=HISTORIC,
                ladder=_ladder(asked),
                history=present.history_chart(await exposure.history(visit.session, hours=_HOURS)),
                drawing=(present.WIDTH, present.HEIGHT),
                may_stop=permissions.may(visit.actor, "exposure.stop"),
                stops_binding=await stored.all_in_force(visit.session),
                stops_waiting=await stored.waiting(visit.session),
                stop_platforms=[each.name for each in self._desk.deps.platforms],
                stop_products=[row.product for row in await products.newest_of_each(visit.session)],
                **values,
            )

    async def stop(self, request: Request) -> Response:
        """Asks for a stop or its end, or agrees to one that another person asked for."""
        posted = await self._desk.posted(request, "exposure.stop")
        form = posted.form
        body = StopBody(
            platform=form.needed("platform", longest=39),
            symbol=form.text("symbol") or None,
            product=form.text("product") or None,
            action=action_named(form.text("action", "close_only")),
            lifts=form.text("lifts") == "yes",
            reason=form.needed("reason", shortest=3, longest=500),
        )

        async def work(session: AsyncSession) -> StopAnswer:
            return await stops.ask(session, self._desk.deps, body, posted.actor)

        answer = await posted.once.write(StopAnswer, body, work)
        if answer.state == "proposed":
            return redirect("/exposure#stops", "warn", "Requested. A second person must confirm it within an hour.")
        return redirect("/exposure#stops", "ok", "Two people have agreed. The platforms are carrying it out.")

    async def figures(self, request: Request) -> HTMLResponse:
        async with self._desk.visit(request, permissions.CAN["exposure.read"]) as visit:
            return await visit.fragment("exposure.html", "figures", **await _values(visit, request))

    async def _ask(self, request: Request, asker: Actor) -> Asked:
        values = {name: request.query_params.get(name, "")[:2_000] for name in _FIELDS}
        if not ({"shock", "day", "ladder"} & set(request.query_params)):
            return Asked(values)
        given = {name: value for name, value in values.items() if value}
        try:
            permissions.check(asker, "exposure.what_if")
            body = read_body({**given, "ladder": "ladder" in request.query_params})
            shock = shock_of(body)
            shocks: tuple[Shock, ...] = (shock,)
            if body.ladder:
                async with self._desk.deps.db.transaction() as session:
                    shocks = await what_if.ladder(session, shock)
            return Asked(values, shocks, await what_if.ask(self._desk.deps.db, shocks, asker.user_id))
        except PropOSError as refused:
            return Asked(values, problem=f"{refused.message} {refused.remedy or ''}".strip())


async def _values(visit: Visit, request: Request) -> dict[str, Any]:
    asked = request.query_params.get("platform", "")
    platform = asked if asked in visit.platform_names else ""
    figures: FirmFigures = await exposure.firm(visit.session, platform)
    accounts = [part.account_id for part in figures.nearest]
    limits = await exposure.limits(visit.session, figures)
    limited = [each.name for each in limits if each.of == "trader"]
    return {
        "figures": figures,
        "exposure_of": platform,
        "heat": present.heat_map(figures),
        "money": present.reported,
        "whole": present.whole,
        "limits": limits,
        "traders": await exposure.names_of_traders(visit.session, [*_traders(figures), *limited]),
        "nearest_numbers": await exposure.numbers_of_accounts(visit.session, accounts),
    }


def _traders(figures: FirmFigures) -> list[str]:
    linked = [trader for line in figures.clusters for trader in line.trader_ids[:_NAMED]]
    return [*(each.trader_id for each in figures.traders), *linked]


def _affected(asked: Asked) -> list[str]:
    if asked.answer is None or len(asked.shocks) != 1:
        return []
    outcome = asked.answer.outcomes[0]
    every: tuple[Affected, ...] = (*outcome.breached[:_NAMED], *outcome.offending[:_NAMED], *outcome.passing[:_NAMED])
    return [each.account_id for each in every]


def _ladder(asked: Asked) -> present.LadderChart | None:
    if asked.answer is None or len(asked.shocks) < 2:
        return None
    return present.ladder_chart(asked.shocks, asked.answer.outcomes)
