"""Credentials of traders at DXtrade: each account has a client of its own, whose password is set here."""

from typing import Final

from pydantic import SecretStr

from adapters.dxtrade import wire
from adapters.dxtrade.accounts import Accounts, Change, has_done, with_done
from adapters.dxtrade.client import Client
from adapters.dxtrade.config import DxtradeSettings
from adapters.dxtrade.errors import partly
from adapters.dxtrade.shapes import Account
from adapters.venue.tags import tag
from domain.errors import ChangedMeanwhile, PropOSError, Unavailable
from ports.credentials import SignIn

_WRITES_TRIED: Final = 6


async def set_password(
    client: Client,
    accounts: Accounts,
    settings: DxtradeSettings,
    login: int,
    *,
    operation: str,
    key: str,
    password: SecretStr,
) -> SignIn:
    """Gives the client of an account this password, unless the account remembers that this was done. The venue asks for
    a new one at the first sign-in. Raises NotFound and every outcome of ports/money.py."""
    mark = tag(operation, key)
    account, _ = await accounts.get(login)
    if not has_done(account, mark):
        await _write(client, settings, login, key, password)
        try:
            await accounts.update(login, key, lambda found: _remember(found, mark))
        except PropOSError as error:
            raise partly(error, changed=True) from None
    return SignIn(str(login))


async def _write(client: Client, settings: DxtradeSettings, login: int, key: str, password: SecretStr) -> None:
    path = f"{wire.ADMIN}/api/register/client/{settings.client_domain}/{login}"
    body = {"password": password.get_secret_value(), "passwordReset": True}
    for _ in range(_WRITES_TRIED):
        found = await client.ask(path)
        try:
            await client.change("PUT", path, body, key, if_match=found.etag)
            return
        except ChangedMeanwhile:
            continue
    raise Unavailable("Others change the client at DXtrade all the time.", remedy="Repeat it later.")


def _remember(account: Account, mark: str) -> Change | None:
    return None if has_done(account, mark) else Change(metadata=with_done(account, mark))
