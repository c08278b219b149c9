"""How long people took to decide, whether in time, and what was overturned later, by month. For staff."""

from decimal import Decimal
from typing import Any, Final

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from domain.reports.months import Months
from domain.reports.shares import share
from store.models.challenges import DECIDED
from store.read.decided import OF_STEP, OUTCOMES, Kind
from store.read.pages import View

_COUNTED: Final = ", ".join(f"{condition} AS {name}" for name, condition in OUTCOMES.items())
_COUNTS: Final = ", ".join(f"count(*) FILTER (WHERE {name}) AS {name}" for name in OUTCOMES)
_MONTHS: Final = text(f"""
    WITH steps AS MATERIALIZED (
        SELECT subject_kind, subject_id, id, trigger, occurred_at FROM transitions
         WHERE {DECIDED} AND occurred_at >= :since AND occurred_at < :until
    ), counted AS (
        SELECT made.kind, transitions.occurred_at AS at, made.since, {_COUNTED}
          FROM steps AS transitions CROSS JOIN LATERAL ({OF_STEP}) AS made
    ), timed AS (
        SELECT *, to_char(at AT TIME ZONE :zone, 'YYYY-MM') AS month,
               CAST(extract(epoch FROM at - since) AS bigint) AS took
          FROM counted WHERE CAST(:kind AS text) = '' OR kind = :kind
    )
    SELECT kind, month, {_COUNTS},
           percentile_disc(0.5) WITHIN GROUP (ORDER BY took) FILTER (WHERE decided) AS median_seconds,
           percentile_disc(0.9) WITHIN GROUP (ORDER BY took) FILTER (WHERE decided) AS p90_seconds
      FROM timed
     GROUP BY GROUPING SETS ((kind, month), (kind))
     ORDER BY kind, month NULLS LAST
""")


class DecisionTimeRow(View):
    """Decisions of one kind in one month, or in all months (`month` is null). `decided`: how many people decided.
    `timed_out`: how many nobody decided in time. `median_seconds`: half were decided within this time. `p90_seconds`:
    nine of ten were decided within this time, in seconds. `with_deadline`: how many had a date that is known; those
    that timed out are among them. `within_deadline`: how many of these were decided by then. `within_share`: within of
    with deadline, 0 to 1. `could_be_overturned`: rejected payouts, decided disputes and appeals, or cases that cost the
    trader something. `overturned`: how many of these were: a later request of the same challenge was paid, the breach
    was overturned, the appeal was granted. `overturned_share`: overturned of those, 0 to 1."""

    kind: Kind
    month: str | None
    decided: int
    timed_out: int
    median_seconds: int | None
    p90_seconds: int | None
    with_deadline: int
    within_deadline: int
    within_share: Decimal | None
    could_be_overturned: int
    overturned: int
    overturned_share: Decimal | None


class DecisionTimes(View):
    """`zone`: whose calendar months are meant. `items`: by kind and month, the oldest first; months without decisions
    are left out. `totals`: by kind."""

    from_month: str
    to_month: str
    zone: str
    items: tuple[DecisionTimeRow, ...]
    totals: tuple[DecisionTimeRow, ...]


async def decision_times(session: AsyncSession, asked: Months, kind: str = "") -> DecisionTimes:
    """Returns the times of decisions of these months, in market time. `kind`: of this one only.

    One statement. It reads the deciding steps of these months by an index that has no other steps, and for each what it
    decided: its cost grows with the decisions of the range."""
    values = {"since": asked.since, "until": asked.until, "zone": asked.zone, "kind": kind}
    rows = [_row(row) for row in (await session.execute(_MONTHS, values)).mappings()]
    return DecisionTimes(
        from_month=asked.names[0],
        to_month=asked.names[-1],
        zone=asked.zone,
        items=tuple(row for row in rows if row.month is not None),
        totals=tuple(row for row in rows if row.month is None),
    )


def _row(row: Any) -> DecisionTimeRow:
    return DecisionTimeRow(
        **row,
        within_share=share(row["within_deadline"], row["with_deadline"]),
        overturned_share=share(row["overturned"], row["could_be_overturned"]),
    )
