"""The fake DXtrade in a thread of the test, which sees into it."""

import asyncio
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from decimal import Decimal
from typing import Any, TypeVar

import httpx
import uvicorn

from adapters.dxtrade.config import DxtradeSettings
from sandbox.dxtrade.faults import CallFault, CallSwitch, PushSwitch
from sandbox.dxtrade.server import USER, FakeDxtrade
from sandbox.dxtrade.state import Account
from tests.contract.sandbox_process import free_port

T = TypeVar("T")


class DxtradeThread:
    """`fake`: what the server serves. Reach into it with `inside`, where sockets are told of changes."""

    def __init__(self) -> None:
        self.fake = FakeDxtrade()
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._server = uvicorn.Server(uvicorn.Config(self.fake.app, port=self.port, log_level="critical"))
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread = threading.Thread(target=self._run)
        self._thread.start()
        while not self._server.started:
            time.sleep(0.02)
        self.control = httpx.Client(base_url=f"{self.url}/control", timeout=60, trust_env=False)

    def _run(self) -> None:
        async def serve() -> None:
            self._loop = asyncio.get_running_loop()
            await self._server.serve()

        asyncio.run(serve())

    def stop(self) -> None:
        self.control.close()
        self.inside(self.fake.push.drop_all)
        self._server.should_exit = True
        self._thread.join()

    def inside(self, act: Callable[..., T], *given: Any) -> T:
        """Calls `act` in the server's loop and returns what it returns."""

        async def call() -> T:
            return act(*given)

        assert self._loop is not None
        return asyncio.run_coroutine_threadsafe(call(), self._loop).result(timeout=60)

    def settings(self, **more: Any) -> DxtradeSettings:
        return self.settings_of(self.url, **more)

    @staticmethod
    def settings_of(url: str, **more: Any) -> DxtradeSettings:
        """Settings for a fake at `url`, patient and quick."""
        domain, user, password = USER
        values = {"url": url, "username": user, "domain": domain, "password": password, "broker_code": "firm"}
        values |= {"gateway": "http://127.0.0.1:9", "gateway_token": "gateway-token"}
        patient = {"calls_per_second": 1000, "timeout": 60, "settle_seconds": 60}
        return DxtradeSettings.model_validate({**values, **patient, **more})

    def quote(self, symbol: str, bid: str, ask: str, at: str | None = None) -> None:
        self.control.put("/quotes", json=[{"symbol": symbol, "bid": bid, "ask": ask, "at": at}]).raise_for_status()

    def order(self, login: int, code: str, **more: Any) -> dict[str, Any]:
        """A trader's order: at the market, if nothing else is given."""
        body = {
            "orderCode": code,
            "type": "MARKET",
            "instrument": "EURUSD",
            "side": "BUY",
            "quantity": 1000,
            "positionEffect": "OPEN",
            **more,
        }
        answer = self.control.post(f"/accounts/default:{login}/orders", json=body)
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        return found

    def account(self, login: int) -> Account:
        return self.fake.venue.accounts[f"default:{login}"]

    def open_account(self, balance: str = "1000.00") -> int:
        """An account that may trade, made inside the venue."""
        login = 10**14 + self.fake.venue.number()
        account = Account(
            clearing="default",
            code=str(login),
            broker="firm",
            owner="default/nobody",
            currency="USD",
            status="FULL_TRADING",
            metadata={},
            categories={},
            opened_at=self.fake.venue.time(),
            balance=Decimal(balance),
        )
        self.fake.venue.accounts[account.name] = account
        return login

    def set_balance(self, login: int, balance: str) -> None:
        self.account(login).balance = Decimal(balance)

    @contextmanager
    def failing(self, kind: CallFault, match: str = "", times: int = 10**6, skip: int = 0) -> Iterator[CallSwitch]:
        """The next calls that match end so, after `skip` that go well."""
        switch = CallSwitch(kind=kind, match=match, times=times, skip=skip, pause=0)
        self.fake.faults.calls.append(switch)
        try:
            yield switch
        finally:
            self.fake.faults.calls.clear()

    def amiss(self, **switch: Any) -> None:
        """The next push that matches goes wrong."""
        self.fake.faults.pushes.append(PushSwitch.model_validate(switch))


@contextmanager
def dxtrade_thread() -> Iterator[DxtradeThread]:
    running = DxtradeThread()
    try:
        yield running
    finally:
        running.stop()
