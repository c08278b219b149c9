"""Money in and out of an account, once per operation and key.

The venue has no idempotency keys. Each change carries a comment made from operation and key, and the account's log is
searched for it before anything is sent. A change of 100,000 or more is sent in parts, numbered in their comments:
`D:key 1/2`. The marks of other operations (a lock, an unlock) are changes of zero (unverified that the venue books
them).
"""

from decimal import Decimal
from typing import Final, NamedTuple

from adapters.tradovate.client import WHO, Api, read_row
from adapters.tradovate.wire import (
    ADJUST_CASH,
    CASH_CHANGE,
    CASH_LIMIT,
    CASH_SNAPSHOT,
    COMMENT,
    CashEntry,
    CashSnapshot,
    minor,
    number,
)
from adapters.venue.tags import mark
from domain.errors import BadInput, Conflict, IdempotencyMismatch, OutcomeUnknown, PropOSError, Unavailable
from domain.money import to_minor

_PART: Final = len(" 99/99")
_MOST_PARTS: Final = 99


class _Found(NamedTuple):
    """Parts of an operation in the log: amounts in minor units by number, and of how many."""

    parts: dict[int, int]
    of: int

    @property
    def complete(self) -> bool:
        return len(self.parts) == self.of

    @property
    def amount(self) -> int:
        return sum(self.parts.values())


def comment_of(operation: str, key: str) -> str:
    return mark(operation, key, COMMENT - _PART)


def has_mark(entries: list[CashEntry], operation: str, key: str) -> bool:
    comment = comment_of(operation, key)
    return any(entry.comment == comment for entry in entries)


def is_untouched(entries: list[CashEntry]) -> bool:
    """Whether nothing was ever done to an account since it was made."""
    return not any(entry.comment for entry in entries)


class CashDesk:
    """The log and the balance of accounts in one currency."""

    def __init__(self, api: Api, currency: str, currency_id: int) -> None:
        self._api, self._currency, self._currency_id = api, currency, currency_id

    async def log(self, login: int) -> list[CashEntry]:
        return await self._api.rows(CashEntry, "cashBalanceLog/deps", masterid=login)

    async def find(self, login: int, key: str, operation: str) -> int | None:
        """Returns the amount of an operation that is complete; None for any other: a repeat completes it."""
        found = self._found(await self.log(login), operation, key)
        return found.amount if found is not None and found.complete else None

    async def move(self, login: int, key: str, operation: str, amount: int) -> None:
        """Raises Conflict when the account has too little money, IdempotencyMismatch for another amount."""
        entries = await self.log(login)
        found = self._found(entries, operation, key)
        parts = split(amount, to_minor(CASH_LIMIT, self._currency))
        if len(parts) > _MOST_PARTS:
            raise BadInput(f"{WHO} takes no amount as large as {amount} minor units.", field="amount_minor")
        if found is not None:
            done = [found.parts.get(number) in (None, part) for number, part in enumerate(parts, 1)]
            if found.of != len(parts) or not all(done):
                raise IdempotencyMismatch(key)
        elif amount < 0:
            await self._check_covered(login, amount)
        missing = [each for each in enumerate(parts, 1) if found is None or each[0] not in found.parts]
        started = found is not None
        for place, part in missing:
            suffix = "" if len(parts) == 1 else f" {place}/{len(parts)}"
            await self._book(login, key, f"{comment_of(operation, key)}{suffix}", part, started=started)
            started = True

    async def remember(self, login: int, operation: str, key: str) -> None:
        """Books a mark without money. The call that it belongs to has had its effect. Raises OutcomeUnknown."""
        await self._book(login, key, comment_of(operation, key), 0, started=True)

    async def snapshot(self, login: int) -> CashSnapshot:
        return read_row(CashSnapshot, await self._api.ask(CASH_SNAPSHOT, {"accountId": login}))

    async def _book(self, login: int, key: str, comment: str, amount: int, *, started: bool) -> None:
        body = {
            "accountId": login,
            "cashChange": number(amount, self._currency),
            "cashChangeType": CASH_CHANGE,
            "currencyId": self._currency_id,
            "comment": comment,
        }
        try:
            await self._api.change(ADJUST_CASH, body, key)
        except PropOSError as error:
            raise partly(error) if started else error from None

    async def _check_covered(self, login: int, amount: int) -> None:
        """The venue lets a balance fall below zero."""
        balance = minor_or_unavailable((await self.snapshot(login)).totalCashValue, self._currency)
        if balance + amount < 0:
            raise Conflict(f"The account has {balance} minor units of {self._currency}, less than {-amount}.")

    def _found(self, entries: list[CashEntry], operation: str, key: str) -> _Found | None:
        comment, parts, count = comment_of(operation, key), dict[int, int](), 0
        for entry in entries:
            base, _, suffix = entry.comment.partition(" ")
            if base != comment:
                continue
            place, _, of = (suffix or "1/1").partition("/")
            if place.isdigit() and of.isdigit():
                # The same part twice is counted twice, so that it is seen.
                parts[int(place)] = parts.get(int(place), 0) + minor_or_unavailable(entry.delta, self._currency)
                count = int(of)
        return _Found(parts, count) if parts else None


def partly(error: PropOSError) -> PropOSError:
    """An operation of several calls had an effect before this failure: its outcome is never 'nothing happened'."""
    if isinstance(error, OutcomeUnknown):
        return error
    return OutcomeUnknown(f"A part was done, then: {error.message}", remedy="Repeat it with its key.")


def split(amount: int, most: int) -> list[int]:
    """Splits minor units into parts of at most `most` either way, the odd one first: so that the first part tells two
    amounts apart. Zero is one part."""
    sign, size = (-1 if amount < 0 else 1), abs(amount)
    full = max(0, (size - 1) // most)
    return [sign * (size - full * most), *[sign * most] * full]


def minor_or_unavailable(amount: Decimal, currency: str) -> int:
    try:
        return minor(amount, currency)
    except ValueError as error:
        raise Unavailable(f"{WHO} sent an amount that cannot be read: {error}.") from None
