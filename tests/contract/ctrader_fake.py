"""The fake of the cTrader Open API in its own process, and what a test does there as trader, broker and venue."""

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx

from adapters.ctrader.config import CTraderSettings
from sandbox.own_ca import OwnCa, own_ca

CLIENT_ID, _SECRET, _TOKEN = "application", "secret-of-the-application", "control-token"
LOT = 10_000_000  # hundredths of a unit: 100,000 units


class CTraderFake:
    def __init__(self, folder: Path, ports: dict[str, int], ca: OwnCa) -> None:
        self.folder, self.port, self.ca = folder, ports["port"], ca
        self._http = httpx.Client(
            base_url=f"http://127.0.0.1:{ports['control_port']}/control",
            headers={"Authorization": f"Bearer {_TOKEN}"},
            timeout=60,
            trust_env=False,
        )

    def close(self) -> None:
        self._http.close()

    def post(self, path: str, **body: Any) -> Any:
        answer = self._http.post(path, json=body)
        assert answer.is_success, answer.text
        return answer.json() if answer.content else None

    def get(self, path: str) -> dict[str, Any]:
        answer: dict[str, Any] = self._http.get(path).raise_for_status().json()
        return answer

    # the firm's side

    def settings(self, grants: str, **changes: Any) -> CTraderSettings:
        values = {
            "host": "127.0.0.1",
            "port": self.port,
            "client_id": CLIENT_ID,
            "client_secret": _SECRET,
            "grants_file": self.folder / grants,
            "ca_file": self.ca.ca,
            "timeout": 60,
            "gateway": "http://127.0.0.1:1",
            "gateway_token": "token-of-the-gateway",
        }
        return CTraderSettings.model_validate(values | changes)

    def grant(self, grants: str, *accounts: int, together: bool = True) -> None:
        """Writes a file of grants for these accounts: one for all, or one for each."""
        parts = [list(accounts)] if together else [[account] for account in accounts]
        file = self.folder / grants
        file.touch(mode=0o600)
        file.write_text(json.dumps({"grants": [self.post("/grants", accounts=part) for part in parts]}))

    # the broker's and the traders' side

    def account(self, balance: int = 1000_00, **values: Any) -> int:
        number: int = self.post("/accounts", balance=balance, **values)["account"]
        return number

    def price(self, symbol: str, bid: str | None, ask: str | None) -> None:
        self.post("/prices", symbol=symbol, bid=bid, ask=ask)

    def order(self, account: int, symbol: str = "EURUSD", side: str = "buy", **values: Any) -> dict[str, int]:
        made: dict[str, int] = self.post(
            f"/accounts/{account}/orders", symbol=symbol, side=side, **{"volume": LOT // 100} | values
        )
        return made

    def close_position(self, account: int, position: int, **values: Any) -> None:
        self.post(f"/accounts/{account}/positions/{position}/close", **values)

    def equity(self, account: int) -> int:
        """What the venue itself knows, in cents."""
        books: Any = self.get("/book")
        (found,) = [Decimal(book["equity"]) for book in books if book["login"] == account]
        return int(found.scaleb(2))

    def counts(self) -> dict[str, Any]:
        return self.get("/counts")

    # faults

    def fault(self, kind: str, fault: str, **values: Any) -> None:
        self.post("/faults", kind=kind, fault=fault, **values)

    def clear(self) -> None:
        self._http.delete("/faults").raise_for_status()


@contextmanager
def ctrader_fake(folder: Path, *, rows: int = 1000) -> Iterator[CTraderFake]:
    """Two symbols have a price: EURUSD, and XAUUSD with lots of 100 units. `rows`: of a list in one answer."""
    ca, config = own_ca(folder), folder / "fake.json"
    values = {"client_id": CLIENT_ID, "client_secret": _SECRET, "token": _TOKEN, "rows": rows}
    config.write_text(json.dumps({**values, "certificate": str(ca.certificate), "key": str(ca.key)}))
    command = [sys.executable, "-m", "sandbox.ctrader.server", str(config)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        fake = CTraderFake(folder, json.loads(process.stdout.readline()), ca)
        try:
            fake.post("/symbols", name="EURUSD", base="EUR", quote="USD")
            fake.post("/symbols", name="XAUUSD", base="XAU", quote="USD", digits=2, lot_size=10_000)
            fake.price("EURUSD", "1.10000", "1.10010")
            fake.price("XAUUSD", "2000.00", "2000.20")
            yield fake
        finally:
            fake.close()
    finally:
        process.terminate()
        process.wait(timeout=60)
        if process.stdout is not None:
            process.stdout.close()
