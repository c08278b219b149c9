"""The console's router, and the page that tells a person what went wrong."""

from collections.abc import Awaitable, Callable

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, Response
from sqlalchemy.exc import SQLAlchemyError

from console import templating
from console.deciding import queue_of
from console.desk import Desk, came_from, shell
from console.htmx import NOTICE, REDIRECT, PageRoute, restores, sent_by_htmx, wants_part
from console.pages import proving
from console.pages.account_actions import AccountActionPages
from console.pages.accounts import AccountPages
from console.pages.api_reference import ApiReferencePages
from console.pages.bulk import BulkPages
from console.pages.buying import BuyingPages
from console.pages.cases import CasePages
from console.pages.certificates import CertificatePages
from console.pages.challenges import ChallengePages
from console.pages.chargebacks import ChargebackPages
from console.pages.credentials import CredentialPages
from console.pages.decisions import DecisionPages
from console.pages.door import Door, sign_in_address, to_sign_in
from console.pages.doors import OuterDoors
from console.pages.exposure import ExposurePages
from console.pages.firm import FirmPages
from console.pages.lists import ListPages
from console.pages.mails import MailPages
from console.pages.mine import TraderActions
from console.pages.my_account import MyAccountPages
from console.pages.notifications import NotificationPages
from console.pages.orders import OrderPages
from console.pages.parked import ParkedPages
from console.pages.payouts import PayoutPages
from console.pages.people import PeoplePages
from console.pages.platforms import PlatformPages
from console.pages.product_drafts import ProductDraftPages
from console.pages.products import ProductPages
from console.pages.programs import ProgramPages
from console.pages.proofs import ProofPages
from console.pages.provider import ProviderPages
from console.pages.queue import QueuePages
from console.pages.queue_work import QueueWorkPages
from console.pages.reconciliation import ReconciliationPages
from console.pages.records import RecordPages
from console.pages.reports import ReportPages
from console.pages.rulebooks import RuleBookPages
from console.pages.saved_views import SavedViewPages
from console.pages.second_factor import SecondFactorPages
from console.pages.security import SecurityPages
from console.pages.sign_ins import SignInPages
from console.pages.staff import StaffPages
from console.pages.support import SupportPages
from console.pages.surveillance_policy import SurveillancePolicyPages
from console.pages.ticket_desk import TicketDeskPages
from console.pages.workflows import WorkflowPages
from console.views.frame import Crumb
from domain.approvals import PEOPLE
from domain.errors import InternalError, NotSignedIn, PayoutRefused, PropOSError
from domain.sign_in_errors import StepUpRequired
from front.deps import ApiDeps

ErrorPage = Callable[[Request, PropOSError, str], Awaitable[Response | None]]

_TITLES = {
    403: "Not allowed",
    404: "Nothing here",
    409: "Already decided or changed",
    422: "Please check",
    429: "Too many attempts",
    500: "Something went wrong",
    503: "A part is down",
}
_OTHERS = ("/v1", "/webhooks", "/healthz", "/readyz", "/metrics", "/static")


def router(deps: ApiDeps) -> APIRouter:
    """Every page of the console, and its static files under /static."""
    found, desk = APIRouter(include_in_schema=False, route_class=PageRoute), Desk(deps)
    pages = (
        Door(desk),
        OuterDoors(desk),
        SignInPages(desk),
        StaffPages(desk),
        SecondFactorPages(desk),
        ProviderPages(desk),
        SecurityPages(desk),
        FirmPages(desk),
        MyAccountPages(desk),
        AccountPages(desk),
        AccountActionPages(desk),
        CredentialPages(desk),
        OrderPages(desk),
        ListPages(desk),
        SavedViewPages(desk),
        ChallengePages(desk),
        BuyingPages(desk),
        CertificatePages(desk),
        ProofPages(desk),
        BulkPages(desk),
        QueueWorkPages(desk),
        QueuePages(desk),
        PayoutPages(desk),
        ChargebackPages(desk),
        ReconciliationPages(desk),
        ReportPages(desk),
        DecisionPages(desk),
        CasePages(desk),
        SurveillancePolicyPages(desk),
        SupportPages(desk),
        TicketDeskPages(desk),
        MailPages(desk),
        NotificationPages(desk),
        PeoplePages(desk),
        PlatformPages(desk),
        ExposurePages(desk),
        ProductPages(desk),
        ProductDraftPages(desk),
        RuleBookPages(desk),
        ParkedPages(desk),
        RecordPages(desk),
        WorkflowPages(desk),
        ProgramPages(desk),
        ApiReferencePages(desk),
        TraderActions(desk),
    )
    for page in pages:
        page.routes(found)
    return found


def error_page(deps: ApiDeps) -> ErrorPage:
    """Answers a refused request of a browser with a page: the message, the remedy, the request id. A part of a page
    gets them as a notice. Returns None for programs."""
    desk = Desk(deps)

    async def page(request: Request, error: PropOSError, request_id: str) -> Response | None:
        if request.url.path.startswith(_OTHERS):
            return None
        if isinstance(error, NotSignedIn):
            return _left(request) if sent_by_htmx(request) else to_sign_in(request)
        if wants_part(request):
            return _notice(request, error, request_id)
        if isinstance(error, StepUpRequired):
            return await proving.page(desk, request, error)
        context = {
            "title": _TITLES.get(error.status, "This did not work"),
            "message": error.message,
            "remedy": error.remedy,
            "request_id": request_id,
            "proof_id": error.proof_id if isinstance(error, PayoutRefused) else None,
            "back": came_from(request),
            "queue": queue_of(request),
        }
        plainly = {"viewer": None, **shell(request), **context}
        if isinstance(error, InternalError):  # what broke may be the frame itself
            return HTMLResponse(templating.page("problem.html", plainly), error.status, headers=templating.HEADERS)
        try:
            async with desk.visit(request, PEOPLE) as visit:
                return await visit.render("problem.html", [Crumb(context["title"] or "")], error.status, **context)
        except (PropOSError, SQLAlchemyError):
            return HTMLResponse(templating.page("problem.html", plainly), error.status, headers=templating.HEADERS)

    return page


def _notice(request: Request, error: PropOSError, request_id: str) -> Response:
    """A part of a page was refused or broke: the page stays as it is, and says so above it."""
    context = {
        "message": error.message,
        "remedy": error.remedy,
        "request_id": request_id,
        "back": came_from(request, "hx-current-url"),
    }
    shown = templating.fragment("_trouble.html", "notice", context)
    return HTMLResponse(shown, error.status, headers={**NOTICE, **templating.HEADERS})


def _left(request: Request) -> Response:
    """The session of a page that reloads parts has ended: the browser goes to the sign-in page, and back afterwards."""
    back = shell(request)["path"] if restores(request) else came_from(request, "hx-current-url")
    return Response(status_code=401, headers={REDIRECT: sign_in_address(back), "Cache-Control": "no-store"})
