"""The start page: the firm for staff, their own things for a trader."""

from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse

from console.desk import Desk, Visit
from console.pages.mine import trader_home
from console.queries import firm, frame
from console.views import Count, Crumb
from domain.approvals import ROLES
from domain.lifecycle import CHALLENGE
from store.read import summary

_WORK = (
    ("payout", "Payouts to decide", "/queue?kind=payout"),
    ("dispute", "Disputes to decide", "/queue?kind=dispute"),
    ("case", "Surveillance cases", "/queue?kind=case"),
    ("identity", "Identity checks", "/queue?kind=identity"),
    ("product_version", "Product versions to approve", "/queue?kind=product_version"),
    ("account_move", "Account moves to approve", "/queue?kind=account_move"),
    ("review", "Reviews", "/risk"),
    ("ticket", "Tickets waiting for the firm", "/tickets?state=open"),
)
_STATES = (
    "awaiting_payment", "payment_review", "provisioning", "active", "identity_check", "funded", "breached", "failed", "expired", "closed",
    "cancelled", "refunded", "charged_back",
)  # fmt: skip


class FirmPages:
    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    def routes(self, router: APIRouter) -> None:
        router.add_api_route("/", self.home, methods=["GET"], response_model=None)
        router.add_api_route("/overview", self.numbers, methods=["GET"], response_model=None)

    async def home(self, request: Request) -> HTMLResponse:
        async with self._desk.visit(request, frozenset(ROLES)) as visit:
            if visit.viewer.is_trader:
                return await trader_home(visit)
            return await visit.render("firm.html", [Crumb("Firm")], **await _numbers(visit))

    async def numbers(self, request: Request) -> HTMLResponse:
        async with self._desk.visit(request) as visit:
            return await visit.fragment("firm.html", "numbers", **await _numbers(visit))


async def _numbers(visit: Visit) -> dict[str, Any]:
    whole = await summary.summary(visit.session)
    known = [state for state in _STATES if whole.challenges.get(state)]
    known += sorted(set(whole.challenges) - set(known) - set(_STATES))
    counted = [Count(state, whole.challenges[state], f"/accounts?state={state}") for state in known]
    stuck = whole.open_work.get("inbox", 0) + whole.open_work.get("outbox", 0)
    work = [Count(label, whole.open_work.get(kind, 0), href, "warn") for kind, label, href in _WORK]
    return {
        "whole": whole,
        "today": await firm.today(visit.session, whole.market_time),
        "challenges": counted,
        "ended": sum(count for state, count in whole.challenges.items() if state in CHALLENGE.terminal),
        "work": [*work, Count("Messages that cannot be delivered", stuck, "/risk", "bad")] if stuck else work,
        "exposure": await summary.exposure(visit.session),
        "feeds": await frame.feeds(visit.session),
        "recent": await firm.recent(visit.session),
    }
