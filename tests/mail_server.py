"""A mail server on loopback that answers as the test says."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from typing import Any

from aiosmtpd.smtp import SMTP


@dataclass
class MailServer:
    """`answers`: by recipient, what RCPT is answered. `after_data`: what DATA is answered; "" closes the connection
    after the mail was taken. Each is used for as long as it is set."""

    port: int = 0
    answers: dict[str, str] = field(default_factory=dict)
    after_data: str = "250 2.0.0 taken"
    got: list[tuple[str, list[str], EmailMessage]] = field(default_factory=list)

    async def handle_RCPT(  # noqa: N802 -- the names of aiosmtpd
        self, server: Any, session: Any, envelope: Any, address: str, options: Any
    ) -> str:
        answer = self.answers.get(address)
        if answer is not None:
            return answer
        envelope.rcpt_tos.append(address)
        return "250 ok"

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:  # noqa: N802
        if self.after_data[:1] in ("2", ""):
            mail = message_from_bytes(envelope.content, _class=EmailMessage, policy=default)
            assert isinstance(mail, EmailMessage)
            self.got.append((envelope.mail_from, envelope.rcpt_tos, mail))
        if not self.after_data:
            server.transport.abort()
        return self.after_data


@asynccontextmanager
async def mail_server() -> AsyncIterator[MailServer]:
    ours = MailServer()
    loop = asyncio.get_running_loop()
    listening = await loop.create_server(
        lambda: SMTP(ours, hostname="mx.test", enable_SMTPUTF8=True, loop=loop), "127.0.0.1", 0
    )
    ours.port = listening.sockets[0].getsockname()[1]
    try:
        yield ours
    finally:
        listening.close()
        await listening.wait_closed()
