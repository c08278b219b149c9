"""What every desk of tickets must do. A desk's own test module makes a `DeskWorld` and subclasses `DeskContract`."""

from abc import ABC, abstractmethod
from datetime import UTC, datetime, timedelta

import pytest

from domain.errors import Conflict, NotFound
from ports.tickets import ArticleOrder, DeskTicket, Side, TicketDesk, TicketOrder


class DeskWorld(ABC):
    """A desk, what the firm decides, and what people do at the desk."""

    desk: TicketDesk

    @abstractmethod
    async def asked(self, subject: str) -> TicketOrder:
        """A customer asks; returns the order that copies it to the desk. All tickets are of one customer."""

    @abstractmethod
    async def said(self, ticket: DeskTicket, body: str, by: Side, *, public: bool = True) -> ArticleOrder:
        """Somebody writes here; returns the order that copies it to the desk."""

    @abstractmethod
    async def solved(self, ticket: DeskTicket) -> None:
        """The ticket is solved here."""

    @abstractmethod
    async def merged(self, source: DeskTicket, target: DeskTicket) -> None:
        """The tickets are merged here."""

    @abstractmethod
    async def agent_says(self, ticket: DeskTicket, body: str, *, public: bool = True) -> None: ...

    @abstractmethod
    async def agent_closes(self, ticket: DeskTicket) -> None: ...

    @abstractmethod
    async def agent_merges(self, source: DeskTicket, target: DeskTicket) -> None: ...

    async def opened(self, subject: str = "Payout") -> DeskTicket:
        return await self.desk.open_ticket(await self.asked(subject))


SINCE = datetime.now(UTC) - timedelta(minutes=5)


class DeskContract:
    async def test_a_ticket_is_found_by_its_key(self, world: DeskWorld) -> None:
        orders = [await world.asked(subject) for subject in ("Payout", "Limits")]
        first, second = [await world.desk.open_ticket(order) for order in orders]
        assert (first.key, first.state) == (orders[0].key, "open")
        assert first.ticket_id != second.ticket_id
        assert first.customer_id == second.customer_id
        for order, ticket in zip(orders, (first, second), strict=True):
            found = await world.desk.find_ticket(order.key, SINCE)
            assert found is not None
            assert found.ticket_id == ticket.ticket_id
        assert await world.desk.find_ticket("ticket/tkt_unknown", SINCE) is None
        article = await world.desk.find_article(first.ticket_id, orders[0].key)
        assert article is not None
        assert (article.by, article.public, article.body) == ("trader", True, orders[0].body)

    async def test_articles_are_found_by_their_keys_and_those_of_agents_are_read(self, world: DeskWorld) -> None:
        ticket = await world.opened()
        said: list[tuple[str, Side, bool]] = [("More", "trader", True), ("Hm", "firm", True), ("Odd", "firm", False)]
        orders = [await world.said(ticket, body, by, public=public) for body, by, public in said]
        made = [await world.desk.add_article(order) for order in orders]
        for order, article in zip(orders, made, strict=True):
            assert await world.desk.find_article(ticket.ticket_id, order.key) == article
            assert await world.desk.fetch_article(article.article_id) == article
        listed = await world.desk.articles(ticket.ticket_id)
        assert [(each.body, each.by, each.public) for each in listed[1:]] == said
        assert [each.article_id for each in listed[1:]] == [each.article_id for each in made]
        assert await world.desk.find_article(ticket.ticket_id, "message/msg_unknown") is None
        await world.agent_says(ticket, "It is on its way.")
        await world.agent_says(ticket, "Check the bank.", public=False)
        answer, note = (await world.desk.articles(ticket.ticket_id))[len(listed) :]
        assert (answer.by, answer.public, answer.body) == ("firm", True, "It is on its way.")
        assert (note.by, note.public, note.body) == ("firm", False, "Check the bank.")
        assert answer.author
        assert {answer.key, note.key} & {order.key for order in orders} == set()

    async def test_a_ticket_is_closed_from_both_sides_and_opened_again(self, world: DeskWorld) -> None:
        ours, theirs = await world.opened("Ours"), await world.opened("Theirs")
        await world.solved(ours)
        for _ in range(2):
            assert (await world.desk.close_ticket(ours.ticket_id)).state == "closed"
        await world.agent_closes(theirs)
        assert (await world.desk.fetch_ticket(theirs.ticket_id)).state == "closed"
        order = await world.said(theirs, "It did not arrive.", "trader")
        article = await world.desk.add_article(order.model_copy(update={"reopens": True}))
        assert article.body == "It did not arrive."
        assert (await world.desk.fetch_ticket(theirs.ticket_id)).state == "open"

    async def test_a_merge_moves_the_articles_whoever_does_it(self, world: DeskWorld) -> None:
        source, target = await world.opened("Source"), await world.opened("Target")
        [article] = await world.desk.articles(source.ticket_id)
        await world.agent_merges(source, target)
        assert (await world.desk.fetch_ticket(source.ticket_id)).state == "merged"
        assert (await world.desk.fetch_article(article.article_id)).ticket_id == target.ticket_id
        assert article.article_id in [each.article_id for each in await world.desk.articles(target.ticket_id)]
        with pytest.raises(Conflict):
            await world.desk.close_ticket(source.ticket_id)

        source, target, other = [await world.opened(subject) for subject in ("Source", "Target", "Other")]
        await world.merged(source, target)
        for _ in range(2):
            assert (await world.desk.merge_tickets(source.ticket_id, target.ticket_id)).ticket_id == target.ticket_id
        assert (await world.desk.fetch_ticket(source.ticket_id)).state == "merged"
        with pytest.raises(Conflict):
            await world.desk.merge_tickets(source.ticket_id, other.ticket_id)

    async def test_changes_are_found_without_a_webhook(self, world: DeskWorld) -> None:
        first, second = await world.opened("First"), await world.opened("Second")
        before = await world.desk.changes(SINCE)
        assert [each.ticket_id for each in before.tickets] == [first.ticket_id, second.ticket_id]
        assert before.complete
        assert before.until is not None
        await world.agent_says(first, "An answer")
        after = await world.desk.changes(before.until)
        assert after.tickets[-1].ticket_id == first.ticket_id
        assert after.tickets[-1].changed_at >= before.until
        later = datetime.now(UTC) + timedelta(days=1)
        assert (await world.desk.changes(later)).tickets == ()

    async def test_what_is_not_there_is_not_found(self, world: DeskWorld) -> None:
        for ask in (world.desk.fetch_ticket, world.desk.articles, world.desk.fetch_article, world.desk.close_ticket):
            for unknown in ("999999", "tkt_unknown"):
                with pytest.raises(NotFound):
                    await ask(unknown)
        ticket = await world.opened()
        with pytest.raises(NotFound):
            await world.desk.merge_tickets(ticket.ticket_id, "999999")
        assert await world.desk.healthy()
