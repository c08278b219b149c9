"""Chargebacks: finance submits the evidence or accepts the loss, before the acquirer's date."""

from datetime import timedelta
from typing import Any, Final

from sqlalchemy import Select, case, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from domain import keys
from domain.approvals import DECIDERS, STAFF
from domain.chargebacks import ANSWERABLE
from firm import chargeback_answers
from front.subjects.subject import Decision, Right, Subject, Taken, Verb
from store.models import Challenge, Chargeback, Intent
from store.read.pages import View
from store.read.search import Findable, to_staff
from store.read.waiting import Row, Waiting, waiting_rows

_DECIDE: Final = Right("chargebacks.decide", DECIDERS["chargeback"])


class ChargebackAnswered(View):
    """`answer`: submit or accept. The acquirer gets it next."""

    id: str
    state: str
    answer: str


def _rows() -> Select[Any]:
    number = case((Chargeback.round > 1, func.concat("/", Chargeback.round)), else_="")
    answered = select(Intent.key).where(Intent.key == func.concat(Chargeback.id, keys.ANSWER, number)).exists()
    rows = waiting_rows(
        subject_id=Chargeback.id,
        state=Chargeback.state,
        since=Chargeback.opened_at,
        deadline=Chargeback.evidence_due_at,
        account_id=Challenge.account_id,
        trader_id=Chargeback.trader_id,
        round_now=Chargeback.round,
        note=Chargeback.reason,
    )
    return rows.join(Challenge, Challenge.id == Chargeback.challenge_id).where(
        Chargeback.state.in_(ANSWERABLE), ~answered
    )


def _words(row: Row) -> str:
    return f"Chargeback: {str(row.note).replace('_', ' ')}" if row.note else "Chargeback"


async def decide(session: AsyncSession, decision: Decision) -> Taken:
    """Submit or accept. Raises what `firm.chargeback_answers` refuses with."""
    row = await chargeback_answers.decide(
        session,
        decision.subject_id,
        verb="submit" if decision.verb == "submit" else "accept",
        actor=decision.actor,
        reason=decision.reason,
        key=decision.key,
    )
    return Taken(row.state, ChargebackAnswered(id=row.id, state=row.state, answer=decision.verb))


CHARGEBACK: Final = Subject(
    name="chargeback",
    label="chargeback",
    plural="chargebacks",
    waits_as="Chargebacks to answer",
    waiting=Waiting(_rows, timedelta(hours=24), _words),
    read=Right("chargebacks.read", STAFF),
    under="/risk",
    page="/chargebacks",
    api="/chargebacks",
    verbs=(
        Verb(
            "submit", "Submit the evidence", "Evidence submitted", _DECIDE,
            "Send the drafted evidence with these words to the buyer's bank. It can be sent once.",
            style="primary", path="submit", carry_out=decide, answer=ChargebackAnswered,
        ),
        Verb(
            "accept", "Accept the loss", "Loss accepted", _DECIDE,
            "Let the buyer keep the money. The challenge ends, and so does every challenge that continues it.",
            style="danger", path="accept", carry_out=decide, answer=ChargebackAnswered, proof="money",
        ),
    ),
    find=Findable("cbk", Chargeback, to_staff),
)  # fmt: skip
