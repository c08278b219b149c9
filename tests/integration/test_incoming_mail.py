"""Mail that comes in: threading, strangers, programs, bounces, floods, files; and the answers that go out."""

from collections.abc import AsyncIterator
from email.message import EmailMessage
from email.policy import SMTP
from typing import cast

import pytest
from sqlalchemy import select, update

from domain.errors import Conflict, NotAllowed
from firm import inbound, mails, tickets
from store.models import (
    IncomingMailRow,
    MailAttachment,
    MailAttachmentPart,
    OutgoingMailRow,
    Review,
    TicketMessage,
)
from store.read import tickets as read_tickets
from store.scope import FIRM
from tests.mail_desk import US, Desk, mail_desk

PNG = b"\x89PNG\r\n\x1a\n" + b"0" * 400_000


@pytest.fixture
async def desk(database_url: str) -> AsyncIterator[Desk]:
    async with mail_desk(database_url) as made:
        yield made


async def test_a_conversation_by_mail(desk: Desk) -> None:
    first = await desk.mail("Where is my money?", References="<never-seen@example.com>")
    ticket = await desk.ticket(first.ticket_id)
    assert (ticket.trader_id, ticket.contact, ticket.subject, ticket.state) == ("trd_tina", None, "Payout", "open")
    out = await desk.answer(first.ticket_id, "On its way.")
    acknowledged = desk.post.sent[0]
    assert acknowledged.automatic and not out.automatic and out.to == desk.address
    assert (out.subject, out.in_reply_to) == ("Re: Payout", acknowledged.message_id)
    assert out.references[:2] == ("<never-seen@example.com>", "<1@example.com>")
    assert (await desk.ticket(first.ticket_id)).state == "waiting_for_trader"
    by_token = await desk.mail("Thanks", To=out.reply_to)
    by_reference = await desk.mail("And?", In_Reply_To=out.message_id, Subject="Another subject")
    by_ancestor = await desk.mail("Still there?", References="<never-seen@example.com>")
    assert {each.ticket_id for each in (by_token, by_reference, by_ancestor)} == {first.ticket_id}
    assert await desk.said(first.ticket_id) == [
        ("Where is my money?", False),
        ("On its way.", True),
        ("Thanks", False),
        ("And?", False),
        ("Still there?", False),
    ]
    assert (await desk.ticket(first.ticket_id)).state == "open"
    assert (await desk.answer(first.ticket_id)).subject == "Re: Payout"


async def test_a_copy_of_a_mail_changes_nothing(desk: Desk) -> None:
    message = EmailMessage(policy=SMTP)
    for name, value in (("From", desk.address), ("To", US), ("Subject", "Hi"), ("Message-ID", "<x@example.com>")):
        message[name] = value
    message.set_content("Hello")
    first = await desk.take(message)
    message["Received"] = "by another door"
    again = await desk.take(message)
    assert (first.is_new, again.is_new, again.mail_id, again.ticket_id) == (True, False, first.mail_id, first.ticket_id)
    assert len(await desk.said(first.ticket_id)) == 1


async def test_strangers_join_no_ticket_of_a_trader(desk: Desk) -> None:
    first = await desk.mail("My account number is secret")
    out = await desk.answer(first.ticket_id)
    for forged in (
        await desk.mail("Tell me", From="eve@evil.example", To=out.reply_to, In_Reply_To=out.message_id),
        await desk.mail("Tell me", trusted=False, To=out.reply_to),
        await desk.mail("Tell me", trusted=False, In_Reply_To=out.message_id),
    ):
        ticket = await desk.ticket(forged.ticket_id)
        assert ticket.id != first.ticket_id and ticket.linked_to == first.ticket_id
        assert (ticket.trader_id, ticket.account_id, ticket.payout_id) == (None, None, None)
        assert await desk.said(ticket.id) == [("Tell me", False)]
    assert len(await desk.said(first.ticket_id)) == 2
    stranger = await desk.mail("Hi", From="bob@else.example", trusted=False, Subject="Question")
    answer = await desk.answer(stranger.ticket_id, "Hello Bob")
    assert (answer.to, answer.subject) == ("bob@else.example", "Re: Question")
    again = await desk.mail("More", From="bob@else.example", trusted=False, To=answer.reply_to)
    assert again.ticket_id == stranger.ticket_id
    assert await desk.said(stranger.ticket_id) == [("Hi", False), ("Hello Bob", True), ("More", False)]
    async with desk.firm.db.transaction() as session:
        page = await read_tickets.one(session, FIRM, str(stranger.ticket_id))
    assert (page.trader_id, page.trader_name, page.messages[0].author) == (None, "bob@else.example", "bob@else.example")


