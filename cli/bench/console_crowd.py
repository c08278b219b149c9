"""Who else is there while `propos bench console` measures: viewers whose pages poll, and live figures that are written.

The viewers are browsers of their own, each signed in by the form, and poll as often as the pages say (`hx-trigger`).
The monitor is not run: one statement a second writes the live rows of accounts whose figures move.
"""

import asyncio
import html
import re
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final

import httpx
from fastapi import FastAPI

from cli.bench.console_fill import FIRST_NUMBER, LOGIN, PASSWORD, Size
from cli.bench.timing import percentile, rounded
from relay.service import ranks_pause
from store import account_ranks
from store.db import connect_async
from store.scope import FIRM

# the pages of ten viewers
_LOOKING_AT: Final = (
    *("/accounts/A-{number}", "/accounts/A-{number}", "/accounts/A-{number}", "/accounts/A-{number}"),
    *("/accounts", "/accounts?status=active", "/queue", "/queue?kind=payout", "/", "/payouts"),
)
_POLL: Final = re.compile(r'hx-get="([^"]+)" hx-trigger="every (\d+)s"')
_LIVE_SHARE: Final = 50  # one of so many accounts moves in a second
_CHECKPOINT: Final = """
    UPDATE account_live SET batch = batch + 1, at = at + interval '1 second', equity_minor = equity_minor + 1
     WHERE account_id IN (SELECT id FROM accounts WHERE number >= %s AND number < %s AND status = 'active')
"""
_CLOCK: Final = "UPDATE market_clock SET watermark = watermark + interval '1 second', recorded_at = clock_timestamp()"


class Busy:
    """What the crowd did."""

    def __init__(self) -> None:
        self.polls, self.rows, self.checkpoints, self.seconds = list[float](), 0, 0, 0.0
        self.errors = list[str]()

    def raise_errors(self) -> None:
        if self.errors:
            raise RuntimeError(f"{len(self.errors)} polls failed. The first: {self.errors[0]}")

    def figures(self) -> dict[str, Any]:
        seconds = max(self.seconds, 0.001)
        return {
            "polls_per_second": rounded(len(self.polls) / seconds),
            "poll_p95_ms": rounded(percentile(self.polls, 0.95)) if self.polls else None,
            "live_rows_written_per_second": rounded(self.rows / seconds),
            "live_writes_per_second": rounded(self.checkpoints / seconds),
        }


class Crowd:
    def __init__(self, app: FastAPI, size: Size) -> None:
        self._app, self._size = app, size

    @asynccontextmanager
    async def browser(self) -> AsyncIterator[httpx.AsyncClient]:
        """A browser of the application in this process."""
        transport = httpx.ASGITransport(app=self._app)
        async with httpx.AsyncClient(transport=transport, base_url=self._app.state.deps.public_url, timeout=60) as http:
            yield http

    @asynccontextmanager
    async def looking(self, viewers: int, database_url: str) -> AsyncIterator[Busy]:
        """The viewers poll, and live figures are written, until the block ends."""
        busy, all_in, ended = Busy(), asyncio.Semaphore(0), asyncio.Event()
        async with asyncio.TaskGroup() as tasks:
            for viewer in range(viewers):
                tasks.create_task(self._view(viewer, busy, all_in, ended))
            for _ in range(viewers):
                await all_in.acquire()
            tasks.create_task(self._write(database_url, busy, ended))
            tasks.create_task(self._rank(ended))
            started = time.perf_counter()
            busy.polls.clear()
            try:
                yield busy
            finally:
                busy.seconds = time.perf_counter() - started
                ended.set()

    async def _view(self, viewer: int, busy: Busy, all_in: asyncio.Semaphore, ended: asyncio.Event) -> None:
        async with self.browser() as http:
            await http.post("/sign-in", data={"login": LOGIN, "password": PASSWORD, "next": "/"})
            number = FIRST_NUMBER + viewer % self._size.accounts
            page = await http.get(_LOOKING_AT[viewer % len(_LOOKING_AT)].format(number=number))
            all_in.release()
            polls = _POLL.findall(page.text)
            await asyncio.gather(*(_poll(http, path, every, viewer / 50, busy, ended) for path, every in polls))

    async def _rank(self, ended: asyncio.Event) -> None:
        """As often as the relay does."""
        took = 0.0
        while not await _over(ended, ranks_pause(took)):
            began = time.perf_counter()
            async with self._app.state.deps.db.transaction(FIRM) as session:
                await account_ranks.refresh(session)
            took = time.perf_counter() - began

    async def _write(self, database_url: str, busy: Busy, ended: asyncio.Event) -> None:
        connection = await connect_async(database_url, autocommit=True)
        width, part = max(1, self._size.accounts // _LIVE_SHARE), 0
        async with connection:
            while not await _over(ended, 1.0):
                first = FIRST_NUMBER + part * width % self._size.accounts
                done = await connection.execute(_CHECKPOINT, (first, first + width))
                await connection.execute(_CLOCK)
                busy.rows, busy.checkpoints, part = busy.rows + done.rowcount, busy.checkpoints + 1, part + 1


async def _poll(
    http: httpx.AsyncClient, told: str, seconds: str, offset: float, busy: Busy, ended: asyncio.Event
) -> None:
    """Polls as a page does: what it was told last, the next time so long after it asked, or once it is answered."""
    every = float(seconds)
    path, pause = html.unescape(told), offset % every
    while not await _over(ended, pause):
        started = time.perf_counter()
        answer = await http.get(path, headers={"HX-Request": "true", "X-Poll": "1"})
        took = time.perf_counter() - started
        busy.polls.append(took * 1000)
        if answer.status_code not in (200, 204):
            busy.errors.append(f"{path}: {answer.status_code} {answer.text[:300]}")
        elif (again := _POLL.search(answer.text)) is not None:
            path = html.unescape(again.group(1))
        pause = max(0.0, every - took)


async def _over(ended: asyncio.Event, seconds: float) -> bool:
    """Waits so long, or until the measurement is over; returns whether it is."""
    try:
        async with asyncio.timeout(seconds):
            await ended.wait()
    except TimeoutError:
        return False
    return True
