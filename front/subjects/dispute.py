"""Disputes about breaches, and appeals against actions: opened by traders, decided by risk.

The deadline is that of the firm's policy."""

from datetime import timedelta
from typing import Any, Final

from sqlalchemy import Select, case, func
from sqlalchemy.ext.asyncio import AsyncSession

from contracts.ids import dispute_workflow
from domain.approvals import DECIDERS, PEOPLE
from domain.disputes import DISPUTE as MACHINE
from front.fields import DisputeDecisionBody
from front.subjects.subject import Right, Subject, Verb, Workflow
from store.models import Dispute
from store.read import disputes
from store.read.search import Findable
from store.read.waiting import Waiting, waiting_rows
from store.scope import Scope

_DECIDE: Final = Right("disputes.decide", DECIDERS["dispute"])


def _rows() -> Select[Any]:
    about = case(
        (Dispute.case_id.is_not(None), "Appeal"), (Dispute.instance > 1, "Appeal of a breach"), else_="Disputed breach"
    )
    return waiting_rows(
        subject_id=Dispute.id,
        state=Dispute.state,
        since=Dispute.opened_at,
        deadline=Dispute.decide_by,
        account_id=Dispute.account_id,
        trader_id=Dispute.trader_id,
        returned=Dispute.instance > 1,
        note=case((Dispute.escalated_at.is_not(None), func.concat(about, ", escalated to admin")), else_=about),
    ).where(Dispute.state == "awaiting_decision")


async def _state(session: AsyncSession, scope: Scope, dispute_id: str) -> str:
    return (await disputes.one(session, scope, dispute_id)).state


DISPUTE: Final = Subject(
    name="dispute",
    label="dispute",
    plural="disputes",
    waits_as="Disputes to decide",
    waiting=Waiting(_rows, timedelta(hours=24), lambda row: str(row.note)),
    read=Right("disputes.read", PEOPLE),
    under="/risk",
    page="/disputes",
    api="/disputes",
    verbs=(
        Verb(
            "uphold", "Uphold the breach", "Breach upheld", _DECIDE,
            "The breach remains; the account stays locked. Of an appeal against an action: the action stays. The "
            "firm's policy says how many people it takes. `reason` is for the firm, `message` for the trader.",
            path="uphold", body=DisputeDecisionBody,
        ),
        Verb(
            "reinstate", "Reinstate the account", "Account reinstated", _DECIDE,
            "The breach is overturned: floors are restored and the account trades again. Of an appeal against an "
            "action: it is taken back. Nobody who had a part in the matter may decide. The firm's policy says how many "
            "people it takes. `reason` is for the firm, `message` for the trader.",
            style="primary", path="reinstate", body=DisputeDecisionBody,
        ),
    ),
    workflow=Workflow("dispute", dispute_workflow, MACHINE, _state),
    find=Findable("dsp", Dispute, lambda scope: scope.own(Dispute.trader_id)),
)  # fmt: skip
