"""The lists of DXtrade that the feed asks for, as messages: accounts, orders, transfers, snapshots."""

import json
from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from adapters.dxtrade import decode, paging, wire
from adapters.dxtrade.client import Answer, Client
from adapters.dxtrade.errors import WHO
from adapters.dxtrade.figures import login_of
from domain.errors import NotFound, Unavailable
from ports.venue import Message

_AT_ONCE: Final = 50  # accounts in one question
_ONE_BY_ONE: Final = 20  # accounts that are asked for one by one
_OVERLAP: Final = timedelta(minutes=2)  # a list is read again from this much before its newest row
_READS_TRIED: Final = 5
_SINCE: Final = {decode.ORDERS: "transaction-from", decode.TRANSFERS: "time-from"}


class Lists:
    """Raises Unavailable for whatever cannot be asked.

    `able`: the accounts "clearing:code" that may trade, as they were read last. `since`: the time of the newest row of
    orders and transfers that was read, by channel; the venue's own times, so that a wrong clock of ours skips
    nothing. `versions`: of the portfolios that were read or pushed last, by account."""

    def __init__(self, client: Client, clearing: str) -> None:
        self._client, self._clearing = client, clearing
        self.since: dict[str, str] = {}
        self.able: set[str] = set()
        self.versions: dict[str, int] = {}
        self._one: str | None = None  # an account of the firm

    async def instruments(self) -> Answer:
        return await self._ask(f"{wire.TRADING}/instruments/query")

    async def accounts(self) -> Answer:
        answer = await self._ask(f"{wire.ADMIN}/api/register/account")
        self.able = {_name(row) for row in paging.dicts(answer.found) if row.get("status") == wire.FULL_TRADING}
        self._one = next(iter(self.names(answer)), None)
        return answer

    async def tradable(self) -> AsyncIterator[Message]:
        """In which instruments an account of the firm may trade. Nothing while there is no account, or when the venue
        does not say: quotes and fills do not wait for it."""
        if self._one is None:
            return
        try:
            answer = await self._client.ask(f"{wire.TRADING}/accounts/{self._one}/instruments/query")
        except (NotFound, Unavailable):
            return
        yield told(decode.TRADABLE, answer)

    async def some_accounts(self, names: Sequence[str]) -> AsyncIterator[Message]:
        """These accounts, or the whole list if they are many. One that the venue does not have is left out."""
        if len(names) > _ONE_BY_ONE:
            yield told(decode.ACCOUNTS, await self.accounts())
            return
        for name in names:
            login = login_of(name, self._clearing)
            try:
                if login is None:
                    continue
                answer = await self._client.ask(f"{wire.ADMIN}/api/register/account/{self._clearing}/{login}")
            except NotFound:
                continue
            self.able.discard(name)
            self.able |= {_name(row) for row in paging.dicts([answer.found]) if row.get("status") == wire.FULL_TRADING}
            yield told(decode.ACCOUNTS, answer)

    async def _ask(self, path: str, query: Mapping[str, str] | None = None) -> Answer:
        try:
            return await self._client.ask(path, query)
        except NotFound as error:
            raise Unavailable(error.message) from None

    def names(self, accounts: Answer) -> list[str]:
        """The accounts of a list that are the firm's. A row that cannot be read is the decoder's to tell."""
        names = map(_name, paging.dicts(accounts.found))
        return [name for name in names if login_of(name, self._clearing) is not None]

    async def everything(self) -> AsyncIterator[Message]:
        """Orders and transfers of all accounts since the newest that were read."""
        for channel, end in ((decode.ORDERS, decode.ORDERS_END), (decode.TRANSFERS, decode.TRANSFERS_END)):
            path = "accounts/orders/history" if channel == decode.ORDERS else "accounts/transfers"
            async for message in self._pages(channel, path, self._from(channel), all_=True):
                yield message
            yield own(end, {})

    async def orders_of(self, names: Sequence[str]) -> AsyncIterator[Message]:
        """The orders of these accounts since the newest that were read."""
        for start in range(0, len(names), _AT_ONCE):
            query = {"accounts": ",".join(names[start : start + _AT_ONCE]), **self._from(decode.ORDERS)}
            async for message in self._pages(decode.ORDERS, "accounts/orders/history", query):
                yield message

    async def of_account(self, name: str, after_version: int | None) -> AsyncIterator[Message]:
        """Orders of one account after a version of it, and all its transfers."""
        path = f"accounts/{name}"
        query = {} if after_version is None else {"at-least-version": str(after_version + 1)}
        async for message in self._pages(decode.ORDERS, f"{path}/orders/history", query):
            yield message
        async for message in self._pages(decode.TRANSFERS, f"{path}/transfers", {}):
            yield message

    async def snapshots(self, names: Sequence[str]) -> AsyncIterator[Message]:
        """Metrics and portfolio of each account, of the same version. Raises Unavailable for an account that changes
        between the two every time."""
        for start in range(0, len(names), _AT_ONCE):
            left = list(names[start : start + _AT_ONCE])
            for _ in range(_READS_TRIED):
                query = {"accounts": ",".join(left)}
                metrics = await self._ask(f"{wire.TRADING}/accounts/metrics", query)
                yield told(decode.METRICS, metrics)
                portfolios = await self._ask(f"{wire.TRADING}/accounts/portfolio", query)
                yield told(decode.PORTFOLIOS, portfolios)
                before, after = _versions(metrics, "metrics"), _versions(portfolios, "portfolios")
                self.note(after)
                left = [name for name, version in after.items() if before.get(name) != version]
                if not left:
                    break
            if left:
                raise Unavailable(f"{len(left)} accounts at {WHO} change faster than they can be read.")

    def note(self, versions: Mapping[str, int]) -> None:
        for name, version in versions.items():
            self.versions[name] = max(version, self.versions.get(name, version))

    async def _stops(self, answer: Answer) -> AsyncIterator[Message]:
        """The portfolios of accounts with an opening that is newer than what was read of them: an order does not say
        which stops its position has. They are told before the orders, so that no opening is told without its stops."""
        opened: dict[str, int] = {}
        for row in paging.rows_of(answer, paging.ORDERS):
            name, version = paging.account_of(row), paging.version_of(row)
            if _opens(row) and version > self.versions.get(name, -1) and login_of(name, self._clearing) is not None:
                opened[name] = max(version, opened.get(name, version))
        names = sorted(opened)
        for start in range(0, len(names), _AT_ONCE):
            query = {"accounts": ",".join(names[start : start + _AT_ONCE])}
            try:
                portfolios = await self._client.ask(f"{wire.TRADING}/accounts/portfolio", query)
            except NotFound:  # of an account that is no more
                continue
            yield told(decode.STOPS, portfolios)
            self.note(_versions(portfolios, "portfolios"))
        self.note(opened)  # an account that the answer left out is not asked for again

    async def _pages(
        self, channel: str, path: str, query: Mapping[str, str], *, all_: bool = False
    ) -> AsyncIterator[Message]:
        """Every page of a list. `all_`: of every account, so that the newest row is the list's."""
        newest = self.since.get(channel, "")
        rows: paging.Rows = paging.ORDERS if channel == decode.ORDERS else paging.TRANSFERS
        try:
            async for answer in paging.pages(self._client, path, rows, query):
                if channel == decode.ORDERS:
                    async for message in self._stops(answer):
                        yield message
                yield told(channel, answer)
                newest = max([newest, *(_utc(row.get("transactionTime")) for row in paging.rows_of(answer, rows))])
        except NotFound as error:
            raise Unavailable(error.message) from None
        if all_ and newest:
            self.since[channel] = newest

    def _from(self, channel: str) -> dict[str, str]:
        """The filter of a list from a little before its newest row; none when none was read."""
        newest = _utc(self.since.get(channel))
        if not newest:
            return {}
        at = datetime.fromisoformat(newest) - _OVERLAP
        return {_SINCE[channel]: f"{at:%Y-%m-%dT%H:%M:%S}.{at.microsecond // 1000:03d}Z"}


def told(channel: str, answer: Answer) -> Message:
    return Message(channel, answer.content, datetime.now(UTC))


def own(channel: str, found: Mapping[str, str]) -> Message:
    """A message that the adapter makes itself."""
    return Message(channel, json.dumps(found).encode(), datetime.now(UTC))


def _name(row: Mapping[str, Any]) -> str:
    return f"{row.get('clearingCode')}:{row.get('accountCode')}"


def _versions(answer: Answer, name: str) -> dict[str, int]:
    return {paging.account_of(row): paging.version_of(row) for row in paging.rows_of(answer, name)}


def _opens(row: Mapping[str, Any]) -> bool:
    legs = paging.dicts(row.get("legs"))
    return bool(row.get("executions")) and not any(leg.get("positionEffect") == "CLOSE" for leg in legs[:1])


def _utc(text: object) -> str:
    """Returns a time in one form, so that texts compare as times do; empty for one that cannot be read."""
    try:
        found = datetime.fromisoformat(str(text))
    except ValueError:
        return ""
    return "" if found.tzinfo is None else found.astimezone(UTC).isoformat(timespec="microseconds")
