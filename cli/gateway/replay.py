"""`propos gateway replay`: a recorded day of raw messages through decoder and sequencer once more."""

import json
from collections import Counter
from dataclasses import asdict
from pathlib import Path
from typing import Any

from adapters.journals.embedded import EmbeddedJournal
from cli.adapters import build_for_gateway
from gateway.clock import VenueClock
from gateway.hub import Hub
from gateway.reader import VenueReader
from gateway.recording import read
from gateway.sequencer import Sequencer
from ports.venue import VenueFeed
from settings import Settings


def replay_file(settings: Settings, file: Path, platform: str, out: Path | None, *, as_json: bool) -> None:
    """Prints what the recording says. Raises RecordingInvalid, and BadInput for an unknown platform."""
    _, feed, values = build_for_gateway(settings, platform)
    said = replay(feed, file, wall_clock=values.gateway_wall_clock, out=out)
    if as_json:
        print(json.dumps(said, indent=2))
        return
    print(f"{file.name}: {said['counts']['messages']} messages, {said['counts']['events']} events")
    for kind, count in sorted(said["events"].items()):
        print(f"  {kind}: {count}")
    for kind, count in said["counts"].items():
        if count and kind not in ("messages", "events"):
            print(f"  {kind.replace('_', ' ')}: {count}")
    for line in said["unreadable"]:
        print(f"  not understood: {line}")
    for login, balance in said["balances"].items():
        print(f"  account {login} ends with {balance} minor units")


def replay(feed: VenueFeed, file: Path, *, wall_clock: bool, out: Path | None = None) -> dict[str, Any]:
    """Runs a recording over an empty journal. The same file gives the same stream."""
    journal = EmbeddedJournal(Path(":memory:"))
    clock = VenueClock(wall=wall_clock)
    sequencer = Sequencer(journal, first_number=0, clock=clock)
    hub = Hub(journal, keep=1)
    reader = VenueReader(feed, sequencer, journal, hub, None)
    kinds, lines = Counter[str](), out.open("wb") if out else None
    try:
        for message in read(file):
            reader.take(message)
            more = True
            while more:
                before = journal.last()
                more = reader.store()
                for batch in journal.read(before, 1) if journal.last() > before else ():
                    kinds.update(event["kind"] for event in json.loads(batch.body)["events"])
                    if lines is not None:
                        lines.write(batch.body + b"\n")
    finally:
        if lines is not None:
            lines.close()
        journal.close()
    return {
        "counts": asdict(sequencer.counts),
        "events": dict(kinds),
        "unreadable": reader.unreadable,
        "balances": {str(login): book.balance_minor for login, book in sorted(sequencer.books.items())},
    }
