"""The outermost layer: request ids, size and patience limits, the access log, metrics, safe headers."""

import asyncio
import re
import time
import uuid
from typing import Final

import structlog
from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.metrics import Metrics
from api.problems import ErrorPage, problem_response
from domain.errors import InternalError, PropOSError, RequestTooSlow, TooLarge
from store.scope import request_scope

API_LIMIT: Final = 256 * 1024
WEBHOOK_LIMIT: Final = 64 * 1024
MAIL_LIMIT: Final = 30 * 1024 * 1024
TICKET_LIMIT: Final = 4 * 1024 * 1024  # Zammad sends the whole article along
_PATIENCE_SECONDS: Final = 15
_GIVEN_ID: Final = re.compile(r"[A-Za-z0-9_-]{8,64}")
_HEADERS: Final = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "X-Frame-Options": "DENY",
}
_METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_log = structlog.get_logger("api")


class Observed:
    """Names every request, times it, logs it without personal data, and answers for whatever broke inside."""

    def __init__(self, app: ASGIApp, metrics: Metrics, error_page: ErrorPage | None = None) -> None:
        """`error_page` may answer a request that a person made in a browser."""
        self._app = app
        self._metrics = metrics
        self._error_page = error_page

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        given = Headers(scope=scope).get("x-request-id", "")
        request = given if _GIVEN_ID.fullmatch(given) else uuid.uuid4().hex
        scope.setdefault("state", {})["request_id"] = request
        started, status = time.perf_counter(), 0

        async def observed_send(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = MutableHeaders(scope=message)
                headers["X-Request-ID"] = request
                for name, value in {**_HEADERS, **scope["state"].get("rate_headers", {})}.items():
                    headers.setdefault(name, value)
                if scope["path"].startswith("/v1"):
                    headers.setdefault("Cache-Control", "no-store")
            await send(message)

        with structlog.contextvars.bound_contextvars(request_id=request), request_scope():
            try:
                await self._app(scope, receive, observed_send)
            except Exception as error:
                _log.exception("request broke", error=type(error).__name__)
                if status:
                    raise  # half an answer is out: let the server cut the connection
                broken = InternalError("Something went wrong on our side.", remedy="Tell us the request id.")
                answer = await self._page(scope, broken, request)
                if answer is None:
                    answer = problem_response(broken, instance=scope["path"], request=request)
                await answer(scope, receive, observed_send)
            finally:
                self._note(scope, status or 500, time.perf_counter() - started)

    async def _page(self, scope: Scope, error: PropOSError, request: str) -> Response | None:
        """The page that says so; None for programs, and when the page itself breaks too."""
        if self._error_page is None:
            return None
        try:
            return await self._error_page(Request(scope), error, request)
        except Exception as again:  # noqa: BLE001 -- a program gets its answer whatever the page does
            _log.exception("the page of an error broke", error=type(again).__name__)
            return None

    def _note(self, scope: Scope, status: int, seconds: float) -> None:
        # the route's template and not the path: a query or an unknown path may hold an e-mail address
        route = getattr(scope.get("route"), "path", "(none)")
        method = scope["method"] if scope["method"] in _METHODS else "OTHER"
        self._metrics.requests.labels(method, route, str(status)).inc()
        self._metrics.seconds.labels(method, route).observe(seconds)
        _log.info(
            "request",
            method=method,
            route=route,
            status=status,
            milliseconds=round(seconds * 1000, 1),
            user_id=scope["state"].get("user_id"),
        )


def _limit(path: str) -> int:
    """Returns the largest body of a request to the path. A mail has files."""
    if path.startswith("/webhooks/mail/"):
        return MAIL_LIMIT
    if path.startswith("/webhooks/tickets/"):
        return TICKET_LIMIT
    return WEBHOOK_LIMIT if path.startswith("/webhooks/") else API_LIMIT


class Limits:
    """Reads the whole body up to a cap before anything looks at it, and gives up on senders that dawdle."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        limit = _limit(scope["path"])
        try:
            body = await self._read(scope, receive, limit)
        except PropOSError as error:
            request = scope["state"]["request_id"]
            await problem_response(error, instance=scope["path"], request=request)(scope, receive, send)
            return
        delivered = False

        async def replay() -> Message:
            nonlocal delivered
            if delivered:
                return await receive()
            delivered = True
            return {"type": "http.request", "body": body, "more_body": False}

        await self._app(scope, replay, send)

    async def _read(self, scope: Scope, receive: Receive, limit: int) -> bytes:
        too_large = TooLarge(f"The body is larger than {limit // 1024} KiB.", remedy="Send less at a time.")
        declared = Headers(scope=scope).get("content-length", "0")
        if declared.isdecimal() and int(declared) > limit:
            raise too_large
        parts, size = [], 0
        try:
            async with asyncio.timeout(_PATIENCE_SECONDS):
                while True:
                    message = await receive()
                    if message["type"] == "http.disconnect":
                        return b""
                    part = message.get("body", b"")
                    size += len(part)
                    if size > limit:
                        raise too_large
                    parts.append(part)
                    if not message.get("more_body", False):
                        return b"".join(parts)
        except TimeoutError:
            raise RequestTooSlow(f"The body did not arrive within {_PATIENCE_SECONDS} seconds.") from None
