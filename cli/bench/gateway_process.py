"""The gateway of the benchmark, a process of its own: `python -m cli.bench.gateway_process PLAN`.

It prints a line of JSON with the time and its highest memory each time that the journal holds what PLAN waits for.
"""

import asyncio
import json
import resource
import sys
import time
from pathlib import Path
from typing import Final

import structlog
import uvloop
from pydantic import BaseModel, SecretStr

from adapters.platforms.http_stream import GatewaySettings
from cli.bench import outside
from cli.bench.line_venue import LineFeed
from cli.bench.wires.feed import WireFeed
from cli.bench.wires.recorded import read
from cli.gateway.process import open_journal, serve
from gateway.recording import Recording
from ports.journal import Journal
from ports.platform import SymbolSpec
from ports.venue import VenueFeed

TOKEN: Final = "bench"
_LOOK: Final = 0.02  # seconds


class Plan(BaseModel):
    """`waits`: numbers of lines of the venue, ascending. `journal`: the URL of a Redis; empty: a file in `folder`.
    `wire`: a recorded wire that is read instead of lines."""

    folder: Path
    journal: str
    venue_port: int
    gateway_port: int
    specs: list[SymbolSpec] = []
    waits: list[int] = []
    wire: Path | None = None

    def feed(self) -> VenueFeed:
        if self.wire is None:
            return LineFeed(self.venue_port, self.specs)
        return WireFeed(read(self.wire)[0], self.venue_port)


async def run(plan: Plan) -> None:
    values = GatewaySettings(
        gateway=f"http://127.0.0.1:{plan.gateway_port}",
        gateway_token=SecretStr(TOKEN),
        gateway_wall_clock=False,
        gateway_reconcile_seconds=86_400,
        gateway_journal=SecretStr(plan.journal),
    )
    feed, stop = plan.feed(), asyncio.Event()
    platform = next(iter(outside.platforms().by_name.values()))
    journal = open_journal(values, plan.folder, "bench")
    watching = asyncio.create_task(_watch(journal, plan.waits))
    await serve(platform, feed, journal, Recording(plan.folder, 1), values, stop)
    watching.cancel()


async def _watch(journal: Journal, waits: list[int]) -> None:
    for number in waits:
        while int(journal.get("cursor/told") or 0) < number:  # noqa: ASYNC110 -- the measured loop knows nothing of it
            await asyncio.sleep(_LOOK)
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        print(json.dumps({"at": time.time(), "peak_mb": peak}), flush=True)


def main() -> None:
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(40))
    plan = Plan.model_validate_json(Path(sys.argv[1]).read_bytes())
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(run(plan))


if __name__ == "__main__":
    main()
