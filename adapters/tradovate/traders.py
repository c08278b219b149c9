"""Traders at the venue: their users, and which accounts they may trade.

Users are made on the live host, and may trade accounts of the demo host. A trader has one user for all accounts.
"""

from typing import Final

from pydantic import SecretStr

from adapters.tradovate.cash import partly
from adapters.tradovate.client import WHO, Api, read_created, read_rows
from adapters.tradovate.settings import TradovateSettings
from adapters.tradovate.wire import (
    CREATE_USERS,
    ENDED_PERMISSIONS,
    GRANT,
    PERMISSIONS,
    USER_NAMES,
    Permission,
    Row,
)
from adapters.venue.tags import digits
from domain.errors import Conflict, NotFound, OutcomeUnknown, PropOSError, RefusedForGood
from ports.credentials import Holder, SignIn

_NAME_DIGITS: Final = 16


class _User(Row):
    id: int
    name: str


class Traders:
    def __init__(self, settings: TradovateSettings, accounts: Api) -> None:
        """`accounts`: the calls to the host of the accounts."""
        self._settings, self._accounts = settings, accounts
        self._users = Api(settings, settings.users_url)

    async def let_in(self, login: int, *, key: str, password: SecretStr, holder: Holder) -> SignIn:
        """Lets the trader trade the account: the user that the trader has, or a new one under this key."""
        if holder.username is not None:
            await self._grant(login, await self._known(holder.username), key)
            return SignIn(holder.username, new=False)
        name = self.user_name(key)
        found = await self._find(name)
        user = await self._create(name, key, password, holder) if found is None else found
        try:
            await self._grant(login, user, key)
        except PropOSError as error:
            raise error if found is not None else partly(error) from None
        return SignIn(name)

    async def _create(self, name: str, key: str, password: SecretStr, holder: Holder) -> int:
        first, last = names_of(holder.name)
        user = {"name": name, "email": holder.email, "firstName": first, "lastName": last}
        body = {"users": [{**user, "password": password.get_secret_value()}]}
        try:
            made = read_created(await self._users.change(CREATE_USERS, body, key), key)
        except Conflict as refusal:
            raise RefusedForGood(
                key, f"{refusal.message} If the trader has a user there already, give it this account at the venue."
            ) from None
        if made.userId is None:
            raise OutcomeUnknown(f"{WHO} did not say which user it made.", remedy="Look it up by its key.")
        return made.userId

    async def _known(self, name: str) -> int:
        found = await self._find(name)
        if found is None:
            raise NotFound(f"{WHO} has no user {name}.")
        return found

    async def _find(self, name: str) -> int | None:
        try:
            return (await self._users.row(_User, "user/find", name=name)).id
        except NotFound:
            return None

    def user_name(self, key: str) -> str:
        return f"{self._settings.prefix.lower()}{digits(key, _NAME_DIGITS)}"

    async def _grant(self, login: int, user_id: int, key: str) -> None:
        """The user may trade the account. Does nothing if it may already."""
        if not await self._may(login, user_id):
            await self._accounts.change(GRANT, {"accountId": login, "userId": user_id}, key)

    async def _may(self, login: int, user_id: int) -> bool:
        answer = await self._accounts.ask(PERMISSIONS, {"accountId": login})
        rows = read_rows(Permission, answer.get("tradingPermissions") if isinstance(answer, dict) else None)
        return any(row.userId == user_id and row.status not in ENDED_PERMISSIONS for row in rows)

    async def aclose(self) -> None:
        await self._users.aclose()


def names_of(name: str) -> tuple[str, str]:
    """Returns first and last name, which the venue wants apart and not too long together."""
    first, _, last = name.partition(" ")
    return first[: USER_NAMES // 2], (last or first)[: USER_NAMES // 2]
