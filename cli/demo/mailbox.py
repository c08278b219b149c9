"""The mail of simulated people: the .eml files that the firm's folder sender writes."""

import asyncio
import email
import re
import time
from email import policy
from pathlib import Path
from typing import Final

from domain.errors import Unavailable

_TOKEN: Final = re.compile(r"/([\w-]+)\?token=([\w-]+)")
_PATIENCE_SECONDS: Final = 300  # the relay may be restarting
_PAUSE_SECONDS: Final = 0.05  # between two looks, whoever waits


class Mailbox:
    """Reads each file once, whoever it is for."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._read: set[str] = set()
        self._tokens: dict[tuple[str, str], str] = {}
        self._looked_at = float("-inf")

    async def token(self, address: str, page: str) -> str:
        """Returns the token of the link to `page`, such as "confirm", in the newest mail to this address. Waits until
        there is one. Raises Unavailable."""
        deadline = time.monotonic() + _PATIENCE_SECONDS
        while True:
            if time.monotonic() - self._looked_at >= _PAUSE_SECONDS:
                self._looked_at = time.monotonic()
                self._look()
            if found := self._tokens.get((address.casefold(), page)):
                return found
            if time.monotonic() > deadline:
                raise Unavailable(f"No mail with a link to /{page} has arrived in {self._folder}.")
            await asyncio.sleep(_PAUSE_SECONDS)

    def _look(self) -> None:
        fresh = [path for path in self._folder.glob("*.eml") if path.name not in self._read]
        for path in sorted(fresh, key=lambda each: each.stat().st_mtime_ns):
            mail = email.message_from_bytes(path.read_bytes(), policy=policy.default)
            body = mail.get_body(("plain",))
            links = _TOKEN.findall(body.get_content()) if body else []
            for address in mail["To"].addresses:
                self._tokens |= {(address.addr_spec.casefold(), page): token for page, token in links}
            self._read.add(path.name)


def mailbox_of(data_dir: Path) -> Mailbox:
    """Returns the mailbox of a firm without a mail server: it writes its mail into this folder."""
    return Mailbox(data_dir / "mail")
