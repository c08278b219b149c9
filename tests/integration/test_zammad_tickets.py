"""Tickets of a firm whose people work in Zammad: copied there through the outbox, read back by webhook and poll, each
message once, whatever is lost on the way. The Zammad is the fake, over HTTP."""

from collections.abc import AsyncIterator, Iterator
from typing import Any, cast

import pytest
from sqlalchemy import select

from adapters.zammad.desk import ZammadDesk
from domain.mail.outgoing import OutgoingMail
from firm import held_answers, ticket_merging, tickets
from firm.desk import in_force
from ports.mail import MailDesk
from relay.desk.copier import DeskNotes
from relay.desk.reader import DeskSweep
from relay.inbox import InboxDispatcher
from relay.outbox import OutboxDispatcher
from sandbox.dxtrade.faults import CallSwitch
from sandbox.zammad.courier import TRIES
from sandbox.zammad.state import CLOSED, MERGED, OPEN, Article
from sandbox.zammad.state import Ticket as There
from store.models import DeskTicketRow, InboxEvent, OutboxMessage, Review, Ticket
from store.read import tickets as read_tickets
from store.scope import FIRM
from tests.adapters import providers
from tests.api_world import ApiWorld, api_world
from tests.contract.zammad_thread import ZammadThread, zammad_thread

HOOK = "/webhooks/tickets/zammad"


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
    """The firm, its Zammad, and the relay between them."""

    def __init__(self, world: ApiWorld, server: ZammadThread, desk: ZammadDesk) -> None:
        self.world, self.server, self.desk = world, server, desk
        self.fake, self.there, self.post = server.fake, server.fake.state, Post()
        self.notes = DeskNotes(url="http://firm.test", with_answers=True)
        self.sweep = DeskSweep(world.db, desk)

    async def copy(self, desk: ZammadDesk | None = None) -> None:
        """The relay sends everything that is due, as after a start."""
        mail = MailDesk(self.post, "Support <help@firm.test>", "help@firm.test")
        nothing = cast("Any", None)
        relay = OutboxDispatcher(self.world.db, nothing, nothing, mail, desk or self.desk, self.notes)
        await relay.release()
        while await relay.step() or await relay.step_copies():
            pass

    async def hear(self) -> int:
        """Webhooks arrive, and the relay reads what they name. Returns how many arrived."""
        arrived = await self.fake.courier.step(self._call)
        await self.route()
        return arrived

    async def _call(self, body: bytes, headers: dict[str, str]) -> int:
        return (await self.world.http.post(HOOK, content=body, headers=headers)).status_code

    async def route(self) -> None:
        relay = InboxDispatcher(self.world.db, providers(self.world.payments), self.desk)
        await relay.release()
        while await relay.step_tickets():
            pass

    async def poll(self) -> None:
        while await self.sweep.step():
            pass
        await self.route()

    def lose_webhooks(self) -> None:
        self.fake.courier.waiting.clear()

    async def ask(self, subject: str = "Payout", body: str = "Where is it?", who: str = "tina") -> str:
        answer = await self.world.ask(who, "POST", "/v1/tickets", {"subject": subject, "body": body})
        assert answer.status_code == 201, answer.text
        return str(answer.json()["id"])

    async def reply(self, ticket_id: str, body: str, who: str = "tina") -> None:
        answer = await self.world.ask(who, "POST", f"/v1/tickets/{ticket_id}/messages", {"body": body})
        assert answer.status_code == 201, answer.text

    async def place(self, ticket_id: str) -> There:
        """The ticket of Zammad that a ticket of ours is."""
        async with self.world.db.transaction() as session:
            row = await session.get_one(DeskTicketRow, (ticket_id, "zammad"))
        return self.there.tickets[int(str(row.opened_id))]

    def articles(self, place: There) -> list[Article]:
        return self.there.articles_of(place.id)

    def public(self, place: There) -> list[tuple[str, str]]:
        return [(each.sender, each.body) for each in self.articles(place) if not each.internal]

    async def said(self, ticket_id: str) -> list[tuple[str, bool]]:
        """(text, from the firm) of everything on the ticket, notes too."""
        async with self.world.db.transaction() as session:
            view = await read_tickets.one(session, FIRM, ticket_id)
        return [(each.body, each.from_firm) for each in view.messages]

    async def told(self, ticket_id: str) -> list[str]:
        """What the trader reads on the ticket."""
        answer = await self.world.ask("tina", "GET", f"/v1/tickets/{ticket_id}")
        return [str(each["body"]) for each in answer.json()["messages"]]

    async def hold(self, ticket_id: str, body: str) -> str:
        """Somebody answers in the console and can still take it back. Returns the id of the message."""
        async with self.world.db.transaction() as session:
            actor = self.world.people["support"].actor
            await tickets.reply(session, ticket_id=ticket_id, actor=actor, body=body, may_undo=True)
            return await tickets.newest(session, ticket_id)

    async def switch(self, name: str) -> None:
        async with self.world.db.transaction() as session:
            await in_force.put_in_force(session, name)

    async def reviews(self, kind: str) -> list[Review]:
        async with self.world.db.transaction() as session:
            return list(await session.scalars(select(Review).where(Review.kind == kind).order_by(Review.recorded_at)))

    async def state(self, ticket_id: str) -> str:
        async with self.world.db.transaction() as session:
            return (await session.get_one(Ticket, ticket_id)).state

    async def left(self) -> list[str]:
        """Errors of messages and events that are not done."""
        async with self.world.db.transaction() as session:
            out = await session.scalars(select(OutboxMessage.error).where(OutboxMessage.dispatched_at.is_(None)))
            found = await session.scalars(select(InboxEvent.error).where(InboxEvent.handled_at.is_(None)))
            return [str(each) for each in (*out, *found)]

    def fails(self, kind: Any, match: str, times: int = 1) -> None:
        self.fake.faults.calls.append(CallSwitch(kind=kind, match=match, times=times))


