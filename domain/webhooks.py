"""Webhooks to programs of others, as Standard Webhooks says: signatures, times of the next try, addresses that may be
called, what an answer means."""

import base64
import binascii
import hashlib
import hmac
import ipaddress
import secrets
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Final, Literal
from urllib.parse import urlsplit

from domain.business_events import ALL, BY_NAME
from domain.errors import BadInput

SECRET_PREFIX: Final = "whsec_"
_SECRET_BYTES: Final = 32
LONGEST_BODY: Final = 20_000  # bytes
LONGEST_URL: Final = 500
_HOUR: Final = 3600.0
# seconds before each try after the first
PAUSES: Final = (5.0, 300.0, 1800.0, *(hours * _HOUR for hours in (2, 5, 10, 14, 20, 24)))
_JITTER: Final = 0.1
_LONGEST_ASKED: Final = 24 * _HOUR
GONE: Final = 410
Outcome = Literal["delivered", "gone", "failed"]


def new_secret() -> str:
    """Returns a fresh signing secret: `whsec_` and the base64 of 32 random bytes."""
    return SECRET_PREFIX + base64.b64encode(secrets.token_bytes(_SECRET_BYTES)).decode()


def signature(secret: str, *, webhook_id: str, timestamp: int, body: bytes) -> str:
    """Returns `v1,` and the base64 of the HMAC-SHA-256 over `id.timestamp.body`. Raises ValueError for a text that is
    no secret."""
    try:
        key = base64.b64decode(secret.removeprefix(SECRET_PREFIX), validate=True)
    except binascii.Error as error:
        raise ValueError("not a signing secret") from error
    signed = f"{webhook_id}.{timestamp}.".encode() + body
    return "v1," + base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()


def headers(live_secrets: Sequence[str], *, webhook_id: str, timestamp: int, body: bytes) -> dict[str, str]:
    """Returns the headers of one try. `webhook_id` is the same in every try, `timestamp` (Unix seconds) that of this
    one. While a secret rotates there is a signature for each."""
    made = (signature(each, webhook_id=webhook_id, timestamp=timestamp, body=body) for each in live_secrets)
    return {
        "content-type": "application/json",
        "user-agent": "PropOS-Webhooks/1",
        "webhook-id": webhook_id,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": " ".join(made),
    }


def outcome(status: int | None) -> Outcome:
    """Returns what an answer means. None: there was no answer. A redirect is a failure: it is never followed."""
    if status is not None and 200 <= status < 300:
        return "delivered"
    return "gone" if status == GONE else "failed"


def pause(tries: int, *, retry_after: float | None, chance: float) -> float | None:
    """Returns the seconds until the next try after `tries` tries; None when there is none any more. `retry_after`: what
    the receiver asked for, at most a day. `chance` (0 to 1) spreads tries of many events."""
    if tries > len(PAUSES):
        return None
    planned = PAUSES[tries - 1] * (1 + _JITTER * chance)
    return max(planned, min(retry_after or 0.0, _LONGEST_ASKED))


def retry_after(text: str | None, now: datetime) -> float | None:
    """Returns the seconds in a Retry-After header (a number or a date); None when it says nothing useful."""
    if not text:
        return None
    if text.strip().isdecimal():
        return float(text.strip()[:9])
    try:
        at = parsedate_to_datetime(text)
    except ValueError:
        return None
    at = at if at.tzinfo else at.replace(tzinfo=UTC)
    return max(0.0, (at - now).total_seconds())


def check_kinds(kinds: Iterable[str]) -> list[str]:
    """Returns the kinds that an endpoint takes, sorted; `*` alone means all. Raises BadInput."""
    wanted = sorted(set(kinds))
    if not wanted:
        raise BadInput("An endpoint takes at least one kind of event.", field="kinds", remedy='Send ["*"] for all.')
    for kind in wanted:
        if kind != ALL and kind not in BY_NAME:
            raise BadInput(f"There is no event {kind[:60]!r}.", field="kinds", remedy="docs/webhooks.md lists them.")
    return [ALL] if ALL in wanted else wanted


def check_url(url: str, *, allowed_hosts: Sequence[str] = (), loopback: bool = False) -> None:
    """Checks the address of an endpoint. `allowed_hosts`: the only hosts; empty: any. `loopback`: http to this machine
    is allowed, for development. Raises BadInput. Where a name leads is checked at each try."""
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname or "", parts.port
    except ValueError:
        raise _bad_url("is no address") from None
    if len(url) > LONGEST_URL or not url.isascii() or any(char.isspace() for char in url):
        raise _bad_url(f"has at most {LONGEST_URL} plain characters")
    if parts.username or parts.password:
        raise _bad_url("must not have a user or a password")
    if parts.fragment:
        raise _bad_url("must not have a part after #")
    if parts.scheme == "http" and not (loopback and _names_this_machine(host)):
        raise _bad_url("must begin with https://")
    if parts.scheme not in ("https", "http") or not host:
        raise _bad_url("must begin with https:// and a host")
    if allowed_hosts and host.lower() not in {each.lower() for each in allowed_hosts}:
        raise _bad_url("is not one of the hosts that the firm allows")
    if (address := _address(host)) is not None and not may_call(address, loopback=loopback):
        raise _bad_url("is not on the public internet")


def _bad_url(why: str) -> BadInput:
    return BadInput(f"The address {why}.", field="url", remedy="Write it like https://hooks.example.com/propos.")


def _names_this_machine(host: str) -> bool:
    address = _address(host)
    return host.lower() == "localhost" if address is None else address.is_loopback


def _address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None


# Addresses inside which another one is carried: what they lead to is decided by a translator on the way.
_CARRIERS: Final = tuple(
    ipaddress.ip_network(each) for each in ("64:ff9b::/96", "64:ff9b:1::/48", "2002::/16", "2001::/32", "::/96")
)
_NOT_PUBLIC: Final = tuple(
    ipaddress.ip_network(each)
    for each in ("100.64.0.0/10", "192.0.0.0/24", "192.88.99.0/24", "198.18.0.0/15", "fc00::/7", "fec0::/10")
)


def may_call(address: ipaddress.IPv4Address | ipaddress.IPv6Address, *, loopback: bool = False) -> bool:
    """Returns whether a webhook may be sent to this address: one of the public internet, or this machine when
    `loopback`. An IPv6 address that carries an IPv4 one is refused, a mapped one is judged as the IPv4 address."""
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        address = address.ipv4_mapped
    if address.is_loopback:
        return loopback
    if any(address in network for network in (*_CARRIERS, *_NOT_PUBLIC) if network.version == address.version):
        return False
    return address.is_global and not (address.is_multicast or address.is_reserved or address.is_unspecified)
