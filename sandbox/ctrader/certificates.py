"""Which certificate the fake shows to a client."""

import ssl
from pathlib import Path

from sandbox.ctrader.faults import Faults


class Certificates:
    """The right one, and one of an authority that no client trusts. `faults` counts the times that it is shown."""

    def __init__(self, faults: Faults) -> None:
        self._faults = faults
        self._wrong: ssl.SSLContext | None = None
        self._times = 0

    def context(self, right: tuple[Path, Path], wrong: tuple[Path, Path] | None) -> ssl.SSLContext:
        """Returns the TLS of the server. Each is a certificate and its key."""
        made = _context(right)
        self._wrong = None if wrong is None else _context(wrong)
        made.sni_callback = self._choose
        return made

    def show_wrong(self, times: int) -> bool:
        """The next connections are shown the wrong one. Returns whether there is one."""
        self._times = times if self._wrong is not None else 0
        return self._wrong is not None

    def _choose(self, connection: ssl.SSLObject, name: str | None, context: ssl.SSLContext) -> None:
        if self._times and self._wrong is not None:
            self._times -= 1
            self._faults.uses["wrong_certificate"] += 1
            connection.context = self._wrong


def _context(files: tuple[Path, Path]) -> ssl.SSLContext:
    made = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    made.load_cert_chain(*files)
    return made
