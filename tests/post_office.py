"""The mail of a firm on loopback: a server that takes what the relay sends, and the door by which mail comes in."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from email.message import EmailMessage
from email.policy import SMTP
from functools import partial
from typing import NoReturn

import aiosmtplib
from sqlalchemy import update
from sqlalchemy.sql import func

from adapters.mail.door_smtp import SmtpDoor, SmtpDoorSettings
from adapters.mail.smtp import SmtpSender, SmtpSettings
from cli.mail.incoming import take
from ports.mail import MailDesk
from ports.platform import Platforms
from relay import answers
from relay.outbox import OutboxDispatcher
from store import outbox
from store.db import Database
from store.models import OutboxMessage, OutgoingMailRow
from tests.mail_desk import OURS, US
from tests.mail_server import MailServer, mail_server

_SECONDS = 120


@dataclass
class PostOffice:
    db: Database
    server: MailServer
    relay: OutboxDispatcher
    door: SmtpDoor

    async def got(self, to: str, words: str) -> EmailMessage:
        """The relay sends what waits. Returns the mail to this address with these words."""
        async with asyncio.timeout(_SECONDS):
            while True:
                await self.relay.step()
                for _, recipients, mail in self.server.got:
                    if to in recipients and words in mail.get_content():
                        return mail
                async with self.db.transaction() as session:  # what failed is due again at once
                    mails = OutboxMessage.topic == outbox.MAIL
                    await session.execute(update(OutboxMessage).where(mails).values(next_at=func.clock_timestamp()))

    async def let_go(self) -> None:
        """The seconds are over in which an answer can be taken back, and the relay lets it go."""
        async with self.db.transaction() as session:
            held = OutgoingMailRow.not_before.is_not(None)
            await session.execute(update(OutgoingMailRow).where(held).values(not_before=func.clock_timestamp()))
        assert await answers.let_go(self.db) == 1

    async def bring(self, mail: EmailMessage) -> None:
        """The firm's mail server brings a mail. It is on the record when this returns."""
        client = aiosmtplib.SMTP(hostname="127.0.0.1", port=self.door.port, start_tls=False, timeout=_SECONDS)
        await client.connect()
        try:
            await client.mail(mail["From"].addresses[0].addr_spec)
            await client.rcpt(mail["To"].addresses[0].addr_spec)
            await client.data(mail.as_bytes())
        finally:
            client.close()


def letter(sender: str, message_id: str, subject: str, body: str, **headers: str) -> EmailMessage:
    """A mail to the firm whose sender the firm's own server has checked."""
    mail = EmailMessage(policy=SMTP)
    domain = sender.rpartition("@")[2]
    given = {"From": sender, "To": US, "Subject": subject, "Message-ID": message_id}
    given |= {"Authentication-Results": f"{OURS}; dmarc=pass header.from={domain}"}
    for name, value in (given | {name.replace("_", "-"): value for name, value in headers.items()}).items():
        mail[name] = value
    mail.set_content(body)
    return mail


@asynccontextmanager
async def post_office(db: Database) -> AsyncIterator[PostOffice]:
    door, stop = SmtpDoor("in", SmtpDoorSettings(port=0, authserv=OURS)), asyncio.Event()
    async with mail_server() as server:
        post = SmtpSender("out", SmtpSettings(host="127.0.0.1", port=server.port, security="none", timeout=15))
        relay = OutboxDispatcher(db, _nowhere, Platforms({}, "none"), MailDesk(post, f"Support <{US}>", US))
        listening = asyncio.create_task(door.run(partial(take, db, US, door), our_address=US, stop=stop))
        try:
            async with asyncio.timeout(_SECONDS):
                while not door.port:
                    await asyncio.sleep(0.01)
            yield PostOffice(db, server, relay, door)
        finally:
            stop.set()
            await listening


async def _nowhere() -> NoReturn:
    raise ConnectionError("no workflow engine is needed")
