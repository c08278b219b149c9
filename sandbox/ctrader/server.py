"""The process of the fake: `python -m sandbox.ctrader.server CONFIG`, a JSON file of a FakeConfig.

Prints one line of JSON with its ports once it listens.
"""

import argparse
import asyncio
import json
import socket
from pathlib import Path

import uvicorn
from pydantic import BaseModel, ConfigDict, Field, SecretStr

from sandbox.ctrader.control import control_app
from sandbox.ctrader.desk import Desk
from sandbox.ctrader.state import Broker


class FakeConfig(BaseModel):
    """`certificate`, `key`: of the server, for 127.0.0.1; `wrong_certificate`, `wrong_key`: those that it shows when it
    is told to. `client_id`, `client_secret`: of the one application.
    `token`: bearer token of the control interface. `rows`: of a list in one answer. A port of 0 is a free one."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    certificate: Path
    key: Path
    wrong_certificate: Path | None = None
    wrong_key: Path | None = None
    client_id: str
    client_secret: SecretStr
    token: SecretStr
    port: int = Field(0, ge=0, le=65535)
    control_port: int = Field(0, ge=0, le=65535)
    rows: int = Field(1000, ge=1)


async def serve(config: FakeConfig) -> None:
    desk = Desk(Broker(), config.client_id, config.client_secret.get_secret_value(), config.rows)
    wrong = None
    if config.wrong_certificate is not None and config.wrong_key is not None:
        wrong = (config.wrong_certificate, config.wrong_key)
    context = desk.certificates.context((config.certificate, config.key), wrong)
    wire = await asyncio.start_server(desk.serve, "127.0.0.1", config.port, ssl=context)
    control = socket.create_server(("127.0.0.1", config.control_port))
    app = control_app(desk, config.token.get_secret_value())
    server = uvicorn.Server(uvicorn.Config(app, log_level="warning", access_log=False, timeout_graceful_shutdown=2))
    ports = {"port": wire.sockets[0].getsockname()[1], "control_port": control.getsockname()[1]}
    print(json.dumps(ports), flush=True)  # noqa: T201 - for the one who started this process
    async with wire:
        await server.serve([control])
        await desk.drop_connections()


def main() -> None:
    parser = argparse.ArgumentParser(description="A fake of the cTrader Open API.")
    parser.add_argument("config", type=Path)
    asyncio.run(serve(FakeConfig.model_validate_json(parser.parse_args().config.read_bytes())))


if __name__ == "__main__":
    main()
