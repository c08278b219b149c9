"""Disputes about breaches: opened by traders, decided by risk."""

from datetime import timedelta
from typing import Any, Final

from sqlalchemy import Select
from sqlalchemy.ext.asyncio import AsyncSession

from contracts.ids import dispute_workflow
from domain.approvals import DECIDERS, PEOPLE
from domain.disputes import DISPUTE as MACHINE
from front.subjects.subject import Right, Subject, Verb, Workflow
from store.models import Dispute
from store.read import disputes
from store.read.pages import Scope
from store.read.queue import Waiting, waiting_rows
from store.read.search import Findable

_DECIDE: Final = Right("disputes.decide", DECIDERS["dispute"])


def _rows() -> Select[Any]:
    return waiting_rows(
        subject_id=Dispute.id,
        state=Dispute.state,
        since=Dispute.opened_at,
        account_id=Dispute.account_id,
        trader_id=Dispute.trader_id,
    ).where(Dispute.state == "awaiting_decision")


async def _state(session: AsyncSession, scope: Scope, dispute_id: str) -> str:
    return (await disputes.one(session, scope, dispute_id)).state


DISPUTE: Final = Subject(
    name="dispute",
    label="dispute",
    plural="disputes",
    waits_as="Disputes to decide",
    waiting=Waiting(_rows, timedelta(hours=24), lambda _: "Disputed breach"),
    read=Right("disputes.read", PEOPLE),
    under="/risk",
    page="/disputes",
    api="/disputes",
    verbs=(
        Verb(
            "uphold", "Uphold the breach", "Breach upheld", _DECIDE, "The breach remains; the account stays locked.",
            path="uphold",
        ),
        Verb(
            "reinstate", "Reinstate the account", "Account reinstated", _DECIDE,
            "The breach is overturned: floors are restored and the account trades again.",
            style="primary", path="reinstate",
        ),
    ),
    workflow=Workflow("dispute", dispute_workflow, MACHINE, _state),
    find=Findable("dsp", Dispute, lambda scope: scope.own(Dispute.trader_id)),
)  # fmt: skip
