"""The administrative interface of the fake: `/dxweb/rest`."""

import json
from decimal import Decimal
from typing import Any, Final

from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse

from sandbox.dxtrade.state import Account, Refused, Venue

STATUSES: Final = ("FULL_TRADING", "CLOSE_ONLY", "NO_TRADING", "TERMINATED", "EXPIRED")
_MOVES: Final = {"deposit": "DEPOSIT", "withdrawal": "WITHDRAWAL", "adjustment": "ADJUSTMENT"}
_ENDED: Final = ("TERMINATED", "EXPIRED")
_HIDDEN: Final = ("password", "revision", "changed")  # fields of a client that nobody is shown


async def body_of(request: Request) -> dict[str, Any]:
    """Returns the JSON object of a call, numbers as Decimal. Raises Refused."""
    try:
        found = json.loads(await request.body() or b"{}", parse_float=Decimal)
    except ValueError:
        raise Refused(400, 30000, "Malformed JSON") from None
    if not isinstance(found, dict):
        raise Refused(400, 30000, "A JSON object is needed")
    return found


class Administration:
    """The routes of `/dxweb/rest`."""

    def __init__(self, venue: Venue) -> None:
        self._venue = venue

    def router(self) -> APIRouter:
        router = APIRouter(prefix="/dxweb/rest")
        for method, path, answer in (
            ("POST", "/login", self.login),
            ("POST", "/api/register/client", self.create_client),
            ("GET", "/api/register/client/{domain}/{login}", self.get_client),
            ("PUT", "/api/register/client/{domain}/{login}", self.update_client),
            ("POST", "/api/register/client/{domain}/{login}/account", self.create_account),
            ("GET", "/api/register/account", self.accounts),
            ("GET", "/api/register/account/{clearing}/{code}", self.account),
            ("PUT", "/api/register/account/{clearing}/{code}", self.update),
            ("PUT", "/api/register/account/{clearing}/{code}/category/{domain}", self.set_category),
            ("PUT", "/api/register/account/{clearing}/{code}/{kind}/{id}", self.move),
        ):
            router.add_api_route(path, answer, methods=[method])
        return router

    def _check(self, request: Request) -> None:
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        if scheme != "DXAPI" or token not in self._venue.sessions:
            raise Refused(401, 1, "Authorization required")

    async def login(self, request: Request) -> dict[str, str]:
        given = await body_of(request)
        token = self._venue.login(str(given.get("domain")), str(given.get("username")), str(given.get("password")))
        return {"sessionToken": token}

    async def create_client(self, request: Request) -> Response:
        self._check(request)
        given = await body_of(request)
        name = f"{given.get('domain')}/{given.get('login')}"
        if name in self._venue.clients:
            raise Refused(409, 30009, "Client already exists")
        if not given.get("password") or not given.get("brokerCode"):
            raise Refused(400, 30001, "Invalid client")
        self._venue.clients[name] = given
        return _shown_client(self._venue, name)

    async def get_client(self, domain: str, login: str, request: Request) -> Response:
        self._check(request)
        return _shown_client(self._venue, f"{domain}/{login}")

    async def update_client(self, domain: str, login: str, request: Request) -> Response:
        self._check(request)
        name, given = f"{domain}/{login}", await body_of(request)
        expected = request.headers.get("if-match")
        if expected is not None and expected != _shown_client(self._venue, name).headers["etag"]:
            raise Refused(412, 30012, "The client has changed")
        client = self._venue.clients[name]
        if given.get("password") not in (None, client.get("password")):
            client["changed"] = client.get("changed", 0) + 1
        client.update(given)
        client["revision"] = client.get("revision", 1) + 1
        return _shown_client(self._venue, name)

    async def create_account(self, domain: str, login: str, request: Request) -> Response:
        self._check(request)
        given = await body_of(request)
        _shown_client(self._venue, f"{domain}/{login}")
        code, clearing = str(given.get("accountCode") or ""), str(given.get("clearingCode") or "")
        if f"{clearing}:{code}" in self._venue.accounts:
            raise Refused(409, 30010, "Account already exists")
        categories = {str(each["category"]): str(each["value"]) for each in given.get("categories") or []}
        _check_categories(self._venue, categories)
        if not code or clearing != self._venue.clearing or given.get("status") not in STATUSES:
            raise Refused(400, 30001, "Invalid account")
        account = Account(
            clearing=clearing,
            code=code,
            broker=str(given.get("brokerCode")),
            owner=f"{domain}/{login}",
            currency=str(given.get("currency")),
            status=str(given["status"]),
            metadata={str(name): str(value) for name, value in (given.get("metadata") or {}).items()},
            categories=categories,
            opened_at=self._venue.time(),
        )
        self._venue.accounts[account.name] = account
        self._venue.on_change(account, "portfolio", None)
        return _shown(account)

    async def accounts(self, request: Request, status: str = "") -> list[dict[str, Any]]:
        self._check(request)
        return [shown_account(each) for each in self._venue.accounts.values() if status in ("", each.status)]

    async def account(self, clearing: str, code: str, request: Request) -> Response:
        self._check(request)
        return _shown(self._venue.account(clearing, code))

    async def update(self, clearing: str, code: str, request: Request) -> Response:
        self._check(request)
        found, given = self._venue.account(clearing, code), await body_of(request)
        expected = request.headers.get("if-match")
        if expected is not None and expected != _etag(found):
            raise Refused(412, 30012, "The account has changed")
        status = given.get("status", found.status)
        if status not in STATUSES:
            raise Refused(400, 30001, "Invalid status")
        if found.status in _ENDED and status not in _ENDED:
            raise Refused(400, 30013, f"Account is {found.status}")
        if status != found.status:
            found.statuses.append(str(status))
        found.status = str(status)
        if "metadata" in given:
            found.metadata = {str(name): str(value) for name, value in given["metadata"].items()}
        found.revision += 1
        return _shown(found)

    async def set_category(self, clearing: str, code: str, domain: str, request: Request) -> dict[str, str]:
        self._check(request)
        found, given = self._venue.account(clearing, code), await body_of(request)
        _check_categories(self._venue, {domain: str(given.get("value"))})
        found.categories[domain] = str(given.get("value"))
        found.revision += 1
        return {"category": domain, "value": found.categories[domain]}

    async def move(self, clearing: str, code: str, kind: str, id: str, request: Request) -> dict[str, Any]:
        self._check(request)
        found, given = self._venue.account(clearing, code), await body_of(request)
        return _move(self._venue, found, kind, id, given)


