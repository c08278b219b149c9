"""Two sandboxes side by side, `east` and `west`, and a firm with accounts on both."""

from dataclasses import dataclass
from pathlib import Path

from settings import Settings, load
from tests.challenge_world import KEYS
from tests.contract.sandbox_process import SECRET, TOKEN, SandboxProcess

NAMES = ("east", "west")


@dataclass
class Two:
    """Both sandboxes, and the firm's settings with the given defaults for what is new."""

    east: SandboxProcess
    west: SandboxProcess
    folder: Path
    database_url: str

    def settings(self, default: str) -> Settings:
        values = {name: {"adapter": "sandbox", "url": of.url, "token": TOKEN} for name, of in self.by_name.items()}
        paid = {name: fields | {"webhook_secret": f"{SECRET}-{name}"} for name, fields in values.items()}
        return load(
            data_dir=self.folder,
            database_url=self.database_url,
            payload_keys=KEYS,
            platforms=values,
            acquirers=paid,
            rails=paid,
            statements=paid,
            default_platform=default,
            default_acquirer=default,
            default_rail=default,
        )

    @property
    def by_name(self) -> dict[str, SandboxProcess]:
        return {"east": self.east, "west": self.west}
