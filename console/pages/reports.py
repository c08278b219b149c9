"""Reports: sums over months with a plot, a table and a file; and what the firm would owe."""

from collections.abc import Callable
from typing import Any, Final, get_args

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, Response

from console import templating
from console.desk import Desk
from console.lists import Table
from console.present import liability as liability_words
from console.present import reports as present
from console.views.frame import Crumb
from domain.currencies import DIGITS
from domain.errors import BadInput
from domain.reports.months import Months
from firm import funded_accounts, liability
from front import permissions, reports
from front.exports import Format
from front.lists import text_of
from store.read.decided import KINDS
from store.read.decision_times import DecisionTimes
from store.read.pages import Window
from store.read.pass_rates import PassRates
from store.read.revenue import Revenue

_HOME: Final = Crumb("Reports", "/reports")
TITLES: Final = {
    "pass-rates": "Pass and payout rates",
    "revenue": "Revenue and payouts",
    "decision-times": "Decisions",
}
# Address, name, and what it answers.
LIST: Final = (
    ("/reports/pass-rates", TITLES["pass-rates"], "how many purchases passed, were funded and were paid"),
    ("/reports/revenue", TITLES["revenue"], "fees, refunds, profit shares and the result by month"),
    ("/reports/decision-times", TITLES["decision-times"], "time to decision, within deadline, overturned"),
    ("/reports/liability", "Liability", "what the firm would owe, by product and over time"),
    ("/risk/precision", "Alert precision", "how often each surveillance pattern was right"),
)
_ROWS: Final = 60
_TYPES: Final = {"csv": "text/csv; charset=utf-8", "json": "application/json"}


class ReportPages:
    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    def routes(self, router: APIRouter) -> None:
        router.add_api_route("/reports", self.home, methods=["GET"], response_model=None)
        router.add_api_route("/reports/liability", self.liability, methods=["GET"], response_model=None)
        router.add_api_route(liability_words.ACCOUNTS, self.funded, methods=["GET"], response_model=None)
        router.add_api_route("/reports/{name}", self.show, methods=["GET"], response_model=None)
        router.add_api_route("/reports/{name}/export", self.file, methods=["POST"], response_model=None)

    async def home(self, request: Request) -> HTMLResponse:
        async with self._desk.visit(request, permissions.CAN[reports.RIGHT]) as visit:
            return await visit.render("reports.html", [Crumb("Reports")], reports=LIST)

    async def liability(self, request: Request) -> HTMLResponse:
        async with self._desk.visit(request, permissions.CAN[reports.RIGHT]) as visit:
            days = await reports.owed_days(visit.session)
            found = await liability.liability(visit.session)
            return await visit.render(
                "report_liability.html",
                [_HOME, Crumb("Liability")],
                reports=LIST,
                found=found,
                bars=present.bars(found),
                days=days,
                plot=present.owed_plot(days),
                words=liability_words,
            )

    async def funded(self, request: Request) -> HTMLResponse:
        """The accounts that the numbers of the liability report count. Raises BadInput."""
        given = {name: text_of(request.query_params, name) for name in ("product", "version", "reason")}
        cursor = request.query_params.get("cursor")
        async with self._desk.visit(request, permissions.CAN[reports.RIGHT]) as visit:
            found = await funded_accounts.page(
                visit.session, Window(_ROWS, cursor), given["product"], _version(given["version"]), given["reason"]
            )
            return await visit.render(
                "report_funded.html",
                [_HOME, Crumb("Liability", "/reports/liability"), Crumb("Funded accounts")],
                reports=LIST,
                rows=found.items,
                table=Table(
                    liability_words.ACCOUNTS,
                    given,
                    cursor=cursor,
                    next_cursor=found.next_cursor,
                    previous_cursor=found.previous_cursor,
                ),
                choices=("eligible", *liability_words.REASONS),
                words=liability_words,
                **given,
            )

    async def show(self, request: Request) -> HTMLResponse:
        """Raises NotFound, BadInput."""
        name = request.path_params["name"]
        async with self._desk.visit(request, permissions.CAN[reports.RIGHT]) as visit:
            asked, only = await _asked(visit.session, request.query_params.get, name)
            found = await reports.report(visit.session, name, asked, only)
            return await visit.render(
                f"report_{name.replace('-', '_')}.html",
                [_HOME, Crumb(TITLES[name])],
                reports=LIST,
                name=name,
                title=TITLES[name],
                found=found,
                asked=asked,
                filter=reports.FILTERS[name],
                only=only,
                words=present,
                **_shown(found, asked, only),
            )

    async def file(self, request: Request) -> Response:
        """Raises NotFound, BadInput."""
        posted, name = await self._desk.posted(request, reports.RIGHT), request.path_params["name"]
        form = _format(posted.form.text("format"))
        async with self._desk.deps.db.transaction() as session:
            asked, only = await _asked(session, posted.form.text, name)
            found = await reports.report(session, name, asked, only)
            data = await reports.file_of(session, posted.once, name, found, form)
        headers = {"Content-Disposition": f'attachment; filename="{name}.{form}"', **templating.HEADERS}
        return Response(data, media_type=_TYPES[form], headers=headers)


async def _asked(session: Any, given: Callable[[str, str], str], name: str) -> tuple[Months, str]:
    months = await reports.months_of(session, given("from_month", "").strip(), given("to_month", "").strip())
    only = reports.FILTERS.get(name, "")
    return months, given(only, "").strip() if only else ""


def _shown(found: reports.Report, asked: Months, only: str) -> dict[str, Any]:
    """The plots, and the values of the filter."""
    match found:
        case PassRates():
            plots = [present.rates_plot(found, asked.names)] if found.items else []
            choices: list[str] = sorted({row.product for row in found.products if row.product} | ({only} - {""}))
        case Revenue():
            plots, choices = present.revenue_plots(found, asked.names), sorted(DIGITS)
        case DecisionTimes():
            plot = present.times_plot(found, asked.names)
            plots, choices = [plot] if plot else [], list(KINDS)
    return {"plots": plots, "choices": choices}


def _version(text: str) -> int | None:
    """Raises BadInput."""
    if text and not (text.isascii() and text.isdigit() and len(text) < 10):
        raise BadInput("A version is a whole number.", field="version", remedy="Follow the link of the report again.")
    return int(text) if text else None


def _format(text: str) -> Format:
    """Raises BadInput."""
    for known in get_args(Format):
        if text == known:
            form: Format = known
            return form
    raise BadInput("There is no such format.", field="format", remedy="Use csv or json.")
