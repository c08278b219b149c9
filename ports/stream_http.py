"""How a numbered stream of ports/platform.py is served over HTTP: what the sandbox and the gateway answer alike.

The client of both is adapters/platforms/http_stream.py.
"""

import hmac
import json
from collections.abc import Awaitable, Callable, Mapping, MutableMapping, Sequence
from typing import Any, Final

from domain.errors import PropOSError, RefusedForGood
from ports.platform import GapInStream

PROBLEM: Final = "application/problem+json"
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
                headers = [(b"content-type", PROBLEM.encode()), (b"content-length", str(len(body)).encode())]
                await send({"type": "http.response.start", "status": 401, "headers": headers})
                await send({"type": "http.response.body", "body": body})
                return
        await self._app(scope, receive, send)


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
