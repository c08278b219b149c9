"""The adapter for Zammad keeps the contract of desks of tickets, and gets on with the traps of the real one: it repeats
what is sent twice, loses answers, says 200 when it does not merge, and gives webhooks up after five tries."""

import itertools
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime

import pytest

from adapters.zammad.desk import ZammadDesk
from domain.errors import BadInput, BadSignature, Conflict, OutcomeUnknown, PropOSError, Unavailable
from domain.tickets import CHANGED
from ports.tickets import ArticleOrder, DeskTicket, Side, TicketOrder
from sandbox.dxtrade.faults import CallFault, CallSwitch
from sandbox.zammad.courier import TRIES
from sandbox.zammad.state import CLOSED, Ticket
from tests.contract.ticket_desk_contract import SINCE, DeskContract, DeskWorld
from tests.contract.zammad_thread import ZammadThread, zammad_thread

CUSTOMER = "tina@example.com"


@pytest.fixture
def server() -> Iterator[ZammadThread]:
    with zammad_thread() as running:
        yield running


class _World(DeskWorld):
    def __init__(self, server: ZammadThread) -> None:
        self.fake, self._server, self.desks = server.fake, server, list[ZammadDesk]()
        self.desk = self.another()
        self._numbers = itertools.count(1)

    def another(self) -> ZammadDesk:
        """An adapter that remembers nothing of earlier faults."""
        self.desks.append(self._server.desk())
        return self.desks[-1]

    def there(self, ticket: DeskTicket) -> Ticket:
        return self.fake.state.tickets[int(ticket.ticket_id)]

    async def asked(self, subject: str) -> TicketOrder:
        key = f"ticket/{next(self._numbers)}"
        return TicketOrder(key=key, title=subject, body=f"About {subject}", customer=CUSTOMER)

    async def said(self, ticket: DeskTicket, body: str, by: Side, *, public: bool = True) -> ArticleOrder:
        key = f"message/{next(self._numbers)}"
        return ArticleOrder(key=key, ticket_id=ticket.ticket_id, body=body, by=by, public=public)

    async def solved(self, ticket: DeskTicket) -> None:
        """Nothing is to be done at Zammad before it is told."""

    async def merged(self, source: DeskTicket, target: DeskTicket) -> None:
        """Nothing is to be done at Zammad before it is told."""

    async def agent_says(self, ticket: DeskTicket, body: str, *, public: bool = True) -> None:
        self.fake.state.say(self.there(ticket), body, internal=not public)

    async def agent_closes(self, ticket: DeskTicket) -> None:
        self.fake.state.set_state(self.there(ticket), CLOSED)

    async def agent_merges(self, source: DeskTicket, target: DeskTicket) -> None:
        self.fake.state.merge(self.there(source), self.there(target))

    def fails(self, kind: CallFault, match: str = "POST", times: int = 1) -> None:
        self.fake.faults.calls.append(CallSwitch(kind=kind, match=match, times=times))


@pytest.fixture
async def world(server: ZammadThread) -> AsyncIterator[_World]:
    made = _World(server)
    yield made
    for desk in made.desks:
        await desk.aclose()


class TestZammadDesk(DeskContract):
    @pytest.fixture
    def world(self, world: _World) -> DeskWorld:
        return world


@pytest.mark.parametrize(
    ("kind", "raises", "happens"),
    [
        ("cut_before", OutcomeUnknown, False),
        ("cut_after", OutcomeUnknown, True),
        ("failed_after", OutcomeUnknown, True),
        ("half_body", OutcomeUnknown, True),
        ("wrong_type", OutcomeUnknown, True),
        ("too_many", Unavailable, False),
        ("busy", Unavailable, False),
        ("token_expired", Unavailable, False),
        ("refused", BadInput, False),
    ],
)
async def test_each_fault_has_its_outcome_and_the_key_finds_what_happened(
    world: _World, kind: CallFault, raises: type[PropOSError], happens: bool
) -> None:
    ticket = await world.opened()
    order, said = await world.asked("Payout"), await world.said(ticket, "More", "trader")
    for call in (world.another().open_ticket(order), world.another().add_article(said)):
        world.fails(kind)
        with pytest.raises(raises) as caught:
            await call
        assert type(caught.value) is raises
    assert (await world.desk.find_ticket(order.key, SINCE) is not None) is happens
    assert (await world.desk.find_article(ticket.ticket_id, said.key) is not None) is happens


async def test_nothing_is_idempotent_so_it_is_looked_up(world: _World) -> None:
    order = await world.asked("Payout")
    await world.desk.open_ticket(order)
    await world.desk.open_ticket(order)
    assert len(world.fake.state.tickets) == 2


