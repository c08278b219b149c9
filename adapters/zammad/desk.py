"""The desk on Zammad's REST interface (`/api/v1`), as its documentation and source describe it.

Zammad repeats whatever is sent twice. So each ticket and each article carries our key in `preferences`, and is looked
up by listing: its search may lag behind.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, Final, TypeVar

from pydantic import TypeAdapter, ValidationError

from adapters.own_http import unreadable
from adapters.zammad import webhooks
from adapters.zammad.client import Client
from adapters.zammad.config import WHO, ZammadSettings
from adapters.zammad.listing import tickets_from_the_end
from adapters.zammad.shapes import KEY, Article, Merged, Person, State, Ticket
from domain.errors import Conflict, NotFound, Unavailable
from ports.money import WebhookEvent
from ports.plugin import Plugin
from ports.tickets import (
    ArticleOrder,
    DeskArticle,
    DeskCapabilities,
    DeskChanges,
    DeskState,
    DeskTicket,
    Side,
    TicketDesk,
    TicketOrder,
)

_PER_PAGE: Final = 100
_CLOCKS_DIFFER: Final = timedelta(minutes=10)  # how much Zammad's clock may differ from ours
_TYPES: Final[Mapping[Side, str]] = {"trader": "web", "firm": "note"}  # never email: Zammad would send it
_SENDERS: Final[Mapping[Side, str]] = {"trader": "Customer", "firm": "Agent"}
_T = TypeVar("_T")
_TICKETS: Final = TypeAdapter(list[Ticket])
_ARTICLES: Final = TypeAdapter(list[Article])
_STATES: Final = TypeAdapter(list[State])


class ZammadDesk:
    def __init__(self, name: str, settings: ZammadSettings) -> None:
        self.name = name
        self._settings = settings
        self._client = Client(settings)
        self._states: dict[int, DeskState] = {}

    async def open_ticket(self, order: TicketOrder) -> DeskTicket:
        sent = {
            "title": order.title,
            "group": self._settings.group,
            "customer_id": f"guess:{order.customer}",  # finds the customer by address, or makes one
            "preferences": {KEY: order.key},
            "article": _article(order.key, order.body, order.by, public=True),
        }
        made = await self._client.change("POST", "/tickets", sent)
        return await self._read(_read(TypeAdapter(Ticket), made, changing=True))

    async def find_ticket(self, key: str, since: datetime) -> DeskTicket | None:
        async for page in tickets_from_the_end(self._page):
            for ticket in page:
                if ticket.key == key:
                    return await self._read(ticket)
            if page[0].created_at < since - _CLOCKS_DIFFER:
                return None
        return None

    async def _page(self, number: int) -> list[Ticket]:
        query = {"page": str(number), "per_page": str(_PER_PAGE)}
        return _read(_TICKETS, await self._client.ask("/tickets", query))

    async def fetch_ticket(self, ticket_id: str) -> DeskTicket:
        return await self._read(await self._ticket(ticket_id))

    async def _ticket(self, ticket_id: str) -> Ticket:
        return _read(TypeAdapter(Ticket), await self._client.ask(f"/tickets/{_number(ticket_id)}"))

    async def add_article(self, order: ArticleOrder) -> DeskArticle:
        article = _article(order.key, order.body, order.by, public=order.public)
        if order.reopens:  # in one step, so that nobody sees the one without the other
            changed = {"state": self._settings.open_state, "article": article}
            await self._client.change("PUT", f"/tickets/{_number(order.ticket_id)}", changed)
            found = await self.find_article(order.ticket_id, order.key)
            if found is None:
                raise unreadable(WHO, changing=True)
            return found
        sent = {"ticket_id": int(_number(order.ticket_id)), **article}
        made = await self._client.change("POST", "/ticket_articles", sent)
        return _read(TypeAdapter(Article), made, changing=True).read()

    async def find_article(self, ticket_id: str, key: str) -> DeskArticle | None:
        return next((each for each in await self.articles(ticket_id) if each.key == key), None)

    async def fetch_article(self, article_id: str) -> DeskArticle:
        found = await self._client.ask(f"/ticket_articles/{_number(article_id)}")
        return _read(TypeAdapter(Article), found).read()

    async def articles(self, ticket_id: str) -> list[DeskArticle]:
        found = _read(_ARTICLES, await self._client.ask(f"/ticket_articles/by_ticket/{_number(ticket_id)}"))
        return [each.read() for each in sorted(found, key=lambda each: each.id)]

    async def close_ticket(self, ticket_id: str) -> DeskTicket:
        before = await self.fetch_ticket(ticket_id)
        if before.state == "merged":
            raise Conflict("The ticket is merged into another one at Zammad.")
        if before.state == "closed":
            return before
        sent = {"state": self._settings.closed_state}
        made = await self._client.change("PUT", f"/tickets/{_number(ticket_id)}", sent)
        return await self._read(_read(TypeAdapter(Ticket), made, changing=True))

    async def merge_tickets(self, source_id: str, target_id: str) -> DeskTicket:
        """Zammad names the source by its id and the target by its number, and answers 200 also when it did nothing."""
        source, target = await self.fetch_ticket(source_id), await self._ticket(target_id)
        if source.state == "merged":  # by us, and its articles are there; or by somebody else, and they are not
            if not await self._has_moved(source, target_id):
                raise Conflict("Zammad has merged the ticket into another one.")
            return await self._read(target)
        path = f"/ticket_merge/{_number(source_id)}/{target.number}"
        answer = _read(TypeAdapter(Merged), await self._client.change("PUT", path), changing=True)
        if answer.result != "success":
            raise Conflict(f"Zammad does not merge: {answer.message or answer.result}")
        return await self.fetch_ticket(target_id)

    async def _has_moved(self, source: DeskTicket, target_id: str) -> bool:
        return source.key is not None and await self.find_article(target_id, source.key) is not None

    async def changes(self, since: datetime) -> DeskChanges:
        """Asks with a condition and without a query, so that the database answers and not the index of the search."""
        page, found = 1, list[Ticket]()
        while True:
            query = {
                "condition[ticket.updated_at][operator]": "after (absolute)",
                "condition[ticket.updated_at][value]": since.isoformat(),
                "sort_by": "updated_at",
                "order_by": "asc",
                "expand": "true",
                "page": str(page),
                "per_page": str(_PER_PAGE),
            }
            batch = _read(_TICKETS, await self._client.ask("/tickets/search", query))
            found += batch
            complete = len(batch) < _PER_PAGE
            if complete or found[-1].updated_at > since:  # else a whole page changed in one moment
                until = found[-1].updated_at if found else None
                tickets = tuple([await self._read(each) for each in found])
                return DeskChanges(tickets=tickets, until=until, complete=complete)
            page += 1

    def parse_webhook(self, body: bytes, headers: Mapping[str, str], now: datetime) -> WebhookEvent:
        return webhooks.parse(body, headers, self._settings.webhook_secret.get_secret_value())

    async def healthy(self) -> str:
        person = _read(TypeAdapter(Person), await self._client.ask("/users/me"))
        return f"Zammad answers; we are {person.login}"

    async def aclose(self) -> None:
        await self._client.aclose()

    async def _read(self, ticket: Ticket) -> DeskTicket:
        if ticket.state_id not in self._states:
            self._states = self._named(_read(_STATES, await self._client.ask("/ticket_states")))
        return DeskTicket(
            ticket_id=str(ticket.id),
            key=ticket.key,
            customer_id=str(ticket.customer_id),
            state=self._states.get(ticket.state_id, "open"),
            changed_at=ticket.updated_at,
        )

    def _named(self, states: list[State]) -> dict[int, DeskState]:
        """Returns what each state counts as. Raises Unavailable when one that the settings name is not there."""
        kinds: dict[int, DeskState] = {}
        meant: tuple[tuple[str, DeskState], ...] = (
            (self._settings.open_state, "open"),
            (self._settings.closed_state, "closed"),
            (self._settings.merged_state, "merged"),
        )
        for name, kind in meant:
            found = next((each for each in states if each.name == name), None)
            if found is None:
                raise Unavailable(
                    f"{WHO} has no state {name!r}.", remedy="Name its states in the settings of the desk."
                )
            kinds[found.state_type_id] = kind
        return {each.id: kinds.get(each.state_type_id, "open") for each in states}


def _article(key: str, body: str, by: Side, *, public: bool) -> dict[str, Any]:
    return {
        "body": body,
        "content_type": "text/plain",
        "type": _TYPES[by] if public else "note",
        "sender": _SENDERS[by],
        "internal": not public,
        "preferences": {KEY: key},
    }


def _number(desk_id: str) -> str:
    """Returns the id for a path. Raises NotFound for one that Zammad cannot have."""
    if not (desk_id.isascii() and desk_id.isdecimal()):
        raise NotFound(f"{WHO} has no such ticket or article.")
    return desk_id


def _read(shape: TypeAdapter[_T], found: Any, *, changing: bool = False) -> _T:
    """Raises Unavailable, or OutcomeUnknown for the answer to a change."""
    try:
        return shape.validate_python(found)
    except ValidationError:
        raise unreadable(WHO, changing) from None


def _build(name: str, settings: ZammadSettings) -> TicketDesk:
    return ZammadDesk(name, settings)


PLUGIN: Final = Plugin(
    ZammadSettings,
    DeskCapabilities(finds_at_once=False, pushes_changes=True, sends_mail=True, undoes_merges=False),
    _build,
)
