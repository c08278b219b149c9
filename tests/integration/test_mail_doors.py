"""The doors by which mail comes in: each hands over every mail, and a mail counts as taken only when it is."""

import asyncio
import base64
import hashlib
import hmac
import imaplib
import ssl
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path

import aiosmtplib
import pytest
from pydantic import SecretStr

from adapters.mail.door_imap import ImapDoor, ImapSettings
from adapters.mail.door_maildir import MaildirDoor, MaildirSettings
from adapters.mail.door_smtp import SmtpDoor, SmtpDoorSettings
from adapters.mail.door_webhook import WebhookDoor, WebhookSettings
from domain.errors import BadInput, BadSignature, Unavailable

US = "help@firm.example"
MAIL = b"From: ada@example.com\r\nTo: help@firm.example\r\nSubject: Hi\r\n\r\nHello\r\n"


class Taken:
    """Keeps what it is given. `fails`: what the next calls raise."""

    def __init__(self) -> None:
        self.got: list[tuple[bytes, tuple[str, ...]]] = []
        self.fails: list[Exception] = []

    async def __call__(self, raw: bytes, recipients: tuple[str, ...]) -> None:
        if self.fails:
            raise self.fails.pop(0)
        self.got.append((raw, recipients))


@asynccontextmanager
async def running(door: SmtpDoor, take: Taken) -> AsyncIterator[None]:
    stop = asyncio.Event()
    task = asyncio.create_task(door.run(take, our_address=US, stop=stop))
    async with asyncio.timeout(60):
        while not door.port:
            await asyncio.sleep(0.01)
    try:
        yield
    finally:
        stop.set()
        await task


async def deliver(port: int, to: str = US, sender: str = "ada@example.com", raw: bytes = MAIL) -> None:
    client = aiosmtplib.SMTP(hostname="127.0.0.1", port=port, start_tls=False, timeout=60)
    await client.connect()
    try:
        await client.mail(sender)
        await client.rcpt(to)
        await client.data(raw)
    finally:
        client.close()


async def test_smtp_answers_after_the_mail_is_kept() -> None:
    door, take = SmtpDoor("in", SmtpDoorSettings(port=0)), Taken()
    async with running(door, take):
        await deliver(door.port, to="help+tag@firm.example")
        await deliver(door.port, sender="")
        with pytest.raises(aiosmtplib.SMTPRecipientRefused):
            await deliver(door.port, to="somebody@else.example")
        take.fails = [BadInput("No.", remedy=""), ConnectionError()]
        codes = []
        for _ in range(2):
            with pytest.raises(aiosmtplib.SMTPDataError) as refused:
                await deliver(door.port)
            codes.append(refused.value.code)
    assert codes == [554, 451]
    assert [recipients for _, recipients in take.got] == [("help+tag@firm.example",), (US,)]
    assert take.got[0][0] == MAIL and take.got[1][0].startswith(b"Return-Path: <>\r\n")


async def test_a_maildir_is_emptied_and_keeps_what_is_not_taken(tmp_path: Path) -> None:
    door, take, stop = MaildirDoor("box", MaildirSettings(path=tmp_path)), Taken(), asyncio.Event()
    await door.look(take, stop)  # the folder is not there yet
    (tmp_path / "new").mkdir()
    for name in ("1", "2", "3"):
        (tmp_path / "new" / name).write_bytes(MAIL)
    take.fails = [BadInput("No.", remedy=""), ConnectionError()]
    await door.look(take, stop)
    assert (names(tmp_path / "new"), names(tmp_path / "refused"), take.got) == (["2", "3"], ["1"], [])
    await door.look(take, stop)
    assert (names(tmp_path / "new"), names(tmp_path / "cur")) == ([], ["2:2,S", "3:2,S"])
    assert len(take.got) == 2


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_webhook_is_signed_and_new() -> None:
    secret = b"0123456789abcdef0123456789abcdef"
    door = WebhookDoor("hook", WebhookSettings(secret=SecretStr("whsec_" + base64.b64encode(secret).decode())))
    now = datetime.now(UTC)

    def headers(body: bytes, stamp: int, key: bytes = secret) -> dict[str, str]:
        digest = hmac.new(key, f"msg_1.{stamp}.".encode() + body, hashlib.sha256).digest()
        signature = f"v1,{base64.b64encode(b'x' * 32).decode()} v1,{base64.b64encode(digest).decode()}"
        return {"webhook-id": "msg_1", "webhook-timestamp": str(stamp), "webhook-signature": signature}

    stamp = int(time.time())
    door.verify(MAIL, headers(MAIL, stamp), now)
    for wrong in (
        headers(MAIL + b"x", stamp),
        headers(MAIL, stamp - 400),
        headers(MAIL, stamp, b"another key of the same length"),
        {},
        {"webhook-timestamp": "\u0661" * 10},
    ):
        with pytest.raises(BadSignature):
            door.verify(MAIL, wrong, now)


