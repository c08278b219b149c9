"""Mail from a mailbox by IMAP over TLS, looked at every so often. A mail that was taken is marked as seen."""

import asyncio
import contextlib
import imaplib
import ssl
from typing import Any, Final

import structlog
from pydantic import BaseModel, ConfigDict, Field, SecretStr

from domain.errors import BadInput, Unavailable
from ports.mail_door import FetchingDoor, Take
from ports.plugin import Plugin

_AT_ONCE: Final = 50
_log = structlog.get_logger("mail-in")


class ImapSettings(BaseModel):
    """`seconds`: between two looks. `certificates`: a file of authorities instead of the system's."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    host: str
    port: int = Field(993, ge=1, le=65535)
    user: str
    password: SecretStr
    folder: str = "INBOX"
    certificates: str | None = None
    authserv: str | None = None
    seconds: float = Field(30.0, gt=0, le=3600)


class ImapDoor:
    def __init__(self, name: str, settings: ImapSettings) -> None:
        self.name, self.authserv, self._settings = name, settings.authserv, settings

    async def run(self, take: Take, *, our_address: str, stop: asyncio.Event) -> None:
        while not stop.is_set():
            try:
                await self.look(take, stop)
            except Unavailable as error:
                _log.warning("the mailbox cannot be read", error=error.message)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._settings.seconds):
                    await stop.wait()

    async def look(self, take: Take, stop: asyncio.Event) -> None:
        """Takes the unseen mails of now. Raises Unavailable."""
        box = await asyncio.to_thread(self._open)
        try:
            for uid in await asyncio.to_thread(_unseen, box):
                if stop.is_set():
                    return
                raw = await asyncio.to_thread(_fetch, box, uid)
                try:
                    await take(raw, ())
                except BadInput as error:
                    _log.warning("a mail is refused", uid=uid.decode(), why=error.message)
                except Exception as error:  # noqa: BLE001 -- it stays unseen and is tried again
                    _log.warning("mail is not taken now", error=type(error).__name__)
                    return
                await asyncio.to_thread(_seen, box, uid)
        finally:
            with contextlib.suppress(Exception):
                await asyncio.to_thread(box.logout)

    def _open(self) -> imaplib.IMAP4:
        settings = self._settings
        try:
            context = ssl.create_default_context(cafile=settings.certificates)
            box = imaplib.IMAP4_SSL(settings.host, settings.port, ssl_context=context, timeout=30)
            try:
                box.login(settings.user, settings.password.get_secret_value())
                _answer(box.select(f'"{settings.folder}"'))
            except BaseException:
                box.shutdown()
                raise
        except (imaplib.IMAP4.error, OSError) as error:
            raise Unavailable(
                f"The mailbox at {settings.host} cannot be opened: {type(error).__name__}.",
                remedy="Check host, port, user, password and folder of the door.",
            ) from None
        return box


def _answer(answer: tuple[str, list[Any]]) -> list[Any]:
    if answer[0] != "OK":
        raise Unavailable(f"The mailbox answers {answer[0]}.")
    return answer[1]


def _unseen(box: imaplib.IMAP4) -> list[bytes]:
    found = _answer(box.uid("SEARCH", "UNSEEN"))
    words: list[bytes] = (found[0] or b"").split() if found else []
    return words[:_AT_ONCE]


def _fetch(box: imaplib.IMAP4, uid: bytes) -> bytes:
    for part in _answer(box.uid("FETCH", uid.decode(), "(BODY.PEEK[])")):
        if isinstance(part, tuple) and isinstance(part[1], bytes):
            return part[1]
    raise Unavailable("The mailbox gave no content for a mail.")


def _seen(box: imaplib.IMAP4, uid: bytes) -> None:
    _answer(box.uid("STORE", uid.decode(), "+FLAGS", r"(\Seen)"))


def _build(name: str, settings: ImapSettings) -> FetchingDoor:
    return ImapDoor(name, settings)


PLUGIN: Final = Plugin(ImapSettings, None, _build)
