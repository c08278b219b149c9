"""A fake Tradovate as the contract of platforms needs it: accounts with positions, faults by name, effects counted."""

from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from typing import Any, Final

from adapters.tradovate.platform import TradovatePlatform
from adapters.tradovate.wire import (
    ADJUST_CASH,
    CANCEL,
    CREATE_ACCOUNTS,
    CREATE_USERS,
    GRANT,
    LIQUIDATE,
    LIQUIDATE_ONLY,
    LOCK,
    NORMAL,
    SET_ACTION,
)
from ports.platform import TradingPlatform
from sandbox.tradovate.fake import FakeTradovate
from sandbox.tradovate.faults import Faults
from sandbox.tradovate.trading import Refused
from tests.contract.faults import IMPATIENT_SECONDS, Fault
from tests.contract.platform_contract import READS, PlatformWorld, new_key
from tests.contract.tradovate_thread import settings

_MANY: Final = 1000
NAMES: Final[dict[Fault, str]] = {
    "too many": "too_many",
    "busy": "busy",
    "cut before": "cut_before",
    "cut after": "cut_after",
    "failed after": "failed_after",
    "garbage": "cut_body",
    "slow": "timeout_after",
}
# An operation of several calls: faults before an effect meet the first call that has one, faults after it the last.
_FIRST: Final = {
    "create_account": CREATE_ACCOUNTS,
    "lock": SET_ACTION,
    "create_credentials": CREATE_USERS,
    "stream.lock": SET_ACTION,
    "stream.lock_many": SET_ACTION,
}
PATHS: Final = {
    "create_account": SET_ACTION,
    "balance_operation": ADJUST_CASH,
    "set_trading": SET_ACTION,
    "lock": LIQUIDATE,
    "close_positions": LIQUIDATE,
    "cancel_orders": CANCEL,
    "set_close_only": SET_ACTION,
    "create_credentials": GRANT,
    "stream.lock": LIQUIDATE,
    "stream.lock_many": LIQUIDATE,
}
_BEFORE: Final = ("too many", "busy", "cut before")


class TradovateWorld(PlatformWorld):
    def __init__(self, fake: FakeTradovate, **other: object) -> None:
        """`other`: settings."""
        self.fake = fake
        self.platform: TradovatePlatform = TradovatePlatform("futures", settings(fake.config, **other))
        impatient = settings(fake.config, **other, timeout=str(IMPATIENT_SECONDS))
        self._impatient = TradovatePlatform("futures", impatient)

    async def account(self) -> int:
        platform = self.platform
        login = await platform.create_account(key=new_key(), group="two-step/1", currency="USD", leverage=1)
        fees = 2 * 2 * Decimal("2.67")
        with self.fake.rows.one_call():
            self.fake.quote(301, Decimal(5000), Decimal(5000))
            self.fake.trading.set_action(login, NORMAL)
            self.fake.trading.book(login, 1000 + fees / 2, "FundTransaction", comment="by hand")
            for _ in range(2):
                self.fake.trading.fill(self.fake.trading.place(login, 301, "Buy", 1, "Market"))
            self.fake.trading.set_action(login, LOCK)
        return login

    @contextmanager
    def fault(self, fault: Fault, call: str) -> Iterator[TradingPlatform]:
        paths = ("",)
        if call not in READS:
            paths = (_FIRST.get(call, PATHS[call]) if fault in _BEFORE else PATHS[call],)
        values: dict[str, Any] = {NAMES[fault]: _MANY, "only": paths, "hold_seconds": 5}
        self.fake.set_faults(Faults.model_validate(values))
        try:
            yield self._impatient if fault == "slow" else self.platform
        finally:
            self.fake.set_faults(Faults())

    def count(self, call: str) -> int:
        effects = self.fake.calls.effects
        if call == "create_account":
            ours = [row["id"] for row in self.fake.rows.all("account") if row["name"].startswith("PROPOS")]
            return sum(self.fake.trading.status(id)["adminAction"] == LOCK for id in ours)
        if call == "set_trading":
            return effects[f"{SET_ACTION}/{NORMAL}"]
        if call == "set_close_only":
            return effects[f"{SET_ACTION}/{LIQUIDATE_ONLY}"]
        return effects[PATHS[call]]

    async def place_order(self, login: int) -> None:
        with self.fake.rows.one_call():
            self.fake.trading.set_action(login, NORMAL)
            self.fake.trading.place(login, 301, "Buy", 1, "Limit", Decimal(4000))
            self.fake.trading.set_action(login, LOCK)

    def orders(self, login: int) -> int:
        return sum(row["ordStatus"] == "Working" for row in self.fake.rows.where("order", "accountId", {login}))

    def opens(self, login: int) -> bool:
        try:
            with self.fake.rows.one_call():
                self.fake.trading.fill(self.fake.trading.place(login, 301, "Buy", 1, "Market"))
        except Refused:
            return False
        return True

    def signs_in(self, login: int, password: str) -> bool:
        """Of any user who may trade the account."""
        users = {
            row["userId"]: self.fake.rows.get("user", row["userId"])
            for row in self.fake.rows.where("tradingPermission", "accountId", {login})
        }
        names = [row["name"] for row in users.values() if row is not None]
        return password in (self.fake.calls.passwords.get(name) for name in names)

    async def aclose(self) -> None:
        await self.platform.aclose()
        await self._impatient.aclose()