async def test_another_subject_on_a_solved_ticket_is_a_new_one(desk: Desk) -> None:
    first = await desk.mail("Where is it?")
    out = await desk.answer(first.ticket_id)
    async with desk.firm.db.transaction() as session:
        await tickets.solve(session, ticket_id=str(first.ticket_id), actor=desk.sue, site="http://firm.test")
    other = await desk.mail("Something else", To=out.reply_to, Subject="My password")
    ticket = await desk.ticket(other.ticket_id)
    assert (ticket.trader_id, ticket.linked_to, ticket.subject) == ("trd_tina", first.ticket_id, "My password")
    same = await desk.mail("It is not there", To=out.reply_to, Subject="AW: Payout")
    assert same.ticket_id == first.ticket_id and (await desk.ticket(first.ticket_id)).state == "open"


async def test_programs_open_and_move_nothing_and_get_no_answer(desk: Desk) -> None:
    first = await desk.mail("Where is it?")
    out = await desk.answer(first.ticket_id)
    sent = len(desk.post.sent)
    away = await desk.mail("I am away", To=out.reply_to, Auto_Submitted="auto-replied")
    news = await desk.mail("Buy", From="news@shop.example", List_Id="<shop>")
    ours = await desk.mail("Ours", From=US)
    loop = await desk.mail("Ours", Message_ID="<mai_x@firm.example>", Precedence="bulk", From="list@x.example")
    await desk.send()
    assert [each.state for each in (away, news, ours, loop)] == ["automatic", "automatic", "ours", "ours"]
    assert [each.ticket_id for each in (away, news, ours, loop)] == [first.ticket_id, None, None, None]
    assert len(desk.post.sent) == sent and (await desk.ticket(first.ticket_id)).state == "waiting_for_trader"
    assert len(await desk.said(first.ticket_id)) == 2


async def test_one_acknowledgement_a_day_and_none_to_an_unproven_sender(desk: Desk) -> None:
    for _ in range(3):
        await desk.mail("Hi")
    await desk.mail("Hi", From="bob@else.example", trusted=False)
    await desk.send()
    assert [(each.to, each.automatic) for each in desk.post.sent] == [(desk.address, True)]


def a_bounce(message_id: str, recipient: str, status: str = "5.1.1") -> EmailMessage:
    text = (
        "Reporting-MTA: dns; mx\r\n\r\n"
        f"Final-Recipient: rfc822; {recipient}\r\nAction: failed\r\nStatus: {status}\r\n\r\n"
    )
    raw = (
        "From: MAILER-DAEMON@mx.example\r\nTo: help@firm.example\r\nMIME-Version: 1.0\r\n"
        'Content-Type: multipart/report; report-type=delivery-status; boundary="b"\r\n\r\n'
        f"--b\r\nContent-Type: message/delivery-status\r\n\r\n{text}"
        f"--b\r\nContent-Type: text/rfc822-headers\r\n\r\nMessage-ID: {message_id}\r\n\r\n--b--\r\n"
    )
    from email import message_from_string

    return cast("EmailMessage", message_from_string(raw))


