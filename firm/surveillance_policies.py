"""The surveillance policy: the one in force, and its changes, which one person proposes and another approves.

A change of thresholds is first replayed over the last weeks. Once approved it is in force at once.
"""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any, Final, Literal

from pydantic import ValidationError
from sqlalchemy import select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from domain.approvals import Actor, check_may_decide, check_may_withdraw, check_reason
from domain.errors import BadInput, Conflict
from domain.keys import new_id
from domain.surveillance.base import Thresholds
from domain.surveillance.policy import POLICY_CHANGE, SurveillancePolicy
from domain.surveillance.repeats import finding_key
from domain.surveillance.thresholds import Outcome, changed, counted, outcome_of, with_numbers
from firm import decide as guard
from store import audit, rows
from store.clock import market_now
from store.models import Alert, Case, CaseAlert, SurveillancePolicyRow, SurveillanceProposal, User

KIND: Final = "policy_change"
Verdict = Literal["approve", "reject"]
_TRIGGERS: Final = {"approve": "approval_given", "reject": "proposal_rejected"}
_WAITS, _COUNTS = "waits", "counts"  # of `replayed`
_IN_FORCE: Final = "surveillance_policy"  # as this transaction has read it


async def in_force(session: AsyncSession) -> SurveillancePolicy:
    """Returns the policy in force, the same one within a transaction. Before one was published, the defaults are."""
    known: SurveillancePolicy | None = session.info.get(_IN_FORCE)
    if known is None:
        newest = select(SurveillancePolicyRow.body).order_by(SurveillancePolicyRow.number.desc()).limit(1)
        body = await session.scalar(newest)
        known = SurveillancePolicy() if body is None else SurveillancePolicy.model_validate(body)
        session.info[_IN_FORCE] = known
    return known


async def propose(session: AsyncSession, body: Mapping[str, Any], *, actor: Actor, reason: str) -> SurveillanceProposal:
    """Ask for another policy. Thresholds that it changes are replayed over the last weeks before it can be approved:
    the process that follows the deals finds the proposal by `unreplayed`.

    Raises NotAllowed, BadInput (not a policy, an unknown pattern or threshold, nothing changes), Conflict (a change is
    proposed already).
    """
    check_may_decide(KIND, actor, requester_person="", decided_by=(), subject_id="")
    check_reason(reason)
    policy, now_in_force = _read(body), await in_force(session)
    if policy.content_hash == now_in_force.content_hash:
        raise BadInput("Nothing changes: this policy is in force.", field="policy", remedy="Change a value.")
    now = await market_now(session)
    made = SurveillanceProposal(
        id=new_id("pch"),
        base_hash=now_in_force.content_hash,
        content_hash=policy.content_hash,
        body=policy.model_dump(mode="json"),
        replayed={_WAITS: True} if changed(now_in_force, policy) else {_COUNTS: []},
        reason=reason,
        state=POLICY_CHANGE.initial,
        proposed_by=actor.user_id,
        proposed_at=now,
    )
    session.add(made)
    try:
        await session.flush()
    except IntegrityError as exc:
        raise Conflict(
            "A change of the policy is proposed already.", remedy="Decide or withdraw it first, then propose anew."
        ) from exc
    await audit.record(
        session,
        action="policy_change.proposed",
        subject_kind=KIND,
        subject_id=made.id,
        occurred_at=now,
        actor=actor.user_id,
        role=actor.role,
        reason=reason,
        evidence={"old": made.base_hash, "new": made.content_hash},
    )
    return made


async def unreplayed(session: AsyncSession) -> SurveillanceProposal | None:
    """Returns the proposal whose thresholds have not been replayed yet, if there is one."""
    found = await session.scalar(
        select(SurveillanceProposal).where(SurveillanceProposal.state == POLICY_CHANGE.initial)
    )
    return found if found is not None and found.replayed.get(_WAITS) else None


async def record_replay(
    session: AsyncSession,
    proposal_id: str,
    *,
    found: Mapping[str, Collection[str]],
    cannot_judge: Mapping[str, str],
    since: datetime,
) -> None:
    """Keeps what a replay found. `found`: pattern -> keys of its findings in the trades since `since`. A proposal that
    was decided or replayed meanwhile stays as it is."""
    made = await rows.locked(session, SurveillanceProposal, proposal_id)
    if made.state != POLICY_CHANGE.initial or not made.replayed.get(_WAITS):
        return
    source = f"trades since {since:%Y-%m-%d}"
    counts = [
        counted(
            pattern,
            keys,
            await _alerts(session, pattern, since),
            cannot_judge=cannot_judge.get(pattern, ""),
            source=source,
        )
        for pattern, keys in found.items()
    ]
    made.replayed = {_COUNTS: [each.model_dump(mode="json") for each in counts]}


