"""What the firm tells its workflows and the platform, once the transaction that decided it commits."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncSession

from contracts.messages import LockAccount, Message, Signal, stored, wire_name
from domain import keys, record_keys
from store import outbox, venue_limits
from store.models import Account

KeyedSignal = tuple[str, str, Signal]
"""(key in the outbox, workflow id, message)"""


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


async def signal_each(session: AsyncSession, signals: Sequence[KeyedSignal]) -> None:
    """Send many signals in one statement, each once."""
    rows = [(key, workflow_id, wire_name(message), stored(message)) for key, workflow_id, message in signals]
    await outbox.signal_workflows(session, rows)


async def lock_account(session: AsyncSession, message: LockAccount) -> None:
    """Have the account's positions closed and its trading disabled at the platform, once."""
    await outbox.enqueue(
        session, key=message.key, topic=outbox.LOCK, target=str(message.login), payload=stored(message)
    )


async def make_credentials(session: AsyncSession, credential_id: str, account_id: str) -> None:
    """Have the platform make what the trader of an account signs in with, once. The target is its own: a lock of the
    account does not wait for it."""
    await outbox.enqueue(
        session,
        key=keys.credentials_message(credential_id),
        topic=outbox.CREDENTIALS,
        target=keys.credentials_message(account_id),
        payload={"credential_id": credential_id},
    )


async def send_limits(session: AsyncSession, account_ids: Sequence[str], cause: str, *, again: bool = False) -> None:
    """Has the loss limits of these accounts sent to their venue, if they have changed. Accounts without limits at their
    venue are left out. The same cause again changes nothing. `again`: also if they have not changed."""
    payload = {"again": True} if again else {}
    for account_id in sorted(await venue_limits.held(session, account_ids)):
        await outbox.enqueue(
            session,
            key=keys.venue_limits(account_id, cause),
            topic=venue_limits.TOPIC,
            target=keys.venue_limits(account_id, venue_limits.SENDER),
            payload={"account_id": account_id, **payload},
        )


async def freeze_account(session: AsyncSession, account: Account, cause: str) -> None:
    """Have trading disabled at the platform and open positions left alone, once. The target is its own: a freeze waits
    for no earlier message about the account."""
    await outbox.enqueue(
        session,
        key=record_keys.freeze_message(cause),
        topic=outbox.FREEZE,
        target=record_keys.freeze_message(account.id),
        payload={"account_id": account.id},
    )


async def adjust_balance(session: AsyncSession, account: Account, intervention_id: str) -> None:
    """Have the balance corrected at the platform as an approved intervention says, once."""
    await outbox.enqueue(
        session,
        key=record_keys.adjustment(intervention_id),
        topic=outbox.ADJUST,
        target=str(account.login),
        payload={"account_id": account.id, "intervention_id": intervention_id},
    )


async def let_trade(session: AsyncSession, account: Account, cause: str) -> None:
    """Have an active account enabled at its platform again, which has disabled it. The same cause again changes
    nothing."""
    await outbox.enqueue(
        session,
        key=keys.resume_message(cause),
        topic=outbox.RESUME,
        target=str(account.login),
        payload={"account_id": account.id, "offence_id": ""},
    )


async def hand_over_mail(
    session: AsyncSession, mail_id: str, *, after: str | None, not_before: datetime | None = None, bulk: bool = False
) -> None:
    """Have the mail given to the mail server, once. `after`: the ticket whose earlier mails leave first. `bulk`: nobody
    waits for it."""
    key = record_keys.mail_message(mail_id)
    target = record_keys.mail_message(after or mail_id)
    topic = outbox.BULK_MAIL if bulk else outbox.MAIL
    await outbox.enqueue(session, key=key, topic=topic, target=target, payload={"mail_id": mail_id}, next_at=not_before)


async def hurry_mail(session: AsyncSession, mail_id: str) -> None:
    """Have a mail that waits for its time given to the mail server now."""
    await outbox.hurry(session, record_keys.mail_message(mail_id))


async def copy_to_desk(session: AsyncSession, ticket_id: str, *, cause: str) -> None:
    """Have a ticket copied to the desk where people work on it, after the earlier copies of it."""
    key, target = record_keys.desk_copy(ticket_id, cause), record_keys.desk_copy(ticket_id)
    await outbox.enqueue(session, key=key, topic=outbox.DESK, target=target, payload={"ticket_id": ticket_id})
