"""What htmx 4 sends, and what it must be answered.

It swaps whatever comes, error pages as well, and follows redirects and swaps what is at their end. So a request of
htmx for a part is answered with that part, a notice, or the address to which the browser is to go as a whole.

| It sends | With |
|---|---|
| `HX-Request` | Every request, but those that restore a page of the history |
| `HX-Target` | What the answer replaces, as `tag#id` |
| `HX-Current-URL` | The address that the browser shows |
| `HX-History-Restore-Request` | Requests for a page of the history, as their only header of this kind that we read |
| `X-Poll` | Requests of parts that look again by themselves: console/static/polling.js |
"""

from collections.abc import Callable, Coroutine
from typing import Any, Final

from fastapi import Request
from fastapi.responses import Response
from fastapi.routing import APIRoute

REDIRECT: Final = "HX-Redirect"
NOTICE: Final = {
    "HX-Retarget": "#trouble",
    "HX-Reswap": "innerHTML",
    "HX-Reselect": ".flash",  # whatever the request was to select of its answer
    "HX-Push-Url": "false",  # the page stays what it was, and so does its address
}


def restores(request: Request) -> bool:
    """Whether a person went back or forward; htmx then needs the whole page."""
    return "HX-History-Restore-Request" in request.headers


def sent_by_htmx(request: Request) -> bool:
    return "HX-Request" in request.headers or restores(request)


def wants_part(request: Request) -> bool:
    return sent_by_htmx(request) and not restores(request)


def wants_fragment(request: Request, target: str) -> bool:
    """Whether htmx asks for one part only. `target`: its id."""
    _, _, id = request.headers.get("HX-Target", "").partition("#")
    return id == target and not restores(request)


class PageRoute(APIRoute):
    """A page that sends the browser elsewhere does so also when htmx has asked for it."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        answer = super().get_route_handler()

        async def handler(request: Request) -> Response:
            response = await answer(request)
            return _led(response) if sent_by_htmx(request) and "Location" in response.headers else response

        return handler


def _led(response: Response) -> Response:
    response.headers[REDIRECT] = response.headers["Location"]
    del response.headers["Location"]
    response.status_code = 200
    return response
