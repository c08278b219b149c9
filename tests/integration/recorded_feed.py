"""A recorded feed of one account, judged by a shard on real Postgres."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

from domain.products.product import Product
from firm.products.shelf import SHELF, load_product
from monitor.judging.feed_quality import Limits
from ports.platform import (
    AccountChanged,
    AccountSnapshot,
    AccountState,
    BalanceKind,
    BalanceOperation,
    Batch,
    ClockMark,
    Deal,
    Event,
    PositionState,
    Tick,
)
from tests.integration.scripted_venue import on_record

START = datetime(2014, 5, 2, 8, tzinfo=UTC)


class Script:
    """Writes a stream by hand. Every `batch` closes what was said since the last."""

    def __init__(self) -> None:
        self.at, self.seq = START, 0
        self.events: list[Event] = []
        self.batches: list[Batch] = []
        self.balance = 0

    def next(self) -> int:
        self.seq += 1
        return self.seq

    def tick(self, bid: str, ask: str | None = None) -> None:
        self.at += timedelta(seconds=1)
        price = (Decimal(bid), Decimal(ask or bid))
        self.events.append(Tick(seq=self.next(), at=self.at, symbol="EURUSD", bid=price[0], ask=price[1]))

    def cash(self, login: int, operation: BalanceKind, amount: int) -> None:
        self.balance += amount
        self.events.append(
            BalanceOperation(
                seq=self.next(),
                at=self.at,
                login=login,
                operation=operation,
                key=f"{operation}/{self.seq}",
                amount_minor=amount,
                balance_minor=self.balance,
            )
        )

    def enable(self, login: int) -> None:
        self.events.append(AccountChanged(seq=self.next(), at=self.at, login=login, change="enabled"))

    def deal(self, login: int, position: str, lots: str, price: str, entry: str, profit: int = 0) -> None:
        self.balance += profit
        self.events.append(
            Deal.model_validate(
                {
                    "seq": self.next(),
                    "at": self.at,
                    "deal_id": f"d{self.seq}",
                    "login": login,
                    "position_id": position,
                    "symbol": "EURUSD",
                    "side": "buy" if entry == "in" else "sell",
                    "lots": lots,
                    "price": price,
                    "entry": entry,
                    "profit_minor": profit,
                    "commission_minor": 0,
                    "swap_minor": 0,
                    "balance_minor": self.balance,
                    "reason": "client",
                }
            )
        )

    def state(self, login: int, equity: int) -> None:
        self.events.append(
            AccountState(seq=self.next(), at=self.at, login=login, balance_minor=self.balance, equity_minor=equity)
        )

    def batch(self, *, flush: bool = False) -> None:
        mark = ClockMark(seq=self.next(), at=self.at, flush=flush)
        self.batches.append(Batch(number=len(self.batches) + 1, events=(*self.events, mark)))
        self.events = []


def two_step() -> Product:
    return load_product(Path(SHELF) / "two-step.v1.yaml")


def opened(lots: str = "10") -> Script:
    """Account 1 on the two-step product, long 10 lots EURUSD at 1.38000: 0.00500 down is the daily limit."""
    script = Script()
    script.tick("1.38000")
    script.cash(1, "deposit", 10_000_000)
    script.enable(1)
    script.deal(1, "p1", lots, "1.38000", "in")
    script.batch(flush=True)
    return script


def falling() -> Script:
    script = opened()
    script.tick("1.37500")  # equity 95,000.00: not below the floor
    script.batch()
    script.tick("1.37499")
    script.tick("1.37000")
    script.batch(flush=True)
    return script


def record_one(database_url: str) -> None:
    on_record(database_url, {1: (two_step(), 1)})


BREACHES = (
    "SELECT rule_id, offence, seq, floor_minor, equity_minor, locked_at IS NOT NULL FROM breaches ORDER BY seq, rule_id"
)


def other_tick(script: Script, bid: str) -> None:
    """Gold ticks: the feed lives while the account's own symbol may be silent."""
    script.at += timedelta(seconds=1)
    price = Decimal(bid)
    script.events.append(Tick(seq=script.next(), at=script.at, symbol="XAUUSD", bid=price, ask=price))


def silent_then_gold_falls() -> Script:
    """Long 10 lots EURUSD and 10 lots of gold; EURUSD falls silent for two hours, and gold goes through the floor."""
    script = opened()
    other_tick(script, "1300.00")
    script.deal(1, "p2", "10", "1300.00", "in")
    script.events[-1] = script.events[-1].model_copy(update={"symbol": "XAUUSD"})
    script.at += Limits().stale_after
    other_tick(script, "1299.00")
    other_tick(script, "1294.00")
    other_tick(script, "1293.00")
    script.batch(flush=True)
    return script


def snapshot(login: int, balance: int, equity: int | None = None, *, held: bool = False) -> AccountSnapshot:
    """As the venue has it at sequence 90; `held`: long 10 lots EURUSD at 1.38000."""
    position = PositionState(
        position_id="p1", symbol="EURUSD", side="buy", lots=Decimal(10), open_price=Decimal("1.38"), opened_at=START
    )
    return AccountSnapshot(
        login=login,
        currency="USD",
        balance_minor=balance,
        equity_minor=balance if equity is None else equity,
        trading_enabled=True,
        positions=(position,) if held else (),
        seq=90,
    )
