"""The fake MT5 access server in a thread of the test, which sees into it."""

import asyncio
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from decimal import Decimal
from typing import Any, Final, TypeVar

from adapters.mt5.config import Mt5Settings
from sandbox.mt5 import values
from sandbox.mt5.faults import Fault
from sandbox.mt5.server import Config, FakeServer
from sandbox.mt5.state import Deal
from tests.contract.sandbox_process import free_port

PASSWORD: Final = "Mänager-1"
FIRST_LOGIN: Final = 5_000_000
T = TypeVar("T")


class RunningFake:
    """A fake that listens. What touches its state runs in its own loop."""

    def __init__(self, fake: FakeServer, loop: asyncio.AbstractEventLoop) -> None:
        self.fake, self._loop = fake, loop
        self.url = f"http://127.0.0.1:{fake.config.port}"

    def run(self, work: Callable[[FakeServer], T]) -> T:
        async def inside() -> T:
            return work(self.fake)

        return asyncio.run_coroutine_threadsafe(inside(), self._loop).result(60)

    def control(self, name: str, **given: Any) -> dict[str, Any]:
        """Calls a method of the controls."""
        answer: dict[str, Any] = self.run(lambda fake: getattr(fake.controls, name)(given))
        return answer

    @contextmanager
    def faults(self, *faults: Fault) -> Iterator[None]:
        self.run(lambda fake: setattr(fake.faults, "planned", list(faults)))
        try:
            yield
        finally:
            self.run(lambda fake: setattr(fake.faults, "planned", []))

    def account(self, balance: str = "1000.00", *, positions: int = 2, enabled: bool = False) -> int:
        """The login of an account of its own, with EURUSD positions of 0.01 lots that cost nothing to open."""

        def make(fake: FakeServer) -> int:
            state = fake.state
            state.quotes.setdefault("EURUSD", (Decimal("1.10000"), Decimal("1.10000"), state.clock()))
            login = FIRST_LOGIN - 1 - len(state.users)  # outside the range of the adapter
            rights = values.DEFAULT_RIGHTS | (0 if enabled else values.TRADE_DISABLED)
            record = {"Group": "propos\\test-1-USD", "Name": "T", "Leverage": "100", "Comment": "PropOS test"}
            user = state.add_user(login, record | {"Rights": str(rights), "Country": "Malta", "EMail": "t@example.com"})
            state.book(Deal(state.ticket(), login, state.clock(), values.BALANCE, Decimal(balance)))
            for _ in range(positions):
                state.open(login, "EURUSD", values.BUY, values.LOTS_EXACT // 100).commission = Decimal(0)
            user.balance = Decimal(balance)
            return login

        return self.run(make)

    def settings(self, **given: Any) -> Mt5Settings:
        return Mt5Settings.model_validate(
            {
                "url": self.url,
                "manager": "1000",
                "password": PASSWORD,
                "first_login": str(FIRST_LOGIN),
                "last_login": str(FIRST_LOGIN + 999_999),
                "calls_per_second": "1000",
                "timeout": "60",
                "gateway": "http://127.0.0.1:9",
                "gateway_token": "t",
                "server_zone": self.fake.config.zone,
                **given,
            }
        )


@contextmanager
def running_fake(**given: Any) -> Iterator[RunningFake]:
    loop, started = asyncio.new_event_loop(), threading.Event()
    config = Config(**{"port": free_port(), "password": PASSWORD, "first_login": FIRST_LOGIN, **given})
    fake = FakeServer(config)

    async def serve() -> None:
        server = await fake.start()
        started.set()
        async with server:
            await server.serve_forever()

    def run() -> None:
        asyncio.set_event_loop(loop)
        task = loop.create_task(serve())
        try:
            loop.run_forever()
        finally:
            for each in asyncio.all_tasks(loop):
                each.cancel()
            loop.run_until_complete(asyncio.gather(task, *asyncio.all_tasks(loop), return_exceptions=True))
            loop.close()

    thread = threading.Thread(target=run)
    thread.start()
    assert started.wait(60)
    try:
        yield RunningFake(fake, loop)
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
