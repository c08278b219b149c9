"""Payouts: decided by finance; a trader may withdraw their own request."""

from datetime import timedelta
from typing import Any, Final

from sqlalchemy import Select
from sqlalchemy.ext.asyncio import AsyncSession

from contracts.ids import payout_workflow
from domain.approvals import DECIDERS, PEOPLE
from domain.payouts.payout import PAYOUT as MACHINE
from front.subjects.subject import Right, Subject, Verb, Workflow
from store.models import Payout
from store.read import payouts
from store.read.pages import Scope
from store.read.queue import Row, Waiting, waiting_rows
from store.read.search import Findable

_DECIDE: Final = Right("payouts.decide", DECIDERS["payout"])
_CANCEL: Final = Right("payouts.cancel", DECIDERS["payout"] | {"trader"})
DECIDABLE: Final = ("awaiting_approval", "in_review")


def _rows() -> Select[Any]:
    return waiting_rows(
        subject_id=Payout.id,
        state=Payout.state,
        since=Payout.requested_at,
        deadline=Payout.decide_by,
        account_id=Payout.account_id,
        trader_id=Payout.trader_id,
        amount_minor=Payout.trader_minor + Payout.refund_minor,
        currency=Payout.currency,
    ).where(Payout.state.in_(DECIDABLE))


def _words(row: Row) -> str:
    return f"Payout {row.amount}"


async def _state(session: AsyncSession, scope: Scope, payout_id: str) -> str:
    return (await payouts.one(session, scope, payout_id)).state


PAYOUT: Final = Subject(
    name="payout",
    label="payout",
    plural="payouts",
    waits_as="Payouts to decide",
    waiting=Waiting(_rows, timedelta(hours=24), _words),
    read=Right("payouts.read", PEOPLE),
    under="/payouts",
    page="/payouts",
    api="/payouts",
    verbs=(
        Verb(
            "approve", "Approve", "Approved", _DECIDE,
            "Agree to exactly this amount and beneficiary. The money is sent when as many people"
            " as the policy asks for have approved.",
            style="primary", path="approve",
        ),
        Verb(
            "return_to_trader", "Return to trader", "Returned to the trader", _DECIDE,
            "Give the request back to the trader, who can change it and ask again.",
            path="return",
        ),
        Verb(
            "reject", "Reject", "Rejected", _DECIDE, "Refuse the payout. What was held goes back to the account.",
            style="danger", path="reject",
        ),
        Verb(
            "cancel", "Withdraw this request", "Withdrawn", _CANCEL,
            "Take the request back before the money is sent: the trader's own wish, or finance on their behalf.",
            path="cancel",
        ),
    ),
    workflow=Workflow("payout", payout_workflow, MACHINE, _state),
    find=Findable("pay", Payout, lambda scope: scope.own(Payout.trader_id)),
)  # fmt: skip
