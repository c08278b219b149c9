"""What a case is made of, as people read it: its alerts, the proposed action, notes, its hold, linked accounts."""

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any

from pydantic import TypeAdapter
from sqlalchemy import and_, func, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from domain.surveillance.casework import ProposedAction
from domain.surveillance.evidence import Evidence
from domain.surveillance.findings import Relation
from store import chains, surveillance
from store.case_evidence import Evidence as Frozen
from store.models import Account, Alert, Case, CaseAccount, CaseAction, CaseNote, DeniedPayout, Payout, Trader, User
from store.read import deductions
from store.read.deductions import DeductedTradeView
from store.read.pages import View

_MOST_SIMILAR = 10


class AlertView(View):
    """An alert of a case. `score` is 0..1, None while it is hidden from whoever decides. `is_intact`: it is as it was
    when it joined. `chance`: the measured value beside what chance makes. `ruled_out`: harmless readings."""

    id: str
    detector: str
    detector_version: int
    thresholds_version: str
    score: Decimal | None
    severity: str
    sentence: str
    relation: Relation
    link_strength: Decimal
    deals: tuple[str, ...]
    chance: str
    ruled_out: tuple[str, ...]
    evidence: tuple[Evidence, ...]
    exculpatory: tuple[Evidence, ...]
    occurred_at: datetime
    digest: str
    is_intact: bool


class ActionView(View):
    """An action that waits to be decided, or was decided. `seen`: what an approval carries. `rule` and `message`: as
    the trader reads them; `reason` is for the firm."""

    id: str
    action: ProposedAction
    state: str
    rule: str
    message: str
    reason: str
    proposed_by: str
    proposed_by_name: str
    proposed_at: datetime
    seen: str
    trades: tuple[DeductedTradeView, ...]
    payouts: tuple[str, ...]


class HoldView(View):
    """Which accounts the case holds for, and until when (market time; None: until it is decided). Payouts of their
    challenges wait, and of those that go on from them. `is_on`: it holds now."""

    is_on: bool
    accounts: tuple[str, ...]
    until: datetime | None
    escalate_at: datetime | None
    escalated_at: datetime | None
    ended_at: datetime | None


class NoteView(View):
    id: str
    by: str
    by_name: str
    body: str
    at: datetime


class LinkView(View):
    """Two accounts that an alert names together. `kind`: the pattern, or `same owner`."""

    first: str
    second: str
    kind: str
    strength: Decimal


class SimilarCase(View):
    """A decided case with the same pattern or about the same owner."""

    id: str
    detector: str
    sentence: str
    outcome: str
    action: str
    state: str
    same_owner: bool
    closed_at: datetime | None


def alerts(frozen: Frozen, *, hides_score: bool) -> tuple[AlertView, ...]:
    changed = set(frozen.changed)
    return tuple(
        AlertView(
            id=alert.id,
            detector=finding.detector,
            detector_version=finding.detector_version,
            thresholds_version=finding.thresholds_version,
            score=None if hides_score else alert.score,
            severity=alert.severity,
            sentence=finding.sentence,
            relation=finding.relation,
            link_strength=finding.link_strength,
            deals=finding.deals,
            chance="" if hides_score else finding.chance,
            ruled_out=finding.ruled_out,
            evidence=finding.evidence,
            exculpatory=finding.exculpatory,
            occurred_at=finding.at,
            digest=digest,
            is_intact=alert.id not in changed,
        )
        for alert, digest, finding in zip(frozen.alerts, frozen.digests, frozen.findings, strict=True)
    )


async def proposal(session: AsyncSession, case_id: str, frozen: Frozen) -> ActionView | None:
    """Returns the action that waits to be decided, was decided, or was overturned."""
    row = (
        await session.execute(
            select(CaseAction, User.name)
            .join(User, User.id == CaseAction.proposed_by)
            .where(CaseAction.case_id == case_id, CaseAction.state.in_(("proposed", "approved", "overturned")))
        )
    ).one_or_none()
    if row is None:
        return None
    made, name = row
    payouts = await session.scalars(select(DeniedPayout.payout_id).where(DeniedPayout.action_id == made.id))
    return ActionView(
        id=made.id,
        action=_action(made),
        state=made.state,
        rule=made.rule,
        message=made.message,
        reason=made.reason,
        proposed_by=made.proposed_by,
        proposed_by_name=name,
        proposed_at=made.proposed_at,
        seen=frozen.seen(case_id, made),
        trades=await deductions.of_action(session, made.id),
        payouts=tuple(sorted(payouts)),
    )


def _action(made: CaseAction) -> ProposedAction:
    return TypeAdapter[ProposedAction](ProposedAction).validate_python(made.action)


