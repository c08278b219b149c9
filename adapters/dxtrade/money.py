"""Balance operations: a deposit, withdrawal or adjustment under an id of ours, with a description that names our key.

The venue takes an id once. The description is what finds an operation again, and what tells the feed its key.
"""

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Final

from adapters.dxtrade import shapes, wire
from adapters.dxtrade.accounts import Accounts, Change, settled_at, with_settled
from adapters.dxtrade.client import Client
from adapters.dxtrade.errors import WHO, readable, unreadable
from adapters.dxtrade.figures import minor, wire_amount
from adapters.dxtrade.paging import TRANSFERS, pages
from adapters.venue.tags import mark, tag
from domain.errors import BadInput, Conflict, IdempotencyMismatch, RefusedForGood
from domain.money import from_minor
from ports.platform import BalanceKind

_SIGNS: Final[dict[BalanceKind, tuple[int, ...]]] = {
    "deposit": (1,),
    "payout_hold": (-1,),
    "payout_release": (1,),
    "payout_settled": (0,),
    "adjustment": (-1, 1),
}


class MoneyDesk:
    """Moves money of the accounts of one connection, and finds it again."""

    def __init__(self, client: Client, accounts: Accounts) -> None:
        self._client, self._accounts = client, accounts

    async def move(self, login: int, *, key: str, operation: BalanceKind, amount_minor: int) -> None:
        """As `TradingPlatform.balance_operation`."""
        account, _ = await self._accounts.get(login)
        found = await self._find(account, key, operation)
        if found is not None:
            if found != amount_minor:
                raise IdempotencyMismatch(key)
            return
        _check_sign(operation, amount_minor)
        if operation == "payout_settled":
            await self._settle(login, key)
            return
        try:
            await self._send(account, key, operation, amount_minor)
        except RefusedForGood as refusal:
            if amount_minor < 0 and await self._balance(account) + amount_minor < 0:
                raise Conflict(refusal.message) from None
            raise

    async def find(self, login: int, *, key: str, operation: BalanceKind) -> int | None:
        """As `TradingPlatform.find_balance_operation`."""
        account, _ = await self._accounts.get(login)
        return await self._find(account, key, operation)

    async def transfers(self, name: str) -> list[shapes.CashTransfer]:
        """Returns every transfer of account "clearing:code" that the venue keeps, in the venue's order. Raises
        Unavailable, NotFound."""
        return [transfer async for page in self._pages(name) for transfer in page]

    async def _find(self, account: shapes.Account, key: str, operation: BalanceKind) -> int | None:
        if operation == "payout_settled":
            return None if settled_at(account, key) is None else 0
        wanted = mark(operation, key, wire.COMMENT_LIMIT)
        async for page in self._pages(account.name):
            for transfer in page:
                if transfer.comment == wanted:
                    return _amount(transfer)
        return None

    async def _pages(self, name: str) -> AsyncIterator[list[shapes.CashTransfer]]:
        async for answer in pages(self._client, f"accounts/{name}/transfers", TRANSFERS):
            yield answer.as_(shapes.CashTransfers).cash_transfers

    async def _send(self, account: shapes.Account, key: str, operation: BalanceKind, amount_minor: int) -> None:
        kind = "adjustment" if operation == "adjustment" else "deposit" if amount_minor > 0 else "withdrawal"
        size = amount_minor if kind == "adjustment" else abs(amount_minor)
        amount = wire_amount(size, account.currency)
        if amount is None:
            raise BadInput(
                f"{size} minor units are more than {WHO} can be told exactly.",
                field="amount_minor",
                remedy="Move at most 15 digits at once.",
            )
        description = mark(operation, key, wire.COMMENT_LIMIT)
        path = f"{wire.ADMIN}/api/register/account/{account.clearing_code}/{account.account_code}"
        body = {"currency": account.currency, "amount": amount, "description": description}
        answer = await self._client.change("PUT", f"{path}/{kind}/{tag(operation, key)}", body, key)
        moved = answer.as_(shapes.Moved, key)
        if (moved.currency, moved.amount) != (account.currency, from_minor(size, account.currency)):
            raise unreadable(key)  # a repeat looks it up and compares it

    async def _settle(self, login: int, key: str) -> None:
        """Writes the key into the account's metadata: the venue moves no amount of zero."""
        at = datetime.now(UTC).isoformat(timespec="milliseconds")

        def decide(account: shapes.Account) -> Change | None:
            if settled_at(account, key) is not None:
                return None
            return Change(metadata=with_settled(account, key, at))

        await self._accounts.update(login, key, decide)

    async def _balance(self, account: shapes.Account) -> int:
        """Returns the balance in minor units. Raises Unavailable."""
        answer = await self._client.ask(f"{wire.TRADING}/accounts/{account.name}/metrics")
        for metrics in answer.as_(shapes.MetricsList).metrics:
            if metrics.account == account.name:
                with readable():
                    return minor(metrics.balance, account.currency, "balance")
        raise unreadable(None)


def _amount(transfer: shapes.CashTransfer) -> int:
    """Returns the amount of a transfer in minor units. Raises Unavailable for one that is not exact."""
    with readable():
        return sum(minor(each.value, each.currency, "transfer") for each in transfer.cash_transactions)


def _check_sign(operation: BalanceKind, amount_minor: int) -> None:
    if (amount_minor > 0) - (amount_minor < 0) not in _SIGNS[operation]:
        raise BadInput(
            f"A {operation} of {amount_minor} makes no sense.",
            field="amount_minor",
            remedy="Deposits and releases are positive, holds negative, settlements 0, adjustments not 0.",
        )
