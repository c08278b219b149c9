"""Mail that leaves: with its transaction, once, under one Message-ID, through a real SMTP server on loopback."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, cast

import pytest
from pydantic import ValidationError
from sqlalchemy import select, update
from sqlalchemy.sql import func

from adapters.mail.folder import FolderSender
from adapters.mail.smtp import SmtpSender, SmtpSettings
from domain.errors import BadInput, IdempotencyMismatch, NotFound
from firm import mails
from ports.mail import MailDesk, MailSender
from relay.outbox import OutboxDispatcher
from store.models import MailAddress, OutboxMessage, OutgoingMailRow
from store.read import mails as read
from store.read.pages import Window
from tests.mail_server import MailServer, mail_server
from tests.payout_world import World, a_firm

TEXT: dict[str, Any] = {
    "subject": "Your payout",
    "body": "It is on its way.\nGrüße",
    "automatic": True,
    "kind": "notice",
}


@pytest.fixture
async def firm(database_url: str) -> AsyncIterator[World]:
    async with a_firm(database_url) as world:
        yield world


@pytest.fixture
async def server() -> AsyncIterator[MailServer]:
    async with mail_server() as ours:
        yield ours


def smtp(port: int) -> MailSender:
    return SmtpSender("out", SmtpSettings(host="127.0.0.1", port=port, security="none", timeout=10))


def relay(firm: World, post: MailSender) -> OutboxDispatcher:
    desk = MailDesk(post, "Support <help@firm.example>", "help@firm.example")
    return OutboxDispatcher(firm.db, cast("Any", None), firm.deps.platforms, desk)


async def write(firm: World, key: str, to: str = "Ada@Example.com", **changes: Any) -> str:
    async with firm.db.transaction() as session:
        return await mails.send(session, to=to, key=key, **(TEXT | changes))


async def states(firm: World) -> dict[str, tuple[str, int]]:
    async with firm.db.transaction() as session:
        rows = (await session.scalars(select(OutgoingMailRow).order_by(OutgoingMailRow.id))).all()
    return {row.key: (row.state, row.attempts) for row in rows}


async def due_now(firm: World) -> None:
    async with firm.db.transaction() as session:
        await session.execute(update(OutboxMessage).values(next_at=func.clock_timestamp()))


async def test_a_mail_leaves_once_with_its_headers(firm: World, server: MailServer) -> None:
    first, again = await write(firm, "news/1"), await write(firm, "news/1")
    dispatcher = relay(firm, smtp(server.port))
    while await dispatcher.step():
        pass
    assert first == again
    [(sender, recipients, mail)] = server.got
    assert (sender.strip("<>"), recipients) == ("", ["Ada@example.com"])  # an automatic mail wants no bounces answered
    assert mail["Message-ID"] == f"<{first}@firm.example>"
    assert (mail["From"], mail["Subject"]) == ("Support <help@firm.example>", "Your payout")
    assert (mail["Auto-Submitted"], mail["Precedence"]) == ("auto-generated", "bulk")
    assert mail.get_content().splitlines() == ["It is on its way.", "Grüße"]
    assert await states(firm) == {"news/1": ("sent", 1)}


async def test_a_mail_of_a_transaction_that_fails_is_not_sent(firm: World, server: MailServer) -> None:
    with pytest.raises(RuntimeError):
        async with firm.db.transaction() as session:
            await mails.send(session, to="ada@example.com", key="news/1", **TEXT)
            raise RuntimeError
    assert await states(firm) == {}


@pytest.mark.parametrize("kind", sorted(mails.WITH_LINKS))
async def test_a_link_that_works_once_is_sent_and_not_kept(firm: World, server: MailServer, kind: str) -> None:
    mail_id = await write(firm, "link/1", kind=kind, body="Open http://firm.test/recover#abc", automatic=False)
    dispatcher = relay(firm, smtp(server.port))
    while await dispatcher.step():
        pass
    [(_, _, mail)] = server.got
    assert "recover#abc" in mail.get_content()
    async with firm.db.transaction() as session:
        assert await read.body_of(session, mail_id) == mails.NOT_KEPT


async def test_a_lost_answer_repeats_the_same_message_id(firm: World, server: MailServer) -> None:
    await write(firm, "news/1", automatic=False)
    dispatcher = relay(firm, smtp(server.port))
    server.after_data = ""
    await dispatcher.step()
    assert await states(firm) == {"news/1": ("waiting", 1)}
    server.after_data = "250 taken"
    await due_now(firm)
    await dispatcher.step()
    assert await states(firm) == {"news/1": ("sent", 2)}
    assert len({mail["Message-ID"] for _, _, mail in server.got}) == 1 and len(server.got) == 2
    assert server.got[0][0] == "help@firm.example"


async def test_what_is_for_now_is_tried_again_and_what_is_for_good_is_not(firm: World, server: MailServer) -> None:
    server.answers = {"grey@example.com": "451 4.7.1 later", "gone@example.com": "550 5.1.1 no such user"}
    await write(firm, "grey", "grey@example.com")
    await write(firm, "gone", "gone@example.com")
    dispatcher = relay(firm, smtp(server.port))
    await dispatcher.step()
    assert await states(firm) == {"grey": ("waiting", 1), "gone": ("refused", 1)}
    await write(firm, "gone/2", "GONE@example.com")  # nothing else is sent there
    await dispatcher.step()
    assert (await states(firm))["gone/2"] == ("undeliverable", 0)
    async with firm.db.transaction() as session:
        [marked] = await read.unreachable(session)
        assert (marked.address, marked.code) == ("gone@example.com", "5.1.1")
        await mails.clear_address(session, address="gone@example.com", actor="command-line", role="system")
    async with firm.db.transaction() as session:
        assert await read.unreachable(session) == ()
        with pytest.raises(NotFound):
            await mails.clear_address(session, address="gone@example.com", actor="command-line", role="system")
    server.answers = {}
    await write(firm, "gone/3", "gone@example.com")
    await due_now(firm)
    while await dispatcher.step():
        pass
    assert (await states(firm))["gone/3"] == ("sent", 1)
    assert (await states(firm))["grey"] == ("sent", 2)


async def test_content_that_is_refused_marks_no_address(firm: World, server: MailServer) -> None:
    server.after_data = "554 5.7.1 looks like spam"
    await write(firm, "news/1")
    await relay(firm, smtp(server.port)).step()
    assert await states(firm) == {"news/1": ("refused", 1)}
    async with firm.db.transaction() as session:
        assert (await session.scalars(select(MailAddress))).all() == []


async def test_a_server_that_is_away_and_a_missing_sender_keep_the_mail(firm: World, unused_tcp_port: int) -> None:
    await write(firm, "news/1")
    await relay(firm, smtp(unused_tcp_port)).step()
    assert await states(firm) == {"news/1": ("waiting", 1)}
    await due_now(firm)
    await OutboxDispatcher(firm.db, cast("Any", None), firm.deps.platforms).step()
    async with firm.db.transaction() as session:
        message = (await session.scalars(select(OutboxMessage).where(OutboxMessage.topic == "mail.send"))).one()
    assert message.parked_at is None and "No mail sender" in (message.error or "")


async def test_the_folder_has_the_mail_as_a_file(firm: World, tmp_path: Path) -> None:
    mail_id = await write(firm, "news/1", subject="Hello\r\nBcc: everybody@example.com")
    await relay(firm, FolderSender("folder", tmp_path / "mail")).step()
    [path] = (tmp_path / "mail").iterdir()
    text = path.read_text()
    assert path.name == f"{mail_id}@firm.example.eml" and path.stat().st_mode & 0o77 == 0
    assert "Subject: Hello Bcc: everybody@example.com" in text and "\nBcc:" not in text
    async with firm.db.transaction() as session:
        [row] = (await read.page(session, Window(), recipient="ADA@example.com", state="sent")).items
        assert (row.id, row.recipient) == (mail_id, "Ada@example.com")
        assert "on its way" in (await read.body_of(session, mail_id) or "")


async def test_bad_mail_is_refused(firm: World) -> None:
    await write(firm, "news/1")
    with pytest.raises(IdempotencyMismatch):
        await write(firm, "news/1", "bob@example.com")
    for to in ("nobody", "a@b@c", "a b@example.com", "a@exam ple.com", "<@example.com>", "x" * 300 + "@example.com"):
        with pytest.raises(BadInput):
            await write(firm, "news/2", to)
    with pytest.raises(BadInput):
        await write(firm, "news/2", body=" ")


def test_a_password_is_not_sent_in_clear_text() -> None:
    with pytest.raises(ValidationError, match="without TLS"):
        SmtpSettings.model_validate({"host": "mx.example", "security": "none", "user": "a", "password": "b"})