@pytest.fixture
def server() -> Iterator[ZammadThread]:
    with zammad_thread() as running:
        yield running


@pytest.fixture
async def desk(server: ZammadThread, database_url: str) -> AsyncIterator[Desk]:
    """Zammad is in force; the open tickets of before are there."""
    adapter = server.desk()
    async with api_world(database_url, ticket_desk=adapter) as world:
        made = Desk(world, server, adapter)
        await made.switch("zammad")
        await made.copy()
        made.lose_webhooks()
        yield made
    await adapter.aclose()


async def test_a_conversation_through_zammad(desk: Desk) -> None:
    assert sorted(each.title for each in desk.there.tickets.values()) == ["A question", "A question"]
    ticket_id = await desk.ask()
    await desk.copy()
    place = await desk.place(ticket_id)
    assert (place.title, desk.there.users[place.customer_id].login) == ("Payout", "tina@example.org")
    assert desk.public(place) == [("Customer", "Where is it?")]
    [note] = [each.body for each in desk.articles(place) if each.internal]
    assert f"http://firm.test/tickets/{ticket_id}" in note
    assert "Account " in note

    # an agent answers; the webhook comes twice, and the poll finds it once more
    desk.there.say(place, "Tomorrow.", by="sue@desk.example")
    again = list(desk.fake.courier.waiting)
    assert await desk.hear() > 0
    desk.fake.courier.waiting = again
    await desk.hear()
    await desk.poll()
    await desk.copy()
    assert await desk.said(ticket_id) == [("Where is it?", False), ("Tomorrow.", True)]
    assert await desk.state(ticket_id) == "waiting_for_trader"
    assert [mail.body for mail in desk.post.sent] == ["Tomorrow."]
    seen = (await desk.world.ask("tina", "GET", f"/v1/tickets/{ticket_id}")).json()["messages"]
    assert [(each["author"], each["from_firm"]) for each in seen] == [("tina Trader", False), ("Support", True)]

    # an answer of the console that can still be taken back is not copied, also after a change at Zammad that tells
    # nothing new; the trader's next message lets it go
    await desk.hold(ticket_id, "Held.")
    desk.there.touch(place)
    assert await desk.hear() > 0
    await desk.copy()
    assert "Held." not in [each.body for each in desk.articles(place)]

    # the trader goes on; what Zammad mails itself is not mailed again, and notes stay with the firm
    await desk.reply(ticket_id, "It is tomorrow.")
    await desk.copy()
    assert desk.public(place)[-2:] == [("Agent", "Held."), ("Customer", "It is tomorrow.")]
    desk.there.say(place, "<p>Sent <b>now</b>.</p>", type="email", content_type="text/html")
    desk.there.say(place, "The bank was closed.", internal=True)
    desk.there.say(place, "We have your request.", sender="System", type="email", by="-")
    await desk.hear()
    await desk.copy()
    assert [body for body, _ in await desk.said(ticket_id)][-2:] == ["Sent now.", "The bank was closed."]
    assert [mail.body for mail in desk.post.sent] == ["Tomorrow.", "Held."]
    seen = (await desk.world.ask("tina", "GET", f"/v1/tickets/{ticket_id}")).json()["messages"]
    assert [each["body"] for each in seen] == ["Where is it?", "Tomorrow.", "Held.", "It is tomorrow.", "Sent now."]

    # closed there, opened by the trader, solved here
    desk.there.set_state(place, CLOSED)
    await desk.hear()
    assert await desk.state(ticket_id) == "solved"
    await desk.reply(ticket_id, "Not here.")
    held = await desk.hold(ticket_id, "Sorry.")
    desk.there.touch(place)
    await desk.hear()  # an old event must not solve it again, nor let the answer go
    async with desk.world.db.transaction() as session:
        actor = desk.world.people["support"].actor
        await held_answers.take_back(session, ticket_id=ticket_id, message_id=held, actor=actor)
    await desk.copy()
    assert (await desk.state(ticket_id), place.state_id) == ("open", OPEN)
    await desk.hear()
    assert (await desk.state(ticket_id), desk.public(place)[-1]) == ("open", ("Customer", "Not here."))
    await desk.world.ask("tina", "POST", f"/v1/tickets/{ticket_id}/solve")
    await desk.copy()
    assert place.state_id == CLOSED
    assert len(desk.articles(place)) == 9
    assert await desk.left() == []


