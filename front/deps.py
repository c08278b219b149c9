"""What the API and the console need to work: the composition root builds it once per process."""

from collections.abc import Awaitable, Callable, Collection, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Protocol

from domain.sign_ins import STANDARD, SignInTerms
from front.access import Access
from front.limits import RequestLimits
from front.subjects.subject import Subjects
from front.subjects.table import SUBJECTS
from ports import taxes
from ports.calendars import NONE, Calendars
from ports.capabilities import PlatformFeatures
from ports.mail_door import CalledDoor
from ports.payments import Payments
from ports.taxes import Taxes
from ports.tickets import TicketDesk
from ports.webhooks import WebhookRules
from store.db import Database


class WorkflowHandle(Protocol):
    async def execute_update(
        self, update: str, arg: Any, *, id: str | None, result_type: type | None, rpc_timeout: timedelta | None
    ) -> Any: ...

    def fetch_history_events(
        self, *, page_size: int | None, next_page_token: bytes | None, rpc_timeout: timedelta | None
    ) -> Any: ...


class ServiceHealth(Protocol):
    async def check_health(self, *, timeout: timedelta | None) -> bool: ...


class TemporalClient(Protocol):
    """The part of `temporalio.client.Client` that the API uses, so that tests can use a plain object instead."""

    @property
    def service_client(self) -> ServiceHealth: ...

    def get_workflow_handle(self, workflow_id: str, *, run_id: str | None = None) -> WorkflowHandle: ...


@dataclass(frozen=True)
class ApiDeps:
    """`temporal` connects on first use and again after a failure; it may raise RuntimeError or RPCError when down.
    `others` tells how the other processes and the disk are: "ok", or what is wrong, by part."""

    db: Database
    temporal: Callable[[], Awaitable[TemporalClient]]
    payments: Payments
    public_url: str  # where browsers reach us, without a trailing slash
    cookie_secure: bool = True
    limits: RequestLimits = field(default_factory=RequestLimits)
    webhook_rules: WebhookRules = field(default_factory=WebhookRules)
    sign_ins: SignInTerms = STANDARD
    venues: Callable[[], Collection[str]] | None = None  # names of venue calendars; None: products' are not checked
    calendars: Calendars = field(default_factory=lambda: NONE)
    taxes: Taxes = taxes.NONE
    subjects: Subjects = SUBJECTS
    platforms: tuple[PlatformFeatures, ...] = ()
    mail_doors: Mapping[str, CalledDoor] = field(default_factory=dict)  # those that are called, by name
    mail_address: str = ""  # to which mail for the firm is written
    ticket_desk: TicketDesk | None = None  # where people work on tickets; None: here
    access: Access = field(default_factory=Access)
    others: Callable[[], Awaitable[Mapping[str, str]]] | None = None
