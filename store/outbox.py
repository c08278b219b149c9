"""Messages that leave with the transaction that caused them, and the intents behind side effects."""

from datetime import datetime
from typing import Any

from sqlalchemy import select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.sql import func

from domain.errors import IdempotencyMismatch
from store.models import Intent, OutboxMessage, Wakeup


async def enqueue(
    session: AsyncSession, *, key: str, topic: str, target: str, name: str = "", payload: dict[str, Any] | None = None
) -> None:
    """Add a message; the same key again changes nothing."""
    row = {"key": key, "topic": topic, "target": target, "name": name, "payload": payload or {}}
    await session.execute(insert(OutboxMessage).values(row).on_conflict_do_nothing(index_elements=["key"]))


async def start_workflow(session: AsyncSession, *, workflow_id: str, name: str, payload: dict[str, Any]) -> None:
    """Start `name` under `workflow_id` once, when this transaction commits."""
    await enqueue(
        session, key=f"start/{workflow_id}", topic="workflow.start", target=workflow_id, name=name, payload=payload
    )


async def signal_workflow(
    session: AsyncSession, *, key: str, workflow_id: str, name: str, payload: dict[str, Any]
) -> None:
    """Send signal `name` when this transaction commits; `key` is the business key that makes it unique."""
    await enqueue(session, key=key, topic="workflow.signal", target=workflow_id, name=name, payload=payload)


async def declare_intent(
    session: AsyncSession, *, key: str, kind: str, payload: dict[str, Any]
) -> dict[str, Any] | None:
    """Commit to a side effect. Gives the recorded result when it already happened, else None.

    Raises IdempotencyMismatch when the key was declared with another payload.
    """
    await session.execute(
        insert(Intent).values(key=key, kind=kind, payload=payload).on_conflict_do_nothing(index_elements=["key"])
    )
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
