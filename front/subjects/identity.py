"""Identity checks: a trader's next step depends on whether a person has seen their documents. Decided by risk."""

from datetime import timedelta
from typing import Any, Final

from sqlalchemy import Select, func, literal
from sqlalchemy.ext.asyncio import AsyncSession

from domain.approvals import DECIDERS, STAFF
from firm import people
from firm.identity_checks import identity_waits
from front.subjects.subject import Decision, Right, Subject, Taken, Verb
from store.read.pages import View
from store.read.waiting import Waiting, by_calendar, waiting_rows

_DECIDE: Final = Right("traders.decide_identity", DECIDERS["identity"])


class IdentityAnswer(View):
    trader_id: str
    identity: str


def _rows() -> Select[Any]:
    """One row for each trader."""
    checks = identity_waits().subquery()
    return waiting_rows(
        subject_id=checks.c.trader_id,
        state=literal("identity_check"),
        since=func.min(checks.c.since),
        deadline=by_calendar("identity_check", checks.c.trader_id),
        account_id=func.min(checks.c.account_id),
        trader_id=checks.c.trader_id,
    ).group_by(checks.c.trader_id)


async def decide(session: AsyncSession, decision: Decision) -> Taken:
    """Verify or refuse. Raises what `firm.people` refuses with."""
    trader = await people.decide_identity(
        session,
        trader_id=decision.subject_id,
        verified=decision.verb == "verify",
        actor=decision.actor,
        reason=decision.reason,
        key=decision.key,
    )
    return Taken(trader.identity, IdentityAnswer(trader_id=trader.id, identity=trader.identity))


IDENTITY: Final = Subject(
    name="identity",
    label="identity check",
    plural="identity checks",
    waits_as="Identity checks",
    waiting=Waiting(_rows, timedelta(hours=24), lambda _: "Identity check"),
    read=Right("traders.list", STAFF),
    under="/queue",
    page="/identity",
    verbs=(
        Verb(
            "verify", "Verify identity", "Verified", _DECIDE,
            "The trader is who they claim to be: their challenges and held payouts continue.",
            style="primary", carry_out=decide, answer=IdentityAnswer,
        ),
        Verb(
            "refuse", "Refuse", "Refused", _DECIDE,
            "The trader is not who they claim to be: challenges that wait for the check are closed.",
            style="danger", carry_out=decide, answer=IdentityAnswer,
        ),
    ),
    lock=people.lock_trader,
)  # fmt: skip
