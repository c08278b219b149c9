"""Users at MT5: found by the login that follows from our key, and changed by reading, changing and writing the record.

The login of a new account follows from its key, so that the server itself refuses a second account for one key. The
record's comment says whose key it is. When that login belongs to another key, the next one is tried.
"""

from collections.abc import Callable, Iterator
from typing import Any, Final

from adapters.mt5 import marks, names, shapes, tags
from adapters.mt5.config import Mt5Settings
from adapters.mt5.outcomes import WHO, unreadable
from adapters.mt5.session import Session
from domain.errors import Conflict, IdempotencyMismatch, NotFound, OutcomeUnknown, Unavailable
from domain.passwords import new_password

NEW_RIGHTS: Final = (
    names.USER_RIGHT_ENABLED
    | names.USER_RIGHT_PASSWORD
    | names.USER_RIGHT_TRADE_DISABLED
    | names.USER_RIGHT_TRAILING
    | names.USER_RIGHT_EXPERT
    | names.USER_RIGHT_REPORTS
)
_TRIES: Final = 8  # logins for one key
_COMMENT: Final = "PropOS "
_WRITES: Final = 3


def may_trade(rights: int) -> bool:
    return bool(rights & names.USER_RIGHT_ENABLED) and not rights & names.USER_RIGHT_TRADE_DISABLED


def with_trading(rights: int, *, enabled: bool) -> int:
    """Returns the rights with trading on or off, and every other right as it is."""
    if enabled:
        return (rights | names.USER_RIGHT_ENABLED) & ~names.USER_RIGHT_TRADE_DISABLED
    return rights | names.USER_RIGHT_TRADE_DISABLED


def logins_of(key: str, settings: Mt5Settings) -> Iterator[int]:
    """Yields the logins that an account under this key may have, in the order in which they are tried."""
    size = settings.last_login - settings.first_login + 1
    start = tags.number_of("login", key) % size
    for step in range(_TRIES):
        yield settings.first_login + (start + step) % size


async def find(session: Session, settings: Mt5Settings, key: str) -> tuple[int, str] | None:
    """Returns login and comment of the account under this key; None if there is none. Raises Unavailable for a login of
    ours whose record somebody changed so that it does not say whose it is."""
    for login in logins_of(key, settings):
        try:
            user = await read(session, login)
        except NotFound:
            return None
        found = shapes.User.model_validate(user)
        if not found.Comment.startswith(_COMMENT):
            raise Unavailable(
                f"The comment of {WHO} account {login} does not begin with PropOS, so its key is not known.",
                remedy="Put the comment back as the server's journal has it. Logins of PropOS are for PropOS only.",
            )
        if found.Comment.removeprefix(_COMMENT).split(" ")[0] == tags.digest("account", key):
            return login, found.Comment
    raise Conflict(f"The {_TRIES} logins for this account belong to others.", remedy="Widen first_login to last_login.")


async def create(session: Session, settings: Mt5Settings, key: str, group: str, currency: str, leverage: int) -> int:
    """Returns the login of the account under this key. Raises IdempotencyMismatch for one that was opened otherwise."""
    comment = _comment(key, group, currency, leverage)
    for _ in range(_TRIES):
        found = await find(session, settings, key)
        if found is not None:
            if found[1] != comment:
                raise IdempotencyMismatch(key)
            return found[0]
        login = await _first_free(session, settings, key)
        await _check_group(session, settings, group, currency)
        record = {
            "Login": str(login),
            "Group": settings.group_at_venue(group, currency),
            "Name": f"PropOS {login}",
            "Leverage": str(leverage),
            "Rights": str(NEW_RIGHTS),
            "Comment": comment,
            "PassMain": new_password(),
            "PassInvestor": new_password(),
        }
        try:
            answer = await session.ask("/api/user/add", body=record, changing=True)
        except Conflict:
            continue  # another process was faster, for this key or for another
        return _added(answer, login, comment)
    raise Unavailable("Other accounts took every login that was tried.", remedy="Repeat it with its key.")


