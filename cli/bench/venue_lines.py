"""What happens at the venue of the gateway's benchmark, as its lines: quotes, and a fill now and then."""

import json
from collections import deque
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from cli.bench.firm import START
from cli.bench.line_venue import micros
from cli.bench.market import Market
from monitor.loaded import Loaded

FILLS_EVERY: Final = 50  # messages; one opens, the next one closes what is open longest
_TICK_SECONDS: Final = 0.0005
_OPEN: Final = 200  # positions that the fills keep open


class Lines:
    def __init__(self, market: Market, accounts: Sequence[Loaded]) -> None:
        self._market, self._accounts = market, accounts

    @staticmethod
    def files(folder: Path) -> tuple[Path, Path]:
        """Returns where the snapshots and the lines are."""
        return folder / "snapshots", folder / "lines"

    def write(self, folder: Path, count: int) -> None:
        snapshots, lines = self.files(folder)
        with snapshots.open("wb") as file:
            file.writelines(self._snapshot(account) for account in self._accounts)
        with lines.open("wb") as file:
            file.writelines(self._messages(count))

    def _snapshot(self, account: Loaded) -> bytes:
        held = account.checkpoint
        assert held is not None
        positions = [
            {
                "position_id": each.position_id,
                "symbol": each.symbol,
                "side": each.side,
                "lots": str(each.lots),
                "open_price": str(each.open_price),
                "opened_at": each.opened_at.isoformat(),
            }
            for each in held.positions
        ]
        about = {"login": account.login, "currency": "USD", "trading_enabled": True, "seq": 0}
        money = {"balance_minor": held.balance_minor, "equity_minor": held.balance_minor, "positions": positions}
        return _line({"is": "snapshot", "us": micros(START), "account": about | money})

    def _messages(self, count: int) -> Iterator[bytes]:
        opened = deque[tuple[int, str, str, str]]()
        for number in range(1, count + 1):
            tick = self._market.any_tick(_TICK_SECONDS)
            about = {"n": number, "us": micros(tick.at), "symbol": tick.symbol}
            if number % FILLS_EVERY:
                yield _line({"is": "quote", **about, "bid": str(tick.bid), "ask": str(tick.ask)})
                continue
            if len(opened) > _OPEN:
                login, position, symbol, lots = opened.popleft()
                what = {"symbol": symbol, "side": "sell", "entry": "out", "price": self._price(symbol)}
            else:
                account = self._market.random.choice(self._accounts)
                login, position, symbol, lots = account.login, f"b{number}", tick.symbol, "0.01"
                opened.append((login, position, symbol, lots))
                what = {"symbol": symbol, "side": "buy", "entry": "in", "price": str(tick.ask)}
            who = {"id": f"f{number}", "login": login, "position": position, "lots": lots, "profit": 0}
            yield _line({"is": "fill", **about, **who, **what})

    def _price(self, symbol: str) -> str:
        return str(self._market.by_symbol[symbol].quote()[0])


def _line(values: dict[str, object]) -> bytes:
    return json.dumps(values, separators=(",", ":")).encode() + b"\n"
