"""How long people took to decide, whether in time, and what was overturned later, by month. For staff."""

from decimal import Decimal
from typing import Any, Final, Literal, get_args

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from domain.reports.months import Months
from domain.reports.shares import share
from store.models.challenges import DECIDED
from store.read.pages import View

Kind = Literal["payout", "dispute", "appeal", "case"]
KINDS: Final[tuple[Kind, ...]] = get_args(Kind)

# Of a payout the first decision counts: a later round follows a transfer that failed. Its row keeps the date of the
# last round only, so the date of the first is known while there was no second. What nobody had to decide is left out.
_MONTHS: Final = text(f"""
    WITH steps AS MATERIALIZED (
        SELECT subject_kind, subject_id, id, trigger, occurred_at FROM transitions
         WHERE {DECIDED} AND occurred_at >= :since AND occurred_at < :until
    ), decided AS (
        SELECT 'payout' AS kind, s.occurred_at AS at, p.requested_at AS since,
               CASE WHEN p.round = 1 THEN p.decide_by END AS due,
               s.trigger = 'decision_timed_out' AS missed, s.trigger = 'payout_rejected' AS could,
               s.trigger = 'payout_rejected' AND EXISTS (
                   SELECT FROM payouts o WHERE o.challenge_id = p.challenge_id AND o.state = 'paid'
                      AND o.requested_at > p.requested_at) AS overturned
          FROM steps s JOIN payouts p ON p.id = s.subject_id
         WHERE s.subject_kind = 'payout' AND NOT (s.trigger = 'approvals_complete' AND p.approvers_needed = 0)
           AND NOT EXISTS (SELECT FROM transitions t WHERE t.subject_kind = 'payout' AND t.subject_id = p.id
                              AND t.id < s.id AND {DECIDED})
         UNION ALL
        SELECT CASE WHEN d.instance = 1 AND d.case_id IS NULL THEN 'dispute' ELSE 'appeal' END, s.occurred_at,
               d.opened_at, d.decide_by, false, true, s.trigger = 'reinstatement_granted'
          FROM steps s JOIN disputes d ON d.id = s.subject_id WHERE s.subject_kind = 'dispute'
         UNION ALL
        SELECT 'case', s.occurred_at, c.opened_at, c.hold_until, false,
               s.trigger NOT IN ('suspicion_cleared', 'left_inconclusive'), c.state = 'overturned'
          FROM steps s JOIN cases c ON c.id = s.subject_id WHERE s.subject_kind = 'case'
    ), timed AS (
        SELECT *, to_char(at AT TIME ZONE :zone, 'YYYY-MM') AS month,
               CAST(extract(epoch FROM at - since) AS bigint) AS took
          FROM decided WHERE CAST(:kind AS text) = '' OR kind = :kind
    )
    SELECT kind, month, count(*) FILTER (WHERE NOT missed) AS decided, count(*) FILTER (WHERE missed) AS timed_out,
           percentile_disc(0.5) WITHIN GROUP (ORDER BY took) FILTER (WHERE NOT missed) AS median_seconds,
           percentile_disc(0.9) WITHIN GROUP (ORDER BY took) FILTER (WHERE NOT missed) AS p90_seconds,
           count(*) FILTER (WHERE due IS NOT NULL OR missed) AS with_deadline,
           count(*) FILTER (WHERE at <= due AND NOT missed) AS within_deadline,
           count(*) FILTER (WHERE could) AS could_be_overturned, count(*) FILTER (WHERE overturned) AS overturned
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
