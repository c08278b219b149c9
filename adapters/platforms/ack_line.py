"""A connection that only acknowledges batches. There is one call for each batch, so it is made with the client of the
standard library, which costs a fraction of httpx."""

import http.client
import time
from collections.abc import Mapping
from contextlib import suppress
from ssl import SSLContext
from typing import Final
from urllib.parse import urlsplit

import httpx

from adapters.own_http import IDLE_SECONDS, transport_error
from ports.stream_http import ACK_PATH

DONE: Final = httpx.codes.NO_CONTENT


class AckLine:
    """Keeps its connection open between calls that follow within IDLE_SECONDS. Use it from one thread at a time. `url`:
    of the server; `who`: its name for people."""

    def __init__(self, who: str, url: str, headers: Mapping[str, str], timeout: float, trust: SSLContext) -> None:
        parts = urlsplit(url)
        self._who, self._path = who, parts.path.rstrip("/") + ACK_PATH
        self._headers = {**headers, "Content-Type": "application/json"}
        host = parts.hostname or ""
        self._connection = (
            http.client.HTTPSConnection(host, parts.port, timeout=timeout, context=trust)
            if parts.scheme == "https"
            else http.client.HTTPConnection(host, parts.port, timeout=timeout)
        )
        self._used = time.monotonic()

    def send(self, body: bytes) -> httpx.Response | None:
        """Returns the answer; None for the usual one, that the batch is acknowledged. A server may have closed the
        connection meanwhile, so a call that fails is made once more on a new one: acknowledging twice changes nothing.
        Raises Unavailable if there is no answer."""
        try:
            with suppress(ConnectionError, http.client.HTTPException):
                return self._sent(body)
            return self._sent(body)
        except (OSError, http.client.HTTPException) as error:
            raise transport_error(self._who, httpx.ReadError(str(error)), changing=False) from error

    def close(self) -> None:
        self._connection.close()

    def _sent(self, body: bytes) -> httpx.Response | None:
        if time.monotonic() - self._used > IDLE_SECONDS:
            self._connection.close()
        try:
            self._connection.request("POST", self._path, body, self._headers)
            answer = self._connection.getresponse()
            content = answer.read()
            self._used = time.monotonic()
            return None if answer.status == DONE else httpx.Response(answer.status, content=content)
        except BaseException:
            self._connection.close()  # the next call opens another one
            raise
