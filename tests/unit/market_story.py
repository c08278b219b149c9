"""Random market stories, and the shelf of instruments they are traded on."""

from random import Random

from domain.rules.marking import Instrument
from monitor.loaded import Loaded
from ports.platform import Batch, ClockMark, Event
from tests.unit.venue_story import SPECS


class Shelf:
    """Accounts by login, all active, without any history."""

    def __init__(self, accounts: dict[int, Loaded]) -> None:
        self._accounts = accounts

    def load(self, login: int) -> Loaded | None:
        return self._accounts.get(login)


def instruments() -> dict[str, Instrument]:
    return {s.symbol: Instrument(s.symbol, s.contract_size, s.quote_currency) for s in SPECS}


def batches(events: list[Event], random: Random) -> list[Batch]:
    """The events cut at random places, each part closed by a clock mark that adds no time."""
    cut, parts = [], []
    for event in events:
        cut.append(event)
        if random.random() < 0.1:
            parts.append(cut)
            cut = []
    parts.append(cut)
    made, now = [], events[0].at
    for number, part in enumerate(filter(None, parts), 1):
        now = max([now, *(event.at for event in part)])
        made.append(Batch(number=number, events=(*part, ClockMark(seq=part[-1].seq, at=now))))
    return made
