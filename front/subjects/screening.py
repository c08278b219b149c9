"""Hits on a sanctions list: two people of risk say whether the trader is the listed person. Staff only, so that nobody
learns from us that they were found."""

from datetime import timedelta
from typing import Any, Final

from sqlalchemy import Select, Text, cast
from sqlalchemy.ext.asyncio import AsyncSession

from domain.approvals import DECIDERS
from domain.screening.entries import LISTS
from firm import screening
from front.subjects.subject import Decision, Right, Subject, Taken, Verb
from store.models import ScreeningHit
from store.read.pages import View
from store.read.search import Findable, to_staff
from store.read.waiting import Row, Waiting, waiting_rows

_DECIDE: Final = Right("sanctions.decide", DECIDERS["sanction_hit"])
_WORDS: Final[dict[str, str]] = {str(name): words for name, words in LISTS.items()}


class HitDecided(View):
    """`state`: open until a second person agrees."""

    id: str
    state: str


def _rows() -> Select[Any]:
    return waiting_rows(
        subject_id=ScreeningHit.id,
        state=ScreeningHit.state,
        since=ScreeningHit.opened_at,
        trader_id=ScreeningHit.trader_id,
        note=cast(ScreeningHit.list, Text),
    ).where(ScreeningHit.state == "open")


def _words(row: Row) -> str:
    return f"Like a name on the {_WORDS.get(str(row.note), str(row.note))}"


async def decide(session: AsyncSession, decision: Decision) -> Taken:
    """Raises what `firm.screening` refuses with."""
    hit = await screening.decide(
        session,
        hit_id=decision.subject_id,
        verdict="confirm" if decision.verb == "confirm" else "clear",
        actor=decision.actor,
        reason=decision.reason,
        key=decision.key,
    )
    return Taken(hit.state, HitDecided(id=hit.id, state=hit.state))


SANCTION_HIT: Final = Subject(
    name="sanction_hit",
    label="sanctions hit",
    plural="sanctions hits",
    waits_as="Sanctions hits",
    waiting=Waiting(_rows, timedelta(hours=4), _words),
    read=Right("sanctions.read", DECIDERS["sanction_hit"]),
    under="/risk",
    page="/sanction-hits",
    api="/sanction-hits",
    verbs=(
        Verb(
            "clear", "Clear: somebody else", "Cleared", _DECIDE,
            "The trader is not the listed person. When a second person says so too, the payouts continue.",
            path="clear", carry_out=decide, answer=HitDecided,
        ),
        Verb(
            "confirm", "Confirm: the listed person", "Confirmed", _DECIDE,
            "The trader is the listed person. When a second person says so too, no payout of theirs leaves any more.",
            style="danger", path="confirm", carry_out=decide, answer=HitDecided,
        ),
    ),
    find=Findable("sht", ScreeningHit, to_staff),
)  # fmt: skip
