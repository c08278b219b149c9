"""A desk over a shard in memory: the real thread, on a real record, without a venue."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

from cli.bench.firm import START
from monitor.exposure.desk import ExposureDesk
from monitor.exposure.frozen import freeze
from monitor.shard import Shard
from store.live import claim_epoch
from tests.integration.scripted_venue import rows

SECONDS = 180.0  # the first figures wait until every kernel is compiled


@contextmanager
def desk_over(database_url: str, shard: Shard, number: int = 0) -> Iterator[ExposureDesk]:
    """Yields the desk once it has stored the first figures."""
    desk = ExposureDesk(database_url, number, claim_epoch(database_url, number), "sandbox")
    shard.state.now = START
    try:
        desk.give(freeze(shard.state, 1))
        until = time.monotonic() + SECONDS
        while rows(database_url, f"SELECT count(*) FROM exposure_now WHERE shard = {number}") == [(0,)]:
            assert time.monotonic() < until
            time.sleep(0.02)
        yield desk
    finally:
        desk.close()
