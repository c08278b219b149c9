"""What the venue's error codes mean for a call, as one of the five outcomes of ports/money.py.

The codes are those of ProtoErrorCode and ProtoOAErrorCode. What a code means for a repeat is unverified: the published
description explains each in one line and nothing was tried against a live server.
"""

from dataclasses import dataclass
from typing import Final

from domain.errors import InProgress, NotFound, OutcomeUnknown, PropOSError, RefusedForGood, Unavailable

# The access token no longer counts, or the account is not authorised on this connection: nothing was done.
TOKEN: Final = frozenset({"OA_AUTH_TOKEN_EXPIRED", "CH_ACCESS_TOKEN_INVALID", "ACCOUNT_NOT_AUTHORIZED"})
# What should be closed or cancelled is no longer there.
GONE: Final = frozenset({"POSITION_NOT_FOUND", "POSITION_NOT_OPEN", "ORDER_NOT_FOUND"})
ALREADY_AUTHORISED: Final = frozenset({"ALREADY_LOGGED_IN", "CH_CLIENT_ALREADY_AUTHENTICATED"})
TOO_MANY: Final = frozenset({"REQUEST_FREQUENCY_EXCEEDED", "BLOCKED_PAYLOAD_TYPE"})
TOO_WIDE: Final = "INCORRECT_BOUNDARIES"
_LATER: Final = frozenset(
    {
        *TOO_MANY,
        *TOKEN,
        "SERVER_IS_UNDER_MAINTENANCE",
        "CH_SERVER_NOT_REACHABLE",
        "CANT_ROUTE_REQUEST",
        "CONNECTIONS_LIMIT_EXCEEDED",
        "CH_CLIENT_NOT_AUTHENTICATED",
        "MARKET_CLOSED",
        "NO_QUOTES",
        "SYMBOL_HAS_HOLIDAY",
        "TRADING_DISABLED",
    }
)
_UNDER_WAY: Final = frozenset({"PENDING_EXECUTION", "POSITION_LOCKED", "CONCURRENT_MODIFICATION"})
_NO_ACCOUNT: Final = frozenset({"RET_NO_SUCH_LOGIN", "CH_CTID_TRADER_ACCOUNT_NOT_FOUND"})
_FOR_GOOD: Final = frozenset(
    {
        "TRADING_NOT_ALLOWED",
        "RET_ACCOUNT_DISABLED",
        "CHANNEL_IS_BLOCKED",
        "INVALID_REQUEST",
        "UNSUPPORTED_MESSAGE",
        "TRADING_BAD_VOLUME",
        "UNABLE_TO_CANCEL_ORDER",
        "CH_CLIENT_AUTH_FAILURE",
        "CH_OA_CLIENT_NOT_FOUND",
    }
)


@dataclass(frozen=True)
class Refusal:
    """The venue's answer to a request that it did not carry out. `retry_after`: seconds that it asks to wait."""

    code: str
    description: str = ""
    retry_after: int = 0

    def __str__(self) -> str:
        return f"{self.code[:60]}{': ' if self.description else ''}{self.description[:200]}"


def outcome(refusal: Refusal, who: str, *, key: str | None) -> PropOSError:
    """Returns the error of a call. `key`: of a call that changes something, else None."""
    said = f"{who} answers {refusal}."
    if refusal.code in _NO_ACCOUNT:
        return NotFound(f"{who} does not know this account.")
    if refusal.code in _LATER:
        return Unavailable(said, remedy="It is tried again.")
    if key is None:
        return Unavailable(said)
    if refusal.code in _UNDER_WAY:
        return InProgress(said)
    if refusal.code in _FOR_GOOD:
        return RefusedForGood(key, said)
    return OutcomeUnknown(said)