async def test_lost_answers_make_no_duplicates(desk: Desk) -> None:
    posted = ("POST /api/v1/tickets", "POST /api/v1/ticket_articles", "PUT /api/v1/tickets")
    ticket_id = await desk.ask()
    for kind in ("cut_after", "failed_after", "half_body", "token_expired", "too_many", "busy"):
        for call in posted:
            desk.fails(kind, call)
    for number in range(4):
        for _ in range(12):  # every attempt meets the next fault; each is a relay that has just started
            fresh = desk.server.desk()
            await desk.copy(fresh)
            await fresh.aclose()
        if number == 3:
            break
        if number == 1:
            desk.there.set_state(await desk.place(ticket_id), CLOSED)
        await desk.reply(ticket_id, f"More {number}")
    place = await desk.place(ticket_id)
    assert [each.title for each in desk.there.tickets.values()].count("Payout") == 1
    assert [body for _, body in desk.public(place)] == ["Where is it?", "More 0", "More 1", "More 2"]
    assert sum(each.internal for each in desk.articles(place)) == 1
    assert place.state_id == OPEN
    assert desk.fake.faults.uses["cut_after"] == 3
    await desk.poll()
    assert len(await desk.said(ticket_id)) == 4
    assert await desk.left() == []


async def test_what_lost_webhooks_told_is_found_by_the_poll(desk: Desk) -> None:
    ticket_id = await desk.ask()
    await desk.copy()
    place = await desk.place(ticket_id)

    async def away(_body: bytes, _headers: dict[str, str]) -> int:
        return 503

    desk.there.say(place, "First")
    desk.there.say(place, "Second")
    for _ in range(TRIES):
        await desk.fake.courier.step(away)
    assert desk.fake.courier.lost > 0
    assert await desk.hear() == 0
    assert await desk.said(ticket_id) == [("Where is it?", False)]
    desk.fails("failed_before", "GET /api/v1/ticket_articles", times=1)
    for _ in range(3):  # also a relay that starts again
        desk.sweep = DeskSweep(desk.world.db, desk.desk)
        await desk.poll()
    assert await desk.said(ticket_id) == [("Where is it?", False), ("First", True), ("Second", True)]
    forged = await desk.world.http.post(HOOK, content=b'{"ticket":{"id":1}}', headers={"X-Hub-Signature": "sha1=0"})
    assert forged.status_code == 400
    assert (await desk.world.http.post("/webhooks/tickets/other", content=b"{}")).status_code == 404
    await desk.copy()  # the answers leave as mail
    assert await desk.left() == []


