"""The dealer's desk of the fake: requests are queued, executed, and their results fetched later over the same
connection."""

import itertools
from collections import deque
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from sandbox.mt5 import values
from sandbox.mt5.state import Deal, State
from sandbox.mt5.wire import Session


@dataclass
class Dealer:
    """`held`: while it is set, requests wait in the queue. `polls`: how many answers without a result come first.
    `sent`: every request that arrived."""

    state: State
    held: bool = False
    polls: int = 1
    queue: deque[tuple[int, dict[str, Any]]] = field(default_factory=deque)
    done: dict[int, dict[str, Any]] = field(default_factory=dict)
    sent: list[dict[str, Any]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._ids = itertools.count(1)

    def send(self, request: dict[str, Any], session: Session) -> int:
        id = next(self._ids)
        session.results[id] = self.polls
        self.sent.append(request)
        self.queue.append((id, request))
        if not self.held:
            self.run()
        return id

    def run(self) -> None:
        """Executes everything in the queue."""
        while self.queue:
            id, request = self.queue.popleft()
            self.done[id] = self._execute(request)

    def result(self, id: int, session: Session) -> list[dict[str, Any]] | None:
        """Returns what is known of a request; nothing for one that was not sent over this connection, or was told."""
        if id not in session.results:
            return None
        if id not in self.done:
            return []
        if session.results[id] > 0:
            session.results[id] -= 1
            return []
        del session.results[id]
        answer = self.done[id]
        confirmed = {"ID": str(id), "Retcode": answer["ResultRetcode"], "DealID": answer["ResultDeal"]}
        return [{"result": confirmed}, {"answer": {"ID": str(id), **answer}}]

    def _execute(self, request: dict[str, Any]) -> dict[str, Any]:
        action, login = int(request.get("Action") or 0), int(request.get("Login") or 0)
        if login not in self.state.users:
            return _ended(values.REQUEST_INVALID)
        if action == values.ORDER_REMOVE:
            order = self.state.orders.get(int(request.get("Order") or 0))
            if order is None or order.login != login:
                return _ended(values.REQUEST_INVALID)
            self.state.end_order(order, values.ORDER_CANCELLED)
            return _ended(values.REQUEST_DONE)
        if action != values.POSITION_EXECUTE or not request.get("Position"):
            return _ended(values.REQUEST_INVALID)
        position = self.state.positions.get(int(request["Position"]))
        if position is None or position.login != login:
            return _ended(values.POSITION_CLOSED)
        if position.symbol in self.state.closed_markets:
            return _ended(values.MARKET_CLOSED)
        opposite = values.SELL if position.action == values.BUY else values.BUY
        if int(request["Type"]) != opposite or request.get("Symbol") != position.symbol:
            return _ended(values.REQUEST_INVALID)
        volume = int(request["Volume"]) * values.LOTS
        comment = str(request.get("Comment", ""))[:31]
        return _ended(values.REQUEST_DONE, self.state.close(position, volume, reason=values.BY_DEALER, comment=comment))


def _ended(retcode: str, deal: Deal | None = None) -> dict[str, Any]:
    price = Decimal(0) if deal is None else deal.price
    ticket = "0" if deal is None else str(deal.ticket)
    return {"ResultRetcode": retcode, "ResultDeal": ticket, "ResultPrice": str(price)}
