"""The fake's server: `python -m sandbox.zammad.server --port 8105 --hook http://127.0.0.1:8000/webhooks/tickets/zammad`.

The control interface (`/control/...`) is ours and has no counterpart at Zammad: it does what agents and customers do in
its pages, and switches faults on.
"""

import argparse
import asyncio
from typing import Any, Final

import httpx
import uvicorn
from fastapi import APIRouter, FastAPI, Request
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict

from sandbox.dxtrade.faults import FaultLayer, Faults
from sandbox.zammad.courier import Courier
from sandbox.zammad.rest import Rest
from sandbox.zammad.state import CLOSED, Refused, Sender, Zammad

TOKEN: Final = "made-up-zammad-token"
SECRET: Final = "made-up-webhook-secret"
_PAUSE_SECONDS: Final = 1.0  # between two tries of a webhook; the real one waits 10 s, then 20 s and so on


class Words(BaseModel):
    model_config = ConfigDict(extra="forbid")

    body: str
    sender: Sender = "Agent"
    type: str = "note"
    internal: bool = False
    by: str = "sue@desk.example"


class FakeZammad:
    """The desk, its faults and its webhooks. `app`: the ASGI application."""

    def __init__(self, token: str = TOKEN, secret: str = SECRET) -> None:
        self.state = Zammad()
        self.courier = Courier(self.state, secret)
        self.faults = Faults()
        self.app = FastAPI(title="fake Zammad", docs_url=None, redoc_url=None, openapi_url=None)
        self.app.include_router(Rest(self.state, token).router())
        self.app.include_router(self._control())
        self.app.add_middleware(FaultLayer, holder=self)

        @self.app.exception_handler(Refused)
        async def refused(_request: Request, error: Refused) -> JSONResponse:
            return JSONResponse(error.body, status_code=error.status)

    def _control(self) -> APIRouter:
        router = APIRouter(prefix="/control")

        @router.get("/tickets")
        async def tickets() -> list[dict[str, Any]]:
            return [{"id": each.id, "title": each.title, "state_id": each.state_id} for each in self._all()]

        @router.post("/tickets/{ticket_id}/articles")
        async def say(ticket_id: int, given: Words) -> int:
            return self.state.say(self.state.ticket(ticket_id), **given.model_dump()).id

        @router.post("/tickets/{ticket_id}/close")
        async def close(ticket_id: int) -> None:
            self.state.set_state(self.state.ticket(ticket_id), CLOSED)

        @router.post("/tickets/{source_id}/merge/{target_id}")
        async def merge(source_id: int, target_id: int) -> None:
            self.state.merge(self.state.ticket(source_id), self.state.ticket(target_id))

        @router.put("/faults")
        async def faults(given: Faults) -> None:
            self.faults = given.counted_since(self.faults)

        return router

    def _all(self) -> list[Any]:
        return list(self.state.tickets.values())

    async def carry(self, url: str) -> None:
        """Sends webhooks to `url` until it is cancelled."""
        async with httpx.AsyncClient(timeout=10, trust_env=False) as client:

            async def post(body: bytes, headers: dict[str, str]) -> int:
                try:
                    return (await client.post(url, content=body, headers=headers)).status_code
                except httpx.HTTPError:
                    return 0

            while True:
                await self.courier.step(post)
                await asyncio.sleep(_PAUSE_SECONDS)


async def _serve(port: int, hook: str) -> None:
    fake = FakeZammad()
    server = uvicorn.Server(uvicorn.Config(fake.app, port=port, log_level="warning"))
    carrying = asyncio.create_task(fake.carry(hook)) if hook else None
    await server.serve()
    if carrying is not None:
        carrying.cancel()


def main() -> None:
    parser = argparse.ArgumentParser(description="A fake Zammad on the loopback address.")
    parser.add_argument("--port", type=int, default=8105)
    parser.add_argument("--hook", default="", help="where its webhooks go")
    given = parser.parse_args()
    asyncio.run(_serve(given.port, given.hook))


if __name__ == "__main__":
    main()
