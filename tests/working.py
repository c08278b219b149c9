"""A worker of Temporal for the time of a test."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Final

from temporalio.worker import Worker

_END_SECONDS: Final = 60


@asynccontextmanager
async def working(worker: Worker) -> AsyncIterator[None]:
    """Runs a worker. One that does not end in a minute is left behind: its end can hang in the SDK once in many
    thousand tests, and the timeout of a test does not count there."""
    error: BaseException | None = None
    await worker.__aenter__()
    try:
        yield
    except BaseException as exc:
        error = exc
        raise
    finally:
        with suppress(TimeoutError):
            async with asyncio.timeout(_END_SECONDS):
                await worker.__aexit__(None if error is None else type(error), error, None)
