"""Sends webhooks over HTTP, only to addresses of the public internet.

A name is resolved and its addresses are checked in the moment of connecting, and the connection goes to the address
that was checked: a name that leads elsewhere a moment later changes nothing.
"""

import asyncio
import ipaddress
import socket
import ssl
from collections.abc import Iterable, Mapping
from typing import Any, Final
from urllib.parse import urlsplit

import httpcore

from domain.errors import BadInput
from domain.webhooks import check_url, may_call
from ports.webhooks import WebhookAnswer, WebhookRules

_SECONDS: Final = 20.0  # for everything: name, connection, answer
_CONNECT_SECONDS: Final = 10.0
_READ_AT_MOST: Final = 4096  # bytes of an answer; they are thrown away


class _Forbidden(Exception):
    """The address may not be called."""


class HttpCourier:
    def __init__(self, rules: WebhookRules, seconds: float = _SECONDS) -> None:
        """`seconds`: the longest that one request takes."""
        self._rules, self._seconds = rules, seconds
        self._tls = ssl.create_default_context()

    async def post(self, url: str, headers: Mapping[str, str], body: bytes) -> WebhookAnswer:
        try:
            check_url(url, allowed_hosts=self._rules.hosts, loopback=self._rules.loopback)
            async with asyncio.timeout(self._seconds):
                return await self._post(url, headers, body)
        except BadInput as error:
            return WebhookAnswer(None, error.message)
        except TimeoutError:
            return WebhookAnswer(None, f"no answer within {self._seconds:g} seconds")
        except _Forbidden as error:
            return WebhookAnswer(None, str(error))
        except (httpcore.TimeoutException, httpcore.NetworkError, httpcore.ProtocolError, OSError) as error:
            return WebhookAnswer(None, _words(error))

    async def _post(self, url: str, headers: Mapping[str, str], body: bytes) -> WebhookAnswer:
        backend = _CheckedBackend(loopback=self._rules.loopback)
        async with httpcore.AsyncConnectionPool(
            ssl_context=self._tls, network_backend=backend, max_keepalive_connections=0, retries=0
        ) as pool:
            sent = [(b"host", urlsplit(url).netloc.encode()), *((k.encode(), v.encode()) for k, v in headers.items())]
            extensions = {"timeout": dict.fromkeys(("connect", "read", "write", "pool"), self._seconds)}
            async with pool.stream("POST", url, headers=sent, content=body, extensions=extensions) as response:
                read = 0
                async for part in response.aiter_stream():
                    read += len(part)
                    if read >= _READ_AT_MOST:
                        break
                found = {name.lower(): value for name, value in response.headers}
                after = found.get(b"retry-after")
                problem = "a redirect is not followed" if 300 <= response.status < 400 else ""
                return WebhookAnswer(response.status, problem, after.decode("latin-1")[:100] if after else None)


class _CheckedBackend(httpcore.AsyncNetworkBackend):
    """Connects to addresses that may be called, and to no other."""

    def __init__(self, *, loopback: bool) -> None:
        self._plain = httpcore.AnyIOBackend()
        self._loopback = loopback

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109 -- the interface of httpcore
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        """Raises _Forbidden when the name leads to an address that may not be called, also when it leads to others as
        well."""
        found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
        addresses = list(dict.fromkeys(str(each[4][0]) for each in found))
        for address in addresses:
            if not may_call(ipaddress.ip_address(address.partition("%")[0]), loopback=self._loopback):
                raise _Forbidden("the host leads to an address that is not on the public internet")
        failed: Exception = OSError("the host has no address")
        for address in addresses:
            try:
                return await self._plain.connect_tcp(address, port, timeout=_CONNECT_SECONDS)
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                failed = error
        raise failed

    async def connect_unix_socket(
        self,
        path: str,
        timeout: float | None = None,  # noqa: ASYNC109 -- the interface of httpcore
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        raise _Forbidden("a webhook goes to a host")

    async def sleep(self, seconds: float) -> None:
        await self._plain.sleep(seconds)


def _words(error: Exception) -> str:
    """The kind of failure: its text may quote what the receiver sent."""
    if isinstance(error, socket.gaierror):
        return "the host has no address"
    cause = error.__cause__ or error.__context__
    if isinstance(error, ssl.SSLError) or isinstance(cause, ssl.SSLError):
        return "the certificate or the TLS handshake failed"
    return {
        "ConnectError": "the connection was refused",
        "ConnectTimeout": "no connection in time",
        "ReadError": "the connection was lost",
        "RemoteProtocolError": "the answer was not HTTP",
    }.get(type(error).__name__, type(error).__name__)
