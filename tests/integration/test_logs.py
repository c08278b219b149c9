"""Logs are JSON lines with ids and without persons or secrets, whoever writes them."""

import io
import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest
import structlog

from cli.stack import logs


@pytest.fixture
def lines() -> Iterator[io.StringIO]:
    root = logging.getLogger()
    handlers, level = root.handlers, root.level
    stream = io.StringIO()
    logs.configure("worker", "info", stream)
    yield stream
    structlog.contextvars.clear_contextvars()
    structlog.reset_defaults()
    root.handlers = handlers
    root.setLevel(level)


def last(stream: io.StringIO) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(stream.getvalue().splitlines()[-1])
    return found


def test_a_line_names_process_and_bound_ids(lines: io.StringIO) -> None:
    structlog.contextvars.bind_contextvars(account_id="acc_1", workflow_id="challenge/chl_1")
    structlog.get_logger("challenge").info("phase passed", phase=1)
    line = last(lines)
    assert (line["process"], line["event"], line["phase"]) == ("worker", "phase passed", 1)
    assert (line["account_id"], line["workflow_id"]) == ("acc_1", "challenge/chl_1")


@pytest.mark.parametrize("key", ["email", "name", "iban", "beneficiary", "sandbox_token", "webhook_secret", "password"])
def test_private_values_are_masked_at_every_depth(lines: io.StringIO, key: str) -> None:
    structlog.get_logger("x").info("event", **{key: "canary"}, deep={"list": [{key: "canary"}]})
    assert "canary" not in lines.getvalue()
    assert last(lines)[key] == logs.MASK


def test_library_lines_and_exceptions_go_the_same_way(lines: io.StringIO) -> None:
    try:
        raise ValueError("duplicate key (email)=(mara.canary@example.org), DE89370400440532013000")
    except ValueError:
        logging.getLogger("uvicorn.error").exception("request failed", extra={"email": "mara.canary@example.org"})
    line = last(lines)
    assert line["logger"] == "uvicorn.error"
    assert "ValueError" in line["exception"]
    assert "canary" not in lines.getvalue()
    assert "DE8937" not in lines.getvalue()
