"""Mail by SMTP from the firm's own mail server, which stands between us and the world: it checks DMARC and viruses.

The answer 250 is given after the mail is on the record, so that a mail is never lost between the two.
"""

import asyncio
import contextlib
import logging
from typing import Any, Final

import structlog
from aiosmtpd.smtp import SMTP
from pydantic import BaseModel, ConfigDict, Field

from domain.errors import BadInput
from domain.mail.reading import LARGEST_MAIL
from ports.mail_door import FetchingDoor, Take, is_ours
from ports.plugin import Plugin

_MOST_RECIPIENTS: Final = 50
_AT_ONCE: Final = 8
_log = structlog.get_logger("mail-in")


class SmtpDoorSettings(BaseModel):
    """`listen`: only the firm's own mail server may reach it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    host: str = "127.0.0.1"
    port: int = Field(2525, ge=0, le=65535)
    authserv: str | None = None


class SmtpDoor:
    """`port`: where it listens; set once it does."""

    def __init__(self, name: str, settings: SmtpDoorSettings) -> None:
        self.name, self.authserv, self._settings = name, settings.authserv, settings
        self.port = settings.port

    async def run(self, take: Take, *, our_address: str, stop: asyncio.Event) -> None:
        logging.getLogger("mail.log").setLevel(logging.ERROR)  # it logs the addresses of people
        loop = asyncio.get_running_loop()
        handler = _Handler(take, our_address)
        server = await loop.create_server(
            lambda: SMTP(
                handler,
                hostname="propos",
                ident="PropOS",
                loop=loop,
                data_size_limit=LARGEST_MAIL,
                enable_SMTPUTF8=True,
                timeout=120,
            ),
            self._settings.host,
            self._settings.port,
        )
        self.port = server.sockets[0].getsockname()[1]
        try:
            await stop.wait()
        finally:
            server.close()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(10):
                    await server.wait_closed()


class _Handler:
    """The methods have the names that aiosmtpd calls."""

    def __init__(self, take: Take, our_address: str) -> None:
        self._take, self._our_address = take, our_address
        self._gate = asyncio.Semaphore(_AT_ONCE)

    async def handle_RCPT(  # noqa: N802
        self, server: Any, session: Any, envelope: Any, address: str, options: Any
    ) -> str:
        if not is_ours(address, self._our_address):
            return "550 5.1.1 No such address here"
        if len(envelope.rcpt_tos) >= _MOST_RECIPIENTS:
            return "452 4.5.3 Too many recipients"
        envelope.rcpt_tos.append(address)
        return "250 2.1.5 OK"

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:  # noqa: N802
        content = envelope.content
        raw = content if isinstance(content, bytes) else str(content).encode("utf-8", "replace")
        if envelope.mail_from in ("", "<>") and b"\r\nreturn-path:" not in b"\r\n" + raw[:4000].lower():
            raw = b"Return-Path: <>\r\n" + raw  # the envelope tells of a program
        try:
            async with self._gate:
                await self._take(raw, tuple(envelope.rcpt_tos))
        except BadInput as error:
            return f"554 5.6.0 {error.message.encode('ascii', 'replace').decode()[:200]}"
        except Exception as error:  # noqa: BLE001 -- the other server keeps the mail and brings it again
            _log.warning("mail is not taken now", error=type(error).__name__)
            return "451 4.3.0 Not now, please try again"
        return "250 2.0.0 Taken"


def _build(name: str, settings: SmtpDoorSettings) -> FetchingDoor:
    return SmtpDoor(name, settings)


PLUGIN: Final = Plugin(SmtpDoorSettings, None, _build)