def hold(case: Case, holding: Sequence[str]) -> HoldView:
    return HoldView(
        is_on=case.state == "open" and bool(holding) and case.hold_ended_at is None,
        accounts=tuple(holding),
        until=case.hold_until,
        escalate_at=case.escalate_at,
        escalated_at=case.escalated_at,
        ended_at=case.hold_ended_at,
    )


async def notes(session: AsyncSession, case_id: str) -> tuple[NoteView, ...]:
    """Newest first."""
    rows = await session.execute(
        select(CaseNote, User.name)
        .join(User, User.id == CaseNote.author_id)
        .where(CaseNote.case_id == case_id)
        .order_by(CaseNote.recorded_at.desc(), CaseNote.id.desc())
    )
    return tuple(
        NoteView(id=note.id, by=note.author_id, by_name=name, body=note.body, at=note.occurred_at)
        for note, name in rows
    )


def links(frozen: Frozen, owners: dict[str, str]) -> tuple[LinkView, ...]:
    """Returns the pairs of accounts that are linked: those that an alert names together, by the strongest, and those of
    one owner. Of an alert about a group with a leader, each with the leader. `owners`: account id -> trader id."""
    found: dict[tuple[str, str], LinkView] = {}
    for finding in frozen.findings:
        named = [involved.account_id for involved in finding.accounts]
        centre = finding.in_role("leader")[:1]
        pairs = (
            [(centre[0], other) for other in named if other != centre[0]]
            if centre
            else [(one, other) for n, one in enumerate(named) for other in named[n + 1 :]]
        )
        for one, other in pairs:
            key = (min(one, other), max(one, other))
            if key not in found or found[key].strength < finding.link_strength:
                found[key] = LinkView(
                    first=key[0], second=key[1], kind=finding.detector, strength=finding.link_strength
                )
    known = sorted(owners)
    for n, one in enumerate(known):
        for other in known[n + 1 :]:
            if owners[one] == owners[other]:
                found.setdefault(
                    (one, other), LinkView(first=one, second=other, kind="same owner", strength=Decimal(1))
                )
    return tuple(found.values())


async def similar(session: AsyncSession, case: Case, detector: str) -> tuple[SimilarCase, ...]:
    """Returns decided cases about the same owners or of the same pattern, those of the owners first, newest first."""
    owners = (
        select(Account.trader_id)
        .join(CaseAccount, CaseAccount.account_id == Account.id)
        .where(CaseAccount.case_id == case.id)
    )
    about_them = (
        select(CaseAccount.case_id)
        .join(Account, Account.id == CaseAccount.account_id)
        .where(Account.trader_id.in_(owners))
    )
    same_owner = Case.id.in_(about_them)
    rows = await session.execute(
        select(Case, Alert.detector, Alert.sentence, same_owner.label("same_owner"))
        .join(Alert, Alert.id == Case.alert_id)
        .where(Case.id != case.id, Case.state != "open", or_(same_owner, Alert.detector == detector))
        .order_by(same_owner.desc(), Case.closed_at.desc().nulls_last(), Case.id)
        .limit(_MOST_SIMILAR)
    )
    return tuple(
        SimilarCase(
            id=other.id,
            detector=pattern,
            sentence=sentence,
            outcome=other.outcome or "",
            action=other.action or "",
            state=other.state,
            same_owner=owned,
            closed_at=other.closed_at,
        )
        for other, pattern, sentence, owned in rows
    )


async def held_payouts(session: AsyncSession, case_id: str) -> list[Any]:
    """Returns (account, trader name, how the case names it, id of the open payout that it can hold) of every account,
    by number: the payout of its challenge, or of one that goes on from it."""
    named = select(Account.challenge_id).join(CaseAccount, CaseAccount.account_id == Account.id)
    onward = chains.onward_query(named.where(CaseAccount.case_id == case_id))
    rows = await session.execute(
        select(Account, Trader.name, CaseAccount, func.min(Payout.id))
        .join(CaseAccount, CaseAccount.account_id == Account.id)
        .join(Trader, Trader.id == Account.trader_id)
        .join(onward, onward.c.first == Account.challenge_id)
        .outerjoin(Payout, and_(Payout.challenge_id == onward.c.id, Payout.closed_at.is_(None)))
        .where(CaseAccount.case_id == case_id)
        .group_by(Account.id, Trader.id, CaseAccount.case_id, CaseAccount.account_id)
        .order_by(Account.number)
    )
    return list(rows)


def roles(alerts_of: Sequence[Alert]) -> dict[str, str]:
    """Account id -> its part in the first alert that names it."""
    found: dict[str, str] = {}
    for alert in alerts_of:
        for involved in surveillance.finding(alert).accounts:
            found.setdefault(involved.account_id, involved.role)
    return found
