"""Refusals as `application/problem+json` (RFC 9457): one shape for every error."""

from collections.abc import Awaitable, Callable
from typing import Any, Final

import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from pydantic import BaseModel, ConfigDict, JsonValue
from sqlalchemy.exc import DataError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from starlette.exceptions import HTTPException

from domain.errors import BadInput, BadRequest, MethodNotAllowed, NotFound, PayoutRefused, PropOSError, Unavailable
from domain.sign_in_errors import StepUpRequired

MEDIA_TYPE: Final = "application/problem+json"
_log = structlog.get_logger("api")
_TITLES: Final = {
    400: "Bad request",
    401: "Not signed in",
    403: "Not allowed",
    404: "Not found",
    405: "Method not allowed",
    408: "Too slow",
    409: "Conflict",
    413: "Too large",
    422: "Invalid input",
    429: "Too many attempts",
    500: "Something went wrong",
    503: "Unavailable",
}


class StepUpAsked(BaseModel):
    """How to prove it: send `action` and `digest` with one of `methods`. Without a method, add a factor first."""

    action: str
    digest: str
    methods: list[str]


class RefusalReason(BaseModel):
    """One reason against a payout, for programs. `figures`: its inputs; money in minor units, moments as RFC 3339."""

    code: str
    sentence: str
    figures: dict[str, JsonValue] = {}


class Problem(BaseModel):
    """`type` is stable and for programs, `detail` a sentence for a person, `remedy` what to do about it.

    A refused payout has `reasons` for people, `refusals` (code, sentence, figures) for programs, and the proof of both.
    What needs a fresh proof of the person first has `step_up`: what is sent to `POST /v1/step-ups`, and the methods.
    """

    model_config = ConfigDict(extra="forbid")

    type: str
    title: str
    status: int
    detail: str
    field: str | None = None
    remedy: str | None = None
    reasons: list[str] | None = None
    refusals: list[RefusalReason] | None = None
    proof_id: str | None = None
    step_up: StepUpAsked | None = None
    request_id: str
    instance: str


# How another face of the application (the console) says the same to a person; None: it is not its request.
ErrorPage = Callable[[Request, PropOSError, str], Awaitable[Response | None]]


def request_id(scope_state: Any) -> str:
    return str(getattr(scope_state, "request_id", "-"))


def problem_body(error: PropOSError, *, instance: str, request: str) -> dict[str, Any]:
    refused = error if isinstance(error, PayoutRefused) else None
    problem = Problem(
        type=error.type,
        title=_TITLES.get(error.status, "Refused"),
        status=error.status,
        detail=error.message,
        field=error.field,
        remedy=error.remedy,
        reasons=refused.reasons if refused else None,
        refusals=[RefusalReason.model_validate(each) for each in refused.refusals] or None if refused else None,
        proof_id=refused.proof_id if refused else None,
        step_up=_step_up(error) if isinstance(error, StepUpRequired) else None,
        request_id=request,
        instance=instance,
    )
    return problem.model_dump(exclude_none=True)


def _step_up(error: StepUpRequired) -> StepUpAsked:
    return StepUpAsked(action=error.action, digest=error.digest, methods=list(error.methods))


def problem_response(error: PropOSError, *, instance: str, request: str) -> JSONResponse:
    body = problem_body(error, instance=instance, request=request)
    headers = {"WWW-Authenticate": "Bearer"} if error.status == 401 else None
    return JSONResponse(body, status_code=error.status, media_type=MEDIA_TYPE, headers=headers)


def from_validation(error: RequestValidationError) -> BadInput:
    """The first wrong field; what was sent is not repeated, since it may be a password."""
    first = error.errors()[0]
    where, *path = (str(part) for part in first["loc"])
    field = ".".join(path) or where
    words = "is not valid JSON" if first["type"] == "json_invalid" else _sentence(str(first["msg"]))
    return BadInput(f"{field}: {words}.", field=field, remedy="See /v1/openapi.json for what this request takes.")


def _sentence(message: str) -> str:
    return (message[:1].lower() + message[1:]).removeprefix("value error, ").rstrip(".")


def from_http(error: HTTPException) -> PropOSError:
    """The framework's own refusals: no such route, a wrong method, a body that cannot be read."""
    if error.status_code == 404:
        return NotFound()
    if error.status_code == 405:
        return MethodNotAllowed("This address does not take that method.", remedy="See /v1/openapi.json.")
    return BadRequest(f"{error.detail}.", remedy="See /v1/openapi.json for what this request takes.")


def install(app: FastAPI, error_page: ErrorPage | None = None) -> None:
    """Give every refusal its one shape; `error_page` may answer requests that a person made in a browser."""

    async def answer(request: Request, error: PropOSError) -> Response:
        request_name = request_id(request.state)
        if error_page is not None and (page := await error_page(request, error, request_name)) is not None:
            return page
        return problem_response(error, instance=request.url.path, request=request_name)

    @app.exception_handler(PropOSError)
    async def _refused(request: Request, error: PropOSError) -> Response:
        return await answer(request, error)

    @app.exception_handler(RequestValidationError)
    async def _invalid(request: Request, error: RequestValidationError) -> Response:
        return await answer(request, from_validation(error))

    @app.exception_handler(HTTPException)
    async def _http(request: Request, error: HTTPException) -> Response:
        return await answer(request, from_http(error))

    async def _database_down(request: Request, _: Exception) -> Response:
        return await answer(request, Unavailable("The database cannot be reached.", remedy="Try again in a moment."))

    async def _not_kept(request: Request, exc: Exception) -> Response:
        _log.warning("a value cannot be stored", error=type(exc).__name__)
        refused = BadInput(
            "A value of this request cannot be stored.",
            remedy="Leave out NUL and half characters, and send numbers of at most 64 bits.",
        )
        return await answer(request, refused)

    for unfit in (DataError, UnicodeEncodeError):
        app.add_exception_handler(unfit, _not_kept)
    for kind in (OperationalError, InterfaceError, PoolTimeout):
        app.add_exception_handler(kind, _database_down)
