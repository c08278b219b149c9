"""What the checks of `propos doctor` share."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from cli.stack import probes
from cli.temporal_access import temporal_access
from settings import Settings

START_REMEDY: Final = "Start the firm with: propos up"


@dataclass
class Context:
    """What the checks share. `down`: the parts that were found wrong."""

    settings: Settings
    running: bool
    down: set[str] = field(default_factory=set)

    def temporal(self) -> probes.TemporalProbe:
        return probes.TemporalProbe(
            self.settings.required("temporal_address"),
            self.settings.temporal_namespace,
            temporal_access(self.settings),
        )

    def log(self, name: str) -> Path:
        """Returns the log of a part."""
        return self.settings.data_dir / "logs" / f"{name}.log"


Examination = Callable[[Context], Awaitable[str]]


class Skipped(Exception):
    """The check does not apply; the text says why."""
