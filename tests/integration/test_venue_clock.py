"""The monitor keeps what a stream knows of the venue's clock."""

import time
from types import SimpleNamespace
from typing import Any

import psycopg

from domain.errors import Unavailable
from monitor.venue_clock import ClockKeeper
from ports.platform import ClockReading


class Told:
    """A stream that tells the clock once it can."""

    def __init__(self) -> None:
        self.asked = 0

    def clock(self) -> ClockReading:
        self.asked += 1
        if self.asked == 1:
            raise Unavailable("The gateway is down.")
        return ClockReading(ahead_us=-250_000, samples=200)


def test_the_clock_of_a_venue_is_on_the_record(database_url: str, monkeypatch: Any) -> None:
    monkeypatch.setattr("monitor.venue_clock._SOON", 0.01)
    stream: Any = Told()
    keeper = ClockKeeper(database_url, "mt5-live", stream)
    row = None
    for _ in range(600):
        with psycopg.connect(database_url) as connection:
            row = connection.execute("SELECT platform, ahead_us, simulated, samples FROM venue_clocks").fetchone()
        if row is not None:
            break
        time.sleep(0.05)
    keeper.close()
    assert row == ("mt5-live", -250_000, False, 200)
    silent: Any = SimpleNamespace()
    ClockKeeper(database_url, "fix", silent).close()  # a stream that knows no clock
