"""Changed bank accounts of traders: confirmed over a second channel by support, before anything is paid to them."""

from datetime import timedelta
from typing import Any, Final

from sqlalchemy import Select
from sqlalchemy.ext.asyncio import AsyncSession

from domain.approvals import DECIDERS, STAFF
from firm import beneficiaries
from front.subjects.subject import Decision, Right, Subject, Taken, Verb
from store.models import Beneficiary
from store.read.pages import View
from store.read.search import Findable, to_staff
from store.read.waiting import Waiting, waiting_rows

_DECIDE: Final = Right("beneficiaries.decide", DECIDERS["beneficiary"])


class BeneficiaryDecided(View):
    """`state`: confirmed or refused."""

    id: str
    trader_id: str
    state: str


def _rows() -> Select[Any]:
    return waiting_rows(
        subject_id=Beneficiary.id,
        state=Beneficiary.state,
        since=Beneficiary.added_at,
        trader_id=Beneficiary.trader_id,
    ).where(Beneficiary.state == beneficiaries.WAITING)


async def decide(session: AsyncSession, decision: Decision) -> Taken:
    """Confirm or refuse. Raises what `firm.beneficiaries` refuses with."""
    row = await beneficiaries.decide(
        session,
        decision.subject_id,
        verb=decision.verb,
        actor=decision.actor,
        reason=decision.reason,
        key=decision.key,
    )
    return Taken(row.state, BeneficiaryDecided(id=row.id, trader_id=row.trader_id, state=row.state))


BENEFICIARY: Final = Subject(
    name="beneficiary",
    label="bank account",
    plural="bank accounts",
    waits_as="Changed bank accounts to confirm",
    waiting=Waiting(_rows, timedelta(hours=24), lambda _: "Changed bank account"),
    read=Right("beneficiaries.read", STAFF),
    under="/queue",
    page="/beneficiaries",
    api="/beneficiaries",
    verbs=(
        Verb(
            "confirm", "Confirm", "Confirmed", _DECIDE,
            "The trader was reached under the contact on file, not by what asked for the change, and said that the"
            " account is theirs. Payouts to it are sent after the cooling period.",
            style="primary", path="confirm", carry_out=decide, answer=BeneficiaryDecided, proof="money",
        ),
        Verb(
            "refuse", "Refuse", "Refused", _DECIDE,
            "The trader did not ask for it, or cannot be reached. Payouts to it are held, and new ones go to the"
            " account before.",
            style="danger", path="refuse", carry_out=decide, answer=BeneficiaryDecided,
        ),
    ),
    find=Findable("ben", Beneficiary, to_staff),
)  # fmt: skip
