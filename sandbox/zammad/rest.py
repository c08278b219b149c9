"""The routes of `/api/v1` that PropOS uses. Nothing is idempotent; lists have hard limits and no total."""

import re
from datetime import UTC, datetime
from typing import Any, Final

from fastapi import APIRouter, Request

from sandbox.zammad.state import MERGED, NEW, ROBOT, STATES, SYSTEM, Article, Refused, Ticket, User, Zammad

_MOST: Final = 100
_ADDRESS: Final = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s]+")
_UPDATED: Final = "condition[ticket.updated_at]"


def shown_ticket(state: Zammad, ticket: Ticket) -> dict[str, Any]:
    return {
        "id": ticket.id,
        "group_id": 1,
        "priority_id": 2,
        "state_id": ticket.state_id,
        "number": ticket.number,
        "title": ticket.title,
        "owner_id": SYSTEM,
        "customer_id": ticket.customer_id,
        "preferences": ticket.preferences,
        "article_count": len(state.articles_of(ticket.id)),
        "created_at": _time(ticket.created_at),
        "updated_at": _time(ticket.updated_at),
    }


def shown_article(article: Article) -> dict[str, Any]:
    return {
        "id": article.id,
        "ticket_id": article.ticket_id,
        "from": article.created_by.login,
        "to": "",
        "cc": None,
        "subject": None,
        "body": article.body,
        "content_type": article.content_type,
        "type": article.type,
        "sender": article.sender,
        "internal": article.internal,
        "preferences": article.preferences,
        "attachments": article.attachments,
        "created_by": article.created_by.login,
        "created_by_id": article.created_by.id,
        "origin_by_id": None if article.origin_by is None else article.origin_by.id,
        "created_at": _time(article.created_at),
        "updated_at": _time(article.created_at),
    }


def _time(at: datetime) -> str:
    return at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


