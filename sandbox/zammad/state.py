"""What the fake keeps, and what its agents and customers do in its own pages."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Final, Literal

SYSTEM: Final = 1  # the id of the user `-`
ROBOT: Final = 3  # the agent whose token PropOS has
# id, type, name
STATES: Final = ((1, 1, "new"), (2, 2, "open"), (3, 3, "pending reminder"), (4, 5, "closed"), (5, 6, "merged"))
NEW, OPEN, CLOSED, MERGED = 1, 2, 4, 5
_BY_OTHERS: Final = ("note", "phone", "web")  # what an agent or a program writes for a customer
_MOMENT: Final = timedelta(milliseconds=1)
Sender = Literal["Customer", "Agent", "System"]


class Refused(Exception):
    """`status`: of the answer. `body`: what it says."""

    def __init__(self, status: int, text: str, body: dict[str, Any] | None = None) -> None:
        super().__init__(text)
        self.status, self.body = status, body or {"error": text, "error_human": text}


@dataclass
class User:
    id: int
    login: str


@dataclass
class Article:
    id: int
    ticket_id: int
    body: str
    sender: Sender
    type: str
    internal: bool
    created_by: User
    origin_by: User | None
    content_type: str
    created_at: datetime
    preferences: dict[str, Any] = field(default_factory=dict)
    attachments: list[dict[str, Any]] = field(default_factory=list)


@dataclass
class Ticket:
    id: int
    number: str
    title: str
    group: str
    customer_id: int
    state_id: int
    created_at: datetime
    updated_at: datetime
    preferences: dict[str, Any] = field(default_factory=dict)


class Zammad:
    """`changed`: called with a ticket and the article that came to it, if one did; the real one's trigger.
    `auto_reply`: the system answers a new ticket by mail."""

    def __init__(self, groups: tuple[str, ...] = ("Users",)) -> None:
        self.groups = groups  # those that the agent of the token may see
        self.users = {each.id: each for each in (User(SYSTEM, "-"), User(ROBOT, "propos@desk.example"))}
        self.tickets: dict[int, Ticket] = {}
        self.articles: dict[int, Article] = {}
        self.indexed: set[int] = set()  # what a search with a query finds
        self.changed: Callable[[Ticket, Article | None], None] = lambda _ticket, _article: None
        self.auto_reply = False
        self._last = datetime.min.replace(tzinfo=UTC)

    def now(self) -> datetime:
        """Milliseconds, as the database of the real one keeps them; each later than the one before."""
        now = datetime.now(UTC)
        self._last = max(self._last + _MOMENT, now.replace(microsecond=now.microsecond // 1000 * 1000))
        return self._last

    def user(self, login: str) -> User:
        """Finds a user by address, or makes one."""
        address = login.lower()
        known = next((each for each in self.users.values() if each.login == address), None)
        if known is None:
            known = User(max(self.users) + 1, address)
            self.users[known.id] = known
        return known

    def ticket(self, ticket_id: int) -> Ticket:
        """Raises Refused for one that is not there, or that the agent may not see."""
        found = self.tickets.get(ticket_id)
        if found is None:
            raise Refused(404, f"Couldn't find Ticket with 'id'={ticket_id}")
        if found.group not in self.groups:
            raise Refused(403, "Not authorized")
        return found

    def by_number(self, number: str) -> Ticket | None:
        return next((each for each in self.tickets.values() if each.number == number), None)

    def articles_of(self, ticket_id: int) -> list[Article]:
        return [each for each in self.articles.values() if each.ticket_id == ticket_id]

    def create(
        self, *, title: str, group: str, customer: User, state_id: int = NEW, preferences: dict[str, Any] | None = None
    ) -> Ticket:
        number, now = max(self.tickets, default=0) + 1, self.now()
        ticket = Ticket(number, f"{31000 + number}", title, group, customer.id, state_id, now, now, preferences or {})
        self.tickets[ticket.id] = ticket
        return ticket

    def say(
        self,
        ticket: Ticket,
        body: str,
        *,
        sender: Sender = "Agent",
        type: str = "note",
        internal: bool = False,
        by: str = "sue@desk.example",
        content_type: str = "text/plain",
        preferences: dict[str, Any] | None = None,
        attachments: list[dict[str, Any]] | None = None,
    ) -> Article:
        """Adds an article; the ticket has changed."""
        article = Article(
            max(self.articles, default=0) + 1,
            ticket.id,
            body,
            sender,
            type,
            internal,
            self.user(by),
            self.users[ticket.customer_id] if sender == "Customer" and type in _BY_OTHERS else None,
            content_type,
            self.now(),
            preferences or {},
            attachments or [],
        )
        self.articles[article.id] = article
        self.touch(ticket, article)
        return article

    def touch(self, ticket: Ticket, article: Article | None = None) -> None:
        ticket.updated_at = self.now()
        self.changed(ticket, article)

    def set_state(self, ticket: Ticket, state_id: int) -> None:
        if ticket.state_id != state_id:
            ticket.state_id = state_id
            self.touch(ticket)

    def merge(self, source: Ticket, target: Ticket, *, by: str = "sue@desk.example") -> None:
        """As the real one: the articles move, the source says publicly that it is merged, and ends."""
        if target.state_id == MERGED:
            raise Refused(422, "It is not possible to merge into an already merged ticket.")
        if source.id == target.id:
            raise Refused(422, "A ticket cannot be merged into itself.")
        for article in self.articles_of(source.id):
            article.ticket_id = target.id
        self.say(source, "merged", by=by)
        self.set_state(source, MERGED)
        self.touch(target)

    def reindex(self) -> None:
        """Lets searches with a query find everything."""
        self.indexed = set(self.tickets)
