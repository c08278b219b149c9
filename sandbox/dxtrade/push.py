"""The push interface of the fake: two sockets, one for accounts and one for quotes.

Nobody has published its schema without a sign-in: the names are those that public clients use.
"""

import asyncio
import json
from collections.abc import Callable
from typing import Any, Final

from fastapi import WebSocket, WebSocketDisconnect

from sandbox.dxtrade import trading
from sandbox.dxtrade.faults import Faults, PushSwitch, texts
from sandbox.dxtrade.state import Account, Venue, instant

_SUBSCRIPTIONS: Final = {
    "AccountPortfoliosSubscriptionRequest": "AccountPortfolios",
    "AccountMetricsSubscriptionRequest": "AccountMetrics",
    "CashTransfersSubscriptionRequest": "CashTransfers",
    "AccountEventsSubscriptionRequest": "AccountEvents",
    "MarketDataSubscriptionRequest": "MarketData",
}

_UNANSWERED: Final = 20  # ping requests until a silent client is sent away


class Channel:
    """One socket. `wants`: the accounts or symbols of each kind of message that it subscribed to; None: all."""

    def __init__(self, socket: WebSocket) -> None:
        self.socket = socket
        self.token = ""
        self.wants: dict[str, tuple[str, frozenset[str] | None]] = {}
        self.out: asyncio.Queue[str | None] = asyncio.Queue()
        self.held: str | None = None  # a message that a fault puts behind the next
        self.unanswered = 0  # ping requests

    def wants_of(self, kind: str, name: str) -> str | None:
        """Returns the request that subscribed to this, None if none did."""
        if kind not in self.wants:
            return None
        request, names = self.wants[kind]
        return request if names is None or name in names else None


class Push:
    """Every open socket, and what is sent to them. Everything runs in the loop of the server."""

    def __init__(self, venue: Venue, faults: Callable[[], Faults]) -> None:
        self._venue, self._faults = venue, faults
        self._channels: list[Channel] = []
        self._ids = 0
        self._sending: set[asyncio.Task[None]] = set()
        self.pings = 1.0  # seconds between ping requests
        venue.on_change = self._changed

    async def serve(self, socket: WebSocket) -> None:
        await socket.accept()
        channel = Channel(socket)
        self._channels.append(channel)
        sender = asyncio.create_task(self._send(channel))
        pinger = asyncio.create_task(self._ping(channel))
        try:
            while True:
                self._read(channel, await socket.receive_text())
        except (WebSocketDisconnect, RuntimeError):
            pass
        finally:
            self._channels.remove(channel)
            for task in (sender, pinger):
                task.cancel()

    def quote(self, symbol: str) -> None:
        """Tells a quote, and the worth of the accounts that hold the symbol."""
        bid, ask, at = self._venue.quotes[symbol]
        event = {"type": "Quote", "symbol": symbol, "bid": float(bid), "ask": float(ask), "time": instant(at)}
        self._tell("MarketData", symbol, {"eventsType": "Quote", "events": [event]})
        for account in self._venue.accounts.values():
            if any(position.symbol == symbol for position in account.positions.values()):
                self._metrics(account)

    def event(self, account: Account, kind: str) -> None:
        self._tell("AccountEvents", account.name, {"accountEvents": [{"account": account.name, "eventType": kind}]})

    def drop_all(self) -> None:
        """Breaks every connection."""
        for channel in self._channels:
            channel.out.put_nowait(None)

    def expire(self) -> None:
        """Tells every socket that its session has ended."""
        for channel in self._channels:
            self._put(channel, "Reject", {"errorCode": "1", "description": "Authorization required"}, "")

    def _changed(self, account: Account, kind: str, what: Any) -> None:
        if kind == "transfer":
            self._tell("CashTransfers", account.name, {"cashTransfers": [what]})
            return
        self._tell("AccountPortfolios", account.name, {"portfolios": [trading.shown_portfolio(account)]})
        self._metrics(account)

    def _metrics(self, account: Account) -> None:
        self._tell("AccountMetrics", account.name, {"metrics": [trading.shown_metrics(self._venue, account)]})

    def _tell(self, kind: str, name: str, payload: dict[str, Any]) -> None:
        for channel in self._channels:
            request = channel.wants_of(kind, name)
            if request is not None:
                self._put(channel, kind, payload, request)

    def _put(self, channel: Channel, kind: str, payload: dict[str, Any] | None, request: str) -> None:
        self._ids += 1
        message: dict[str, Any] = {
            "type": kind,
            "requestId": str(self._ids),
            "timestamp": instant(self._venue.time()),
            "session": channel.token,
        }
        if request:
            message["inReplyTo"] = request
        if payload is not None:
            message["payload"] = payload
        text = json.dumps(message)
        switch = self._faults().of_push(text)
        if switch is None:
            channel.out.put_nowait(text)
        else:
            self._amiss(channel, text, switch)
            return
        if channel.held is not None:
            channel.out.put_nowait(channel.held)
            channel.held = None

    def _amiss(self, channel: Channel, text: str, switch: PushSwitch) -> None:
        if switch.kind == "reorder":
            channel.held = text
        elif switch.kind == "delay":
            asyncio.get_running_loop().call_later(switch.delay, channel.out.put_nowait, text)
        elif switch.kind == "drop":
            channel.out.put_nowait(None)
        else:
            for each in texts(text, switch.kind):
                channel.out.put_nowait(each)

    async def _send(self, channel: Channel) -> None:
        while True:
            text = await channel.out.get()
            if text is None:
                await channel.socket.close(1011)
                return
            await channel.socket.send_text(text)

    async def _ping(self, channel: Channel) -> None:
        while True:
            await asyncio.sleep(self.pings)
            if channel.unanswered >= _UNANSWERED:
                channel.out.put_nowait(None)
            elif channel.token:
                channel.unanswered += 1
                self._put(channel, "PingRequest", None, "")

    def _read(self, channel: Channel, text: str) -> None:
        message = json.loads(text)
        if str(message.get("session")) not in self._venue.sessions:
            self._put(channel, "Reject", {"errorCode": "1", "description": "Authorization required"}, "")
            return
        channel.token = str(message["session"])
        if message.get("type") == "Ping":
            channel.unanswered = 0
        kind = _SUBSCRIPTIONS.get(str(message.get("type")))
        if kind is None:
            return
        payload = message.get("payload") or {}
        names = payload.get("symbols") if kind == "MarketData" else payload.get("accounts")
        everything = payload.get("requestType") == "ALL"
        channel.wants[kind] = (str(message.get("requestId")), None if everything else frozenset(names or ()))
        self._first(channel, kind)

    def _first(self, channel: Channel, kind: str) -> None:
        """A new subscription is told the state of now."""
        if kind == "MarketData":
            for symbol in list(self._venue.quotes):
                if channel.wants_of(kind, symbol):
                    bid, ask, at = self._venue.quotes[symbol]
                    event = {
                        "type": "Quote",
                        "symbol": symbol,
                        "bid": float(bid),
                        "ask": float(ask),
                        "time": instant(at),
                    }
                    self._put(channel, kind, {"eventsType": "Quote", "events": [event]}, channel.wants[kind][0])