async def test_merges_are_followed_both_ways(desk: Desk) -> None:
    first, second, third = [await desk.ask(subject, f"About {subject}") for subject in ("One", "Two", "Three")]
    await desk.copy()
    one, two, three = [await desk.place(each) for each in (first, second, third)]

    desk.there.merge(one, two)
    await desk.hear()
    assert await desk.state(first) == "merged"
    desk.there.say(two, "To both.")
    await desk.hear()
    await desk.poll()
    assert [body for body, _ in await desk.said(second)] == ["About One", "About Two", "To both."]
    await desk.reply(first, "Thanks.")  # to the signpost
    await desk.copy()
    assert desk.public(two)[-1] == ("Customer", "Thanks.")

    async with desk.world.db.transaction() as session:
        actor = desk.world.people["support"].actor
        await ticket_merging.merge(session, source_id=third, target_id=second, actor=actor)
    desk.fails("error_in_200", "PUT /api/v1/ticket_merge")
    await desk.copy()
    assert three.state_id != MERGED
    await desk.copy()
    assert three.state_id == MERGED
    assert ("Customer", "About Three") in desk.public(two)
    await desk.hear()
    assert [body for body, _ in await desk.said(second)].count("merged") == 0
    assert await desk.left() == []


async def test_nothing_of_another_customer_reaches_a_trader(desk: Desk) -> None:
    ticket_id = await desk.ask(body="Mine")
    async with desk.world.db.transaction() as session:
        stranger = await tickets.open_for_stranger(
            session, contact="x@example.com", subject="Hello", body="Who am I?", linked_to=ticket_id
        )
    await desk.copy()
    mine, theirs = await desk.place(ticket_id), await desk.place(stranger.id)
    [note] = [each.body for each in desk.articles(theirs) if each.internal]
    assert f"/tickets/{stranger.id}" in note
    assert "Account " not in note

    desk.there.say(theirs, "To the stranger.")
    await desk.hear()
    desk.there.say(mine, "For tina only.")  # not read yet when it is moved
    desk.there.merge(mine, theirs)
    desk.fake.courier.waiting.reverse()  # webhooks come in any order
    desk.there.say(theirs, "Secrets of the stranger.")
    await desk.hear()
    await desk.poll()
    await desk.copy()
    assert await desk.said(ticket_id) == [("Mine", False)]
    assert await desk.state(ticket_id) == "open"
    assert [mail.body for mail in desk.post.sent] == ["To the stranger.", "Secrets of the stranger."]
    async with desk.world.db.transaction() as session:
        view = await read_tickets.one(session, FIRM, stranger.id)
    assert [(each.body, each.kind) for each in view.messages][2:] == [
        ("For tina only.", "note"),
        ("Secrets of the stranger.", "public"),
    ]
    assert [each.detail["ticket"] for each in await desk.reviews("other_customer")] == [ticket_id]

    await desk.reply(ticket_id, "Is anybody there?")
    await desk.copy()
    anew = await desk.place(ticket_id)
    assert anew.id not in (mine.id, theirs.id)
    assert desk.public(anew) == [("Customer", "Is anybody there?")]
    desk.there.say(anew, "Yes.")
    await desk.hear()
    await desk.copy()
    talk = [("Mine", False), ("Is anybody there?", False), ("Yes.", True)]
    assert await desk.said(ticket_id) == talk

    # given to another customer without a merge
    anew.customer_id = theirs.customer_id
    desk.there.say(anew, "More secrets.")
    await desk.hear()
    assert await desk.said(ticket_id) == talk
    assert len(await desk.reviews("other_customer")) == 2
    assert await desk.left() == []


