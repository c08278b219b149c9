"""Structured logs: one JSON object per line on standard error, which `propos up` writes to DATA/logs/PROCESS.log.

`structlog.contextvars.bind_contextvars(account_id=..., workflow_id=...)` adds ids to every line of a task. Values that
identify a person and secrets are masked by their key at any depth. E-mail addresses and IBANs are also masked inside
texts, because an exception may quote one. Ids are opaque and are not masked. Messages of libraries (uvicorn,
temporalio, sqlalchemy) are treated the same way.
"""

import logging
import re
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, TextIO

import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

MASK: Final = "***"
_PERSONAL: Final = frozenset(
    {
        *("address", "birth_date", "city", "country", "display_name", "dob", "email", "first_name", "full_name"),
        *("last_name", "legal_name", "name", "passport", "phone", "postcode", "street", "tax_id", "trader_name"),
        *("username", "beneficiary", "card", "iban", "ip", "ip_address"),
        *("body", "comment", "headers", "message_body", "note", "database_url"),
    }
)
_SECRET_ENDINGS: Final = ("authorization", "cookie", "password", "secret", "signature", "token", "_keys", "api_key")
_OWN_HANDLERS: Final = ("uvicorn", "uvicorn.error", "uvicorn.access")
_NOISY: Final = {"httpx": logging.WARNING, "httpcore": logging.WARNING, "uvicorn.access": logging.WARNING}


_IN_TEXT: Final = re.compile(r"[\w.+-]+@[\w-]+\.[\w.-]+|\b[A-Z]{2}\d{2}[A-Z0-9]{11,30}\b")  # e-mail, IBAN


def is_private(key: str) -> bool:
    """Returns whether the value under this key must never be written."""
    lowered = key.lower()
    return lowered in _PERSONAL or lowered.endswith(_SECRET_ENDINGS)


def mask_private(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Masks private values at every depth (a structlog processor)."""
    return {key: MASK if is_private(key) else _masked(value) for key, value in event.items()}


def _masked(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: MASK if is_private(str(key)) else _masked(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_masked(item) for item in value]
    if isinstance(value, str):
        return _IN_TEXT.sub(MASK, value)
    return value


def kept(process: str, data_dir: Path) -> TextIO:
    """Opens the log of a process that talks to people on its terminal: DATA/logs/PROCESS.log."""
    folder = data_dir / "logs"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return (folder / f"{process}.log").open("a", buffering=1)


def configure(process: str, level: str = "info", stream: TextIO | None = None) -> None:
    """Sends every log line of this process, named `process`, as JSON to `stream` (default: standard error)."""
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True, key="recorded_at"),
        structlog.processors.format_exc_info,
        mask_private,
    ]

    def name_process(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
        return {"process": process, **event}

    formatter = structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=[structlog.stdlib.ExtraAdder(), *shared],
        processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, name_process, _renderer()],
    )
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(formatter)
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(level.upper())
    for name in _OWN_HANDLERS:  # a server started earlier in this process may have given them handlers
        logger = logging.getLogger(name)
        logger.handlers, logger.propagate, logger.disabled = [], True, False
        logger.setLevel(logging.NOTSET)
    for name, at_least in _NOISY.items():
        logging.getLogger(name).setLevel(at_least)
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *shared,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )


def _renderer() -> Processor:
    return structlog.processors.JSONRenderer(default=str)
