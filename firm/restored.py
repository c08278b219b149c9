"""A record that came from a backup: the audit log says so, and what happened at the providers since is asked for."""

from dataclasses import asdict, dataclass
from typing import Final

from sqlalchemy.ext.asyncio import AsyncSession

from store import audit, restored
from store.clock import market_now

_BY: Final = "command-line"


@dataclass(frozen=True)
class Restore:
    """`stamp`: names the restore, by its time. `backup`: the folder's name. `of`: the moment of the record in it.
    `asked_for`: the time that was given; empty: the newest one. `account`: the system's account that ran the command.
    `aside`: the name that the database of before has now. `ended`: workflows that were ended."""

    stamp: str
    at: str
    backup: str
    of: str
    asked_for: str
    account: str
    reason: str
    aside: str
    ended: int


async def note(session: AsyncSession, done: Restore) -> dict[str, int] | None:
    """Writes the entry of the audit log, and asks the providers for everything that is open there. Returns what is
    asked for, by kind of event; None when this restore was noted before."""
    if await restored.is_noted(session, done.stamp):
        return None
    asked = await restored.ask_again(session, done.stamp)
    # the reason is sealed, as a person's is: the account may be a name
    plain = {name: value for name, value in asdict(done).items() if name not in ("stamp", "account", "reason")}
    await audit.record(
        session,
        action="record.restored",
        subject_kind="restore",
        subject_id=done.stamp,
        occurred_at=await market_now(session),
        actor=_BY,
        role="operator",
        reason=f"{done.reason} (run by {done.account})",
        evidence={**plain, "asked_again": asked},
    )
    return asked
