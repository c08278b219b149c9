"""Activities of workflows `DailyClose` and `Reconciliation`."""

from datetime import datetime

from temporalio import activity

from contracts.messages import DailyCloseStart, Message, ReconciliationStart


class DailyCloseReport(Message):
    """`after`: the last reset that was checked. `closed`: days checked in this run. `missing`: daily snapshots not
    found. `caught_up`: no further day is due."""

    after: datetime | None
    closed: int
    missing: int
    caught_up: bool
    feed_running: bool


class ReconcileRequest(Message):
    """Update `reconcile` of workflow `Reconciliation`: a person asks for a reconciliation now."""

    key: str


class ReconciliationReport(Message):
    """`entries`: new movements at the providers. `tied`: movements matched with a ledger transaction. `unreconciled`:
    movements without a ledger transaction, and ledger transactions without a movement."""

    after: datetime
    entries: int
    tied: int
    unreconciled: int


@activity.defn(name="operations.check_daily_close")
async def check_daily_close(start: DailyCloseStart) -> DailyCloseReport:
    """Checks the resets that are due, up to 14 in one run, and registers the wake-up for the next."""
    raise NotImplementedError


@activity.defn(name="operations.reconcile")
async def reconcile(start: ReconciliationStart) -> ReconciliationReport:
    """Fetches the movements of every provider, matches them with the ledger, and registers the wake-up for the next
    day."""
    raise NotImplementedError
