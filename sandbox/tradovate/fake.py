"""The fake Tradovate: one venue with its tokens, calls, sockets and faults."""

import hmac
import secrets
import time
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from sandbox.tradovate.calls import BODIES, Calls
from sandbox.tradovate.config import ADMIN_ID, TradovateConfig
from sandbox.tradovate.faults import Faults
from sandbox.tradovate.rows import Row, Rows, stamp
from sandbox.tradovate.sockets import Hub
from sandbox.tradovate.trading import Trading


class FakeTradovate:
    def __init__(self, config: TradovateConfig) -> None:
        self.config = config
        self.rows = Rows()
        self.trading = Trading(self.rows)
        self.calls = Calls(self.rows, self.trading)
        self.hub = Hub(self.rows, config.heartbeat, self.token_valid)
        self.hub.last_quote = self._last_quote
        self.rows.told = self.hub.tell
        self._tokens: dict[str, float] = {}

    def set_faults(self, faults: Faults) -> None:
        self.hub.faults = faults.counted_since(self.hub.faults.uses)

    # tokens

    def sign_in(self, body: object) -> Row:
        if not isinstance(body, dict) or any(name not in _SIGN_IN for name in body):
            return {"errorText": "Incorrect request"}
        config = self.config
        wanted = {"name": config.name, "password": config.password, "cid": config.cid, "sec": config.sec}
        given = {name: str(body.get(name, "")) for name in wanted}
        if not all(hmac.compare_digest(given[name].encode(), wanted[name].encode()) for name in wanted):
            return {"errorText": "Incorrect username or password. Please try again."}
        return self._token()

    def renew(self, token: str) -> Row:
        self._tokens.pop(token, None)
        return self._token()

    def _token(self) -> Row:
        made, life = secrets.token_urlsafe(24), self.config.token_seconds
        self._tokens[made] = time.monotonic() + life
        ends = datetime.now(UTC) + timedelta(seconds=life)
        return {
            "accessToken": made,
            "mdAccessToken": made,
            "expirationTime": stamp(ends),
            "userStatus": "Active",
            "userId": ADMIN_ID,
            "name": self.config.name,
        }

    def token_valid(self, token: str) -> bool:
        return self._tokens.get(token, 0.0) > time.monotonic()

    def expire_tokens(self) -> None:
        self._tokens.clear()
        for socket in list(self.hub.sockets):
            socket.send([{"e": "shutdown", "d": {"reasonCode": "Maintenance", "reason": "The session has ended"}}])
            socket.close()

    # the market

    def quote(self, contract_id: int, bid: Decimal, ask: Decimal) -> None:
        with self.rows.one_call():
            self.trading.quote(contract_id, bid, ask)
            told = self._last_quote(contract_id)
        assert told is not None
        self.hub.tell_quote(told)

    def bust(self, fill_id: int) -> None:
        fill = self.rows.get("fill", fill_id)
        assert fill is not None
        with self.rows.one_call():
            self.rows.change("fill", fill, active=False)

    def _last_quote(self, contract_id: int) -> Row | None:
        if contract_id not in self.trading.quotes:
            return None
        bid, ask = self.trading.quotes[contract_id]
        entries = {"Bid": {"price": bid, "size": 10}, "Offer": {"price": ask, "size": 10}}
        return {"timestamp": stamp(self.rows.now()), "contractId": contract_id, "entries": entries}


_SIGN_IN = (*BODIES["auth/accesstokenrequest"].required, *BODIES["auth/accesstokenrequest"].optional)
