"""Daily close and reconciliation as workflows call them."""

from datetime import datetime

from temporalio import activity

from contracts.messages import DailyCloseStart, Message, ReconciliationStart


class DailyCloseReport(Message):
    """`after`: the last reset that is checked; `closed` days were checked now; `caught_up`: none is due any more."""

    after: datetime | None
    closed: int
    missing: int
    caught_up: bool
    feed_running: bool


class ReconcileRequest(Message):
    """Update `reconcile` of workflow `Reconciliation`: now, on a person's demand."""

    key: str


class ReconciliationReport(Message):
    """`entries` movements were new at the provider, `tied` found their ledger transaction, `unreconciled` have none
    (in either direction)."""

    after: datetime
    entries: int
    tied: int
    unreconciled: int


@activity.defn(name="operations.check_daily_close")
async def check_daily_close(start: DailyCloseStart) -> DailyCloseReport:
    """Check every reset that is due, a few days at most, and register the wake-up for the next."""
    raise NotImplementedError


@activity.defn(name="operations.reconcile")
async def reconcile(start: ReconciliationStart) -> ReconciliationReport:
    """Pull the provider's movements, tie them to the ledger, and register the wake-up for the next day."""
    raise NotImplementedError
