"""The fake Tradovate over HTTP in a thread of the test, which sees into it."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import uvicorn

from adapters.tradovate.settings import TradovateSettings
from sandbox.tradovate.config import ADMIN_ID, TEMPLATE_ID, TradovateConfig
from sandbox.tradovate.fake import FakeTradovate
from sandbox.tradovate.server import create_app
from tests.contract.sandbox_process import free_port

DESK = "desk-token"


def settings(config: TradovateConfig, **other: object) -> TradovateSettings:
    host = f"127.0.0.1:{config.port}"
    values: dict[str, object] = {
        "name": config.name,
        "password": config.password,
        "cid": config.cid,
        "sec": config.sec,
        "holder": str(ADMIN_ID),
        "templates": f"*={TEMPLATE_ID}",
        "symbols": "ESZ6,MESZ6",
        "url": f"http://{host}/v1",
        "users_url": f"http://{host}/v1",
        "quotes_url": f"ws://{host}/v1/websocket",
        "timeout": "60",
        "gateway": f"http://127.0.0.1:{free_port()}",
        "gateway_token": "gateway-token",
        **other,
    }
    return TradovateSettings.model_validate(values)


@contextmanager
def tradovate_thread(**config: object) -> Iterator[FakeTradovate]:
    """`config`: other fields of TradovateConfig."""
    made = TradovateConfig.model_validate({"port": free_port(), "desk_token": DESK, **config})
    app = create_app(made)
    serving = uvicorn.Config(
        app, port=made.port, log_level="critical", ws="websockets-sansio", timeout_graceful_shutdown=1
    )
    server = uvicorn.Server(serving)
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started:
        time.sleep(0.02)
    try:
        yield app.state.fake
    finally:
        server.should_exit = True
        thread.join()
