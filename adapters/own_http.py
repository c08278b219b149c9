"""HTTP to servers of our own, the sandbox and the gateway: client options, and the error for each failed call."""

import ssl
from functools import cache
from typing import Annotated, Any, Final

import httpx
from pydantic import StringConstraints

from domain.errors import (
    BadInput,
    Conflict,
    IdempotencyMismatch,
    InProgress,
    NotFound,
    OutcomeUnknown,
    PropOSError,
    RefusedForGood,
    TooLarge,
    Unavailable,
)
from domain.quoting import storable_text

WebUrl = Annotated[str, StringConstraints(pattern=r"^https?://[^\s/]+")]

_BY_STATUS: Final[dict[int, type[PropOSError]]] = {
    404: NotFound,
    409: Conflict,
    413: TooLarge,
    422: BadInput,
}
_NOT_SENT: Final = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.UnsupportedProtocol)
IDLE_SECONDS: Final = 30.0  # a firewall may drop a connection that was idle for long, and tell neither end
_KEEP: Final = httpx.Limits(max_connections=50, max_keepalive_connections=20, keepalive_expiry=IDLE_SECONDS)


@cache
def trust(*, env: bool) -> ssl.SSLContext:
    """The authorities that the HTTP clients of this process believe; with `env`, those of SSL_CERT_FILE. Reading them
    takes longer than a call, so they are read once."""
    return httpx.create_ssl_context(trust_env=env)


def options(url: str, token: str, timeout: float) -> dict[str, Any]:
    """Returns the arguments for an httpx client of such a server. It closes idle connections before the server does."""
    headers = {"Authorization": f"Bearer {token}"}
    return {
        "base_url": url,
        "headers": headers,
        "timeout": timeout,
        "limits": _KEEP,
        "trust_env": False,
        "verify": trust(env=False),
    }


def transport_error(who: str, exc: httpx.RequestError, changing: bool) -> Unavailable:
    """Returns Unavailable for a call that was not sent or changes nothing, OutcomeUnknown for one that may have
    arrived."""
    if isinstance(exc, _NOT_SENT) or not changing:
        return Unavailable(f"{who} cannot be reached.", remedy="Start it, or check its address.")
    return OutcomeUnknown(f"{who} did not answer. The call may have taken effect.", remedy="Repeat it with its key.")


def unreadable(who: str, changing: bool) -> Unavailable:
    """Returns the error for an answer that cannot be read: OutcomeUnknown for a call that may have changed
    something."""
    if not changing:
        return Unavailable(f"{who} sent an answer that cannot be read.")
    return OutcomeUnknown(
        f"{who} sent an answer that cannot be read. The call may have taken effect.", remedy="Look it up by its key."
    )


def refusal(who: str, answer: httpx.Response, key: str | None) -> PropOSError:
    """Returns the error for a refused call. `key`: the call's idempotency key; None for a call that changes nothing.
    Returns RefusedForGood only if the answer names this key."""
    problem = _problem(answer)
    detail = problem.get("detail") or f"{who} answered {answer.status_code}."
    field, remedy = problem.get("field"), problem.get("remedy")
    status = answer.status_code
    if problem.get("type") == IdempotencyMismatch.type and key is not None:
        return IdempotencyMismatch(key)
    if problem.get("type") == RefusedForGood.type and key is not None and problem.get("key") == key:
        return RefusedForGood(key, detail)
    if problem.get("type") == InProgress.type:
        return InProgress(detail, remedy=remedy)
    if problem.get("type") == OutcomeUnknown.type and key is not None:
        return OutcomeUnknown(detail, remedy=remedy)
    if status in (401, 403):
        return Unavailable(f"{who} rejects our token.", remedy="Set the same token on both sides.")
    if status in _BY_STATUS:
        error = _BY_STATUS[status](detail)
        error.field, error.remedy = field, remedy
        return error
    if status >= 500 and status != 503 and key is not None:
        return OutcomeUnknown(detail, remedy="Repeat it with its key.")
    return Unavailable(detail, remedy=remedy)


def _problem(answer: httpx.Response) -> dict[str, str]:
    """Returns the text fields of a problem document; empty for any other answer."""
    try:
        problem = answer.json()
    except (ValueError, RecursionError):
        return {}
    if not isinstance(problem, dict):
        return {}
    return {name: storable_text(text) for name, text in problem.items() if isinstance(text, str)}
