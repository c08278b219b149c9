"""What surrounds every page: who looks, the left rail, the live indicator, notices."""

from dataclasses import dataclass
from datetime import datetime

from domain.approvals import Role


@dataclass(frozen=True)
class Viewer:
    """Who looks at the page."""

    user_id: str
    name: str
    role: Role
    trader_id: str | None
    csrf: str

    @property
    def is_trader(self) -> bool:
        return self.role == "trader"


@dataclass(frozen=True)
class Live:
    """The indicator: market time, and whether a feed has fallen behind."""

    market_time: datetime
    stale: bool
    words: str


@dataclass(frozen=True)
class RailItem:
    """One line of the left rail; `count` is work that waits, and `list_href` the list of exactly that work."""

    label: str
    href: str
    count: int
    current: bool
    list_href: str = ""


@dataclass(frozen=True)
class Crumb:
    label: str
    href: str | None = None


@dataclass(frozen=True)
class Flash:
    """A notice that is shown once. `href`: what it is about, under the name `label`. `undo`: where the form goes that
    takes it back; `seconds`: for how long it does, 0: until somebody else decides."""

    tone: str
    text: str
    href: str = ""
    label: str = ""
    undo: str = ""
    seconds: int = 0


@dataclass(frozen=True)
class FeedRow:
    name: str
    watermark: datetime
    last_tick_at: datetime | None
    stale: bool
    words: str


@dataclass(frozen=True)
class Count:
    """A number and the list behind it. `place`: the page of the left rail that it belongs to; `kind`: of work."""

    label: str
    value: int
    href: str
    tone: str = "mute"
    place: str = ""
    kind: str = ""
