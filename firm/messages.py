"""What the firm tells its workflows and the platform, once the transaction that decided it commits."""

from sqlalchemy.ext.asyncio import AsyncSession

from contracts.messages import LockAccount, Message, Signal, stored, wire_name
from store import outbox


async def start(session: AsyncSession, workflow_id: str, message: Message) -> None:
    """Start the workflow that takes `message` as its input, once."""
    await outbox.start_workflow(session, workflow_id=workflow_id, name=wire_name(message), payload=stored(message))


async def start_again(session: AsyncSession, workflow_id: str, message: Message) -> None:
    """Start a workflow that ended too early once more, and send it again all signals that it ever got."""
    await outbox.start_again(session, workflow_id=workflow_id, name=wire_name(message), payload=stored(message))


async def signal(session: AsyncSession, workflow_id: str, message: Signal, *, key: str | None = None) -> None:
    """Send a signal once. `key` identifies it in the outbox: by default the message's own key."""
    await outbox.signal_workflow(
        session,
        key=key or message.key,
        workflow_id=workflow_id,
        name=wire_name(message),
        payload=stored(message),
    )


async def lock_account(session: AsyncSession, message: LockAccount) -> None:
    """Have the account's positions closed and its trading disabled at the platform, once."""
    await outbox.enqueue(
        session, key=message.key, topic=outbox.LOCK, target=str(message.login), payload=stored(message)
    )
