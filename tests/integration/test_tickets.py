"""Tickets: whose turn it is, who may write, and that nobody reads another trader's."""

from collections.abc import AsyncIterator

import pytest
from sqlalchemy import select

from domain.errors import BadInput, IllegalTransition, NotAllowed, NotFound
from firm import tickets
from store.models import AuditEntry, Ticket, TicketMessage
from tests.payout_world import World, a_firm


@pytest.fixture
async def firm(database_url: str) -> AsyncIterator[World]:
    async with a_firm(database_url) as world:
        yield world


async def test_each_message_hands_the_turn_to_the_other_side(firm: World) -> None:
    trader, sue = await firm.add_trader("tina"), await firm.add_user("sue", "support")
    async with firm.db.transaction() as session:
        ticket = await tickets.open_ticket(
            session, actor=trader, subject=" Where is my payout? ", body="It is late.", account_id="acc_tina"
        )
    states = [ticket.state]
    for actor in (sue, sue, trader):
        async with firm.db.transaction() as session:
            states.append((await tickets.reply(session, ticket_id=ticket.id, actor=actor, body="Hm.")).state)
    async with firm.db.transaction() as session:
        states.append((await tickets.solve(session, ticket_id=ticket.id, actor=sue, site="http://firm.test")).state)
    async with firm.db.transaction() as session:
        states.append((await tickets.reply(session, ticket_id=ticket.id, actor=trader, body="No!")).state)
    assert states == ["open", "waiting_for_trader", "waiting_for_trader", "open", "solved", "open"]
    async with firm.db.transaction() as session:
        row = await session.get_one(Ticket, ticket.id)
        written = (await session.scalars(select(TicketMessage))).all()
        entries = select(AuditEntry.action, AuditEntry.actor).where(AuditEntry.subject_kind == "ticket")
        audited = (await session.execute(entries.order_by(AuditEntry.seq))).all()
    assert (row.subject, len(written)) == ("Where is my payout?", 5)
    assert [tuple(entry) for entry in audited] == [
        ("ticket.opened", "usr_tina"),
        ("ticket.firm_replied", "usr_sue"),
        ("ticket.firm_replied", "usr_sue"),
        ("ticket.trader_replied", "usr_tina"),
        ("ticket.ticket_solved", "usr_sue"),
        ("ticket.trader_replied", "usr_tina"),
    ]


async def test_who_may_do_what(firm: World) -> None:
    trader, eve = await firm.add_trader("tina"), await firm.add_trader("eve")
    fay = await firm.add_user("fay", "finance")
    async with firm.db.transaction() as session:
        ticket = await tickets.open_ticket(session, actor=trader, subject="Hello", body="Hello")
        with pytest.raises(NotFound):
            await tickets.open_ticket(session, actor=eve, subject="Hello", body="Hello", account_id="acc_tina")
        with pytest.raises(NotAllowed):
            await tickets.open_ticket(session, actor=fay, subject="Hello", body="Hello")
        with pytest.raises(NotFound):
            await tickets.reply(session, ticket_id=ticket.id, actor=eve, body="Hello")
        with pytest.raises(NotAllowed):
            await tickets.solve(session, ticket_id=ticket.id, actor=fay, site="http://firm.test")
        for body in (" ", "x" * (tickets.MAX_BODY + 1)):
            with pytest.raises(BadInput, match="1 to 10000 characters"):
                await tickets.reply(session, ticket_id=ticket.id, actor=trader, body=body)
        await tickets.solve(session, ticket_id=ticket.id, actor=trader, site="http://firm.test")
        with pytest.raises(IllegalTransition):
            await tickets.solve(session, ticket_id=ticket.id, actor=trader, site="http://firm.test")
