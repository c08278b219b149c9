"""A firm that takes mail in and sends it: a trader who writes, support that answers, and a relay without a server."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from email.message import EmailMessage
from email.policy import SMTP
from typing import Any, cast

from domain.approvals import Actor
from domain.mail.outgoing import OutgoingMail
from domain.mail.reading import read
from firm import inbound, tickets
from ports.mail import MailDesk
from relay.outbox import OutboxDispatcher
from store import crypto
from store.models import Ticket, Trader
from store.read import tickets as read_tickets
from store.scope import FIRM
from tests.payout_world import World, a_firm

US = "help@firm.example"
OURS = "mx.firm.example"


class Post:
    name = "kept"

    def __init__(self) -> None:
        self.sent: list[OutgoingMail] = []

    async def send(self, mail: OutgoingMail) -> str:
        self.sent.append(mail)
        return "250 ok"

    async def healthy(self) -> str:
        return "ok"

    async def aclose(self) -> None:
        return None


class Desk:
    """`address`: of the trader tina."""

    def __init__(self, firm: World, address: str) -> None:
        self.firm, self.address, self.post, self.number = firm, address, Post(), 0
        self.sue: Actor

    async def mail(self, body: str = "Hello", trusted: bool = True, **headers: str) -> inbound.Received:
        self.number += 1
        message = EmailMessage(policy=SMTP)
        given = {"From": self.address, "To": US, "Subject": "Payout", "Message-ID": f"<{self.number}@example.com>"}
        given |= {name.replace("_", "-"): value for name, value in headers.items()}
        if trusted:
            domain = given["From"].rpartition("@")[2].strip(">")
            given["Authentication-Results"] = f"{OURS}; dmarc=pass header.from={domain}"
        for name, value in given.items():
            message[name] = value
        message.set_content(body)
        return await self.take(message)

    async def take(self, message: EmailMessage) -> inbound.Received:
        async with self.firm.db.transaction() as session:
            found = read(message.as_bytes(), authserv=OURS)
            return await inbound.receive(session, found, door="test", our_address=US)

    async def answer(self, ticket_id: str | None, body: str = "An answer") -> OutgoingMail:
        sue = self.sue
        async with self.firm.db.transaction() as session:
            await tickets.reply(session, ticket_id=str(ticket_id), actor=sue, body=body)
        await self.send()
        return self.post.sent[-1]

    async def send(self) -> None:
        relay = OutboxDispatcher(
            self.firm.db, cast("Any", None), self.firm.deps.platforms, MailDesk(self.post, f"Support <{US}>", US)
        )
        while await relay.step():
            pass

    async def ticket(self, ticket_id: str | None) -> Ticket:
        async with self.firm.db.transaction() as session:
            return await session.get_one(Ticket, str(ticket_id))

    async def said(self, ticket_id: str | None) -> list[tuple[str, bool]]:
        async with self.firm.db.transaction() as session:
            view = await read_tickets.one(session, FIRM, str(ticket_id))
        return [(each.body, each.from_firm) for each in view.messages]


@asynccontextmanager
async def mail_desk(database_url: str) -> AsyncIterator[Desk]:
    async with a_firm(database_url) as world:
        trader = await world.add_trader("tina")
        async with world.db.transaction() as session:
            row = await session.get_one(Trader, trader.trader_id)
            address, row.email_index = row.email, crypto.keys().blind_index(row.email)
        made = Desk(world, address)
        made.sue = await world.add_user("sue", "support")
        yield made
