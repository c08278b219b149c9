"""How the gateways are, each in a line, and what to do about one that is not well."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

_SILENT_SECONDS: Final = 30  # a venue shows every five seconds that it is alive
_FAR_BEHIND: Final = 50_000  # batches; a gateway keeps ten times as many


@dataclass(frozen=True)
class Line:
    """`remedy`: empty for a gateway that is well."""

    said: str
    remedy: str = ""


def line_of(name: str, status: Mapping[str, Any], now: datetime) -> Line:
    """`status`: what GET /health of a gateway answers. The first thing that is wrong is what is said to be wrong."""
    last = status["last_message_at"]
    age = None if last is None else (now - datetime.fromisoformat(last)).total_seconds()
    behind = {reader: status["batch"] - kept for reader, kept in status["readers"].items()}
    slowest = max(behind, key=lambda reader: behind[reader], default="")
    heard = "no message yet" if age is None else f"last message {age:.0f} s ago"
    readers = "no reader" if not slowest else f"readers up to {behind[slowest]} batches behind"
    said = f"{name}: {heard}, {readers}"
    if not status["connected"]:
        why = status["trouble"] or "it is starting"
        return Line(f"{said}; not connected: {why}", "Mend the venue or the connection; it is tried again by itself.")
    if not status["caught_up"]:
        return Line(f"{said}; catching up", f"Wait, and look again with: propos gateway status {name}")
    if age is None or age > _SILENT_SECONDS:
        return Line(f"{said}; the venue is silent", f"See the log of the gateway of {name}; restart it if this lasts.")
    if slowest and behind[slowest] > _FAR_BEHIND:
        return Line(
            f"{said}; {slowest} does not follow",
            "See the log of the monitor. A shard that does not exist any more keeps its place and does no harm.",
        )
    return Line(f"{said}; connected and caught up")


def unreached(name: str, why: str) -> Line:
    return Line(f"{name}: {why}", f"Start it with: propos gateway run {name}")
