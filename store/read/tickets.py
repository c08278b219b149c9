"""Support tickets and their messages."""

from datetime import datetime
from typing import Any

from sqlalchemy import Select, select
from sqlalchemy.ext.asyncio import AsyncSession

from domain.errors import NotFound
from store.models import Account, Ticket, TicketMessage, Trader, User
from store.read.pages import Page, Scope, View, Window, account_number, keyset


class TicketRow(View):
    id: str
    trader_id: str
    trader_name: str
    account_id: str | None
    account_number: str | None
    payout_id: str | None
    subject: str
    state: str
    opened_at: datetime
    changed_at: datetime


class MessageView(View):
    """`author` is the person's name for staff; traders see their own name or "Support"."""

    id: str
    author: str
    from_firm: bool
    body: str
    occurred_at: datetime


class TicketView(TicketRow):
    messages: tuple[MessageView, ...]


def _statement(scope: Scope) -> Select[Any]:
    return (
        select(Ticket, Account.number, Trader.name.label("trader_name"))
        .join(Trader, Trader.id == Ticket.trader_id)
        .outerjoin(Account, Account.id == Ticket.account_id)
        .where(scope.own(Ticket.trader_id))
    )


def _fields(row: Any) -> dict[str, Any]:
    ticket: Ticket = row.Ticket
    return {
        "id": ticket.id,
        "trader_id": ticket.trader_id,
        "trader_name": row.trader_name,
        "account_id": ticket.account_id,
        "account_number": None if row.number is None else account_number(row.number),
        "payout_id": ticket.payout_id,
        "subject": ticket.subject,
        "state": ticket.state,
        "opened_at": ticket.opened_at,
        "changed_at": ticket.changed_at,
    }


async def page(
    session: AsyncSession, scope: Scope, window: Window, *, state: str | None = None, account_id: str | None = None
) -> Page[TicketRow]:
    """Newest first."""
    statement = _statement(scope)
    for column, wanted in ((Ticket.state, state), (Ticket.account_id, account_id)):
        if wanted is not None:
            statement = statement.where(column == wanted)
    rows, cursor = await keyset(session, statement, [Ticket.recorded_at, Ticket.id], window)
    return Page[TicketRow](items=tuple(TicketRow(**_fields(row)) for row in rows), next_cursor=cursor)


async def one(session: AsyncSession, scope: Scope, ticket_id: str) -> TicketView:
    """Raises NotFound."""
    row = (await session.execute(_statement(scope).where(Ticket.id == ticket_id))).one_or_none()
    if row is None:
        raise NotFound
    messages = await session.execute(
        select(TicketMessage, User.name, User.role)
        .join(User, User.id == TicketMessage.author_id)
        .where(TicketMessage.ticket_id == ticket_id)
        .order_by(TicketMessage.recorded_at, TicketMessage.id)
    )
    return TicketView(
        **_fields(row),
        messages=tuple(
            MessageView(
                id=message.id,
                author=name if scope.staff or role == "trader" else "Support",
                from_firm=role != "trader",
                body=message.body,
                occurred_at=message.occurred_at,
            )
            for message, name, role in messages
        ),
    )
