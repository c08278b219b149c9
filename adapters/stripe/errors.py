"""Which of the five outcomes of ports/money.py an error of Stripe is.

Stripe's own messages may quote what a person typed. They are not repeated: only codes, names of parameters and the id
of the request are.
"""

import re
from typing import Final

import httpx
import stripe

from domain.errors import (
    BadInput,
    Conflict,
    IdempotencyMismatch,
    InProgress,
    NotFound,
    OutcomeUnknown,
    PropOSError,
    RefusedForGood,
    Unavailable,
)

_NOT_SENT: Final = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.UnsupportedProtocol)
# A code of Stripe that says: the state does not allow it.
_STATE: Final = frozenset(
    {
        *("balance_insufficient", "charge_already_refunded", "charge_disputed", "charge_not_refundable"),
        *("checkout_session_not_open", "insufficient_funds", "payouts_not_allowed", "payment_intent_unexpected_state"),
    }
)
_WORD: Final = re.compile(r"[A-Za-z0-9_.\[\]-]{1,80}")
_LOOK_UP: Final = "Look it up by its key, then repeat it with its key."


def error_of(error: stripe.StripeError | httpx.HTTPError, key: str | None) -> PropOSError:
    """Returns the error for a failed call. `key`: its idempotency key; None for a call that changes nothing."""
    if isinstance(error, httpx.HTTPError):
        return _unreached(error, key)
    status, words = error.http_status or 0, _words(error)
    if isinstance(error, stripe.IdempotencyError) and status != 409:
        return IdempotencyMismatch(key or "")
    if status == 409:
        return InProgress(f"Stripe still works on an earlier call{words}.", remedy="Repeat it later with its key.")
    if isinstance(error, stripe.RateLimitError):
        return Unavailable(f"Stripe asks for fewer calls{words}.", remedy="Repeat it later.")
    if isinstance(error, stripe.AuthenticationError | stripe.PermissionError):
        return Unavailable(
            f"Stripe does not allow our key this call{words}.",
            remedy="Check the key, its permissions and its mode (test or live). docs/stripe.md lists the permissions.",
        )
    if 400 <= status < 500:
        return _refused(error, key, status, words)
    return unreadable(key, words)


def unreadable(key: str | None, words: str = "") -> Unavailable:
    """Returns the error for an answer that says nothing about the call: a fault of Stripe, or no readable answer."""
    if key is None:
        return Unavailable(f"Stripe could not answer{words}.", remedy="Repeat it later.")
    return OutcomeUnknown(f"Stripe could not answer. The call may have taken effect{words}.", remedy=_LOOK_UP)


def _unreached(error: httpx.HTTPError, key: str | None) -> Unavailable:
    if key is None or isinstance(error, _NOT_SENT):
        return Unavailable("Stripe cannot be reached.", remedy="Check the network and the address, and repeat it.")
    return OutcomeUnknown("Stripe did not answer. The call may have taken effect.", remedy=_LOOK_UP)


def _refused(error: stripe.StripeError, key: str | None, status: int, words: str) -> PropOSError:
    """Returns RefusedForGood only for a stored answer to this very key: the first call under it had no effect. Stripe
    stores no answer to a call that it refused before it began, so the same key may take effect later."""
    text = f"Stripe refuses the call{words}."
    headers = error.headers or {}
    stored = headers.get("idempotent-replayed") == "true" and headers.get("idempotency-key", key) == key
    if key is not None and stored:
        return RefusedForGood(key, text)
    if status == 404 or error.code == "resource_missing":
        return NotFound(text)
    if status == 402 or error.code in _STATE:
        return Conflict(text)
    return BadInput(text, field=_param(error))


def _words(error: stripe.StripeError) -> str:
    """Returns the codes of an error in brackets: " (card_declined, insufficient_funds, amount, req_1)"."""
    detail = error.error
    found = (
        error.code,
        getattr(detail, "decline_code", None),
        getattr(error, "param", None),
        error.request_id,
    )
    words = [word for word in found if isinstance(word, str) and _WORD.fullmatch(word)]
    return f" ({', '.join(words)})" if words else ""


def _param(error: stripe.StripeError) -> str | None:
    param = getattr(error, "param", None)
    return param if isinstance(param, str) and _WORD.fullmatch(param) else None
