"""Messages that leave with the transaction that caused them, and the intents behind side effects."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

from sqlalchemy import literal, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.sql import func

from domain import keys
from domain.errors import IdempotencyMismatch
from store import upsert
from store.models import Intent, OutboxMessage, Wakeup

START: Final = "workflow.start"
RESTART: Final = "workflow.restart"  # of a workflow that ended before its subject did
SIGNAL: Final = "workflow.signal"
LOCK: Final = "venue.lock"
CREDENTIALS: Final = "venue.credentials"
CLOSE: Final = "venue.close"
RESET: Final = "venue.reset_balance"
ADJUST: Final = "venue.adjust"
RESUME: Final = "venue.resume"
FREEZE: Final = "venue.freeze"
MAIL: Final = "mail.send"
DESK: Final = "desk.copy"
BULK_MAIL: Final = "mail.bulk"  # what nobody waits for: it holds up neither other mail nor a lock
ASIDE: Final = (DESK, BULK_MAIL)  # what is delivered apart from everything else
GIVEN_UP: Final = OutboxMessage.parked_at.is_not(None) & OutboxMessage.dispatched_at.is_not(None)  # by a person
# Payouts wait for a reset of a balance, also when a person gave it up. As a literal: its index is for this topic alone.
WAITS_FOR_PERSON: Final = OutboxMessage.parked_at.is_not(None) & (
    OutboxMessage.dispatched_at.is_(None) | (OutboxMessage.topic == literal(RESET, literal_execute=True))
)
# In the payload of an adjustment that a person gave up: the platform is asked once more whether it was done.
ONLY_ASKS: Final = "only_asks"
# Signals that only ask to look at the record again. A workflow that has ended needs none; one that starts looks anyway.
HINTS: Final = frozenset({"risk_changed", "market_time_reached", "payment_expired"})


async def enqueue(
    session: AsyncSession,
    *,
    key: str,
    topic: str,
    target: str,
    name: str = "",
    payload: dict[str, Any] | None = None,
    next_at: datetime | None = None,
) -> None:
    """Add a message; the same key again changes nothing. `next_at`: when it is tried first, None for at once."""
    row: dict[str, Any] = {"key": key, "topic": topic, "target": target, "name": name, "payload": payload or {}}
    if next_at is not None:
        row["next_at"] = next_at
    await upsert.add(session, OutboxMessage, [row], unless=("key",))


async def hurry(session: AsyncSession, key: str) -> None:
    """Have a message that waits for its time tried now."""
    await session.execute(update(OutboxMessage).where(OutboxMessage.key == key).values(next_at=func.clock_timestamp()))


async def start_workflow(session: AsyncSession, *, workflow_id: str, name: str, payload: dict[str, Any]) -> None:
    """Start `name` under `workflow_id` once, when this transaction commits."""
    await enqueue(
        session, key=keys.start_message(workflow_id), topic=START, target=workflow_id, name=name, payload=payload
    )


async def start_again(session: AsyncSession, *, workflow_id: str, name: str, payload: dict[str, Any]) -> None:
    """Start a workflow that ended too early once more, and send it again, in order, every signal that it ever got, but
    not those that a person gave up: one that it received and did not act on is recorded nowhere else. A signal received
    twice is the same as once."""
    await start_workflow(session, workflow_id=workflow_id, name=name, payload=payload)
    again = {"dispatched_at": None, "parked_at": None, "error": None, "attempts": 0, "next_at": func.clock_timestamp()}
    mine = OutboxMessage.target == workflow_id
    await session.execute(
        update(OutboxMessage)
        .where(mine, OutboxMessage.topic.in_((START, RESTART)))
        .values(topic=RESTART, payload=payload, **again)
    )
    await session.execute(
        update(OutboxMessage)
        .where(mine, OutboxMessage.topic == SIGNAL, OutboxMessage.name.not_in(HINTS), ~GIVEN_UP)
        .values(again)
    )


async def start_waits(session: AsyncSession, workflow_id: str) -> bool:
    """Whether a start of this workflow is on its way."""
    found = await session.scalar(
        select(OutboxMessage.id).where(
            OutboxMessage.target == workflow_id,
            OutboxMessage.topic.in_((START, RESTART)),
            OutboxMessage.dispatched_at.is_(None),
            OutboxMessage.parked_at.is_(None),
        )
    )
    return found is not None


async def signal_workflow(
    session: AsyncSession, *, key: str, workflow_id: str, name: str, payload: dict[str, Any]
) -> None:
    """Send signal `name` when this transaction commits; `key` is the business key that makes it unique."""
    await enqueue(session, key=key, topic=SIGNAL, target=workflow_id, name=name, payload=payload)


async def signal_workflows(session: AsyncSession, signals: Sequence[tuple[str, str, str, dict[str, Any]]]) -> None:
    """Does the same for many signals in one statement: (key, workflow id, name, payload)."""
    rows = [
        {"key": key, "topic": SIGNAL, "target": target, "name": name, "payload": payload}
        for key, target, name, payload in signals
    ]
    if rows:
        await session.execute(insert(OutboxMessage).values(rows).on_conflict_do_nothing(index_elements=["key"]))


async def declare_intent(
    session: AsyncSession, *, key: str, kind: str, payload: dict[str, Any]
) -> dict[str, Any] | None:
    """Commit to a side effect. Returns the recorded result when it already happened, else None.

    Raises IdempotencyMismatch when the key was declared with another payload.
    """
    made = await session.execute(
        insert(Intent)
        .values(key=key, kind=kind, payload=payload)
        .on_conflict_do_nothing(index_elements=["key"])
        .returning(Intent.key)
    )
    if made.first() is not None:
        return None
    intent = (await session.execute(select(Intent).where(Intent.key == key))).scalar_one()
    if intent.payload != payload:
        raise IdempotencyMismatch(key)
    return intent.result


async def fulfil_intent(session: AsyncSession, *, key: str, result: dict[str, Any]) -> None:
    await session.execute(
        update(Intent)
        .where(Intent.key == key, Intent.done_at.is_(None))
        .values(result=result, done_at=func.clock_timestamp())
    )


async def wake_at(session: AsyncSession, *, workflow_id: str, due_at: datetime | None) -> None:
    """Wake the workflow when market time reaches `due_at`; None: nothing to wait for any more."""
    if due_at is None:
        await session.execute(
            update(Wakeup).where(Wakeup.workflow_id == workflow_id).values(fired_at=func.clock_timestamp())
        )
        return
    row = insert(Wakeup).values(workflow_id=workflow_id, due_at=due_at, fired_at=None)
    await session.execute(
        row.on_conflict_do_update(index_elements=["workflow_id"], set_={"due_at": due_at, "fired_at": None})
    )
