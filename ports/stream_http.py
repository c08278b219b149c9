"""How a numbered stream of ports/platform.py is served over HTTP: what the sandbox and the gateway answer alike.

The client of both is adapters/platforms/http_stream.py.
"""

import hmac
import json
from collections.abc import Awaitable, Callable, Mapping, MutableMapping, Sequence
from typing import Any, Final

from pydantic import ValidationError

from domain.errors import PropOSError, RefusedForGood, TooLarge
from ports.platform import GapInStream

PROBLEM: Final = "application/problem+json"
ACK_PATH: Final = "/venue/ack"
_LONGEST_ACK: Final = 4096  # bytes
Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]


class BearerAuth:
    """Refuses requests without the token. `whose`: for the message. `open_paths`: what needs no token begins so."""

    def __init__(self, app: App, token: str, whose: str, open_paths: tuple[str, ...]) -> None:
        self._app, self._expected = app, f"Bearer {token}".encode()
        self._whose, self._open = whose, open_paths

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and not scope["path"].startswith(self._open):
            given = dict(scope["headers"]).get(b"authorization", b"")
            if not hmac.compare_digest(given, self._expected):
                body = json.dumps(problem("not-signed-in", f"This needs the {self._whose}'s token.")).encode()
                await _answer(send, 401, body)
                return
        await self._app(scope, receive, send)


class Acknowledgements:
    """Takes the acknowledgements of batches, before any routing: there is one for each batch, and a market in lockstep
    waits for it. `take` is given the body; it raises ValidationError, or a PropOSError that refuses it."""

    def __init__(self, app: App, take: Callable[[bytes], None]) -> None:
        self._app, self._take = app, take

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or (scope["method"], scope["path"]) != ("POST", ACK_PATH):
            await self._app(scope, receive, send)
            return
        try:
            self._take(await _short_body(receive))
        except ValidationError as error:
            found = [{**each, "loc": ("body", *each["loc"])} for each in error.errors()]
            await _answer(send, 422, json.dumps(problem_of_field(found)).encode())
        except PropOSError as error:
            await _answer(send, error.status, json.dumps(problem_of(error)).encode())
        else:
            await _answer(send, 204)


async def _short_body(receive: Receive) -> bytes:
    """Returns the body. Raises TooLarge for one that is no acknowledgement by its size."""
    body, more = b"", True
    while more:
        message = await receive()
        body, more = body + message.get("body", b""), message.get("more_body", False)
        if len(body) > _LONGEST_ACK:
            raise TooLarge("This is longer than an acknowledgement.")
    return body


async def _answer(send: Send, status: int, body: bytes = b"") -> None:
    headers = [(b"content-type", PROBLEM.encode()), (b"content-length", str(len(body)).encode())] if body else []
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def problem(
    type: str, detail: str, field: str | None = None, remedy: str | None = None, **more: str
) -> dict[str, str | None]:
    """Returns the body of a refusal, of media type PROBLEM."""
    title = type.replace("-", " ").capitalize()
    return {"type": type, "title": title, "detail": detail, "field": field, "remedy": remedy, **more}


def problem_of(error: PropOSError) -> dict[str, str | None]:
    """Returns the body for an error; its status is the error's own. A refusal for good names its key."""
    spent = {"key": error.key} if isinstance(error, RefusedForGood) else {}
    return problem(error.type, error.message, error.field, error.remedy, **spent)


def problem_of_field(errors: Sequence[Mapping[str, Any]]) -> dict[str, str | None]:
    """Returns the body for a request that is wrong in a field, by the first of what pydantic found. Its status is
    422."""
    field = ".".join(str(part) for part in errors[0]["loc"][1:]) or "body"
    return problem("bad-input", f"{field}: {errors[0]['msg']}.", field, "Correct this field and send it again.")


def gap_of(gap: GapInStream) -> dict[str, str | int]:
    """Returns the body for a gap. Its status is 410."""
    return {"type": "gap-in-stream", "detail": str(gap), "first": gap.first}
