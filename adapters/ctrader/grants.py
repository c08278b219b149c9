"""The traders' grants: OAuth2 tokens with which the firm's application reads their accounts and closes positions.

They are a JSON file that only its owner may read. A refresh replaces both tokens of a grant, and the old ones no longer
count, so new tokens are stored before they are used, and one process at a time refreshes.
"""

import asyncio
import fcntl
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, SecretStr, ValidationError, field_serializer

from domain.errors import NotFound, Unavailable

_OTHERS: Final = 0o077  # the bits of a mode that are not the owner's


class Grant(BaseModel):
    """`accounts`: ids of trading accounts (ctidTraderAccountId) that are watched. `expires_at`: of the access token."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    accounts: tuple[int, ...] = Field(min_length=1)
    access_token: SecretStr
    refresh_token: SecretStr
    expires_at: AwareDatetime | None = None

    @field_serializer("access_token", "refresh_token", when_used="json")
    def _in_file(self, token: SecretStr) -> str:
        return token.get_secret_value()


class _File(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    grants: tuple[Grant, ...]


Refresh = Callable[[SecretStr], Awaitable[Grant]]


class Grants:
    def __init__(self, path: Path) -> None:
        self._path = path

    def accounts(self) -> dict[int, Grant]:
        """Every account with its grant. Raises Unavailable when the file is missing, open to others or not valid."""
        return {account: grant for grant in self._read().grants for account in grant.accounts}

    def of(self, account: int) -> Grant:
        """Raises NotFound for an account without a grant, and Unavailable."""
        found = self.accounts().get(account)
        if found is None:
            raise NotFound(f"There is no grant for the cTrader account {account}.")
        return found

    async def refreshed(self, account: int, used: SecretStr, refresh: Refresh) -> Grant:
        """Returns a newer grant than the one with the access token `used`: from the file, if another process was
        faster, else from `refresh`, which is given the refresh token and returns the tokens."""
        async with self._locked():
            now = self.of(account)
            if now.access_token != used:
                return now
            made = (await refresh(now.refresh_token)).model_copy(update={"accounts": now.accounts})
            grants = tuple(made if grant.accounts == now.accounts else grant for grant in self._read().grants)
            await asyncio.to_thread(self._write, _File(grants=grants))
            return made

    @asynccontextmanager
    async def _locked(self) -> AsyncIterator[None]:
        """Holds the lock beside the file, against tasks and processes."""
        handle = await asyncio.to_thread(os.open, self._path.with_suffix(".lock"), os.O_CREAT | os.O_RDWR, 0o600)
        try:
            await asyncio.to_thread(fcntl.flock, handle, fcntl.LOCK_EX)
            yield
        finally:
            os.close(handle)

    def _read(self) -> _File:
        try:
            if self._path.stat().st_mode & _OTHERS:
                raise Unavailable(f"Others may read {self._path}.", remedy=f"Run: chmod 600 {self._path}")
            return _File.model_validate_json(self._path.read_bytes())
        except OSError as exc:
            raise Unavailable(f"{self._path} cannot be read: {exc.strerror}.", remedy=_REMEDY) from None
        except ValidationError as error:
            raise Unavailable(f"{self._path} is not valid: {_first(error)}.", remedy=_REMEDY) from None

    def _write(self, file: _File) -> None:
        made = self._path.with_suffix(".new")
        with open(os.open(made, os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0o600), "w") as target:
            target.write(file.model_dump_json(indent=2))
            target.flush()
            os.fsync(target.fileno())
        made.replace(self._path)


_REMEDY: Final = "docs/ctrader.md shows its form."


def _first(error: ValidationError) -> str:
    """The first mistake, without the value: it may be a token."""
    first: Any = error.errors(include_input=False, include_context=False, include_url=False)[0]
    return f"{'.'.join(str(part) for part in first['loc']) or 'the file'}: {first['type']}"