async def test_a_bounce_marks_the_address_it_came_from(desk: Desk) -> None:
    first = await desk.mail("Where is it?")
    out = await desk.answer(first.ticket_id)
    guessed = await desk.take(a_bounce("<mai_guess@firm.example>", desk.address))
    other = await desk.take(a_bounce(out.message_id, "somebody@else.example"))
    later = await desk.take(a_bounce(out.message_id, desk.address, "4.2.2"))
    async with desk.firm.db.transaction() as session:
        assert not await mails.is_undeliverable(session, desk.address)
    real = await desk.take(a_bounce(out.message_id, desk.address))
    assert [each.state for each in (guessed, other, later, real)] == ["bounce"] * 4
    assert real.ticket_id == first.ticket_id
    async with desk.firm.db.transaction() as session:
        assert await mails.is_undeliverable(session, desk.address)
        states = await session.scalars(select(OutgoingMailRow.state).order_by(OutgoingMailRow.id))
        assert list(states) == ["sent", "bounced"]
    sent = len(desk.post.sent)
    async with desk.firm.db.transaction() as session:
        await tickets.reply(session, ticket_id=str(first.ticket_id), actor=desk.sue, body="Hello?")
    await desk.send()
    assert len(desk.post.sent) == sent
    assert len(await desk.said(first.ticket_id)) == 3  # the answer is on the page all the same


async def test_a_flood_is_held_and_a_person_releases_it(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inbound, "MOST_PER_HOUR", 2)
    got = [await desk.mail(f"Mail {number}", From="bot@flood.example", trusted=False) for number in range(5)]
    assert [each.state for each in got] == ["ticket", "ticket", "held", "held", "held"]
    assert got[4].ticket_id is None
    async with desk.firm.db.transaction() as session:
        kinds = list(await session.scalars(select(Review.kind)))
        with pytest.raises(NotAllowed):
            await inbound.release(session, mail_id=got[4].mail_id, actor=await desk.firm.add_user("fay", "finance"))
        released = await inbound.release(session, mail_id=got[4].mail_id, actor=desk.sue)
    assert kinds == ["mail_flood"]
    assert await desk.said(released.ticket_id) == [("Mail 4", False)]
    async with desk.firm.db.transaction() as session:
        with pytest.raises(Conflict):
            await inbound.release(session, mail_id=got[4].mail_id, actor=desk.sue)
    async with desk.firm.db.transaction() as session:
        await session.execute(update(IncomingMailRow).values(state="held"))


async def test_files_and_the_whole_text_are_kept(desk: Desk) -> None:
    message = EmailMessage(policy=SMTP)
    for name, value in (("From", "bob@else.example"), ("To", US), ("Subject", "Proof")):
        message[name] = value
    message.set_content("See.\n\nOn 2 Mar, help@firm.example wrote:\n> Show us.\n" + "")
    message.add_attachment(PNG, maintype="image", subtype="png", filename="shot.png")
    message.add_attachment(b"<svg/>", maintype="image", subtype="svg+xml", filename="x.svg")
    got = await desk.take(message)
    assert await desk.said(got.ticket_id) == [("See.", False)]
    async with desk.firm.db.transaction() as session:
        row = await session.get_one(IncomingMailRow, got.mail_id)
        [file] = await session.scalars(select(MailAttachment))
        parts = list(await session.scalars(select(MailAttachmentPart.number)))
        message_id = await session.scalar(select(TicketMessage.id))
    assert "> Show us." in row.whole and row.left_out == "x.svg: This type of file is not taken."
    assert (file.name, file.size, len(parts), row.ticket_message_id) == ("shot.png", len(PNG), 3, message_id)


async def test_a_long_mail_is_cut_on_the_page_and_kept_whole(desk: Desk) -> None:
    got = await desk.mail("word " * 5000)
    [(body, _)] = await desk.said(got.ticket_id)
    assert len(body) <= tickets.MAX_BODY and body.endswith("[The mail is longer. The whole text is with the mail.]")
    empty = await desk.mail("", Subject="")
    assert await desk.said(empty.ticket_id) == [("(The mail has no text.)", False)]
    assert (await desk.ticket(empty.ticket_id)).subject == "(no subject)"
