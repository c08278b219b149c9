"""What waits in the queue without a decision: tickets, and messages that could not be delivered. The panel says what
each is about and where a person acts on it."""

from sqlalchemy.ext.asyncio import AsyncSession

from console.formats import words
from console.present.closed import moment
from console.views.decision import DecisionView
from domain.approvals import Actor
from domain.errors import NotFound
from front.subjects.parked_message import INBOX, OUTBOX
from front.subjects.subject import Subject
from front.subjects.ticket import TICKET
from store.models import InboxEvent, OutboxMessage
from store.outbox import RESET
from store.read import tickets
from store.scope import scope_of

_BIGGEST = 2**63
_GIVEN_UP = (
    "This reset of a balance was given up. Payouts of the account wait until it is delivered: try it again on the page "
    "Messages."
)


async def ticket(session: AsyncSession, actor: Actor, ticket_id: str) -> DecisionView:
    """Raises NotFound."""
    row = await tickets.one(session, scope_of(actor), ticket_id)
    waits = row.state == "open" and row.snoozed_at is None
    asked = [message for message in row.messages if not message.from_firm]
    state = f"snoozed until {moment(row.snoozed_until)}" if row.snoozed_until else words(row.state)
    return DecisionView(
        kind="ticket",
        subject_id=row.id,
        title=f"{row.subject}, {row.trader_name}" if row.trader_name else row.subject,
        state=row.state,
        effect=TICKET.todo if waits else f"This ticket no longer waits for an answer: it is {state}.",
        choices=(),
        closed="" if waits else f"{state.capitalize()}, {moment(row.changed_at)}.",
        due=row.due_at if waits else None,
        account_number=row.account_number,
        trader_id=row.trader_id,
        trader=row.trader_name,
        statement=asked[-1].body[:1000] if asked else "",
        version=row.newest,
    )


async def inbox(session: AsyncSession, _: Actor, number: str) -> DecisionView:
    """Raises NotFound."""
    row = await session.get(InboxEvent, _number(number))
    if row is None:
        raise NotFound
    about = f"{row.provider} {row.kind}, {row.object_id}"
    return _message(INBOX, number, f"Payment event {about}", row, "Handled" if row.handled_at else "")


async def outbox(session: AsyncSession, _: Actor, number: str) -> DecisionView:
    """Raises NotFound."""
    row = await session.get(OutboxMessage, _number(number))
    if row is None:
        raise NotFound
    title = f"Message {' '.join(filter(None, (row.topic, row.name, 'to', row.target)))}"
    if row.topic == RESET and row.parked_at is not None and row.dispatched_at is not None:
        return _message(OUTBOX, number, title, row, "", _GIVEN_UP)
    return _message(OUTBOX, number, title, row, "Delivered" if row.dispatched_at else "")


def _message(
    subject: Subject, number: str, title: str, row: InboxEvent | OutboxMessage, ended: str, todo: str = ""
) -> DecisionView:
    at = row.handled_at if isinstance(row, InboxEvent) else row.dispatched_at
    facts = [("Attempts", str(row.attempts)), ("Last error", row.error or "none")]
    if row.parked_at is not None:
        facts.append(("Waiting since", moment(row.parked_at)))
    closed = "It no longer waits." if row.parked_at is None else ""
    if ended and at:
        closed = f"{ended} or given up, {moment(at)}."
    return DecisionView(
        kind=subject.name,
        subject_id=number,
        title=title,
        state="done" if closed else "parked",
        effect=f"This {subject.label} no longer waits." if closed else todo or subject.todo,
        choices=(),
        closed=closed,
        facts=facts,
    )


def _number(text: str) -> int:
    """Raises NotFound."""
    if not (text.isascii() and text.isdigit() and len(text) < 20 and int(text) < _BIGGEST):
        raise NotFound
    return int(text)
