"""How a connection to cTrader ends."""

import asyncio
from typing import Any, cast

import pytest

from adapters.ctrader.session import Session


class _Writer:
    """Its connection is closed once `gone` is set."""

    def __init__(self) -> None:
        self.gone = asyncio.Event()

    def close(self) -> None:
        pass

    async def wait_closed(self) -> None:
        await self.gone.wait()


async def test_who_is_cancelled_just_as_the_connection_is_closed_stays_cancelled() -> None:
    """Else a gateway that is told to stop in that moment goes on."""
    writer = _Writer()
    session = Session(asyncio.StreamReader(), cast("Any", writer), 1.0, lambda *_: None)
    closing = asyncio.create_task(session.close())
    for _ in range(5):
        await asyncio.sleep(0)
    writer.gone.set()
    closing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await closing
