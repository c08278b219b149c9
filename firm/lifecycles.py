"""Subjects that are open on the record. Each must have a running workflow, which can be started again from there."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Final

from sqlalchemy import func, select, true
from sqlalchemy.ext.asyncio import AsyncSession

from contracts.ids import (
    RECONCILIATION_WORKFLOW,
    SURVEILLANCE_WINDOWS_WORKFLOW,
    SURVEILLANCE_WORKFLOW,
    case_workflow,
    challenge_workflow,
    chargeback_workflow,
    dispute_workflow,
    parts,
    payout_workflow,
    platform_change_workflow,
)
from contracts.messages import (
    CaseStart,
    ChallengeStart,
    ChargebackStart,
    DisputeStart,
    MarketTimeReached,
    Message,
    PayoutStart,
    PlatformChangeStart,
)
from domain import keys, record_keys
from domain.chargebacks import CHARGEBACK
from domain.disputes import DISPUTE
from domain.errors import NotFound
from domain.lifecycle import CHALLENGE
from domain.payouts.payout import PAYOUT
from domain.platform_changes import PLATFORM_CHANGE, UNDER_WAY
from domain.states import StateMachine
from domain.surveillance.casework import CASE
from firm import messages, refunds, reviews
from store import audit, outbox, rows, transitions
from store.clock import market_now
from store.models import (
    Account,
    AuditEntry,
    Case,
    Challenge,
    Chargeback,
    Dispute,
    Payout,
    PlatformChange,
    Shard,
    Transition,
)

_RESTARTED: Final = "workflow.restarted"
_PATIENCE: Final = 3  # restarts of one subject after which people must look
_FIRST_PAUSE: Final = timedelta(minutes=1)  # before the next restart after those; doubled by each one that follows
_LONGEST_PAUSE: Final = timedelta(hours=1)
_SINGLETONS: Final = frozenset({SURVEILLANCE_WORKFLOW, SURVEILLANCE_WINDOWS_WORKFLOW, RECONCILIATION_WORKFLOW})


@dataclass(frozen=True)
class _Kind:
    """Subjects of one kind: their table, their states, and how their workflow is named and started."""

    model: type[Challenge] | type[Payout] | type[Dispute] | type[Case] | type[Chargeback] | type[PlatformChange]
    machine: StateMachine
    workflow_id: Callable[[str], str]
    start: Callable[[str], Message]
    # States in which the workflow acts by itself -> wall time after which it is nudged.
    acts: Mapping[str, timedelta] = field(default_factory=dict)
    waits: frozenset[str] = frozenset()  # states before the workflow begins

    @property
    def open_states(self) -> frozenset[str]:
        return self.machine.states - self.machine.terminal - self.waits


_KINDS: Final[Mapping[str, _Kind]] = {
    "case": _Kind(Case, CASE, case_workflow, lambda name: CaseStart(case_id=name)),
    "challenge": _Kind(
        Challenge,
        CHALLENGE,
        challenge_workflow,
        lambda name: ChallengeStart(challenge_id=name),
        {"provisioning": timedelta(minutes=30)},
    ),
    "chargeback": _Kind(Chargeback, CHARGEBACK, chargeback_workflow, lambda name: ChargebackStart(chargeback_id=name)),
    "dispute": _Kind(Dispute, DISPUTE, dispute_workflow, lambda name: DisputeStart(dispute_id=name)),
    "payout": _Kind(
        Payout,
        PAYOUT,
        payout_workflow,
        lambda name: PayoutStart(payout_id=name),
        {
            **dict.fromkeys(("requested", "reserved"), timedelta(minutes=15)),
            **dict.fromkeys(("approved", "settling", "releasing"), timedelta(minutes=30)),
            "sent": timedelta(days=7),
        },
    ),
    "platform_change": _Kind(
        PlatformChange,
        PLATFORM_CHANGE,
        platform_change_workflow,
        lambda name: PlatformChangeStart(change_id=name),
        dict.fromkeys(UNDER_WAY, timedelta(minutes=15)),
        waits=frozenset({PLATFORM_CHANGE.initial}),
    ),
}


@dataclass(frozen=True, order=True)
class Subject:
    kind: str
    id: str

    @property
    def workflow_id(self) -> str:
        return _KINDS[self.kind].workflow_id(self.id)


async def open_subjects(session: AsyncSession, *, after: Subject | None, limit: int) -> list[Subject]:
    """Returns the next open subjects in the order of kind and id; fewer than `limit` at the end of the round."""
    found: list[Subject] = []
    for name, kind in _KINDS.items():
        if after is not None and name < after.kind:
            continue
        wanted = select(kind.model.id).where(kind.model.state.in_(kind.open_states))
        if after is not None and name == after.kind:
            wanted = wanted.where(kind.model.id > after.id)
        ids = await session.scalars(wanted.order_by(kind.model.id).limit(limit - len(found)))
        found += [Subject(name, found_id) for found_id in ids]
        if len(found) == limit:
            break
    return found


async def is_ours(session: AsyncSession, workflow_id: str) -> bool:
    """Returns whether a workflow of this id belongs to a stored subject."""
    noun, name = parts(workflow_id)
    if noun in _KINDS:
        return await session.get(_KINDS[noun].model, name) is not None
    if noun == "shard":
        return name.isdecimal() and len(name) < 6 and await session.get(Shard, int(name)) is not None
    if noun == "daily-close":
        return await session.scalar(select(Account.id).where(Account.clock_group == name).limit(1)) is not None
    return workflow_id in _SINGLETONS


async def start_again(session: AsyncSession, subject: Subject, *, how_it_ended: str, run_id: str) -> bool:
    """Starts the workflow of an open subject again from where the record is. Returns False when the subject has ended,
    a start is on its way, or the pause since the last restart is not over. People are told of several restarts."""
    kind, workflow_id = _KINDS[subject.kind], subject.workflow_id
    try:
        row = await rows.locked(session, kind.model, subject.id, references_too=True)
    except NotFound:
        return False
    if row.state in kind.machine.terminal or await outbox.start_waits(session, workflow_id):
        return False
    restarts, last = await _restarts(session, subject)
    if last is not None and datetime.now(UTC) < last + restart_pause(restarts):
        return False
    start = kind.start(subject.id)
    if isinstance(row, Challenge):
        start = ChallengeStart(challenge_id=row.id, state=row.state, phase_index=await _completed_phases(session, row))
    await messages.start_again(session, workflow_id, start)
    number = restarts + 1
    if isinstance(row, Challenge):  # it checks its deadline only after a signal
        reached = MarketTimeReached(key=keys.restart_message(workflow_id, number))
        await messages.signal(session, workflow_id, reached)
        await refunds.ask_about_cut_off(session, row, restart=number)
    evidence = {"run_id": run_id, "ended": how_it_ended, "state": row.state, "number": number}
    if number >= _PATIENCE:
        words = f"The workflow ended before its subject did and was started again {number} times."
        detail = {"workflow": workflow_id, "ended": how_it_ended, "words": words}
        await reviews.report(
            session,
            key=record_keys.restarted_review(workflow_id),
            kind=reviews.WORKFLOW_RESTARTED,
            detail=detail,
            again=str(number),
        )
    await audit.record(
        session,
        action=_RESTARTED,
        subject_kind=subject.kind,
        subject_id=subject.id,
        occurred_at=await market_now(session),
        evidence=evidence,
    )
    return True


async def _completed_phases(session: AsyncSession, challenge: Challenge) -> int:
    """Returns the phase index to start from. While a phase is being opened the record may already name its account: the
    workflow must open that phase, not the one after it."""
    index = challenge.phase_index
    if challenge.state != "provisioning" or challenge.account_id is None:
        return index
    account = await session.get_one(Account, challenge.account_id)
    begun = await transitions.was_applied(session, "challenge", challenge.id, record_keys.phase_start(account.id))
    return index if begun else account.phase_index - 1


async def _restarts(session: AsyncSession, subject: Subject) -> tuple[int, datetime | None]:
    """Returns how often the subject's workflow was started again, and the wall time of the last time."""
    found = await session.execute(
        select(func.count(), func.max(AuditEntry.recorded_at)).where(
            AuditEntry.subject_kind == subject.kind,
            AuditEntry.subject_id == subject.id,
            AuditEntry.action == _RESTARTED,
        )
    )
    count, last = found.one()
    return int(count), last


