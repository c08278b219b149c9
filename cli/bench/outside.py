"""The outside world of a payout benchmark, in memory and without delay: what is measured is PropOS and its two servers.

Both keep what was done under each key, as the ports ask. A transfer has arrived when the call answers.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Final, NoReturn

from domain.errors import CursorForgotten, IdempotencyMismatch, NotFound
from ports.acquirer import Acquirers
from ports.identity import IdentityCheckers
from ports.money import WebhookEvent
from ports.payments import Payments
from ports.platform import (
    FIRST_READER,
    AccountSnapshot,
    BalanceKind,
    Deal,
    Marks,
    Platforms,
    PlatformStream,
    SymbolSpec,
    TradingPlatform,
)
from ports.rail import Beneficiary, PaymentRail, RailCapabilities, Rails, Transfer, TransferOrder
from ports.statements import StatementBalance, StatementEntry, StatementSource, StatementSources

VENUE: Final = "bench"
RAIL: Final = "instant"
BALANCE: Final = 10_400_000  # minor units on every account, before anything is taken off
_AT: Final = datetime(2014, 5, 22, 21, tzinfo=UTC)


class InstantVenue:
    """A TradingPlatform: every login has an account without positions."""

    name = VENUE

    def __init__(self) -> None:
        self._balances: dict[int, int] = {}
        self._done: dict[tuple[str, BalanceKind], int] = {}

    async def find_balance_operation(self, login: int, *, key: str, operation: BalanceKind) -> int | None:
        return self._done.get((key, operation))

    async def balance_operation(self, login: int, *, key: str, operation: BalanceKind, amount_minor: int) -> None:
        if (key, operation) not in self._done:
            self._done[key, operation] = amount_minor
            self._balances[login] = self._balances.get(login, BALANCE) + amount_minor

    async def snapshot(self, login: int) -> AccountSnapshot:
        balance = self._balances.get(login, BALANCE)
        return AccountSnapshot(
            login=login,
            currency="USD",
            balance_minor=balance,
            equity_minor=balance,
            trading_enabled=True,
            positions=(),
            seq=1,
        )

    async def find_account(self, key: str) -> int | None:
        _unused()

    async def create_account(self, *, key: str, group: str, currency: str, leverage: int) -> int:
        _unused()

    async def set_trading(self, login: int, *, key: str, enabled: bool) -> None:
        _unused()

    async def lock(self, login: int, *, key: str) -> None:
        _unused()

    async def close_positions(self, login: int, *, key: str, position_ids: Sequence[str]) -> None:
        _unused()

    async def symbols(self) -> list[SymbolSpec]:
        _unused()

    async def deals(self, login: int) -> list[Deal]:
        _unused()

    def open_stream(self, reader: str = FIRST_READER) -> PlatformStream:
        _unused()

    def marks(self, group: str) -> Marks:
        return "quotes"

    async def healthy(self) -> str:
        return "in memory"

    async def aclose(self) -> None:
        return None


class InstantRail:
    """A PaymentRail and the StatementSource of its account."""

    name = RAIL

    def __init__(self) -> None:
        self._orders: dict[str, TransferOrder] = {}
        self._transfers: dict[str, Transfer] = {}
        self._entries: list[StatementEntry] = []
        self._positions: dict[str, int] = {}

    def check_beneficiary(self, beneficiary: Beneficiary, currency: str) -> None:
        """Takes every account."""

    async def create_transfer(self, order: TransferOrder) -> Transfer:
        known = self._orders.setdefault(order.key, order)
        if known != order:
            raise IdempotencyMismatch(order.key)
        if order.key not in self._transfers:
            self._transfers[order.key] = Transfer(
                transfer_id=f"tr-{order.key}",
                key=order.key,
                reference=order.reference,
                status="paid",
                amount_minor=order.amount_minor,
                currency=order.currency,
            )
            self._enter(order)
        return self._transfers[order.key]

    def _enter(self, order: TransferOrder) -> None:
        entry = StatementEntry(
            entry_id=f"ent-{order.key}",
            object_id=f"tr-{order.key}",
            reference=order.reference,
            kind="transfer",
            amount_minor=-order.amount_minor,
            currency=order.currency,
            at=_AT,
        )
        self._positions[entry.entry_id] = len(self._entries)
        self._entries.append(entry)

    async def fetch_transfer(self, transfer_id: str) -> Transfer:
        found = self._transfers.get(transfer_id.removeprefix("tr-"))
        if found is None:
            raise NotFound(f"There is no transfer {transfer_id}.")
        return found

    async def find_transfer(self, key: str) -> Transfer | None:
        return self._transfers.get(key)

    async def cancel_transfer(self, transfer_id: str) -> Transfer:
        return await self.fetch_transfer(transfer_id)

    async def entries(self, after: str | None, limit: int = 1000) -> list[StatementEntry]:
        if after is None:
            return self._entries[:limit]
        if after not in self._positions:
            raise CursorForgotten(f"There is no movement {after}.")
        begin = self._positions[after] + 1
        return self._entries[begin : begin + limit]

    async def balances(self) -> list[StatementBalance]:
        return []

    async def events(self, after: str | None) -> list[WebhookEvent]:
        return []

    def parse_webhook(self, body: bytes, headers: Mapping[str, str], now: datetime) -> WebhookEvent | None:
        _unused()

    async def healthy(self) -> str:
        return "in memory"

    async def aclose(self) -> None:
        return None


def platforms() -> Platforms:
    venue: TradingPlatform = InstantVenue()
    return Platforms({VENUE: venue}, VENUE)


def payments() -> Payments:
    instant = InstantRail()
    rail: PaymentRail = instant
    statements: StatementSource = instant
    able = RailCapabilities(currencies=(), has_payees=False, returns_after_arrival_days=0)
    return Payments(
        Acquirers({}, RAIL),
        Rails({RAIL: rail}, RAIL, {RAIL: able}),
        StatementSources({RAIL: statements}),
        IdentityCheckers({}, RAIL),
    )


def _unused() -> NoReturn:
    raise AssertionError("The benchmark does not make this call.")
