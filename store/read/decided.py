"""Decisions about payouts, disputes and cases: what reports count, and the list of these. For staff."""

from datetime import datetime
from typing import Any, Final, Literal, get_args

from sqlalchemy import (
    Boolean,
    Column,
    DateTime,
    Select,
    String,
    and_,
    literal_column,
    select,
    text,
    true,
)
from sqlalchemy.ext.asyncio import AsyncSession

from store.models import Transition
from store.models.challenges import DECIDED
from store.read import listing
from store.read.finding import Named
from store.read.listing import EVERYTHING, Asked, Condition, Filter, Listing, Order, before, since
from store.read.pages import Page, View, Window
from store.scope import FIRM

Kind = Literal["payout", "dispute", "appeal", "case"]
KINDS: Final[tuple[Kind, ...]] = get_args(Kind)

# Of the step `transitions`: what it decided, in one row; none for a step that is no decision of people. Of a payout
# the first decision counts: a later round follows a transfer that failed. Its row keeps the date of the last round
# only, so the date of the first is known while there was no second. What nobody had to decide is left out.
OF_STEP: Final = f"""
    SELECT 'payout' AS kind, p.requested_at AS since, CASE WHEN p.round = 1 THEN p.decide_by END AS due,
           transitions.trigger = 'decision_timed_out' AS missed, transitions.trigger = 'payout_rejected' AS could,
           transitions.trigger = 'payout_rejected' AND EXISTS (
               SELECT FROM payouts o WHERE o.challenge_id = p.challenge_id AND o.state = 'paid'
                  AND o.requested_at > p.requested_at) AS overturned
      FROM payouts p
     WHERE transitions.subject_kind = 'payout' AND p.id = transitions.subject_id
       AND NOT (transitions.trigger = 'approvals_complete' AND p.approvers_needed = 0)
       AND NOT EXISTS (SELECT FROM transitions t WHERE t.subject_kind = 'payout' AND t.subject_id = p.id
                          AND t.id < transitions.id AND t.{DECIDED})
     UNION ALL
    SELECT CASE WHEN d.instance = 1 AND d.case_id IS NULL THEN 'dispute' ELSE 'appeal' END, d.opened_at, d.decide_by,
           false, true, transitions.trigger = 'reinstatement_granted'
      FROM disputes d WHERE transitions.subject_kind = 'dispute' AND d.id = transitions.subject_id
     UNION ALL
    SELECT 'case', c.opened_at, c.hold_until, false,
           transitions.trigger NOT IN ('suspicion_cleared', 'left_inconclusive'), c.state = 'overturned'
      FROM cases c WHERE transitions.subject_kind = 'case' AND c.id = transitions.subject_id
"""
# Which decisions each number of a report counts; `made` is what OF_STEP returns.
OUTCOMES: Final = {
    "decided": "NOT made.missed",
    "timed_out": "made.missed",
    "with_deadline": "(made.due IS NOT NULL OR made.missed)",
    "within_deadline": "(transitions.occurred_at <= made.due AND NOT made.missed)",
    "could_be_overturned": "made.could",
    "overturned": "made.overturned",
}


class DecidedView(View):
    """`id`: of the step on the record. `trigger`: how it was decided. `since`: of the request or opening. `due`: by
    when; None where no date is known. `took_seconds`: in market time; None where nobody decided in time.
    `within_deadline`: None without a date. `overturned`: later."""

    id: int
    kind: Kind
    subject_id: str
    trigger: str
    decided_at: datetime
    since: datetime
    due: datetime | None
    took_seconds: int | None
    within_deadline: bool | None
    overturned: bool


_KINDS: Final[dict[str, str]] = {kind: f"made.kind = '{kind}'" for kind in KINDS}


def _such(condition: str) -> Condition:
    return literal_column(f"EXISTS (SELECT FROM ({OF_STEP}) AS made WHERE {condition})", Boolean)


def _found(named: Named) -> list[Condition]:
    """A decision is found by the id of what it decided."""
    for prefix, subject in (("pay", "payout"), ("dsp", "dispute"), ("cas", "case")):
        if named.is_id(prefix):
            return [and_(Transition.subject_kind == subject, Transition.subject_id == named.text)]
    return []


DECISIONS: Final = Listing(
    name="decisions",
    rows=Transition,
    owner=None,
    filters={
        "kind": Filter("Kind", lambda value: _such(_KINDS[value]), KINDS),
        "outcome": Filter("Outcome", lambda value: _such(OUTCOMES[value]), tuple(OUTCOMES)),
        "decided_since": Filter("Decided since", since(Transition.occurred_at, "decided_since")),
        "decided_before": Filter("Decided before", before(Transition.occurred_at, "decided_before")),
    },
    orders={"decided": Order(lambda _: [Transition.occurred_at, Transition.id])},
    order="-decided",
    finds=_found,
    searches="id of a payout, a dispute or a case",
    only=(literal_column(f"transitions.{DECIDED}", Boolean), _such("true")),
    needs=("decided_since",),
)


def _statement() -> Select[Any]:
    made = text(OF_STEP).columns(
        Column("kind", String),
        Column("since", DateTime(timezone=True)),
        Column("due", DateTime(timezone=True)),
        Column("missed", Boolean),
        Column("could", Boolean),
        Column("overturned", Boolean),
    )
    of_step = made.lateral("made")
    return select(Transition, of_step).join(of_step, true())


def _view(row: Any) -> DecidedView:
    step: Transition = row.Transition
    took = int((step.occurred_at - row.since).total_seconds())
    in_time = False if row.missed else None if row.due is None else step.occurred_at <= row.due
    return DecidedView(
        id=step.id,
        kind=row.kind,
        subject_id=step.subject_id,
        trigger=step.trigger,
        decided_at=step.occurred_at,
        since=row.since,
        due=row.due,
        took_seconds=None if row.missed else took,
        within_deadline=in_time,
        overturned=row.overturned,
    )


async def page(session: AsyncSession, window: Window, asked: Asked = EVERYTHING) -> Page[DecidedView]:
    """The newest first."""
    found = await listing.rows(session, DECISIONS, _statement(), FIRM, window, asked)
    items = tuple(_view(row) for row in found.rows)
    return Page[DecidedView](items=items, next_cursor=found.next_cursor, previous_cursor=found.previous_cursor)