def restart_pause(restarts: int) -> timedelta:
    """Returns how long the next restart waits after this many: not at all at first, then one minute, doubled up to an
    hour."""
    if restarts < _PATIENCE:
        return timedelta()
    return min(_LONGEST_PAUSE, _FIRST_PAUSE * (1 << min(restarts - _PATIENCE, 10)))


async def report_stuck(session: AsyncSession, workflow_id: str, *, why: str) -> None:
    """Tells people why a running workflow does not work. Tells them again on the next day after they closed it."""
    words = f"{why} Nothing moves until it is put right."
    detail = {"workflow": workflow_id, "words": words, "remedy": "docs/runbooks/stuck-workflow.md"}
    await reviews.report(
        session,
        key=record_keys.stuck_review(workflow_id),
        kind=reviews.WORKFLOW_STUCK,
        detail=detail,
        again=datetime.now(UTC).date().isoformat(),
    )


async def report_moving(session: AsyncSession, workflow_ids: Sequence[str]) -> None:
    """Closes the reviews of workflows that were stuck and move again."""
    await reviews.recovered(
        session, kind=reviews.WORKFLOW_STUCK, workflow_ids=workflow_ids, reason="The workflow moves again."
    )


async def watch(session: AsyncSession, subjects: Sequence[Subject]) -> None:
    """Nudges the workflow of every subject that has been in a step of the workflow's own for longer than its target
    age: it may have missed what it waits for. One that still waits after twice the age is shown to people."""
    late = await _late(session, subjects)
    for subject, (state, step_id, age) in late.items():
        workflow_id, target = subject.workflow_id, _KINDS[subject.kind].acts[state]
        await messages.signal(session, workflow_id, MarketTimeReached(key=record_keys.nudge(workflow_id, step_id)))
        if age > 2 * target:
            words = (
                f"The {subject.kind} has been {state.replace('_', ' ')} for more than {2 * target}, also after a nudge."
            )
            detail = {"workflow": workflow_id, "words": words, "remedy": "docs/runbooks/stuck-workflow.md"}
            key = record_keys.waiting_review(workflow_id)
            await reviews.report(
                session, key=key, kind=reviews.SUBJECT_WAITS, detail=detail, again=datetime.now(UTC).date().isoformat()
            )
    moved = [subject.workflow_id for subject in subjects if subject not in late]
    await reviews.recovered(session, kind=reviews.SUBJECT_WAITS, workflow_ids=moved, reason="The step is done.")


async def _late(session: AsyncSession, subjects: Sequence[Subject]) -> dict[Subject, tuple[str, int, timedelta]]:
    """Returns (state, id of its last step, age) of the subjects that are in a step for too long."""
    found: dict[Subject, tuple[str, int, timedelta]] = {}
    now = datetime.now(UTC)
    for name, kind in _KINDS.items():
        ids = [subject.id for subject in subjects if subject.kind == name]
        if not ids or not kind.acts:
            continue
        last = (
            select(Transition.id, Transition.recorded_at)
            .where(Transition.subject_kind == name, Transition.subject_id == kind.model.id)
            .order_by(Transition.id.desc())
            .limit(1)
            .lateral()
        )
        rows = await session.execute(
            select(
                kind.model.id, kind.model.state, kind.model.recorded_at, last.c.id, last.c.recorded_at.label("since")
            )
            .outerjoin(last, true())
            .where(kind.model.id.in_(ids), kind.model.state.in_(kind.acts))
        )
        for subject_id, state, made_at, step_id, since in rows:
            age = now - (since or made_at)
            if age > kind.acts[state]:
                found[Subject(name, subject_id)] = state, step_id or 0, age
    return found