async def test_a_ticket_of_the_desk_that_we_never_knew_is_not_told_to_the_trader_it_is_merged_into(desk: Desk) -> None:
    other = desk.there.user("other@example.net")
    ticket_id = await desk.ask()
    await desk.copy()
    place = await desk.place(ticket_id)
    older = desk.there.create(title="Theirs", group="Users", customer=other)
    desk.there.say(older, "An old secret.")
    desk.there.say(place, "Hello.")
    await desk.hear()

    # nothing that is older than what was read last was written on this ticket
    desk.there.merge(older, place)
    desk.there.say(place, "Said after the merge.")
    await desk.hear()
    await desk.poll()
    assert await desk.told(ticket_id) == ["Where is it?", "Hello."]
    assert [body for body, _ in await desk.said(ticket_id)][2:] == ["An old secret.", "Said after the merge."]
    [review] = await desk.reviews("doubtful_articles")
    assert review.detail["ticket"] == ticket_id
    desk.there.say(place, "For tina.")
    await desk.hear()

    # nor what another customer wrote, and then nobody knows for whom the answer to it was
    newer = desk.there.create(title="Theirs", group="Users", customer=other)
    desk.there.say(newer, "My secret.", sender="Customer", type="email", by=other.login)
    desk.there.say(newer, "Your secret is safe.")
    desk.there.merge(newer, place)
    await desk.hear()
    assert len(await desk.reviews("doubtful_articles")) == 2

    # what agents and programs write for the customer, and the customer's own mail, are read as ever
    desk.there.say(place, "She called.", sender="Customer", type="phone")
    desk.there.say(place, "A mail.", sender="Customer", type="email", by="tina@example.org")
    await desk.hear()
    await desk.copy()
    assert await desk.told(ticket_id) == ["Where is it?", "Hello.", "For tina.", "She called.", "A mail."]
    assert [mail.body for mail in desk.post.sent] == ["Hello.", "For tina."]
    assert await desk.left() == []


async def test_a_relay_without_the_desk_leaves_the_copies_alone_and_a_second_switch_copies_again(desk: Desk) -> None:
    ticket_id = await desk.ask()
    nothing = cast("Any", None)
    own = OutboxDispatcher(desk.world.db, nothing, nothing)
    assert await own.step_copies() == 1
    assert await desk.left() == ["No ticket desk 'zammad' is configured here."]
    await desk.copy()
    place = await desk.place(ticket_id)
    assert desk.public(place) == [("Customer", "Where is it?")]

    await desk.reply(ticket_id, "Before the switch.")
    await desk.switch("own")
    assert await own.step_copies() == 1
    assert await desk.left() == []
    for body in ("After it.", "Between two more."):
        await desk.switch("own")
        await desk.reply(ticket_id, body)
        await desk.switch("zammad")
        await desk.copy()
    written = ["Where is it?", "Before the switch.", "After it.", "Between two more."]
    assert [body for _, body in desk.public(place)] == written
    assert await desk.left() == []
