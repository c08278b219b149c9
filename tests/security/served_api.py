"""The API of a furnished firm on a port of this machine, served by a thread with an event loop of its own."""

import asyncio
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import uvicorn

from api.json_api import create_json_api
from tests.api_world import ApiWorld, api_world

_WAIT = 120  # seconds


@dataclass(frozen=True)
class Served:
    url: str
    world: ApiWorld

    def token(self, who: str) -> str:
        return self.world.people[who].token


@contextmanager
def served_api(database_url: str) -> Iterator[Served]:
    started, found, stop = threading.Event(), list[Served](), threading.Event()

    async def serve() -> None:
        async with api_world(database_url) as world:
            with socket.socket() as door:
                door.bind(("127.0.0.1", 0))
                config = uvicorn.Config(create_json_api(world.deps), log_config=None, access_log=False, lifespan="off")
                server = uvicorn.Server(config)
                serving = asyncio.create_task(server.serve(sockets=[door]))
                while not server.started and not serving.done():
                    await asyncio.sleep(0.01)
                found.append(Served(f"http://127.0.0.1:{door.getsockname()[1]}", world))
                started.set()
                await asyncio.to_thread(stop.wait)
                server.should_exit = True
                await serving

    thread = threading.Thread(target=lambda: asyncio.run(serve()))
    thread.start()
    try:
        assert started.wait(_WAIT), "the API did not start"
        yield found[0]
    finally:
        stop.set()
        thread.join()
