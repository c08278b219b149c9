"""Port of a ticket desk: where the people of the firm work on tickets.

The record of PropOS stays the truth of what a trader asked and was answered; the desk gets a copy of each ticket, and
what people write there is read back. ports/money.py says how each call may end. A desk need not know our keys as
idempotency keys: after any outcome but done and refused, look the effect up by its key (`find_ticket`, `find_article`)
before the call is repeated.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Literal, Protocol

from ports.money import Data, WebhookEvent, Word

Side = Literal["trader", "firm"]
DeskState = Literal["open", "closed", "merged"]


class TicketOrder(Data):
    """A ticket to open, with its first article. `customer`: the mail address of the person whose ticket it is. `by`:
    who wrote the first article."""

    key: Word
    title: str
    body: str
    customer: str
    by: Side = "trader"


class ArticleOrder(Data):
    """An article to add. `public`: the customer may read it; else a note of the firm. `reopens`: the ticket is open
    afterwards, in the same step."""

    key: Word
    ticket_id: Word
    body: str
    by: Side = "trader"
    public: bool = True
    reopens: bool = False


class DeskTicket(Data):
    """`key`: ours; None for a ticket that others opened. `customer_id`: whose ticket it is, by the desk's own id.
    `changed_at`: grows with every change, as far as the desk's clock does."""

    ticket_id: Word
    key: str | None
    customer_id: str
    state: DeskState
    changed_at: datetime


class DeskArticle(Data):
    """`key`: ours; None for what somebody wrote at the desk. `by`: `system` is what a program of the desk wrote.
    `mailed`: the desk itself has sent it to the customer. `author`: in the desk's words. `written_at`: by the desk's
    clock. `files`: how many it has. `customer_id`: which customer wrote it, by the desk's own id; None: none did, or
    the desk does not say."""

    article_id: Word
    ticket_id: Word
    key: str | None
    by: Literal["trader", "firm", "system"]
    public: bool
    mailed: bool
    author: str
    body: str
    written_at: datetime
    files: int = 0
    customer_id: str | None = None


class DeskChanges(Data):
    """Tickets that changed, the longest unchanged first. `until`: read on from there; None when nothing changed. The
    tickets of that very moment are read again. `complete`: nothing newer is left."""

    tickets: tuple[DeskTicket, ...]
    until: datetime | None
    complete: bool


class DeskCapabilities(Data):
    """`finds_at_once`: what was just done is found by its key at once. `pushes_changes`: the desk calls our webhook.
    `sends_mail`: people answer customers by mail from there. `undoes_merges`: a merge can be undone there."""

    finds_at_once: bool
    pushes_changes: bool
    sends_mail: bool
    undoes_merges: bool


class TicketDesk(Protocol):
    """`name`: the name in the firm's settings."""

    name: str

    async def open_ticket(self, order: TicketOrder) -> DeskTicket:
        """Raises OutcomeUnknown, Unavailable, BadInput (the desk does not take it)."""
        ...

    async def find_ticket(self, key: str, since: datetime) -> DeskTicket | None:
        """Returns the ticket opened under `key`, no earlier than `since`; None if there is none yet."""
        ...

    async def fetch_ticket(self, ticket_id: str) -> DeskTicket:
        """Raises NotFound."""
        ...

    async def add_article(self, order: ArticleOrder) -> DeskArticle:
        """Raises as `open_ticket`, and NotFound."""
        ...

    async def find_article(self, ticket_id: str, key: str) -> DeskArticle | None:
        """Returns the article added to the ticket under `key`; None if there is none yet. Raises NotFound."""
        ...

    async def fetch_article(self, article_id: str) -> DeskArticle:
        """Returns an article, under the ticket that has it now: a merge moves it. Raises NotFound."""
        ...

    async def articles(self, ticket_id: str) -> list[DeskArticle]:
        """Returns all articles of a ticket, oldest first. Raises NotFound."""
        ...

    async def close_ticket(self, ticket_id: str) -> DeskTicket:
        """Repeating it is harmless. Raises NotFound, Conflict (it is merged)."""
        ...

    async def merge_tickets(self, source_id: str, target_id: str) -> DeskTicket:
        """Merges the source into the target, and returns the target. Repeating it is harmless. Raises NotFound,
        Conflict when the desk does not merge them, or has merged the source into another one."""
        ...

    async def changes(self, since: datetime) -> DeskChanges:
        """Returns a batch of the tickets that changed at or after `since`."""
        ...

    def parse_webhook(self, body: bytes, headers: Mapping[str, str], now: datetime) -> WebhookEvent:
        """Verifies and reads a webhook. Raises BadSignature, BadInput for a body without a ticket."""
        ...

    async def healthy(self) -> str: ...

    async def aclose(self) -> None: ...
