"""The fake access server as a process of its own: `python -m sandbox.mt5.server --port 8120`."""

import argparse
import asyncio
import ssl
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final
from zoneinfo import ZoneInfo

from sandbox.mt5.api import Api
from sandbox.mt5.control import PREFIX, Controls
from sandbox.mt5.dealer import Dealer
from sandbox.mt5.faults import Faults
from sandbox.mt5.state import State, server_clock
from sandbox.mt5.wire import Reply, Request, Session, serve
from sandbox.symbols import symbol_specs

# Pairs that are quoted in dollars, the currency of the fake's groups.
SYMBOLS: Final = ("EURUSD", "GBPUSD", "XAUUSD", "NAS100")


@dataclass(frozen=True)
class Config:
    """`zone`: the IANA zone of the server's clock. `groups`: currency by name. `first_login`: of 1,000,000 logins.
    `certificate`: a PEM file with key and certificate for https; empty: http."""

    host: str = "127.0.0.1"
    port: int = 8120
    manager: int = 1000
    password: str = "Fake-manager-1"
    token: str = "fake"
    zone: str = "Europe/Athens"
    first_login: int = 5_000_000
    idle_seconds: float = 180
    certificate: str = ""
    groups: dict[str, str] = field(
        default_factory=lambda: {
            "propos\\two-step-1-USD": "USD",
            "propos\\two-step-2-USD": "USD",
            "propos\\two-step-1-EUR": "EUR",
            "propos\\test-1-USD": "USD",
        }
    )


class FakeServer:
    """One fake, before it listens."""

    def __init__(self, config: Config) -> None:
        zone, first = ZoneInfo(config.zone), config.first_login
        self._stands_at: datetime | None = None
        clock = server_clock(lambda: (self._stands_at or datetime.now(UTC)).astimezone(zone))
        self.state = State(symbol_specs(SYMBOLS), dict(config.groups), clock, range(first, first + 1_000_000))
        self.dealer, self.faults, self.config = Dealer(self.state), Faults(), config
        self.api = Api(self.state, self.dealer, self.faults, config.manager, config.password)
        self.controls = Controls(
            self.state, self.dealer, self.faults, config.token, self._stand_still, self.api.end_sessions
        )

    def _stand_still(self, at: datetime | None) -> None:
        self._stands_at = at

    async def answer(self, request: Request, session: Session) -> Reply:
        if request.path.startswith(PREFIX):
            return self.controls.answer(request)
        return await self.api.answer(request, session)

    async def start(self) -> asyncio.Server:
        tls = None
        if self.config.certificate:
            tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
            tls.load_cert_chain(self.config.certificate)
        return await serve(self.config.host, self.config.port, self.answer, self.config.idle_seconds, tls)


async def _run(config: Config) -> None:
    server = await FakeServer(config).start()
    async with server:
        await server.serve_forever()


def main(arguments: Sequence[str] | None = None) -> None:
    defaults = Config()
    parser = argparse.ArgumentParser(description="A fake MT5 access server. It keeps everything in memory.")
    parser.add_argument("--host", default=defaults.host)
    parser.add_argument("--port", type=int, default=defaults.port)
    parser.add_argument("--manager", type=int, default=defaults.manager)
    parser.add_argument("--password", default=defaults.password)
    parser.add_argument("--token", default=defaults.token)
    parser.add_argument("--zone", default=defaults.zone)
    parser.add_argument("--group", action="append", metavar="NAME=CURRENCY", help="a group; may be given again")
    given = parser.parse_args(arguments)
    groups = dict(each.rsplit("=", 1) for each in given.group) if given.group else defaults.groups
    fields = (given.host, given.port, given.manager, given.password, given.token, given.zone)
    asyncio.run(_run(Config(*fields, groups=groups)))


if __name__ == "__main__":
    main()
