"""Activities of workflow `DailyClose`, and of one round of workflow `Reconciliation`."""

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


class ComparisonRequest(Message):
    """Update `compare_platform` of workflow `Reconciliation`: a person asks for a comparison of a platform's accounts
    with the record now."""

    key: str
    platform: str


class ComparisonReport(Message):
    """`compared`: accounts of the last comparison, which ended at the market time `ended_at`. `breaks`: those that are
    open, by kind. `suspected`: differences that were seen once, and may still be on their way."""

    platform: str
    compared: int
    ended_at: datetime | None
    breaks: dict[str, int]
    suspected: int


class SourceRef(Message):
    """A statement source, or a platform, by its name in the settings."""

    name: str


class SourceNames(Message):
    sources: tuple[str, ...]
    platforms: tuple[str, ...]


class SourceRead(Message):
    """`entries`: new movements. `tied`: movements matched."""

    entries: int
    tied: int


class RoundEnd(Message):
    """What the sources of a round showed together. `failed`: names of those that could not be read, with the error."""

    entries: int
    tied: int
    failed: dict[str, str]


@activity.defn(name="operations.check_daily_close")
async def check_daily_close(start: DailyCloseStart) -> DailyCloseReport:
    """Checks the resets that are due, up to 14 in one run, and registers the wake-up for the next."""
    raise NotImplementedError


@activity.defn(name="operations.reconcile")
async def reconcile(start: ReconciliationStart) -> ReconciliationReport:
    """A whole round at once, as workflows of earlier versions ask for it."""
    raise NotImplementedError


@activity.defn(name="reconciliation.sources")
async def sources(start: ReconciliationStart) -> SourceNames:
    """Returns what there is to read."""
    raise NotImplementedError


@activity.defn(name="reconciliation.read_source")
async def read_source(ref: SourceRef) -> SourceRead:
    """Fetches the movements of one source in batches, books and matches them, and compares its balance."""
    raise NotImplementedError


@activity.defn(name="reconciliation.read_platform")
async def read_platform(ref: SourceRef) -> SourceRead:
    """Compares a platform's accounts with the record, in batches: once a market day, and those that differed each time.
    Sends the loss limits that a reset may have changed."""
    raise NotImplementedError


@activity.defn(name="reconciliation.compare_platform")
async def compare_platform(request: ComparisonRequest) -> ComparisonReport:
    """Compares all accounts of a platform with the record, and looks again at what differs."""
    raise NotImplementedError


@activity.defn(name="reconciliation.finish")
async def finish(end: RoundEnd) -> ReconciliationReport:
    """Counts what is left, tells people of sources that could not be read, and registers the wake-up for the next
    day."""
    raise NotImplementedError