class Rest:
    def __init__(self, state: Zammad, token: str) -> None:
        self._state, self._token = state, token

    def router(self) -> APIRouter:
        router = APIRouter(prefix="/api/v1")
        for method, path, way, status in (
            ("GET", "/users/me", self.me, 200),
            ("GET", "/ticket_states", self.states, 200),
            ("GET", "/tickets/search", self.search, 200),
            ("GET", "/tickets", self.listed, 200),
            ("POST", "/tickets", self.create, 201),
            ("GET", "/tickets/{id}", self.show, 200),
            ("PUT", "/tickets/{id}", self.update, 200),
            ("GET", "/ticket_articles/by_ticket/{id}", self.articles, 200),
            ("GET", "/ticket_articles/{id}", self.article, 200),
            ("POST", "/ticket_articles", self.add, 201),
            ("PUT", "/ticket_merge/{source}/{number}", self.merge, 200),
        ):
            router.add_api_route(path, way, methods=[method], status_code=status, response_model=None)
        return router

    def check(self, request: Request) -> None:
        if request.headers.get("authorization") != f"Token token={self._token}":
            raise Refused(401, "Invalid BasicAuth credentials")

    async def me(self, request: Request) -> dict[str, Any]:
        self.check(request)
        return {"id": ROBOT, "login": self._state.users[ROBOT].login, "active": True}

    async def states(self, request: Request) -> list[dict[str, Any]]:
        self.check(request)
        return [{"id": id, "state_type_id": kind, "name": name, "active": True} for id, kind, name in STATES]

    def _page(self, request: Request, found: list[Ticket]) -> list[dict[str, Any]]:
        size = min(int(request.query_params.get("per_page", "50")), _MOST)
        start = (int(request.query_params.get("page", "1")) - 1) * size
        seen = [each for each in found if each.group in self._state.groups]
        return [shown_ticket(self._state, each) for each in seen[start : start + size]]

    async def listed(self, request: Request) -> list[dict[str, Any]]:
        self.check(request)
        return self._page(request, sorted(self._state.tickets.values(), key=lambda each: each.id))

    async def search(self, request: Request) -> list[dict[str, Any]] | dict[str, Any]:
        """With a query the index answers, which lags; with a condition alone the database does."""
        self.check(request)
        query, found = request.query_params, list(self._state.tickets.values())
        if query.get("query"):
            found = [each for each in found if each.id in self._state.indexed and query["query"] in each.title]
        elif f"{_UPDATED}[value]" in query:
            if query.get(f"{_UPDATED}[operator]") != "after (absolute)":
                raise Refused(422, "Invalid operator")
            since = datetime.fromisoformat(query[f"{_UPDATED}[value]"])
            found = [each for each in found if each.updated_at >= since]
        found.sort(key=lambda each: (each.updated_at, each.id), reverse=query.get("order_by") != "asc")
        page = self._page(request, found)
        if query.get("expand") == "true":
            return page
        return {"tickets": [each["id"] for each in page], "tickets_count": len(page), "assets": {}}

    async def show(self, id: int, request: Request) -> dict[str, Any]:
        self.check(request)
        return shown_ticket(self._state, self._state.ticket(id))

    async def create(self, request: Request) -> dict[str, Any]:
        self.check(request)
        given = await request.json()
        if given.get("group") not in self._state.groups:
            raise Refused(422, "No lookup value found for 'group'")
        customer = self._customer(str(given.get("customer_id", "")))
        ticket = self._state.create(
            title=given["title"],
            group=given["group"],
            customer=customer,
            state_id=self._state_id(given, NEW),
            preferences=given.get("preferences"),
        )
        if "article" in given:
            self._say(ticket, given["article"])
        if self._state.auto_reply:
            self._state.say(ticket, "We have your request.", sender="System", type="email", by="-")
        return shown_ticket(self._state, ticket)

    def _customer(self, named: str) -> User:
        _, guess, address = named.partition("guess:")
        if not guess or not _ADDRESS.fullmatch(address):
            raise Refused(422, f"Invalid email '{address}' of customer")
        return self._state.user(address)

    def _state_id(self, given: dict[str, Any], usual: int) -> int:
        if "state" not in given:
            return usual
        found = next((id for id, _, name in STATES if name == given["state"]), None)
        if found is None:
            raise Refused(422, "No lookup value found for 'state'")
        return found

    def _say(self, ticket: Ticket, given: dict[str, Any]) -> Article:
        if not given.get("body"):
            raise Refused(422, 'Need at least article: { body: "some text" }')
        return self._state.say(
            ticket,
            given["body"],
            sender=given.get("sender", "Agent"),
            type=given.get("type", "note"),
            internal=bool(given.get("internal", False)),
            by=self._state.users[ROBOT].login,
            content_type=given.get("content_type", "text/plain"),
            preferences=given.get("preferences"),
        )

    async def update(self, id: int, request: Request) -> dict[str, Any]:
        self.check(request)
        given, ticket = await request.json(), self._state.ticket(id)
        self._state.set_state(ticket, self._state_id(given, ticket.state_id))
        if given.get("article"):
            self._say(ticket, given["article"])
        return shown_ticket(self._state, ticket)

    async def articles(self, id: int, request: Request) -> list[dict[str, Any]]:
        self.check(request)
        return [shown_article(each) for each in self._state.articles_of(self._state.ticket(id).id)]

    async def article(self, id: int, request: Request) -> dict[str, Any]:
        self.check(request)
        found = self._state.articles.get(id)
        if found is None:
            raise Refused(404, f"Couldn't find Ticket::Article with 'id'={id}")
        self._state.ticket(found.ticket_id)
        return shown_article(found)

    async def add(self, request: Request) -> dict[str, Any]:
        self.check(request)
        given = await request.json()
        return shown_article(self._say(self._state.ticket(int(given["ticket_id"])), given))

    async def merge(self, source: int, number: str, request: Request) -> dict[str, Any]:
        """200 also when nothing was merged."""
        self.check(request)
        target = self._state.by_number(number)
        if target is None:
            return {"result": "failed", "message": "The target ticket number could not be found."}
        found = self._state.tickets.get(source)
        if found is None:
            return {"result": "failed", "message": "The source ticket could not be found."}
        if found.state_id == MERGED:
            return {"result": "failed", "message": "The source ticket is merged."}
        self._state.merge(found, target, by=self._state.users[ROBOT].login)
        return {"result": "success", "target_ticket": shown_ticket(self._state, target), "source_ticket": {}}
