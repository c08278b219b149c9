"""An answer can be taken back until it leaves; the trader is asked once how they are satisfied; old mails go."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, date, datetime, timedelta
from typing import NoReturn

import pytest
from sqlalchemy import func, select, update

from domain import record_keys
from domain.approvals import Actor
from domain.errors import Conflict, IllegalTransition, NotFound, Unavailable
from domain.mail.outgoing import OutgoingMail
from firm import held_answers, ticket_desk, ticket_merging, ticket_ratings, tickets
from firm.service import clocks
from ports.mail import MailDesk
from relay import answers
from relay.keeper import Keeper
from relay.service import Relay
from store.keeping import Policy
from store.models import (
    IncomingMailRow,
    MailAttachment,
    MailAttachmentPart,
    MailReference,
    OutboxMessage,
    OutgoingMailRow,
    Ticket,
    TicketMessage,
    TicketRating,
)
from store.read import tickets as read
from store.scope import Scope, scope_of
from tests.mail_desk import US, Desk, mail_desk

SITE = "http://firm.test"


@pytest.fixture
async def desk(database_url: str) -> AsyncIterator[Desk]:
    async with mail_desk(database_url) as made:
        yield made


async def _hold(desk: Desk, ticket_id: str, body: str) -> str:
    """Returns the id of the message that waits."""
    async with desk.firm.db.transaction() as session:
        await tickets.reply(session, ticket_id=ticket_id, actor=desk.sue, body=body, may_undo=True)
        return await tickets.newest(session, ticket_id)


async def _take_back(desk: Desk, ticket_id: str, message_id: str, actor: Actor) -> held_answers.TakenBack:
    async with desk.firm.db.transaction() as session:
        return await held_answers.take_back(session, ticket_id=ticket_id, message_id=message_id, actor=actor)


async def _due(desk: Desk, *, waited: bool) -> None:
    """What waits in the outbox is tried now. `waited`: its time has come, too."""
    async with desk.firm.db.transaction() as session:
        await session.execute(update(OutboxMessage).values(next_at=func.clock_timestamp()))
        if waited:
            past = datetime.now(UTC) - timedelta(seconds=1)
            await session.execute(update(OutgoingMailRow).values(not_before=past))


def _relay(desk: Desk) -> Relay:
    """The whole relay, without a Temporal."""

    async def connect() -> NoReturn:
        raise Unavailable("Temporal does not answer.")

    deps = desk.firm.deps
    return Relay(deps.db, connect, deps.platforms, deps.payments, desk=MailDesk(desk.post, f"Support <{US}>", US))


async def _bodies(desk: Desk, scope: Scope, ticket_id: str) -> list[str]:
    async with desk.firm.db.transaction(scope) as session:
        return [each.body for each in (await read.one(session, scope, ticket_id)).messages]


async def test_an_answer_is_taken_back_until_it_leaves(desk: Desk) -> None:
    ticket_id = str((await desk.mail("Where is my money?")).ticket_id)
    await desk.send()  # the acknowledgement
    tina = scope_of(Actor(user_id="usr_tina", person_id="per_tina", role="trader", trader_id="trd_tina"))
    held = await _hold(desk, ticket_id, "You will never get it.")
    assert await _bodies(desk, tina, ticket_id) == ["Where is my money?"]
    assert (await desk.ticket(ticket_id)).state == "open"
    await _due(desk, waited=False)  # as a relay does that starts
    await desk.send()
    assert len(desk.post.sent) == 1
    with pytest.raises(NotFound):
        await _take_back(desk, ticket_id, held, await desk.firm.add_user("sid", "support"))
    taken = await _take_back(desk, ticket_id, held, desk.sue)
    async with desk.firm.db.transaction() as session:
        assert await held_answers.text_of(session, ticket_id, taken.mail_id) == "You will never get it."
        assert await held_answers.text_of(session, "tkt_other", taken.mail_id) == ""
    await _due(desk, waited=True)
    await desk.send()
    assert len(desk.post.sent) == 1 and await _bodies(desk, tina, ticket_id) == ["Where is my money?"]
    with pytest.raises(NotFound):
        await _take_back(desk, ticket_id, held, desk.sue)

    kept = await _hold(desk, ticket_id, "On its way.")
    await _due(desk, waited=True)
    await desk.send()
    assert [mail.body for mail in desk.post.sent[1:]] == ["On its way."]
    assert await _bodies(desk, tina, ticket_id) == ["Where is my money?", "On its way."]
    assert (await desk.ticket(ticket_id)).state == "waiting_for_trader"
    with pytest.raises(Conflict, match="has left"):
        await _take_back(desk, ticket_id, kept, desk.sue)


async def test_an_answer_leaves_in_time_although_no_mail_does(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """The mail server is away: the first mail of the ticket waits, and the mail of the answer behind it."""
    ticket_id = str((await desk.mail("Where is my money?")).ticket_id)

    async def away(mail: OutgoingMail) -> str:
        raise Unavailable("The mail server does not answer.")

    monkeypatch.setattr(desk.post, "send", away)
    await desk.send()
    tina = scope_of(Actor(user_id="usr_tina", person_id="per_tina", role="trader", trader_id="trd_tina"))
    held = await _hold(desk, ticket_id, "On its way.")
    assert await answers.let_go(desk.firm.db) == 0, "its seconds are not over"
    assert await _bodies(desk, tina, ticket_id) == ["Where is my money?"]
    await _due(desk, waited=True)
    async with desk.firm.db.transaction() as session:  # a person gives its mail up meanwhile
        mail_id = await session.scalar(
            select(OutgoingMailRow.id).where(OutgoingMailRow.key == held_answers.mail_key(held))
        )
        key = record_keys.mail_message(str(mail_id))
        await session.execute(update(OutboxMessage).where(OutboxMessage.key == key).values(parked_at=datetime.now(UTC)))
    stop = asyncio.Event()
    relay = asyncio.create_task(_relay(desk).run(stop))
    try:
        async with asyncio.timeout(60):
            while await _bodies(desk, tina, ticket_id) != ["Where is my money?", "On its way."]:
                await asyncio.sleep(0.02)
    finally:
        stop.set()
        await relay
    assert (await desk.ticket(ticket_id)).state == "waiting_for_trader"
    async with desk.firm.db.transaction() as session:
        counted = (await clocks.events(session, [ticket_id]))[ticket_id]
    assert counted["first_answer"][-1].kind == "fulfil"
    assert await answers.let_go(desk.firm.db) == 0, "it counts once"
    with pytest.raises(Conflict, match="has left"):
        await _take_back(desk, ticket_id, held, desk.sue)


async def test_an_answer_is_taken_back_or_leaves_and_never_both(desk: Desk) -> None:
    """Both at once, as often as there are answers: the lock of the ticket decides."""
    ticket_id = str((await desk.mail("Where?")).ticket_id)
    await desk.send()  # the acknowledgement
    tina = scope_of(Actor(user_id="usr_tina", person_id="per_tina", role="trader", trader_id="trd_tina"))
    first, left = await _hold(desk, ticket_id, "Taken back."), list[str]()
    await _due(desk, waited=True)
    async with desk.firm.db.transaction() as session:
        found = await held_answers.due(session, limit=9)
        assert found == [first]
        await _take_back(desk, ticket_id, first, desk.sue)  # between the look and the lock
        assert not await held_answers.let_go_due(session, first)
    for number in range(4):
        held = await _hold(desk, ticket_id, f"Answer {number}")
        await _due(desk, waited=True)
        gone, taken = await asyncio.gather(
            answers.let_go(desk.firm.db), _take_back(desk, ticket_id, held, desk.sue), return_exceptions=True
        )
        assert (gone, type(taken)) in ((1, Conflict), (0, held_answers.TakenBack))
        left += [f"Answer {number}"] * (gone == 1)
    await desk.send()
    assert [mail.body for mail in desk.post.sent if not mail.automatic] == left
    assert await _bodies(desk, tina, ticket_id) == ["Where?", *left]


async def test_what_happens_next_lets_an_answer_go_first(desk: Desk) -> None:
    ticket_id = str((await desk.mail("Where?")).ticket_id)
    await _hold(desk, ticket_id, "Here.")
    await desk.mail("And when?", In_Reply_To="<1@example.com>")
    assert await desk.said(ticket_id) == [("Where?", False), ("Here.", True), ("And when?", False)]
    assert (await desk.ticket(ticket_id)).state == "open"
    held = await _hold(desk, ticket_id, "On Monday.")
    async with desk.firm.db.transaction() as session:
        await tickets.solve(session, ticket_id=ticket_id, actor=desk.sue, site=SITE)
    with pytest.raises(Conflict, match="has left"):
        await _take_back(desk, ticket_id, held, desk.sue)
    await desk.send()
    said = [mail.body for mail in desk.post.sent if not mail.automatic]
    assert said == ["Here.", "On Monday."]
    asked = desk.post.sent[-1]
    assert asked.automatic and f"{SITE}/rate/{ticket_id}.1." in asked.body


async def test_a_solved_ticket_takes_no_answer_and_goes_on_with_the_next_mail(desk: Desk) -> None:
    ticket_id = str((await desk.mail("Where?")).ticket_id)
    async with desk.firm.db.transaction() as session:
        await tickets.solve(session, ticket_id=ticket_id, actor=desk.sue, site=SITE)
    with pytest.raises(IllegalTransition):
        await _hold(desk, ticket_id, "Here.")
    await desk.mail("Thanks, but when?", In_Reply_To="<1@example.com>")
    assert await desk.said(ticket_id) == [("Where?", False), ("Thanks, but when?", False)]
    assert (await desk.ticket(ticket_id)).state == "open"


async def test_a_held_answer_does_not_answer_what_is_merged_in_and_does_not_end_a_snooze(desk: Desk) -> None:
    ticket_id = str((await desk.mail("Where?")).ticket_id)
    other_id = str((await desk.mail("And why?")).ticket_id)
    assert other_id != ticket_id
    await _hold(desk, ticket_id, "Here.")
    async with desk.firm.db.transaction() as session:
        await ticket_merging.merge(session, source_id=other_id, target_id=ticket_id, actor=desk.sue)
    assert (await desk.ticket(ticket_id)).state == "open", "the other question waits"
    await _hold(desk, ticket_id, "Because.")
    later = datetime.now(UTC) + timedelta(days=2)
    async with desk.firm.db.transaction() as session:
        await ticket_desk.snooze(session, ticket_id=ticket_id, actor=desk.sue, until=later)
    await _due(desk, waited=True)
    await desk.send()
    assert (await desk.ticket(ticket_id)).snoozed_until == later
    assert [mail.body for mail in desk.post.sent if not mail.automatic] == ["Here.", "Because."]


async def test_a_rating_link_works_once_and_ends(desk: Desk) -> None:
    ticket_id = str((await desk.mail("Where?")).ticket_id)
    async with desk.firm.db.transaction() as session:
        await tickets.solve(session, ticket_id=ticket_id, actor=desk.sue, site=SITE)
    await desk.send()
    (link,) = [line for line in desk.post.sent[-1].body.splitlines() if line.startswith(SITE)]
    token = link.removeprefix(f"{SITE}/rate/")
    async with desk.firm.db.transaction() as session:
        ended = ticket_ratings.token(await session.get_one(Ticket, ticket_id), date(2026, 1, 1))
        for changed in (token[:-1], token.replace(".1.", ".2."), f"{ticket_id}.1.29991231.{token[-64:]}", "", "a.b"):
            with pytest.raises(NotFound):
                await ticket_ratings.rate_by_link(session, changed, score=1, comment="")
        with pytest.raises(Conflict, match="has ended"):
            await ticket_ratings.rate_by_link(session, ended, score=1, comment="")
        await ticket_ratings.rate_by_link(session, token, score=4, comment="Thanks")
        with pytest.raises(Conflict, match="rated already"):
            await ticket_ratings.rate_by_link(session, token, score=1, comment="")
        assert [(row.score, row.comment) for row in await session.scalars(select(TicketRating))] == [(4, "Thanks")]


async def test_old_mails_go_once_their_ticket_is_solved(desk: Desk) -> None:
    ids = []
    for number in range(3):
        sender = f"s{number}@else.example"
        ids.append(str((await desk.mail(f"Question {number}", From=sender)).ticket_id))
        await desk.answer(ids[-1])
    async with desk.firm.db.transaction() as session:
        mail = (await session.scalars(select(IncomingMailRow).where(IncomingMailRow.ticket_id == ids[0]))).one()
        session.add(MailAttachment(id="att_1", mail_id=mail.id, name="a", media_type="image/png", size=1, sha256="0"))
        await session.flush()
        session.add(MailAttachmentPart(attachment_id="att_1", number=0, content="AA=="))
        for ticket_id in ids[:2]:
            await tickets.solve(session, ticket_id=ticket_id, actor=desk.sue, site=SITE)
    await desk.send()
    old = datetime.now(UTC) - timedelta(days=40)
    async with desk.firm.db.transaction() as session:
        await session.execute(
            update(OutgoingMailRow).where(OutgoingMailRow.ticket_id != ids[1]).values(recorded_at=old)
        )
        await session.execute(
            update(IncomingMailRow).where(IncomingMailRow.ticket_id != ids[1]).values(received_at=old)
        )
    assert await _mails(desk) == {ids[0]: (1, 2, 1), ids[1]: (1, 2, 0), ids[2]: (1, 2, 0)}
    for policy in (Policy(mails=None), Policy(mails=41)):
        await Keeper(desk.firm.db, policy).step()
    assert len(await _mails(desk)) == 3
    await Keeper(desk.firm.db, Policy(mails=30)).step()
    assert await _mails(desk) == {ids[1]: (1, 2, 0), ids[2]: (1, 2, 0)}
    async with desk.firm.db.transaction() as session:
        assert await session.scalar(select(func.count()).select_from(MailAttachmentPart)) == 0
        known = await session.scalars(select(MailReference.ticket_id).distinct())
        assert set(known) == set(ids[1:])
        assert await session.scalar(select(func.count()).where(TicketMessage.ticket_id == ids[0])) == 2


async def _mails(desk: Desk) -> dict[str, tuple[int, int, int]]:
    """By ticket: mails that came in, mails that left, files."""
    async with desk.firm.db.transaction() as session:
        counts = {}
        incoming = (await session.scalars(select(IncomingMailRow))).all()
        outgoing = (await session.scalars(select(OutgoingMailRow))).all()
        files = [file.mail_id for file in await session.scalars(select(MailAttachment))]
        for ticket_id in {*(mail.ticket_id for mail in incoming), *(mail.ticket_id for mail in outgoing)}:
            mine = [mail.id for mail in incoming if mail.ticket_id == ticket_id]
            sent = sum(mail.ticket_id == ticket_id for mail in outgoing)
            counts[str(ticket_id)] = (len(mine), sent, sum(file in mine for file in files))
    return counts
