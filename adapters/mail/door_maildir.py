"""Mail from a Maildir, into which the firm's mail server or a fetching program delivers."""

import asyncio
import contextlib
from pathlib import Path
from typing import Final

import structlog
from pydantic import BaseModel, ConfigDict, Field

from domain.errors import BadInput
from domain.mail.reading import LARGEST_MAIL
from ports.mail_door import FetchingDoor, Take
from ports.plugin import Plugin

_log = structlog.get_logger("mail-in")


class MaildirSettings(BaseModel):
    """`path`: the folder with `new` and `cur`. `seconds`: between two looks."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    path: Path
    authserv: str | None = None
    seconds: float = Field(2.0, gt=0, le=3600)


class MaildirDoor:
    """A mail in `new` is taken and moved to `cur`; one that cannot be read is moved to `refused`."""

    def __init__(self, name: str, settings: MaildirSettings) -> None:
        self.name, self.authserv, self._settings = name, settings.authserv, settings

    async def run(self, take: Take, *, our_address: str, stop: asyncio.Event) -> None:
        while not stop.is_set():
            await self.look(take, stop)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._settings.seconds):
                    await stop.wait()

    async def look(self, take: Take, stop: asyncio.Event) -> None:
        """Takes what is in `new` now."""
        folder = self._settings.path
        try:
            waiting = sorted(path for path in (folder / "new").iterdir() if path.is_file())
        except OSError as error:
            _log.warning("the maildir cannot be read", error=error.strerror)
            return
        for path in waiting:
            if stop.is_set():
                return
            try:
                raw = await asyncio.to_thread(_read, path)
                await take(raw, ())
            except BadInput as error:
                _log.warning("a mail is refused", file=path.name, why=error.message)
                await asyncio.to_thread(_move, path, folder / "refused" / path.name)
            except Exception as error:  # noqa: BLE001 -- it stays in `new` and is tried again
                _log.warning("mail is not taken now", error=type(error).__name__)
                return
            else:
                await asyncio.to_thread(_move, path, folder / "cur" / f"{path.name}:2,S")


def _read(path: Path) -> bytes:
    """Reads no more than the largest mail and a byte: a larger one is refused by whoever reads it."""
    with path.open("rb") as file:
        return file.read(LARGEST_MAIL + 1)


def _move(path: Path, to: Path) -> None:
    to.parent.mkdir(mode=0o700, exist_ok=True)
    path.replace(to)


def _build(name: str, settings: MaildirSettings) -> FetchingDoor:
    return MaildirDoor(name, settings)


PLUGIN: Final = Plugin(MaildirSettings, None, _build)
