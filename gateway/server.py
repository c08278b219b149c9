"""The gateway over HTTP: the stream and its acknowledgements, locks, snapshots from the books, and how it is.

The paths are those of the sandbox, so that a shard reads every venue by one client.
"""

from functools import partial
from typing import Annotated, Any

from fastapi import FastAPI, Query, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, StreamingResponse
from pydantic import BaseModel, ConfigDict, Field

from domain.errors import NotFound, PropOSError, Unavailable
from gateway.gateway import Gateway
from ports.platform import FIRST_READER, AccountSnapshot, ClockReading, GapInStream, SymbolSpec
from ports.stream_http import PROBLEM, Acknowledgements, BearerAuth, gap_of, problem_of, problem_of_field

Key = Annotated[str, Field(min_length=1, max_length=200)]


class _Body(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class _Ack(_Body):
    number: int = Field(ge=0)
    keep_after: int = Field(ge=0)
    reader: Key = FIRST_READER


class Lock(_Body):
    key: Key


class LockOf(_Body):
    login: int
    key: Key


class Locks(_Body):
    locks: list[LockOf]


def create_app(gateway: Gateway, token: str) -> FastAPI:
    app = FastAPI(title="PropOS gateway", openapi_url=None)
    _add_stream(app, gateway)
    _add_accounts(app, gateway)
    app.add_exception_handler(PropOSError, _problem)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(GapInStream, _gap)
    app.add_middleware(Acknowledgements, take=partial(_acknowledge, gateway))
    app.add_middleware(BearerAuth, token=token, whose="gateway", open_paths=("/health",))
    return app


def _acknowledge(gateway: Gateway, body: bytes) -> None:
    ack = _Ack.model_validate_json(body)
    gateway.hub.acknowledge(ack.reader, ack.keep_after)


def _add_stream(app: FastAPI, gateway: Gateway) -> None:
    hub = gateway.hub

    @app.get("/venue/stream")
    async def stream(after: Annotated[int, Query(ge=0)] = 0, reader: Key = FIRST_READER) -> StreamingResponse:
        hub.join(reader, after)
        return StreamingResponse(hub.lines(after), media_type="application/x-ndjson")

    @app.get("/venue/clock")
    async def clock() -> ClockReading:
        return gateway.clock.reading

    @app.get("/health")
    async def health() -> dict[str, Any]:
        return gateway.status().model_dump(mode="json")


def _add_accounts(app: FastAPI, gateway: Gateway) -> None:
    @app.get("/venue/accounts/{login}")
    async def snapshot(login: int) -> AccountSnapshot:
        book = gateway.sequencer.books.get(login)
        if book is None:
            raise NotFound(f"The venue has told nothing of an account {login}.")
        return book.snapshot(gateway.sequencer.position[0])

    @app.get("/venue/symbols")
    async def symbols() -> list[SymbolSpec]:
        specs = gateway.sequencer.specs
        if not specs:  # a shard would take every symbol for unknown
            raise Unavailable("The venue has not told its symbols yet.", remedy="Ask again in a moment.")
        return list(specs.values())

    @app.post("/venue/accounts/{login}/lock", status_code=204)
    async def lock(login: int, body: Lock) -> None:
        await gateway.locks.lock([(login, body.key)])

    @app.post("/venue/locks", status_code=204)
    async def lock_many(body: Locks) -> None:
        await gateway.locks.lock([(each.login, each.key) for each in body.locks])


async def _problem(_: Request, exc: Exception) -> Response:
    assert isinstance(exc, PropOSError)
    return JSONResponse(problem_of(exc), exc.status, media_type=PROBLEM)


async def _invalid(_: Request, exc: Exception) -> Response:
    assert isinstance(exc, RequestValidationError)
    return JSONResponse(problem_of_field(exc.errors()), 422, media_type=PROBLEM)


async def _gap(_: Request, exc: Exception) -> Response:
    assert isinstance(exc, GapInStream)
    return JSONResponse(gap_of(exc), 410)