async def read(session: Session, login: int) -> dict[str, Any]:
    """Returns the whole record of a user. Raises NotFound, Unavailable."""
    answer = (await session.ask("/api/user/get", {"login": login})).get("answer")
    try:
        if not isinstance(answer, dict) or shapes.User.model_validate(answer).Login != login:
            raise ValueError("another user")
    except ValueError:
        raise unreadable(changing=False) from None
    return answer


async def change(
    session: Session, settings: Mt5Settings, login: int, *, mark: int, rights: Callable[[int], int] = lambda now: now
) -> None:
    """Writes rights and one more mark into a user's record, and reads it again. `rights`: the new ones for those that
    the record has.

    The whole record is sent as it was read, with these two changed: a server that takes what is missing for empty loses
    nothing. Two writers at the same time may undo each other; the one whose mark is gone writes again. Raises
    OutcomeUnknown when the record is not as written."""
    for _ in range(_WRITES):
        record = await read(session, login)
        try:
            wanted = rights(int(record["Rights"]))
            cells = marks.added(record.get("ApiData") or [], settings.app_id, mark)
        except (AttributeError, KeyError, TypeError, ValueError):
            raise unreadable(changing=False, what="ApiData") from None
        sent = _texts({**record, "Rights": wanted, "ApiData": cells})
        answer = await session.ask("/api/user/update", {"login": login}, body=sent, changing=True)
        try:
            if shapes.one(shapes.User, answer).Rights != wanted:
                break
            if holds(shapes.User.model_validate(await read(session, login)), settings, mark):
                return
        except (Unavailable, ValueError):
            break
    raise OutcomeUnknown(
        f"The record of {WHO} account {login} is not as it was written.", remedy="Look at it, then repeat with its key."
    )


def holds(user: shapes.User, settings: Mt5Settings, mark: int) -> bool:
    """Whether the record has this mark. Raises Unavailable for cells that cannot be read."""
    try:
        return any(each.value == mark for each in marks.read(user.ApiData, settings.app_id))
    except ValueError:
        raise unreadable(changing=False, what="ApiData") from None


def _comment(key: str, group: str, currency: str, leverage: int) -> str:
    given = tags.digest("opened", group, currency, str(leverage))[:12]
    return f"{_COMMENT}{tags.digest('account', key)} {given}"


async def _first_free(session: Session, settings: Mt5Settings, key: str) -> int:
    for login in logins_of(key, settings):
        try:
            await read(session, login)
        except NotFound:
            return login
    raise Conflict("Every login for this account is taken.", remedy="Widen first_login to last_login.")


async def _check_group(session: Session, settings: Mt5Settings, group: str, currency: str) -> None:
    """Raises Unavailable when the group is not there or keeps accounts in another currency."""
    name = settings.group_at_venue(group, currency)
    found = await group_of(session, name)
    if found is None or found.Currency != currency:
        what = "does not exist" if found is None else f"keeps accounts in {found.Currency}"
        raise Unavailable(
            f"The {WHO} group {name!r} {what}.", remedy=f"Make it at the venue, with currency {currency}."
        )


async def group_of(session: Session, name: str) -> shapes.Group | None:
    try:
        return shapes.one(shapes.Group, await session.ask("/api/group/get", {"group": name}))
    except NotFound:
        return None
    except ValueError:
        raise unreadable(changing=False) from None


def _added(answer: dict[str, Any], login: int, comment: str) -> int:
    try:
        made = shapes.one(shapes.User, answer)
    except ValueError:
        raise unreadable(changing=True) from None
    if made.Login != login or made.Comment != comment:
        raise unreadable(changing=True, what="another account")
    return login


def _texts(record: dict[str, Any]) -> dict[str, Any]:
    """Returns a record for JSON: numbers as the texts that the server uses."""
    return {name: value if isinstance(value, list | dict) else str(value) for name, value in record.items()}
