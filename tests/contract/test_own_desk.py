"""Our own desk keeps the contract of desks of tickets."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import cast

import pytest

from domain.approvals import Actor
from domain.errors import BadInput
from domain.record_keys import desk_message, desk_ticket
from firm import ticket_merging, tickets
from ports.tickets import ArticleOrder, DeskTicket, Side, TicketOrder
from relay.desk.own import OwnDesk
from store.db import Database
from tests.contract.ticket_desk_contract import DeskContract, DeskWorld
from tests.payout_world import World, a_firm


class _World(DeskWorld):
    def __init__(self, firm: World, trader: Actor, agent: Actor) -> None:
        self.firm, self.trader, self.agent, self.desk = firm, trader, agent, OwnDesk(firm.db)

    async def asked(self, subject: str) -> TicketOrder:
        async with self.firm.db.transaction() as session:
            made = await tickets.open_ticket(session, actor=self.trader, subject=subject, body=f"About {subject}")
        return TicketOrder(
            key=desk_ticket(made.id, 1), title=subject, body=f"About {subject}", customer="tina@example.com"
        )

    async def said(self, ticket: DeskTicket, body: str, by: Side, *, public: bool = True) -> ArticleOrder:
        message_id = await self._say(ticket, body, self.trader if by == "trader" else self.agent, public=public)
        return ArticleOrder(key=desk_message(message_id), ticket_id=ticket.ticket_id, body=body, by=by, public=public)

    async def _say(self, ticket: DeskTicket, body: str, actor: Actor, *, public: bool) -> str:
        async with self.firm.db.transaction() as session:
            if public:
                await tickets.reply(session, ticket_id=ticket.ticket_id, actor=actor, body=body)
            else:
                await tickets.note(session, ticket_id=ticket.ticket_id, actor=actor, body=body)
            return await tickets.newest(session, ticket.ticket_id)

    async def solved(self, ticket: DeskTicket) -> None:
        async with self.firm.db.transaction() as session:
            await tickets.solve(session, ticket_id=ticket.ticket_id, actor=self.agent, site="")

    async def merged(self, source: DeskTicket, target: DeskTicket) -> None:
        async with self.firm.db.transaction() as session:
            await ticket_merging.merge(
                session, source_id=source.ticket_id, target_id=target.ticket_id, actor=self.agent
            )

    async def agent_says(self, ticket: DeskTicket, body: str, *, public: bool = True) -> None:
        await self._say(ticket, body, self.agent, public=public)

    async def agent_closes(self, ticket: DeskTicket) -> None:
        await self.solved(ticket)

    async def agent_merges(self, source: DeskTicket, target: DeskTicket) -> None:
        await self.merged(source, target)


class TestOwnDesk(DeskContract):
    @pytest.fixture
    async def world(self, database_url: str) -> AsyncIterator[DeskWorld]:
        async with a_firm(database_url) as firm:
            yield _World(firm, await firm.add_trader("tina"), await firm.add_user("sue", "support"))


def test_it_calls_no_webhook() -> None:
    with pytest.raises(BadInput):
        OwnDesk(cast("Database", None)).parse_webhook(b"{}", {}, datetime.now(UTC))
