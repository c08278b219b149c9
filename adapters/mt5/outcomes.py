"""Which of the five outcomes of ports/money.py an answer of MT5 is.

MT5 knows no keys, so it refuses a call and never a key: RefusedForGood does not occur. Texts of the server are not
repeated, only its numbers.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import httpx

from adapters.mt5 import names
from domain.errors import BadInput, Conflict, NotFound, OutcomeUnknown, PropOSError, Unavailable

WHO: Final = "MT5"
_NOT_SENT: Final = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.UnsupportedProtocol)
_LOOK_UP: Final = "Look it up by its key, then repeat it with its key."
_WRONG: Final = (names.MT_RET_ERR_PARAMS, names.MT_RET_ERR_DATA, names.MT_RET_USR_INVALID_PASSWORD)
_STATE: Final = (names.MT_RET_REQUEST_NO_MONEY, names.MT_RET_TRADE_MAX_MONEY, names.MT_RET_USR_LOGIN_EXIST)
_SIGNING_IN: Final = range(1000, 1100)
# Refused before anything happened; later it may go well.
_LATER: Final = {
    names.MT_RET_ERR_PERMISSIONS: "Give the manager account the right to do it, in the groups of the accounts.",
    names.MT_RET_USR_LOGIN_PROHIBITED: "Give the server the range of logins from first_login to last_login.",
    names.MT_RET_USR_LOGIN_EXHAUSTED: "Give the server the range of logins from first_login to last_login.",
    names.MT_RET_REQUEST_MARKET_CLOSED: "Repeat it when the market is open.",
    names.MT_RET_REQUEST_PRICE_OFF: "Repeat it when the symbol is quoted.",
    **dict.fromkeys(
        (
            names.MT_RET_ERR_FREQUENT,
            names.MT_RET_ERR_SHUTDOWN,
            names.MT_RET_ERR_NOTMAIN,
            names.MT_RET_ERR_DEADLOCK,
            names.MT_RET_ERR_LOCKED,
            names.MT_RET_AUTH_SERVER_BUSY,
            names.MT_RET_AUTH_SERVER_LIMIT,
            names.MT_RET_REQUEST_TOO_MANY,
        ),
        "Repeat it later.",
    ),
}


def retcode_of(value: object) -> int | None:
    """Returns the number of a retcode such as "13 Not found"; None if it has none."""
    first = value.split(" ", 1)[0] if isinstance(value, str) else ""
    return int(first) if first.isascii() and first.isdigit() and len(first) < 7 else None


def refusal(retcode: int, *, changing: bool) -> PropOSError:
    """Returns the error for a retcode other than 0 and 1."""
    text = f"{WHO} refuses the call (code {retcode})."
    if retcode == names.MT_RET_ERR_NOTFOUND:
        return NotFound(text)
    if retcode in _WRONG:
        return BadInput(text)
    if retcode in _STATE:
        return Conflict(text)
    if retcode in _SIGNING_IN and retcode not in _LATER:
        return Unavailable(f"{WHO} does not let us sign in (code {retcode}).", remedy="Check manager and password.")
    if retcode in _LATER:
        return Unavailable(text, remedy=_LATER[retcode])
    return unreadable(changing=changing, what=f"code {retcode}")


def unreadable(*, changing: bool, what: str = "") -> Unavailable:
    """Returns the error for an answer that says nothing about the call."""
    said = f" ({what})" if what else ""
    if not changing:
        return Unavailable(f"{WHO} could not answer{said}.", remedy="Repeat it later.")
    return OutcomeUnknown(f"{WHO} could not answer. The call may have taken effect{said}.", remedy=_LOOK_UP)


def unreached(error: httpx.RequestError, *, changing: bool) -> Unavailable:
    if not changing or isinstance(error, _NOT_SENT):
        return Unavailable(f"{WHO} cannot be reached.", remedy="Check the network, the address and the certificate.")
    return OutcomeUnknown(f"{WHO} did not answer. The call may have taken effect.", remedy=_LOOK_UP)


def bad_status(status: int, *, changing: bool) -> Unavailable:
    """Returns the error for an HTTP status other than 200. 429 and 503 are said before anything happens."""
    if status in (429, 503):
        return Unavailable(f"{WHO} asks for fewer calls ({status}).", remedy="Repeat it later.")
    return unreadable(changing=changing, what=f"HTTP {status}")


@contextmanager
def readable() -> Iterator[None]:
    """Makes Unavailable of a figure in the answer to a question that cannot be read."""
    try:
        yield
    except (ValueError, OverflowError):
        raise unreadable(changing=False) from None
