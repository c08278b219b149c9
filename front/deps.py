"""What the API and the console need to work: the composition root builds it once per process."""

from collections.abc import Awaitable, Callable, Collection
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Protocol

from front.subjects.subject import Subjects
from front.subjects.table import SUBJECTS
from ports.calendars import NONE, Calendars
from ports.payments import Providers
from store.db import Database
from store.identity import Throttle


class WorkflowHandle(Protocol):
    async def execute_update(
        self, update: str, arg: Any, *, id: str | None, result_type: type | None, rpc_timeout: timedelta | None
    ) -> Any: ...


class ServiceHealth(Protocol):
    async def check_health(self, *, timeout: timedelta | None) -> bool: ...


class TemporalClient(Protocol):
    """The part of `temporalio.client.Client` that the API uses, so that tests can use a plain object instead."""

    @property
    def service_client(self) -> ServiceHealth: ...

    def get_workflow_handle(self, workflow_id: str) -> WorkflowHandle: ...


@dataclass(frozen=True)
class ApiDeps:
    """`temporal` connects on first use and again after a failure; it may raise RuntimeError or RPCError when down."""

    db: Database
    temporal: Callable[[], Awaitable[TemporalClient]]
    payments: Providers
    public_url: str  # where browsers reach us, without a trailing slash
    cookie_secure: bool = True
    throttle: Throttle = field(default_factory=Throttle)
    venues: Callable[[], Collection[str]] | None = None  # names of venue calendars; None: products' are not checked
    calendars: Calendars = field(default_factory=lambda: NONE)
    subjects: Subjects = SUBJECTS
