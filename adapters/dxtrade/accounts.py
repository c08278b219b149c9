"""Accounts at the administrative interface: found by our key, and changed by reading, deciding and writing.

The code of an account is made from the key that opens it, and its metadata remember that key and the latest changes. A
write names the version that was read, so that two writers cannot undo one another.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from adapters.dxtrade import shapes, wire
from adapters.dxtrade.client import Client
from adapters.dxtrade.config import DxtradeSettings
from adapters.venue.tags import digits
from domain.errors import ChangedMeanwhile, Conflict, IdempotencyMismatch, NotFound, RefusedForGood, Unavailable
from domain.passwords import new_password

_CODE_DIGITS: Final = 14
_CODES_TRIED: Final = 4
_WRITES_TRIED: Final = 6


@dataclass(frozen=True)
class Change:
    """What a writer decides on an account that it has read. `status`, `metadata`: None leaves them."""

    status: wire.Status | None = None
    metadata: dict[str, Any] | None = None


Decide = Callable[[shapes.Account], Change | None]


class Accounts:
    """The accounts of one connection."""

    def __init__(self, client: Client, settings: DxtradeSettings) -> None:
        self._client, self._settings = client, settings

    def name(self, login: int) -> str:
        return f"{self._settings.clearing_code}:{login}"

    async def get(self, login: int, *, urgent: bool = False) -> tuple[shapes.Account, str | None]:
        """Returns an account and the tag of its version. Raises NotFound, Unavailable."""
        answer = await self._client.ask(self._path(login), urgent=urgent)
        return answer.as_(shapes.Account), answer.etag

    async def find(self, key: str) -> tuple[int, shapes.Account | None]:
        """Returns the login for this key and its account, None while it is not open. A code that an account of another
        key has is passed over."""
        for attempt in range(_CODES_TRIED):
            login = _login(key, attempt)
            try:
                account, _ = await self.get(login)
            except NotFound:
                return login, None
            if account.entry(wire.KEY) == key:
                return login, account
        raise Conflict("DXtrade has accounts of others under every code that this key can have.")

    async def open(self, login: int, *, key: str, group: str, currency: str, leverage: int) -> None:
        """Registers the client and the account, which may not trade. Raises Conflict when the account exists."""
        await self._register_client(login, key)
        settings = self._settings
        body = {
            "clearingCode": settings.clearing_code,
            "accountCode": str(login),
            "brokerCode": settings.broker_code,
            "type": "CLIENT",
            "status": wire.NO_TRADING,
            "accountCashType": "MARGIN",
            "accountType": settings.account_type,
            "currency": currency,
            "categories": [{"category": settings.group_category, "value": group}],
            "metadata": {wire.KEY: key, wire.GROUP: group, wire.LEVERAGE: str(leverage)},
        }
        path = f"{wire.ADMIN}/api/register/client/{settings.client_domain}/{login}/account"
        answer = await self._client.change("POST", path, body, key)
        answer.as_(shapes.Account, key)

    async def _register_client(self, login: int, key: str) -> None:
        """Registers the client who owns the account. Its password is made up and kept nowhere: nobody can sign in
        before a password is set on purpose."""
        settings = self._settings
        try:
            await self._client.ask(f"{wire.ADMIN}/api/register/client/{settings.client_domain}/{login}")
            return
        except NotFound:
            pass
        body = {
            "domain": settings.client_domain,
            "login": str(login),
            "fullName": str(login),
            "brokerCode": settings.broker_code,
            "type": "CLIENT",
            "password": new_password(),
        }
        try:
            await self._client.change("POST", f"{wire.ADMIN}/api/register/client", body, key)
        except RefusedForGood:
            raise
        except Conflict:
            return  # the same call registered it at the same time

    async def update(self, login: int, key: str, decide: Decide, *, urgent: bool = False) -> shapes.Account:
        """Reads the account, lets `decide` say what to write, and writes it on the version that was read; again when
        somebody else wrote meanwhile. Returns the account as it is then. `decide` returns None: nothing is written."""
        for _ in range(_WRITES_TRIED):
            account, etag = await self.get(login, urgent=urgent)
            change = decide(account)
            if change is None:
                return account
            body: dict[str, Any] = {"status": change.status or account.status}
            body["metadata"] = (account.metadata or {}) if change.metadata is None else change.metadata
            try:
                answer = await self._client.change("PUT", self._path(login), body, key, if_match=etag, urgent=urgent)
            except ChangedMeanwhile:
                continue
            return answer.as_(shapes.Account, key)
        raise Unavailable("Others change the account at DXtrade all the time.", remedy="Repeat it later.")

    def _path(self, login: int) -> str:
        return f"{wire.ADMIN}/api/register/account/{self._settings.clearing_code}/{login}"


def check_same(account: shapes.Account, *, key: str, group: str, currency: str, leverage: int) -> None:
    """Raises IdempotencyMismatch when the key opened an account with other values."""
    found = (account.entry(wire.GROUP), account.currency, account.entry(wire.LEVERAGE))
    if found != (group, currency, str(leverage)):
        raise IdempotencyMismatch(key)


def has_done(account: shapes.Account, mark: str) -> bool:
    """Whether this change was made before. The account remembers the latest ones."""
    return mark in account.entry(wire.DONE).split()


def last_done(account: shapes.Account) -> str:
    """Returns the tag of the latest change; empty if there is none."""
    return (account.entry(wire.DONE).split() or [""])[-1]


def with_done(account: shapes.Account, mark: str) -> dict[str, Any]:
    """Returns the metadata with one more change that was made."""
    return _with(account, wire.DONE, mark)


def settled_at(account: shapes.Account, key: str) -> str | None:
    """Returns when the payout of this key was settled, None if it was not."""
    return dict(settled(account)).get(key)


def settled(account: shapes.Account) -> list[tuple[str, str]]:
    """Returns the settled payouts that the account remembers, as (key, time), oldest first."""
    pairs = [entry.rpartition("@") for entry in account.entry(wire.SETTLED).split()]
    return [(key, at) for key, separator, at in pairs if separator]


def with_settled(account: shapes.Account, key: str, at: str) -> dict[str, Any]:
    return _with(account, wire.SETTLED, f"{key}@{at}")


def _with(account: shapes.Account, entry: str, word: str) -> dict[str, Any]:
    words = [*account.entry(entry).split(), word][-wire.REMEMBERED :]
    return {**(account.metadata or {}), entry: " ".join(words)}


def _login(key: str, attempt: int) -> int:
    """Returns a number of 15 digits, which a JSON number holds exactly."""
    seed = key if attempt == 0 else f"{key} {attempt}"
    return int(f"1{digits(seed, _CODE_DIGITS)}")
