"""Keeps what the gateway estimates of the venue's clock on the record, about once a minute.

A thread of its own: neither a slow gateway nor the record makes the judging wait. What fails is logged and tried again.
"""

import threading
from typing import Final

import psycopg
import structlog

from domain.errors import PropOSError
from ports.platform import PlatformStream, TellsClock
from store import venue_clocks

_EVERY: Final = 60.0
_SOON: Final = 5.0  # until there is an estimate

_log = structlog.get_logger(__name__)


class ClockKeeper:
    def __init__(self, database_url: str, platform: str, stream: PlatformStream) -> None:
        self._database_url, self._platform, self._stream = database_url, platform, stream
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"clock-{platform}", daemon=True)
        if isinstance(stream, TellsClock):
            self._thread.start()

    def close(self) -> None:
        """Returns once the thread has ended."""
        self._over.set()
        if self._thread.is_alive():
            self._thread.join()

    def _run(self) -> None:
        pause = 0.0
        while not self._over.wait(pause):
            pause = _EVERY if self._keep() else _SOON

    def _keep(self) -> bool:
        """Stores the estimate. Returns whether there is one."""
        assert isinstance(self._stream, TellsClock)
        try:
            reading = self._stream.clock()
            if reading.ahead_us is None:
                return False
            with psycopg.connect(self._database_url, autocommit=True) as connection:
                venue_clocks.write(
                    connection,
                    self._platform,
                    ahead_us=reading.ahead_us,
                    simulated=reading.simulated,
                    samples=reading.samples,
                )
        except (PropOSError, psycopg.Error) as error:
            _log.warning("the clock of the venue is not known", platform=self._platform, error=str(error))
            return False
        return True
