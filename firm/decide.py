"""The one guarded decision of a person: every kind of subject is decided through `record`.

The caller holds the row lock of the subject, and `choice.actor` is the person as the record has them now. After
`record` the caller does what follows from the decision and takes the step of the subject's state machine last: `step`.
"""

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from domain import approvals
from domain.approvals import Actor, check_may_decide, check_reason
from domain.errors import AlreadyDecided, NotFound
from domain.key_errors import NeedsPerson
from domain.states import StateMachine
from store import decisions, transitions
from store.clock import market_now
from store.models import (
    AccountMove,
    Case,
    Compensation,
    Decision,
    Dispute,
    Intervention,
    PlatformChange,
    PlatformStop,
    ProductProposal,
    StaffChange,
    SurveillanceProposal,
)

Stepped = (
    Case
    | Compensation
    | Dispute
    | Intervention
    | ProductProposal
    | AccountMove
    | PlatformChange
    | PlatformStop
    | StaffChange
    | SurveillanceProposal
)
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
    not decide it. `once`: the first decision of a round is its last. `decided_by`: the persons who may not take a
    decision any more, by its verb; None: everybody who decided anything. `approvals_round` and `expires_at` are those
    of an approval. `owner_verbs`: what the trader `owner_id` may do too; these need no reason.
    """

    kind: approvals.Subject
    id: str
    digest: str
    evidence: Mapping[str, Any]
    asked_by: str = ""
    once: bool = False
    decided_by: Callable[[str], Iterable[str]] | None = None
    approvals_round: int = 1
    expires_at: datetime | None = None
    owner_id: str = ""
    owner_verbs: frozenset[str] = field(default_factory=frozenset)


async def record(session: AsyncSession, subject: Subject, choice: Choice, still_open: StillOpen) -> datetime | None:
    """Check the decision and write its row. Returns the market time; None if this request was recorded before.

    Raises BadInput (no reason), NotAllowed, SelfApproval, AlreadyDecided, NotFound (the subject of another trader), and
    what `still_open` raises. Nothing is written then.
    """
    made = await check(session, subject, choice)
    if made is None:
        return None
    in_round = [each for each in made if each.round == subject.approvals_round]
    if subject.once and in_round:
        raise await already_decided(session, subject.kind, subject.id, in_round[-1], choice.actor)
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
        approvals_round=subject.approvals_round,
        expires_at=subject.expires_at if choice.verb == approvals.APPROVE else None,
    )
    return now


async def check(session: AsyncSession, subject: Subject, choice: Choice) -> Sequence[Decision] | None:
    """Checks that this person may decide so, without recording it. Returns the decisions until now; None if this one
    was recorded before. Raises BadInput, NotAllowed, SelfApproval, AlreadyDecided, NotFound."""
    made = await decisions.of(session, subject.kind, subject.id)
    if decisions.repeated(made, choice.key) is not None:
        return None
    if choice.verb not in subject.owner_verbs:
        check_reason(choice.reason)
    _check_right(subject, choice, made)
    return made


def _check_right(subject: Subject, choice: Choice, made: Sequence[Decision]) -> None:
    actor = choice.actor
    if actor.key_id is not None:  # a program is no person, whoever it acts for
        raise NeedsPerson
    if choice.verb in subject.owner_verbs and actor.role == "trader":
        if actor.trader_id != subject.owner_id:
            raise NotFound
        return
    check_may_decide(
        subject.kind,
        actor,
        requester_person=subject.asked_by,
        decided_by=subject.decided_by(choice.verb) if subject.decided_by else [row.person_id for row in made],
        subject_id=subject.id,
    )


async def already_decided(
    session: AsyncSession, kind: str, subject_id: str, last: Decision, reader: Actor
) -> AlreadyDecided:
    """Returns the refusal for a decision that came second. Staff read the name of the person who was first; a trader
    does not."""
    subject = f"{kind.replace('_', ' ')} {subject_id}"
    if reader.role == "trader" and last.user_id != reader.user_id:
        return AlreadyDecided(subject, last.decision, "the firm")
    return AlreadyDecided(subject, last.decision, last.user_id, name=await decisions.name_of(session, last.user_id))


def allowed(machine: StateMachine, state: str, trigger: str) -> StillOpen:
    """Returns the check that the state machine has this step. It raises IllegalTransition."""

    async def check(_made: Sequence[Decision]) -> None:
        machine.next(state, trigger)

    return check


async def step(
    session: AsyncSession,
    machine: StateMachine,
    row: Stepped,
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
