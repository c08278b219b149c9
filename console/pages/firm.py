"""The start page: the firm for staff, their own things for a trader."""

from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse

from console.desk import Desk, Visit
from console.pages.mine import trader_home
from console.queries import firm, frame
from console.views.frame import Count, Crumb
from domain.approvals import PEOPLE
from store.read import summary, versions
from store.read.listing import COUNTED

_STATES = (
    "awaiting_payment", "payment_review", "provisioning", "active", "identity_check",
    "awaiting_activation", "funded", "breached", "failed", "expired", "closed", "cancelled", "refunded", "charged_back",
)  # fmt: skip


class FirmPages:
    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    def routes(self, router: APIRouter) -> None:
        router.add_api_route("/", self.home, methods=["GET"], response_model=None)
        router.add_api_route("/overview", self.numbers, methods=["GET"], response_model=None)

    async def home(self, request: Request) -> HTMLResponse:
        async with self._desk.visit(request, PEOPLE) as visit:
            if visit.viewer.is_trader:
                return await trader_home(visit)
            return await visit.render("firm.html", [Crumb("Firm")], **await _numbers(visit, request))

    async def numbers(self, request: Request) -> HTMLResponse:
        async with self._desk.visit(request) as visit:
            return await visit.fragment("firm.html", "numbers", **await _numbers(visit, request))


async def _numbers(visit: Visit, request: Request) -> dict[str, Any]:
    asked = request.query_params.get("platform", "")
    platform = asked if asked in visit.platform_names else ""
    whole = await summary.overview(visit.session)
    known = [state for state in _STATES if whole.challenges.get(state)]
    known += sorted(set(whole.challenges) - set(known) - set(_STATES))
    waiting = await frame.waiting(visit.session, visit.subjects, at_most=COUNTED + 1)
    return {
        "whole": whole,
        "today": await firm.today(visit.session, whole.market_time),
        "challenges": [Count(state, whole.challenges[state], f"/challenges?state={state}") for state in known],
        "on_sale": bool(known) or await versions.any_published(visit.session),
        "waiting": waiting,
        "work": [count for count in waiting if count.value or count.tone != "bad"],
        "exposure": [row for row in await summary.exposure(visit.session, platform) if row.accounts],
        "exposure_of": platform,
        "feeds": await frame.feeds(visit.session),
        "recent": await firm.recent(visit.session),
    }
