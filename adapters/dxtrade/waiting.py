"""What the decoder has read and does not tell yet."""

from datetime import datetime
from typing import Final, NamedTuple

from adapters.dxtrade.history import OrderFill
from ports.venue import Fill, Money, Order

_SWEEPS: Final = 2  # over all orders, until a settlement is waited for no longer


class Newer:
    """What an account did after its snapshot, while the connection catches up. A book that begins with the snapshot
    does not contain it: it is told behind all that happened before. Of an account without a snapshot nothing is
    kept."""

    def __init__(self) -> None:
        self._snapshots: dict[int, int] = {}  # version of each account's
        self._waiting: list[OrderFill | Order | Money] = []
        self._caught_up = False

    def snapshot(self, login: int, version: int) -> None:
        self._snapshots[login] = version

    def keeps(self, login: int, version: int, found: OrderFill | Order | Money) -> bool:
        """Keeps it, if it is newer than the snapshot. Returns whether it is."""
        newer = not self._caught_up and version > self._snapshots.get(login, version)
        if newer:
            self._waiting.append(found)
        return newer

    def caught_up(self) -> list[OrderFill | Order | Money]:
        """From now on nothing is kept. Returns what was, by its time."""
        self._caught_up, waiting = True, self._waiting
        self._waiting = []
        return sorted(waiting, key=_at)


def _at(found: OrderFill | Order | Money) -> datetime:
    return found.fill.at if isinstance(found, OrderFill) else found.at


class _Closing(NamedTuple):
    fill: Fill
    sweeps: int


class Settlements:
    """Closing fills whose settlement is not there yet. Told without their profit, they would take from the equity what
    the position was worth, and a verdict on that stays. A venue may never tell one: after some sweeps over all orders
    the fill is told as it is."""

    def __init__(self) -> None:
        self._waiting: dict[str, _Closing] = {}
        self._given_up: set[str] = set()
        self._told: set[str] = set()

    def keeps(self, found: OrderFill) -> bool:
        """Keeps a fill, if it waits for its settlement. Returns whether it is not to be told: also an older answer
        about one that was told with its settlement is not."""
        name = found.fill.fill_id
        if found.settled:
            self._waiting.pop(name, None)
            if found.fill.entry == "out":
                self._told.add(name)
            return False
        if name in self._given_up:
            return False
        if name not in self._told and name not in self._waiting:
            self._waiting[name] = _Closing(found.fill, 0)
        return True

    def swept(self) -> list[Fill]:
        """All orders were listed. Returns the fills that have waited for long enough."""
        self._waiting = {name: each._replace(sweeps=each.sweeps + 1) for name, each in self._waiting.items()}
        over = [each.fill for each in self._waiting.values() if each.sweeps >= _SWEEPS]
        for fill in over:
            del self._waiting[fill.fill_id]
            self._given_up.add(fill.fill_id)
        return over

    @property
    def oldest(self) -> datetime | None:
        """Returns the time of the oldest fill that waits."""
        return min((each.fill.at for each in self._waiting.values()), default=None)
