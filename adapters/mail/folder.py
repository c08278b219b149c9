"""Mail as .eml files in a folder: for the demo, development and tests. Nothing leaves the machine."""

import asyncio
import os
from pathlib import Path
from typing import Final

from pydantic import BaseModel, ConfigDict

from domain.errors import Unavailable
from domain.mail.outgoing import OutgoingMail, as_bytes
from ports.mail import MailSender
from ports.plugin import Plugin


class FolderSender:
    """One file per mail, named after its Message-ID: the same mail again is the same file."""

    def __init__(self, name: str, folder: Path) -> None:
        self.name, self._folder = name, folder

    async def send(self, mail: OutgoingMail) -> str:
        name = "".join(each for each in mail.message_id if each.isalnum() or each in "-_@.")
        path = self._folder / f"{name}.eml"
        try:
            await asyncio.to_thread(_write, path, as_bytes(mail))
        except OSError as error:
            raise Unavailable(f"The mail could not be written to {self._folder}: {error.strerror}.") from None
        return f"written to {path}"

    async def healthy(self) -> str:
        return f"Mail is written to {self._folder}; none is sent."

    async def aclose(self) -> None:
        return None


def _write(path: Path, content: bytes) -> None:
    """Replaces the file; a reader sees the whole mail or none."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    temporary = path.with_suffix(".tmp")
    with os.fdopen(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
        file.write(content)
    temporary.replace(path)


class FolderSettings(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    path: Path


def _build(name: str, settings: FolderSettings) -> MailSender:
    return FolderSender(name, settings.path)


PLUGIN: Final = Plugin(FolderSettings, None, _build)