async def _alerts(session: AsyncSession, pattern: str, since: datetime) -> dict[str, Outcome]:
    """Key of the finding -> how its cases ended, of the alerts of a pattern: confirmed if one of them was, else as the
    newest ended."""
    found = await session.execute(
        select(Alert.key, Case.state, Case.outcome)
        .outerjoin(CaseAlert, CaseAlert.alert_id == Alert.id)
        .outerjoin(Case, Case.id == CaseAlert.case_id)
        .where(Alert.detector == pattern, Alert.occurred_at >= since)
        .order_by(Alert.recorded_at, Alert.id)
    )
    ended = dict[str, Outcome]()
    for key, state, outcome in found:
        if ended.get(finding_key(key)) != "confirmed":
            ended[finding_key(key)] = outcome_of(state or "open", outcome)
    return ended


async def decide(
    session: AsyncSession, proposal_id: str, *, verdict: Verdict, actor: Actor, reason: str, key: str
) -> SurveillanceProposal:
    """Record a second person's decision; an approved policy is in force at once. The same `key` again changes nothing.

    Raises NotFound, BadInput, NotAllowed, SelfApproval, AlreadyDecided, IllegalTransition, Conflict (the policy in
    force is not the one that the change was proposed for).
    """
    made = await rows.locked(session, SurveillanceProposal, proposal_id)
    subject = guard.Subject(
        kind=KIND,
        id=made.id,
        digest=made.content_hash,
        evidence={"old": made.base_hash, "new": made.content_hash},
        asked_by=(await session.get_one(User, made.proposed_by)).person_id,
        once=True,
    )

    async def still_open(_found: Sequence[object]) -> None:
        POLICY_CHANGE.next(made.state, _TRIGGERS[verdict])
        if verdict == "approve" and (await in_force(session)).content_hash != made.base_hash:
            raise Conflict("The policy in force has changed since.", remedy="Propose the change anew.")
        if verdict == "approve" and made.replayed.get(_WAITS):
            raise Conflict(
                "The new thresholds have not been replayed yet.", remedy="Reload the page in a minute, then approve."
            )

    now = await guard.record(session, subject, guard.Choice(verdict, actor, reason, key), still_open)
    if now is None:
        return made
    if verdict == "approve":
        session.add(SurveillancePolicyRow(content_hash=made.content_hash, body=made.body, proposal_id=made.id))
        await session.flush()
        session.info.pop(_IN_FORCE, None)
    trigger = _TRIGGERS[verdict]
    await guard.step(session, POLICY_CHANGE, made, trigger, kind=KIND, key=trigger, at=now, actor=actor, reason=reason)
    return made


async def withdraw(session: AsyncSession, proposal_id: str, *, actor: Actor, reason: str) -> SurveillanceProposal:
    """Take a proposal back; only who made it may. Raises NotFound, NotAllowed, BadInput, IllegalTransition."""
    made = await rows.locked(session, SurveillanceProposal, proposal_id)
    check_may_withdraw(actor, made.proposed_by, reason)
    trigger, now = "proposal_withdrawn", await market_now(session)
    await guard.step(session, POLICY_CHANGE, made, trigger, kind=KIND, key=trigger, at=now, actor=actor, reason=reason)
    return made


def _read(body: Mapping[str, Any]) -> SurveillancePolicy:
    """Raises BadInput that names the field."""
    from surveillance.registry import pattern_types  # patterns bring scipy, which only this needs

    try:
        policy = SurveillancePolicy.model_validate(body)
    except ValidationError as exc:
        raise _invalid("policy", exc) from exc
    known = pattern_types()
    for pattern, by_product in policy.thresholds.items():
        if pattern not in known:
            raise BadInput(
                f"There is no pattern {pattern}.", field="thresholds", remedy=f"Name one of {', '.join(sorted(known))}."
            )
        for product, numbers in by_product.items():
            _check_numbers(known[pattern].thresholds(), f"thresholds.{pattern}.{product}", numbers)
    return policy


def _check_numbers(defaults: Thresholds, place: str, numbers: Mapping[str, Decimal]) -> None:
    try:
        with_numbers(defaults, numbers)
    except ValidationError as exc:
        raise _invalid(place, exc) from exc


def _invalid(field: str, exc: ValidationError) -> BadInput:
    first = exc.errors(include_input=False)[0]
    place = ".".join([field, *(str(part) for part in first["loc"])])
    problem = first["msg"].removeprefix("Value error, ")
    return BadInput(f"{place}: {problem}.", field=place, remedy="See docs/runbooks/surveillance-policy.md.")