class Mailbox:
    """A fake of the part of IMAP that the door speaks. `seen`: the uids that were marked."""

    def __init__(self, mails: dict[int, bytes]) -> None:
        self.mails, self.seen, self.port = mails, set[int](), 0

    async def talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"* OK ready\r\n")
        while line := await reader.readline():
            tag, _, rest = line.decode().strip().partition(" ")
            words = rest.split()
            command = " ".join(words[:2]).upper() if words[0].upper() == "UID" else words[0].upper()
            if command == "CAPABILITY":
                writer.write(b"* CAPABILITY IMAP4rev1\r\n")
            elif command == "LOGIN" and "wrong" in rest:
                writer.write(f"{tag} NO no\r\n".encode())
                continue
            elif command == "SELECT":
                writer.write(f"* {len(self.mails)} EXISTS\r\n".encode())
            elif command == "UID SEARCH":
                unseen = " ".join(str(uid) for uid in self.mails if uid not in self.seen)
                writer.write(f"* SEARCH {unseen}\r\n".encode())
            elif command == "UID FETCH":
                raw = self.mails[int(words[2])]
                writer.write(f"* 1 FETCH (UID {words[2]} BODY[] {{{len(raw)}}}\r\n".encode() + raw + b")\r\n")
            elif command == "UID STORE":
                self.seen.add(int(words[2]))
            writer.write(f"{tag} OK done\r\n".encode())
            await writer.drain()
        writer.close()


@pytest.fixture
async def mailbox(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Mailbox]:
    """Without TLS: the door's own connection is replaced by one in plain text."""
    box = Mailbox({7: MAIL, 8: b"Subject: two\r\n\r\n", 9: MAIL})
    server = await asyncio.start_server(box.talk, "127.0.0.1", 0)
    box.port = server.sockets[0].getsockname()[1]

    def plain(host: str, port: int, ssl_context: ssl.SSLContext, timeout: float) -> imaplib.IMAP4:
        return imaplib.IMAP4(host, port, timeout)

    monkeypatch.setattr(imaplib, "IMAP4_SSL", plain)
    yield box
    server.close()


async def test_imap_marks_what_was_taken_and_only_that(mailbox: Mailbox) -> None:
    settings = ImapSettings(host="127.0.0.1", port=mailbox.port, user="u", password=SecretStr("p"))
    door, take, stop = ImapDoor("box", settings), Taken(), asyncio.Event()
    take.fails = [BadInput("No.", remedy=""), ConnectionError()]
    await door.look(take, stop)
    assert (mailbox.seen, take.got) == ({7}, [])
    await door.look(take, stop)
    assert (mailbox.seen, [raw for raw, _ in take.got]) == ({7, 8, 9}, [b"Subject: two\r\n\r\n", MAIL])


async def test_imap_that_refuses_us_is_tried_again(mailbox: Mailbox) -> None:
    wrong = ImapSettings(host="127.0.0.1", port=mailbox.port, user="wrong", password=SecretStr("p"))
    with pytest.raises(Unavailable):
        await ImapDoor("box", wrong).look(Taken(), asyncio.Event())
