"""Payouts: decided by finance; a trader may withdraw their own request."""

from datetime import timedelta
from typing import Any, Final

from sqlalchemy import Interval, Select, and_, case, func, literal, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from contracts.ids import payout_workflow
from domain.approvals import DECIDERS, PEOPLE, Actor
from domain.payouts.payout import CAME_BACK, OPEN_TO_PEOPLE
from domain.payouts.payout import PAYOUT as MACHINE
from firm.payouts import bulk
from front.fields import SendAgainBody
from front.subjects.subject import BulkItem, Right, Subject, Verb, Workflow
from store.models import MarketClock, Payout
from store.read import payouts
from store.read.search import Findable
from store.read.waiting import Row, Waiting, waiting_rows
from store.scope import Scope

_DECIDE: Final = Right("payouts.decide", DECIDERS["payout"])
_CANCEL: Final = Right("payouts.cancel", DECIDERS["payout"] | {"trader"})
DECIDABLE: Final = OPEN_TO_PEOPLE
_STUCK: Final = "too long in the state "
BEING_SENT: Final = ("approved", "sent")
# How long a payout may be in a state that ends without a person, in market time; older ones are in the queue.
TARGET_AGE: Final = {
    "requested": timedelta(minutes=15),
    "reserved": timedelta(minutes=15),
    "approved": timedelta(minutes=30),
    "sent": timedelta(days=4),
    "settling": timedelta(minutes=15),
    "releasing": timedelta(minutes=15),
}


def _rows() -> Select[Any]:
    """What people decide, what came back, and what has been for too long in a state that should end by itself."""
    for_people = Payout.state.in_((*DECIDABLE, *CAME_BACK))
    target = case(*((Payout.state == state, literal(age, Interval())) for state, age in TARGET_AGE.items()), else_=None)
    late_at = Payout.changed_at + target
    market_time = func.coalesce(select(func.min(MarketClock.watermark)).scalar_subquery(), func.now())
    return waiting_rows(
        subject_id=Payout.id,
        state=Payout.state,
        since=case((Payout.state.in_(DECIDABLE), Payout.requested_at), else_=Payout.changed_at),
        deadline=case((Payout.state.in_(DECIDABLE), Payout.decide_by), (for_people, None), else_=late_at),
        account_id=Payout.account_id,
        trader_id=Payout.trader_id,
        amount_minor=Payout.trader_minor + Payout.refund_minor,
        currency=Payout.currency,
        asked_by=Payout.requested_by,
        round_now=Payout.round,
        returned=or_(Payout.state.in_(CAME_BACK), Payout.halted.is_not(None), Payout.round > 1),
        note=case(
            (Payout.halted.is_not(None), func.concat(": ", Payout.halted)),
            (and_(for_people, Payout.escalated_at.is_not(None)), ", escalated to admin"),
            (for_people, ""),
            else_=func.concat(": ", _STUCK, Payout.state),
        ),
    ).where(or_(for_people, and_(Payout.state.in_(TARGET_AGE), late_at <= market_time)))


def _words(row: Row) -> str:
    return f"Payout {row.amount}{row.note or ''}"


async def _state(session: AsyncSession, scope: Scope, payout_id: str) -> str:
    return (await payouts.one(session, scope, payout_id)).state


async def _in_bulk(session: AsyncSession, payout_id: str, actor: Actor) -> BulkItem:
    return BulkItem(*await bulk.read(session, payout_id, actor))


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
            style="primary", path="approve", proof="money", bulk=_in_bulk,
        ),
        Verb(
            "retract", "Withdraw my approval", "Approval withdrawn", _DECIDE,
            "Take one's own approval back, until the money has left. Nothing is sent without enough other approvals.",
            path="retract",
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
            "stop", "Stop", "Stopped", _DECIDE,
            "Stop the payout until a person decides. Money that has not left is stopped at the rail.",
            style="danger", path="stop",
        ),
        Verb(
            "send_again", "Send again", "Sent again", _DECIDE,
            "Send a payout that was stopped, refused or came back. It is checked and approved as before.",
            style="primary", path="send-again", body=SendAgainBody, proof="money",
        ),
        Verb(
            "release", "Put back on the account", "Put back on the account", _DECIDE,
            "What came back is not sent again: the amount that was held goes back to the account.",
            path="release",
        ),
        Verb(
            "keep", "Keep as a claim", "Kept as a claim", _DECIDE,
            "The firm still owes the amount that came back, until it can be sent.",
            path="keep",
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
