"""The fake Tradovate as a server of its own:

    python -m sandbox.tradovate.server '{"port": 4100, "desk_token": "..."}'

The API is under /v1, with the socket at /v1/websocket; the desk is under /desk and has a token of its own.
"""

import asyncio
import hmac
import json
import logging
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

import uvicorn
from fastapi import APIRouter, Depends, FastAPI, HTTPException, Request, Response, WebSocket

from sandbox.tradovate.calls import Failed
from sandbox.tradovate.config import TradovateConfig
from sandbox.tradovate.desk import add_desk, add_floor
from sandbox.tradovate.fake import FakeTradovate
from sandbox.tradovate.faults import Faults, with_texts
from sandbox.tradovate.replay import Replay
from sandbox.tradovate.sockets import encoded

_log: Final = logging.getLogger(__name__)
_JSON: Final = "application/json"


class _Cut(Exception):
    """The connection ends without an answer."""


def create_app(config: TradovateConfig) -> FastAPI:
    fake = FakeTradovate(config)
    replay = None if config.follows is None else Replay(fake, config.follows)
    app = FastAPI(title="Fake Tradovate", openapi_url=None, lifespan=lambda _: _following(replay))
    app.state.fake = fake
    router = APIRouter(prefix="/v1")

    @router.api_route("/{path:path}", methods=["GET", "POST"])
    async def call(path: str, request: Request) -> Response:
        try:
            return await _answer(fake, path, request)
        except _Cut:
            return _Aborted()

    @router.websocket("/websocket")
    async def socket(socket: WebSocket) -> None:
        await fake.hub.serve(socket)

    @app.get("/health")
    async def health() -> dict[str, str]:
        if replay is not None and not replay.is_following:
            raise HTTPException(503, "It does not follow the sandbox yet.")
        return {"status": "up"}

    def at_the_desk(request: Request) -> None:
        given = request.headers.get("authorization", "")
        if not hmac.compare_digest(given.encode(), f"Bearer {config.desk_token}".encode()):
            raise HTTPException(401)

    desk = APIRouter(dependencies=[Depends(at_the_desk)])
    add_desk(desk, fake)
    if replay is not None:
        add_floor(desk, replay.floor)
    app.include_router(desk)
    app.include_router(router)
    return app


async def _answer(fake: FakeTradovate, path: str, request: Request) -> Response:
    faults, changing = fake.hub.faults, request.method == "POST"
    body = await request.body()
    early = await _before(faults, path)
    if early is not None:
        return early
    if path == "auth/accesstokenrequest":
        return _json(fake.sign_in(json.loads(body)))
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    if scheme != "Bearer" or not fake.token_valid(token) or faults.use("expired", path):
        return Response("Access is denied", 401)
    if path == "auth/renewaccesstoken":
        return _json(fake.renew(token))
    if path == "order/liquidatepositions" and faults.use("refuse_liquidations", path):
        return _json({"ok": True})
    try:
        answer = fake.calls.post(path, json.loads(body)) if changing else fake.calls.get(path, request.query_params)
    except Failed as failed:
        await _lose(faults, path)
        return _broken(faults, path, "{}") or Response(str(failed), failed.status)
    return await _after(faults, path, answer)


async def _before(faults: Faults, path: str) -> Response | None:
    """What goes wrong before a call has any effect."""
    if faults.use("error_text", path):
        return _json({"errorText": "Something went wrong", "ok": False})
    if faults.use("penalty", path):
        return _json({"p-ticket": "ticket-1", "p-time": faults.penalty_seconds, "p-captcha": False})
    if faults.use("captcha", path):
        return _json({"p-ticket": "ticket-2", "p-time": 0, "p-captcha": True})
    if faults.use("timeout_before", path):
        await asyncio.sleep(faults.hold_seconds)
        raise _Cut
    if faults.use("cut_before", path):
        raise _Cut
    if faults.use("too_many", path):
        return Response(status_code=429)
    if faults.use("busy", path):
        return Response("<h1>Down for a moment</h1>", 503)
    return None


async def _after(faults: Faults, path: str, answer: Any) -> Response:
    """What goes wrong after a call had its effect."""
    await _lose(faults, path)
    text = encoded(answer)
    broken = _broken(faults, path, text)
    if broken is not None:
        return broken
    if faults.use("wrong_type", path):
        return _json(with_texts(answer))
    if faults.use("unknown_field", path):
        return _json(_widened(answer))
    return Response(text, media_type=_JSON)


async def _lose(faults: Faults, path: str) -> None:
    if faults.use("timeout_after", path):
        await asyncio.sleep(faults.hold_seconds)
        raise _Cut
    if faults.use("cut_after", path):
        raise _Cut


def _broken(faults: Faults, path: str, text: str) -> Response | None:
    if faults.use("failed_after", path):
        return Response("<h1>oops</h1>", 500)
    if faults.use("cut_body", path):
        return Response(text[: max(len(text) // 2, 1)], media_type=_JSON)
    return None


def _widened(answer: Any) -> Any:
    if isinstance(answer, dict):
        return {**{name: _widened(value) for name, value in answer.items()}, "somethingNew": {"a": [1]}}
    return [_widened(each) for each in answer] if isinstance(answer, list) else answer


def _json(value: object) -> Response:
    return Response(encoded(value), media_type=_JSON)


class _Aborted(Response):
    """Promises a body and sends none, so that the server cuts the connection."""

    def __init__(self) -> None:
        super().__init__(b"", 200, headers={"content-length": "100"})

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
        raise ConnectionAbortedError


@asynccontextmanager
async def _following(replay: Replay | None) -> AsyncIterator[None]:
    if replay is None:
        yield
        return
    task = asyncio.create_task(replay.run())
    task.add_done_callback(_stop_if_failed)
    yield
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


def _stop_if_failed(task: asyncio.Task[None]) -> None:
    """Stops the fake when it cannot follow: without prices it must not look healthy."""
    if not task.cancelled() and task.exception() is not None:
        _log.error("the venue stops: %s", task.exception(), exc_info=task.exception())
        os.kill(os.getpid(), signal.SIGTERM)


def run(config: TradovateConfig) -> None:
    """Serve until a signal stops it."""
    uvicorn.run(
        create_app(config),
        host=config.host,
        port=config.port,
        log_level="critical",
        access_log=False,
        ws="websockets-sansio",
        timeout_graceful_shutdown=2,
    )


def main() -> None:
    """The argument is the settings as JSON, or `@` and the path of a file with them: others may see arguments."""
    given = sys.argv[1]
    run(TradovateConfig.model_validate_json(Path(given[1:]).read_text() if given.startswith("@") else given))


if __name__ == "__main__":
    main()
