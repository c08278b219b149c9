"""Controls of the fake: what the market, the traders and the broker's people do, and which calls go wrong.

All are POST /control/<name> with a JSON object and the header `Authorization: Bearer <token>`; GET /control/state shows
what there is, GET /control/book each account for a judge.
"""

import hmac
import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from domain.errors import BadInput, NotFound, PropOSError
from sandbox.mt5 import rows, values
from sandbox.mt5.dealer import Dealer
from sandbox.mt5.faults import KINDS, Fault, Faults
from sandbox.mt5.state import Deal, Order, Position, State, User
from sandbox.mt5.wire import Reply, Request

PREFIX = "/control/"


@dataclass
class Controls:
    state: State
    dealer: Dealer
    faults: Faults
    token: str
    stand_still: Callable[[datetime | None], None]
    end_sessions: Callable[[], None]

    def __post_init__(self) -> None:
        self._named: dict[str, Callable[[dict[str, Any]], dict[str, Any]]] = {
            "quote": self.quote,
            "order": self.order,
            "pending": self.pending,
            "end_order": self.end_order,
            "fill_order": self.fill_order,
            "close": self.close,
            "clock": self.clock,
            "expire": self.expire,
            "stops": self.stops,
            "correct": self.correct,
            "delete_deal": self.delete_deal,
            "deposit": self.deposit,
            "rights": self.rights,
            "market": self.market,
            "dealer": self.hold_dealer,
            "faults": self.plan,
        }

    def answer(self, request: Request) -> Reply:
        given = request.headers.get("authorization", "")
        if not hmac.compare_digest(given.encode(), f"Bearer {self.token}".encode()):
            return _reply(401, {"detail": "This needs the fake's token."})
        name = request.path.removeprefix(PREFIX)
        try:
            if name == "state":
                return _reply(200, self.shown())
            if name == "book":
                return _reply(200, [self._book(user) for user in self.state.users.values()])
            if name not in self._named:
                raise NotFound(f"The fake has no control {name!r}.")
            return _reply(200, self._named[name](json.loads(request.body or b"{}")))
        except PropOSError as error:
            return _reply(error.status, {"type": error.type, "detail": error.message, "field": error.field})
        except (ArithmeticError, KeyError, TypeError, ValueError) as error:
            return _reply(422, {"type": "bad-input", "detail": f"{type(error).__name__}: {error}"})

    # the market

    def quote(self, given: dict[str, Any]) -> dict[str, Any]:
        """`quotes`: {symbol: [bid, ask]}. Stops and limits of open positions are checked against them."""
        for symbol, (bid, ask) in given["quotes"].items():
            if symbol not in self.state.specs:
                raise BadInput(f"The fake does not know the symbol {symbol!r}.", field="quotes")
            self.state.quotes[symbol] = Decimal(str(bid)), Decimal(str(ask)), self.state.clock()
        for login in {each.login for each in self.state.positions.values() if each.symbol in given["quotes"]}:
            self.state.note_worth(login)
        for position in list(self.state.positions.values()):
            self._protect(position)
        return {}

    def _protect(self, position: Position) -> None:
        bid, ask = self.state.quote(position.symbol)
        price, sign = (bid, 1) if position.action == values.BUY else (ask, -1)
        if position.stop_loss and (price - position.stop_loss) * sign <= 0:
            self.state.close(position, position.volume, reason=values.BY_STOP_LOSS)
        elif position.take_profit and (price - position.take_profit) * sign >= 0:
            self.state.close(position, position.volume, reason=values.BY_TAKE_PROFIT)

    def market(self, given: dict[str, Any]) -> dict[str, Any]:
        """`closed`: the symbols whose market is closed."""
        self.state.closed_markets = set(given["closed"])
        return {}

    def clock(self, given: dict[str, Any]) -> dict[str, Any]:
        """`now`: where the server's clock stands, with a zone; null: it runs again."""
        self.stand_still(None if given["now"] is None else datetime.fromisoformat(given["now"]))
        return {}

    # traders

    def order(self, given: dict[str, Any]) -> dict[str, Any]:
        """`forced`: the server fills it although the account may not trade."""
        user, forced = self._user(given), bool(given.get("forced", False))
        if not forced and (not user.rights & values.ENABLED or user.rights & values.TRADE_DISABLED):
            raise BadInput("The account may not trade.", field="login", remedy="Enable it first.")
        more = {"reason": int(given.get("reason", values.BY_CLIENT)), "expert": int(given.get("expert", 0))}
        deal = self.state.open(
            int(given["login"]),
            str(given["symbol"]),
            values.BUY if given["side"] == "buy" else values.SELL,
            _volume(given["lots"]),
            stop_loss=Decimal(str(given.get("stop_loss", 0))),
            take_profit=Decimal(str(given.get("take_profit", 0))),
            **more,
        )
        return {"deal": deal.ticket, "position": deal.position}

    def close(self, given: dict[str, Any]) -> dict[str, Any]:
        position = self.state.positions.get(int(given["position"]))
        if position is None:
            raise NotFound("There is no such position.")
        volume = _volume(given["lots"]) if "lots" in given else position.volume
        return {"deal": self.state.close(position, volume, reason=int(given.get("reason", values.BY_CLIENT))).ticket}

    def stops(self, given: dict[str, Any]) -> dict[str, Any]:
        position = self.state.positions[int(given["position"])]
        position.stop_loss = Decimal(str(given.get("stop_loss", 0)))
        position.take_profit = Decimal(str(given.get("take_profit", 0)))
        position.changed = self.state.clock()
        return {}

    def pending(self, given: dict[str, Any]) -> dict[str, Any]:
        """`type`: 2 buy limit, 3 sell limit, 4 buy stop, 5 sell stop."""
        self._user(given)
        ticket = self.state.ticket()
        what = int(given["login"]), str(given["symbol"]), int(given["type"]), _volume(given["lots"])
        self.state.orders[ticket] = Order(ticket, *what, Decimal(str(given["price"])), self.state.clock())
        return {"order": ticket}

    def end_order(self, given: dict[str, Any]) -> dict[str, Any]:
        self.state.end_order(self.state.orders[int(given["order"])], int(given.get("state", values.ORDER_CANCELLED)))
        return {}

    def fill_order(self, given: dict[str, Any]) -> dict[str, Any]:
        order = self.state.orders[int(given["order"])]
        self.state.end_order(order, values.ORDER_FILLED)
        buys = order.type in (2, 4, 6)
        action = values.BUY if buys else values.SELL
        deal = self.state.open(order.login, order.symbol, action, order.volume, order=order.ticket)
        return {"deal": deal.ticket, "position": deal.position}

    # the broker's people

    def expire(self, given: dict[str, Any]) -> dict[str, Any]:
        """Nobody is signed in any more."""
        self.end_sessions()
        return {}

    def deposit(self, given: dict[str, Any]) -> dict[str, Any]:
        self._user(given)
        login, amount, kind = int(given["login"]), Decimal(str(given["amount"])), int(given.get("type", values.BALANCE))
        deal = Deal(self.state.ticket(), login, self.state.clock(), kind, amount, comment=str(given.get("comment", "")))
        return {"deal": self.state.book(deal).ticket}

    def rights(self, given: dict[str, Any]) -> dict[str, Any]:
        """`set` and `clear`: bits."""
        user = self._user(given)
        now = (user.rights | int(given.get("set", 0))) & ~int(given.get("clear", 0))
        user.record["Rights"] = str(now)
        return {"rights": now}

    def correct(self, given: dict[str, Any]) -> dict[str, Any]:
        """The broker changes the profit of a deal after the fact."""
        deal = self.state.deals[int(given["deal"])]
        new = Decimal(str(given["profit"]))
        self.state.users[deal.login].balance += new - deal.profit
        deal.profit = new
        return {}

    def delete_deal(self, given: dict[str, Any]) -> dict[str, Any]:
        deal = self.state.deals.pop(int(given["deal"]))
        self.state.users[deal.login].balance -= deal.effect
        return {}

    def hold_dealer(self, given: dict[str, Any]) -> dict[str, Any]:
        """`held`: requests wait in the queue; false executes them. `polls`: answers without a result come first."""
        self.dealer.held, self.dealer.polls = bool(given.get("held", False)), int(given.get("polls", 1))
        if not self.dealer.held:
            self.dealer.run()
        return {}

    def plan(self, given: dict[str, Any]) -> dict[str, Any]:
        """`faults`: the faults from now on, each with the fields of `Fault`."""
        planned = [Fault(**each) for each in given["faults"]]
        unknown = [fault.kind for fault in planned if fault.kind not in KINDS]
        if unknown:
            raise BadInput(f"The fake knows no fault {unknown[0]!r}.", field="kind")
        self.faults.planned = planned
        return {"uses": dict(self.faults.uses)}

    def shown(self) -> dict[str, Any]:
        return {
            "users": [rows.user(user) for user in self.state.users.values()],
            "positions": [rows.position(self.state, each) for each in self.state.positions.values()],
            "orders": [rows.order(self.state, each) for each in self.state.orders.values()],
            "deals": [rows.deal(self.state, each) for each in self.state.deals.values()],
            "dealer_requests": self.dealer.sent,
            "uses": dict(self.faults.uses),
        }

    def _book(self, user: User) -> dict[str, Any]:
        """What the server itself knows of an account, for a judge: fills with their lots, equity now and at its
        lowest."""
        login = int(user.record["Login"])
        trades = (each for each in self.state.deals.values() if each.login == login and each.symbol)
        return {
            "login": login,
            "fills": {str(each.ticket): str(Decimal(each.volume) / values.LOTS_EXACT) for each in trades},
            "balance": str(user.balance),
            "equity": str(self.state.equity(login)),
            "lowest": None if user.lowest is None else str(user.lowest),
            "enabled": bool(user.rights & values.ENABLED) and not user.rights & values.TRADE_DISABLED,
            "open": [str(each.ticket) for each in self.state.positions_of(login)],
        }

    def _user(self, given: dict[str, Any]) -> User:
        user = self.state.users.get(int(given["login"]))
        if user is None:
            raise NotFound("There is no such login.")
        return user


def _volume(lots: object) -> int:
    return int(Decimal(str(lots)) * values.LOTS_EXACT)


def _reply(status: int, body: object) -> Reply:
    return Reply(status, json.dumps(body).encode())
