"""The commands of the fake WebAPI that a prop firm needs. Paths, parameters and answers are as the vendor describes
them; docs/mt5.md says what of it was seen and what was only read."""

import fnmatch
import hashlib
import hmac
import json
import re
import secrets
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import Any, Final
from weakref import WeakSet

from sandbox.mt5 import faults, rows, values
from sandbox.mt5.dealer import Dealer
from sandbox.mt5.faults import Faults
from sandbox.mt5.state import Deal, State, User
from sandbox.mt5.wire import Reply, Request, Session

_PAGE: Final = 100
_LONGEST_COMMENT: Final = 31
_PASSWORD: Final = re.compile(r"(?=.*[a-z])(?=.*[A-Z])(?=.*[0-9])(?=.*[^A-Za-z0-9]).{8,16}")


class Refused(Exception):
    """A retcode other than 0."""


@dataclass
class Api:
    """`manager` and `password`: who may sign in."""

    state: State
    dealer: Dealer
    faults: Faults
    manager: int
    password: str

    def __post_init__(self) -> None:
        self._signed_in: WeakSet[Session] = WeakSet()
        self._commands: dict[str, Callable[[Request, Session], dict[str, Any]]] = {
            "/api/test/access": self._access,
            "/api/time/server": self._time,
            "/api/symbol/get": self._symbols,
            "/api/group/get": self._group,
            "/api/tick/last": self._ticks,
            "/api/user/add": self._add,
            "/api/user/get": self._get,
            "/api/user/update": self._update,
            "/api/user/change_password": self._change_password,
            "/api/user/get_batch": self._users,
            "/api/user/account/get": self._account,
            "/api/user/account/get_batch": self._accounts,
            "/api/position/get_page": self._positions_page,
            "/api/position/get_batch": self._positions,
            "/api/order/get_page": self._orders_page,
            "/api/order/get_batch": self._orders,
            "/api/history/get_batch": self._history,
            "/api/deal/get": self._one_deal,
            "/api/deal/get_page": self._deals_page,
            "/api/deal/get_batch": self._deals,
            "/api/trade/balance": self._balance,
            "/api/dealer/send_request": self._send,
            "/api/dealer/get_request_result": self._results,
        }

    async def answer(self, request: Request, session: Session) -> Reply:
        """Signs in and out, or runs a command under the planned faults."""
        if request.path == "/api/auth/start":
            return self._start(request, session)
        if request.path == "/api/auth/answer":
            return self._finish(request, session)
        fault = self.faults.take(request.path)
        if fault is not None:
            refused = await faults.before(fault, session)
            if refused is not None:
                return refused
        if not session.manager:
            return Reply(403, b"", content_type="text/plain")
        if request.path == "/api/quit":
            session.manager = 0
            return _reply({"retcode": values.DONE})
        command = self._commands.get(request.path)
        if command is None:
            return Reply(404, b"", content_type="text/plain")
        try:
            reply = _reply({"retcode": values.DONE, **command(request, session)})
        except Refused as refusal:
            reply = _reply({"retcode": str(refusal)})
        return reply if fault is None else await self.faults.after(fault, reply)

    # signing in

    def _start(self, request: Request, session: Session) -> Reply:
        session.claimed, session.srv_rand = int(request.query.get("login") or 0), secrets.token_bytes(16)
        return _reply({"retcode": values.DONE, "version_access": "4755", "srv_rand": session.srv_rand.hex()})

    def _finish(self, request: Request, session: Session) -> Reply:
        inner = hashlib.md5(hashlib.md5(self.password.encode("utf-16-le")).digest() + b"WebAPI").digest()
        expected = hashlib.md5(inner + session.srv_rand).hexdigest()
        given = request.query.get("srv_rand_answer", "")
        known = session.claimed == self.manager and session.srv_rand
        if not known or not hmac.compare_digest(given.encode(), expected.encode()):
            return _reply({"retcode": values.LOGIN_INVALID})
        session.manager, session.srv_rand = session.claimed, b""
        self._signed_in.add(session)
        cli_rand = bytes.fromhex(request.query.get("cli_rand", ""))
        answer = hashlib.md5(inner + cli_rand).hexdigest()
        return _reply({"retcode": values.DONE, "version_trade": "4755", "cli_rand_answer": answer})

    def end_sessions(self) -> None:
        for session in self._signed_in:
            session.manager = 0
        self._signed_in.clear()

    def _access(self, request: Request, session: Session) -> dict[str, Any]:
        return {}

    # configuration

    def _time(self, request: Request, session: Session) -> dict[str, Any]:
        seconds = self.state.clock() // 1000
        wall = datetime.fromtimestamp(seconds, UTC)
        return {"answer": {"Time": f"{seconds} {wall:%Y.%m.%d %H:%M:%S}"}}

    def _symbols(self, request: Request, session: Session) -> dict[str, Any]:
        if "symbol" in request.query:
            spec = self.state.specs.get(request.query["symbol"])
            if spec is None:
                raise Refused(values.NOT_FOUND)
            return {"answer": rows.symbol(spec)}
        mask = request.query.get("mask", "")
        return {"answer": [rows.symbol(spec) for name, spec in self.state.specs.items() if _matches(name, mask)]}

    def _group(self, request: Request, session: Session) -> dict[str, Any]:
        name = _plain(request.query.get("group", ""))
        if name not in self.state.groups:
            raise Refused(values.NOT_FOUND)
        return {"answer": {"Group": name, "Currency": self.state.groups[name], "CurrencyDigits": "2"}}

    def _ticks(self, request: Request, session: Session) -> dict[str, Any]:
        wanted = request.query.get("symbol", "").split(",")
        known = [name for name in wanted if name in self.state.quotes]
        return {"trans_id": "1", "answer": [rows.quote(self.state, name) for name in known]}

    # users

    def _add(self, request: Request, session: Session) -> dict[str, Any]:
        sent = _sent(request)
        if not all(_PASSWORD.fullmatch(str(sent.get(name, ""))) for name in ("PassMain", "PassInvestor")):
            raise Refused(values.BAD_PASSWORD)
        if sent.get("Group") not in self.state.groups:
            raise Refused(values.PERMISSIONS)
        if not sent.get("Name") or not 1 <= int(sent.get("Leverage") or 0) <= 500:
            raise Refused(values.PARAMS)
        login = int(sent.get("Login") or 0)
        if login in self.state.users:
            raise Refused(values.LOGIN_EXISTS)
        if login not in self.state.logins:
            raise Refused(values.LOGIN_PROHIBITED)
        record = {name: value for name, value in sent.items() if not name.startswith("Pass")}
        user = self.state.add_user(login, record)
        user.passwords.append(str(sent["PassMain"]))
        return {"answer": rows.user(user)}

    def _update(self, request: Request, session: Session) -> dict[str, Any]:
        sent = _sent(request)
        user = self.state.users.get(int(sent.get("Login") or 0))
        if user is None:
            raise Refused(values.NOT_FOUND)
        self.state.update_user(user, sent)
        return {"answer": rows.user(user)}

    def _get(self, request: Request, session: Session) -> dict[str, Any]:
        return {"answer": rows.user(self._user(request))}

    def _change_password(self, request: Request, session: Session) -> dict[str, Any]:
        user, password = self._user(request), str(_sent(request).get("Password", ""))
        if request.query.get("type") != "main":
            raise Refused(values.PARAMS)
        if not _PASSWORD.fullmatch(password):
            raise Refused(values.BAD_PASSWORD)
        if [password] != user.passwords[-1:]:
            user.passwords.append(password)
        return {}

    def _user(self, request: Request) -> User:
        user = self.state.users.get(_number(request, "login"))
        if user is None:
            raise Refused(values.NOT_FOUND)
        return user

    def _logins(self, request: Request) -> list[int]:
        if "login" in request.query:
            asked = [int(each) for each in request.query["login"].split(",")]
            return [login for login in asked if login in self.state.users]
        masks = request.query.get("group", "").split(",")
        named = ((login, user.record["Group"]) for login, user in self.state.users.items())
        return [login for login, group in named if any(_matches(group, mask) for mask in masks)]

    def _users(self, request: Request, session: Session) -> dict[str, Any]:
        return {"answer": [rows.user(self.state.users[login]) for login in self._logins(request)]}

    def _account(self, request: Request, session: Session) -> dict[str, Any]:
        login = _number(request, "login")
        if not self._user(request).active:
            raise Refused(values.NOT_FOUND)  # the server has a state only of accounts that did something
        return {"answer": rows.account(self.state, login)}

    def _accounts(self, request: Request, session: Session) -> dict[str, Any]:
        active = [login for login in self._logins(request) if self.state.users[login].active]
        return {"answer": [rows.account(self.state, login) for login in active]}

    # trading

    def _positions_page(self, request: Request, session: Session) -> dict[str, Any]:
        self._user(request)
        found = self.state.positions_of(_number(request, "login"))
        return _paged(request, (rows.position(self.state, position) for position in found))

    def _positions(self, request: Request, session: Session) -> dict[str, Any]:
        logins = set(self._logins(request))
        return {"answer": [rows.position(self.state, p) for p in self.state.positions.values() if p.login in logins]}

    def _orders_page(self, request: Request, session: Session) -> dict[str, Any]:
        self._user(request)
        login = _number(request, "login")
        return _paged(request, (rows.order(self.state, o) for o in self.state.orders.values() if o.login == login))

    def _orders(self, request: Request, session: Session) -> dict[str, Any]:
        logins = set(self._logins(request))
        return {"answer": [rows.order(self.state, o) for o in self.state.orders.values() if o.login in logins]}

    def _history(self, request: Request, session: Session) -> dict[str, Any]:
        logins, (since, until) = set(self._logins(request)), _window(request)
        ended = (o for o in self.state.history.values() if o.login in logins and since <= o.done // 1000 <= until)
        return {"answer": [rows.order(self.state, o) for o in ended]}

    def _one_deal(self, request: Request, session: Session) -> dict[str, Any]:
        deal = self.state.deals.get(_number(request, "ticket"))
        if deal is None:
            raise Refused(values.NOT_FOUND)
        return {"answer": rows.deal(self.state, deal)}

    def _deals_page(self, request: Request, session: Session) -> dict[str, Any]:
        self._user(request)
        return _paged(request, self._deals_in(request, {_number(request, "login")}))

    def _deals(self, request: Request, session: Session) -> dict[str, Any]:
        return {"answer": list(self._deals_in(request, set(self._logins(request))))}

    def _deals_in(self, request: Request, logins: set[int]) -> Iterable[dict[str, Any]]:
        since, until = _window(request)
        found = (d for d in self.state.deals.values() if d.login in logins and since <= d.at // 1000 <= until)
        return (rows.deal(self.state, deal) for deal in found)

    def _balance(self, request: Request, session: Session) -> dict[str, Any]:
        user, login, kind = self._user(request), _number(request, "login"), _number(request, "type")
        try:
            amount = Decimal(request.query["balance"])
        except (InvalidOperation, KeyError):
            raise Refused(values.PARAMS) from None
        if kind not in values.BALANCE_KINDS or not amount:
            raise Refused(values.PARAMS)
        if abs(amount) > 1_000_000_000:
            raise Refused(values.TOO_MUCH)
        if amount < 0 and min(user.balance, self.state.equity(login)) + amount < 0:
            raise Refused(values.NO_MONEY)
        comment = request.query.get("comment", "")[:_LONGEST_COMMENT]
        deal = Deal(self.state.ticket(), login, self.state.clock(), kind, amount, comment=comment)
        deal.reason = values.BY_DEALER
        return {"answer": {"Ticket": str(self.state.book(deal).ticket)}}

    def _send(self, request: Request, session: Session) -> dict[str, Any]:
        if len(session.results) >= 128:
            raise Refused(values.TOO_MANY)
        return {"answer": {"ID": str(self.dealer.send(_sent(request), session))}}

    def _results(self, request: Request, session: Session) -> dict[str, Any]:
        asked = [int(each) for each in request.query.get("id", "").split(",") if each]
        return {str(id): shown for id in asked if (shown := self.dealer.result(id, session)) is not None}


def _reply(answer: dict[str, Any]) -> Reply:
    return Reply(200, json.dumps(answer).encode())


# parameters of a query -> the field of the record
_FIELDS: Final = {"login": "Login", "group": "Group", "name": "Name", "leverage": "Leverage", "rights": "Rights"} | {
    "comment": "Comment"
}


def _sent(request: Request) -> dict[str, Any]:
    """Returns the record that a call sends: in the query, and in the body, which counts more."""
    try:
        body = json.loads(request.body) if request.body else {}
    except ValueError:
        raise Refused(values.PARAMS) from None
    return {_FIELDS[name]: value for name, value in request.query.items() if name in _FIELDS} | body


def _plain(name: str) -> str:
    return name.replace("\\\\", "\\")


def _matches(name: str, mask: str) -> bool:
    return fnmatch.fnmatchcase(name, _plain(mask).replace("[", "[[]"))


def _number(request: Request, name: str) -> int:
    try:
        return int(request.query.get(name, ""))
    except ValueError:
        raise Refused(values.PARAMS) from None


def _window(request: Request) -> tuple[int, int]:
    return _number(request, "from"), _number(request, "to")


def _paged(request: Request, found: Iterable[dict[str, Any]]) -> dict[str, Any]:
    first, total = _number(request, "offset"), min(_number(request, "total"), _PAGE)
    return {"answer": list(found)[first : first + total]}
