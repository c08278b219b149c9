"""Accounts that are to go on at another platform: a second person approves what they have seen. Decided by risk."""

from datetime import timedelta
from typing import Any, Final

from sqlalchemy import Select
from sqlalchemy.ext.asyncio import AsyncSession

from domain.approvals import DECIDERS, STAFF
from firm import platform_changes
from front.subjects.subject import Decision, Right, Subject, Taken, Verb
from store.models import PlatformChange
from store.read.pages import View
from store.read.search import Findable, to_staff
from store.read.waiting import Row, Waiting, waiting_rows

READ: Final = Right("platform_changes.read", STAFF)
PROPOSE: Final = Right("platform_changes.propose", DECIDERS["platform_change"])
DECIDE: Final = Right("platform_changes.decide", DECIDERS["platform_change"])


class PlatformChanging(View):
    """A change of platform after a step."""

    id: str
    state: str


def _rows() -> Select[Any]:
    return waiting_rows(
        subject_id=PlatformChange.id,
        state=PlatformChange.state,
        since=PlatformChange.proposed_at,
        asked_by=PlatformChange.proposed_by,
        account_id=PlatformChange.account_id,
        note=PlatformChange.from_platform + " to " + PlatformChange.to_platform,
    ).where(PlatformChange.state == "proposed")


def _words(row: Row) -> str:
    return f"Change of platform: {row.note}"


def _taken(row: PlatformChange) -> Taken:
    return Taken(row.state, PlatformChanging(id=row.id, state=row.state))


async def decide(session: AsyncSession, decision: Decision) -> Taken:
    """Approve or reject. Raises what `firm.platform_changes` refuses with."""
    row = await platform_changes.decide(
        session,
        decision.subject_id,
        verdict="approve" if decision.verb == "approve" else "reject",
        actor=decision.actor,
        reason=decision.reason,
        key=decision.key,
        digest_seen=decision.seen,
    )
    return _taken(row)


async def withdraw(session: AsyncSession, decision: Decision) -> Taken:
    """Raises what `firm.platform_changes` refuses with."""
    change_id, actor, reason = decision.subject_id, decision.actor, decision.reason
    return _taken(await platform_changes.withdraw(session, change_id, actor=actor, reason=reason))


async def abandon(session: AsyncSession, decision: Decision) -> Taken:
    """Raises what `firm.platform_changes` refuses with."""
    change_id, actor, reason = decision.subject_id, decision.actor, decision.reason
    return _taken(await platform_changes.abandon(session, change_id, actor=actor, reason=reason))


PLATFORM_CHANGE: Final = Subject(
    name="platform_change",
    label="change of platform",
    plural="changes of platform",
    waits_as="Changes of platform to approve",
    waiting=Waiting(_rows, timedelta(hours=24), _words),
    read=READ,
    under="/accounts",
    page="/platform-changes",
    api="/platform-changes",
    verbs=(
        Verb(
            "approve", "Approve the change", "Approved", DECIDE,
            "Agree that this account goes to that platform, with the figures that you have seen. Whoever proposed the "
            "change cannot approve it.",
            style="primary", path="approve", carry_out=decide, answer=PlatformChanging,
        ),
        Verb(
            "reject", "Reject", "Rejected", DECIDE, "Refuse the change; the account stays where it is.",
            style="danger", path="reject", carry_out=decide, answer=PlatformChanging,
        ),
        Verb(
            "withdraw", "Withdraw", "Withdrawn", PROPOSE, "Take one's own proposal back, before it is approved.",
            path="withdraw", carry_out=withdraw, answer=PlatformChanging,
        ),
        Verb(
            "abandon", "Give the account back", "Abandoned", DECIDE,
            "Stop an approved change before the record switches: the account trades on where it was.",
            style="danger", path="abandon", carry_out=abandon, answer=PlatformChanging,
        ),
    ),
    find=Findable("plc", PlatformChange, to_staff),
)  # fmt: skip