def _move(venue: Venue, account: Account, kind: str, id: str, given: dict[str, Any]) -> dict[str, Any]:
    """Moves money once per kind and id: the same id answers with what it did first, whatever it asks now."""
    if kind not in _MOVES:
        raise Refused(404, 30404, "Not found")
    asked = f"{kind}/{id}"
    if asked in account.requests:
        return account.requests[asked]
    amount = Decimal(str(given.get("amount") or 0))
    if given.get("currency") != account.currency or amount == 0 or (kind != "adjustment" and amount < 0):
        raise Refused(400, 30001, "Invalid amount or currency")
    if account.status in _ENDED:
        raise Refused(400, 30013, f"Account is {account.status}")
    change = -amount if kind == "withdrawal" else amount
    if account.balance + change < 0:
        raise Refused(409, 30014, "Insufficient withdrawable amount")
    description = str(given.get("description") or "")
    venue.book(account, _MOVES[kind], change, description)
    answer = {"currency": account.currency, "amount": float(amount), "description": description}
    account.requests[asked] = answer
    venue.on_change(account, "portfolio", None)
    return answer


def _check_categories(venue: Venue, categories: dict[str, str]) -> None:
    for domain, value in categories.items():
        if venue.known_categories and f"{domain}={value}" not in venue.known_categories:
            raise Refused(400, 30015, f"Unknown category value in {domain}")


def _etag(account: Account) -> str:
    return f'"{account.revision}"'


def _shown(account: Account) -> Response:
    return JSONResponse(shown_account(account), headers={"ETag": _etag(account)})


def shown_account(account: Account) -> dict[str, Any]:
    return {
        "clearingCode": account.clearing,
        "accountCode": account.code,
        "brokerCode": account.broker,
        "type": "CLIENT",
        "status": account.status,
        "accountCashType": "MARGIN",
        "accountType": "DEMO",
        "currency": account.currency,
        "balance": float(account.balance),
        "credit": 0.0,
        "categories": [{"category": name, "value": value} for name, value in account.categories.items()],
        "metadata": account.metadata,
    }


def _shown_client(venue: Venue, name: str) -> Response:
    if name not in venue.clients:
        raise Refused(404, 30404, "Client not found")
    client = {field: value for field, value in venue.clients[name].items() if field not in _HIDDEN}
    shown = {**client, "accounts": [shown_account(each) for each in venue.accounts.values() if each.owner == name]}
    return JSONResponse(shown, headers={"ETag": f'"{venue.clients[name].get("revision", 1)}"'})
