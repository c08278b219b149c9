"""The desk of the fake Tradovate, over HTTP: the server's own loop does what it asks."""

from typing import Any

import httpx

from sandbox.tradovate.fake import FakeTradovate
from tests.contract.tradovate_thread import DESK


class Desk:
    def __init__(self, fake: FakeTradovate) -> None:
        url = f"http://127.0.0.1:{fake.config.port}"
        self._http = httpx.AsyncClient(base_url=url, headers={"Authorization": f"Bearer {DESK}"}, trust_env=False)

    async def post(self, path: str, **body: Any) -> Any:
        return (await self._http.post(f"/desk/{path}", json=body)).raise_for_status().json()

    async def faults(self, **values: Any) -> None:
        (await self._http.put("/desk/faults", json=values)).raise_for_status()

    async def uses(self) -> dict[str, int]:
        found: dict[str, int] = (await self._http.get("/desk/uses")).json()
        return found

    async def quote(self, symbol: str, bid: str, ask: str) -> None:
        await self.post("quote", symbol=symbol, bid=bid, ask=ask)

    async def trade(self, login: int, action: str, quantity: int, symbol: str = "ESZ6", **more: Any) -> int:
        made = await self.post("trade", account_id=login, symbol=symbol, action=action, quantity=quantity, **more)
        return int(made["orderId"])

    async def aclose(self) -> None:
        await self._http.aclose()
