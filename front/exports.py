"""Files with personal data that leave the firm: staff prove who they are before they get one."""

from typing import Final

from sqlalchemy.ext.asyncio import AsyncSession

from domain.approvals import STAFF, Actor
from front.once import Once
from store import audit
from store.clock import market_now

_STARTS: Final = ("=", "+", "-", "@", "\t", "\r")


async def prove_export(session: AsyncSession, once: Once, what: str) -> None:
    """Uses a step-up of staff before the file `what`, such as the evidence of a dispute; traders get what is theirs.
    Raises StepUpRequired, or NeedsPerson for an API key of staff."""
    if once.actor.role in STAFF:
        await once.prove(session, "personal_data", do="export", what=what)


async def log_export(session: AsyncSession, actor: Actor, what: str, *, query: str, form: str, rows: int) -> None:
    """Records who took a list as a file: the filter and the number of rows, no content."""
    await audit.record(
        session,
        action="list.exported",
        subject_kind="list",
        subject_id=what,
        occurred_at=await market_now(session),
        actor=actor.user_id,
        role=actor.role,
        evidence={"query": query, "format": form, "rows": rows},
    )


def defused(value: str | int | None) -> str | int:
    """A cell of a CSV file: a text that a spreadsheet would run as a formula gets a quote before it."""
    if not isinstance(value, str):
        return "" if value is None else value
    number = value.removeprefix("-").replace(".", "", 1)
    return f"'{value}" if value[:1] in _STARTS and not (number.isascii() and number.isdigit()) else value