async def test_a_ticket_is_found_among_many_pages_by_listing_because_the_search_lags(world: _World) -> None:
    order = await world.asked("Payout")
    made = await world.desk.open_ticket(order)
    customer = world.fake.state.user(CUSTOMER)
    for number in range(730):
        world.fake.state.create(title=f"Other {number}", group="Users", customer=customer)
    assert world.fake.state.indexed == set()
    found = await world.desk.find_ticket(order.key, SINCE)
    assert found is not None
    assert found.ticket_id == made.ticket_id
    assert await world.desk.find_ticket("ticket/unknown", SINCE) is None


@pytest.mark.parametrize("at_once", [False, True])
async def test_changes_come_in_batches_and_none_is_left_out(world: _World, at_once: bool) -> None:
    customer, moment = world.fake.state.user(CUSTOMER), world.fake.state.now()
    for number in range(250):
        made = world.fake.state.create(title=f"Other {number}", group="Users", customer=customer)
        made.updated_at = moment if at_once else made.updated_at
    seen, since = set[str](), SINCE
    for _ in range(20):
        found = await world.desk.changes(since)
        seen |= {each.ticket_id for each in found.tickets}
        if found.complete:
            break
        assert found.until is not None
        since = found.until
    assert len(seen) == 250


async def test_a_merge_that_answers_200_and_failed_is_no_merge(world: _World, monkeypatch: pytest.MonkeyPatch) -> None:
    source, target = await world.opened("Source"), await world.opened("Target")
    with monkeypatch.context() as patch:
        patch.setattr(world.fake.state, "by_number", lambda _number: None)
        with pytest.raises(Conflict, match="number could not be found"):
            await world.desk.merge_tickets(source.ticket_id, target.ticket_id)
    world.fails("error_in_200", "PUT /api/v1/ticket_merge")
    with pytest.raises(OutcomeUnknown):  # a 200 without a result says nothing
        await world.desk.merge_tickets(source.ticket_id, target.ticket_id)
    assert (await world.desk.fetch_ticket(source.ticket_id)).state == "open"
    world.fails("cut_after", "PUT /api/v1/ticket_merge")
    with pytest.raises(OutcomeUnknown):
        await world.desk.merge_tickets(source.ticket_id, target.ticket_id)
    assert (await world.desk.merge_tickets(source.ticket_id, target.ticket_id)).ticket_id == target.ticket_id


async def test_agents_mail_is_told_apart_and_html_is_read_as_text(world: _World) -> None:
    ticket = await world.opened()
    there = world.there(ticket)
    html = "<p>It is <b>sent</b>.</p><script>alert(1)</script>"
    world.fake.state.say(there, html, type="email", content_type="text/html", attachments=[{"id": 1}])
    world.fake.state.say(there, "We have your request.", sender="System", type="email", by="-")
    _, mail, robot = await world.desk.articles(ticket.ticket_id)
    assert (mail.by, mail.mailed, mail.body.strip(), mail.files) == ("firm", True, "It is sent.", 1)
    assert robot.by == "system"


async def test_a_group_that_the_token_does_not_see_is_an_outage_and_no_loss(world: _World) -> None:
    ticket = await world.opened()
    world.there(ticket).group = "Secret"
    with pytest.raises(Unavailable) as caught:
        await world.desk.fetch_ticket(ticket.ticket_id)
    assert "token" in caught.value.message


async def test_a_webhook_is_verified_and_names_its_ticket(world: _World) -> None:
    ticket = await world.opened()
    delivery = world.fake.courier.waiting[-1]
    headers = {name.lower(): value for name, value in delivery.headers.items()}
    event = world.desk.parse_webhook(delivery.body, headers, datetime.now(UTC))
    assert (event.kind, event.object_id) == (CHANGED, ticket.ticket_id)
    assert event.event_id == delivery.headers["X-Zammad-Delivery"]
    for wrong in ({**headers, "x-hub-signature": "sha1=00"}, {}):
        with pytest.raises(BadSignature):
            world.desk.parse_webhook(delivery.body, wrong, datetime.now(UTC))
    with pytest.raises(BadSignature):
        world.desk.parse_webhook(delivery.body + b" ", headers, datetime.now(UTC))


async def test_a_webhook_is_lost_after_five_tries(world: _World) -> None:
    courier = world.fake.courier
    courier.waiting, courier.lost = [], 0
    await world.opened()
    sent = len(courier.waiting)

    async def away(_body: bytes, _headers: dict[str, str]) -> int:
        return 503

    for _ in range(TRIES):
        assert courier.waiting
        await courier.step(away)
    assert (courier.waiting, courier.lost) == ([], sent)
