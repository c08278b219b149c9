"""The one guarded decision of a person: every kind of subject is decided through `record`.

The caller holds the row lock of the subject, and `choice.actor` is the person as the record has them now. After
`record` the caller does what follows from the decision and takes the step of the subject's state machine last: `step`.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from domain import approvals
from domain.approvals import Actor, check_may_decide, check_reason
from domain.errors import AlreadyDecided, NotFound
from domain.states import StateMachine
from store import decisions, transitions
from store.clock import market_now
from store.models import AccountMove, Case, Decision, Dispute, ProductProposal

StillOpen = Callable[[Sequence[Decision]], Awaitable[None]]
"""Raises why a choice is not possible (any more). It gets the decisions that were made before."""


@dataclass(frozen=True, slots=True)
class Choice:
    """What a person wants to decide. `key` is that of their request: the same key again changes nothing."""

    verb: str
    actor: Actor
    reason: str
    key: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """What is decided.

    `digest` and `evidence` say what exactly the decision is about; `asked_by` is the person who asked for it and may
    not decide it. `once`: the first decision is the last. `repeatable`: a person may decide again, but not the same.
    `owner_verbs`: what the trader `owner_id` may do too; these need no reason.
    """

    kind: approvals.Subject
    id: str
    digest: str
    evidence: Mapping[str, Any]
    asked_by: str = ""
    once: bool = False
    repeatable: bool = False
    owner_id: str = ""
    owner_verbs: frozenset[str] = field(default_factory=frozenset)


async def record(session: AsyncSession, subject: Subject, choice: Choice, still_open: StillOpen) -> datetime | None:
    """Check the decision and write its row. Returns the market time; None if this request was recorded before.

    Raises BadInput (no reason), NotAllowed, SelfApproval, AlreadyDecided, NotFound (the subject of another trader), and
    what `still_open` raises. Nothing is written then.
    """
    made = await decisions.of(session, subject.kind, subject.id)
    if decisions.repeated(made, choice.key) is not None:
        return None
    if choice.verb not in subject.owner_verbs:
        check_reason(choice.reason)
    _check_right(subject, choice, made)
    if subject.once and made:
        raise AlreadyDecided(f"{subject.kind} {subject.id}", made[-1].decision, made[-1].user_id)
    await still_open(made)
    now = await market_now(session)
    await decisions.record(
        session,
        subject.kind,
        subject.id,
        decision=choice.verb,
        actor=choice.actor,
        reason=choice.reason,
        key=choice.key,
        digest=subject.digest,
        occurred_at=now,
        evidence=dict(subject.evidence),
    )
    return now


def _check_right(subject: Subject, choice: Choice, made: Sequence[Decision]) -> None:
    actor = choice.actor
    if choice.verb in subject.owner_verbs and actor.role == "trader":
        if actor.trader_id != subject.owner_id:
            raise NotFound
        return
    check_may_decide(
        subject.kind,
        actor,
        requester_person=subject.asked_by,
        decided_by=[row.person_id for row in made if not subject.repeatable or row.decision == choice.verb],
        subject_id=subject.id,
    )


def allowed(machine: StateMachine, state: str, trigger: str) -> StillOpen:
    """Returns the check that the state machine has this step. It raises IllegalTransition."""

    async def check(_made: Sequence[Decision]) -> None:
        machine.next(state, trigger)

    return check


async def step(
    session: AsyncSession,
    machine: StateMachine,
    row: Case | Dispute | ProductProposal | AccountMove,
    trigger: str,
    *,
    kind: str,
    key: str,
    at: datetime,
    actor: Actor | None = None,
    reason: str = "",
    detail: dict[str, Any] | None = None,
) -> None:
    """Move a locked row along its machine, with a transition row and an audit entry; the same key again changes
    nothing.

    `actor`: the person who decided it; None for the system. Raises IllegalTransition. Lock every other row before.
    """
    row.state = await transitions.apply(
        session,
        machine,
        subject_kind=kind,
        subject_id=row.id,
        state_now=row.state,
        trigger=trigger,
        key=key,
        occurred_at=at,
        detail=detail,
        actor=actor.user_id if actor else "system",
        role=actor.role if actor else "system",
        reason=reason,
    )
    if row.state in machine.terminal and row.closed_at is None:
        row.closed_at = at
