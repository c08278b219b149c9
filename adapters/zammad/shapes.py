"""The parts of Zammad's answers that are read; what else an answer has is ignored."""

from typing import Any

from pydantic import AwareDatetime, BaseModel, ConfigDict

from domain.mail.cleaning import plain_text
from ports.tickets import DeskArticle

KEY = "propos_key"
"""Where a ticket or an article carries our key, in its `preferences`."""
_SIDES = {"Customer": "trader", "Agent": "firm"}


class Shape(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True)


def _key_in(preferences: dict[str, Any] | None) -> str | None:
    found = (preferences or {}).get(KEY)
    return found if isinstance(found, str) else None


class Ticket(Shape):
    id: int
    number: str
    customer_id: int
    state_id: int
    preferences: dict[str, Any] | None = None
    created_at: AwareDatetime
    updated_at: AwareDatetime

    @property
    def key(self) -> str | None:
        return _key_in(self.preferences)


class Article(Shape):
    """`sender`: Customer, Agent or System. `type`: the channel, such as email, note, web or phone. `origin_by_id`: for
    whom somebody else made the article."""

    id: int
    ticket_id: int
    sender: str
    type: str
    internal: bool
    body: str | None = None
    content_type: str | None = None
    created_by: str | None = None
    created_by_id: int | None = None
    origin_by_id: int | None = None
    preferences: dict[str, Any] | None = None
    created_at: AwareDatetime
    attachments: list[dict[str, Any]] = []

    def read(self) -> DeskArticle:
        is_html = "html" in (self.content_type or "text/html").lower()
        body = self.body or ""
        writer = self.origin_by_id or self.created_by_id
        return DeskArticle.model_validate(
            {
                "article_id": str(self.id),
                "ticket_id": str(self.ticket_id),
                "key": _key_in(self.preferences),
                "by": _SIDES.get(self.sender, "system"),
                "public": not self.internal,
                "mailed": self.type == "email",
                "author": self.created_by or "",
                "body": plain_text(body) if is_html else body,
                "written_at": self.created_at,
                "files": len(self.attachments),
                "customer_id": str(writer) if writer is not None and self.sender == "Customer" else None,
            }
        )


class State(Shape):
    id: int
    state_type_id: int
    name: str


class Merged(Shape):
    """The answer to a merge. It comes with the status 200 also when nothing was merged: `result` is then `failed`."""

    result: str
    message: str | None = None


class Person(Shape):
    id: int
    login: str


class Hook(Shape):
    """The part of a webhook's body that names the ticket."""

    class Named(Shape):
        id: int

    ticket: Named
