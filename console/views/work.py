"""The work queue as it is shown: which part of it, its rows, its tabs, and what is new about the open item."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final, NamedTuple
from urllib.parse import urlencode

from console.addresses import queue_href
from domain.bulk import BulkAction
from store.read.queue import Part, QueueItem

PART_WORDS: Final[dict[Part, str]] = {
    "": "All",
    "mine": "To check",
    "made": "Waiting on others",
    "returned": "Returned",
    "aside": "Snoozed",
}


class BulkWords(NamedTuple):
    """`label`: in the list of what can be done. `title`: of its page. `button`: before "3 items"."""

    label: str
    title: str
    button: str


BULK_WORDS: Final[dict[BulkAction, BulkWords]] = {
    "approve": BulkWords("Approve payouts", "Approve several payouts", "Approve"),
    "close": BulkWords("Close reviews", "Close several reviews", "Close"),
    "take": BulkWords("Take over breaks", "Take over several breaks", "Take over"),
    "claim": BulkWords("Claim", "Claim several items", "Claim"),
    "release": BulkWords("Release", "Release several items", "Release"),
    "snooze": BulkWords("Snooze", "Snooze several items", "Snooze"),
    "bring_back": BulkWords("Bring back", "Bring back several items", "Bring back"),
}


@dataclass(frozen=True)
class WorkFilter:
    """The part of the queue that the address asks for. `tab`: kinds of work, separated by commas; empty: every kind.
    `cursor`: where the page begins; empty: with the most urgent item."""

    tab: str = ""
    part: Part = ""
    cursor: str = ""

    def href(self, ref: str = "") -> str:
        return queue_href(self.tab, ref, self.part, self.cursor)

    @property
    def query(self) -> str:
        return urlencode({name: value for name, value in (("kind", self.tab), ("show", self.part)) if value}, safe=",")


@dataclass(frozen=True)
class WorkRow:
    """One row; `current` is the item beside the list."""

    item: QueueItem
    label: str
    href: str
    current: bool = False
    mine: bool = False  # the reader has claimed it

    @property
    def ref(self) -> str:
        return f"{self.item.kind}/{self.item.subject_id}"

    @property
    def stamp(self) -> str:
        """Changes with anything that the row says."""
        item = self.item
        said = (item.words, item.state, item.due, item.deadline, item.alike, item.amount_minor)
        who = (item.holder, item.escalated_to)
        return hashlib.sha256(repr((said, who)).encode()).hexdigest()[:12]


@dataclass(frozen=True)
class WorkTab:
    name: str
    label: str
    href: str
    count: int
    current: bool


@dataclass(frozen=True)
class WorkList:
    """A page of the queue. `total`: how many items its filter has on all pages. `waiting`: how many items of each kind
    wait, whatever the filter."""

    filter: WorkFilter
    rows: Sequence[WorkRow]
    tabs: Sequence[WorkTab]
    parts: Sequence[WorkTab]
    total: int
    waiting: Mapping[str, int]
    next_cursor: str | None = None

    @property
    def first(self) -> str | None:
        return replace(self.filter, cursor="").href() if self.filter.cursor else None

    @property
    def next(self) -> str | None:
        return replace(self.filter, cursor=self.next_cursor).href() if self.next_cursor else None


@dataclass(frozen=True)
class ItemBar:
    """What a person can do with the open item besides deciding it. `holder`: empty when nobody has claimed it; `mine`:
    the reader has. `escalated_to`: who should decide it. `escalate_to`: to whom the reader can give it."""

    ref: str
    holder: str = ""
    mine: bool = False
    until: datetime | None = None
    aside_until: datetime | None = None
    escalated_to: str = ""
    escalate_to: Sequence[tuple[str, str]] = ()


@dataclass(frozen=True)
class ItemNews:
    """Who else looks at the open item or has claimed it, and what has happened to it since the page was made.

    `gone`: it no longer waits. `missing`: it no longer exists."""

    ref: str
    looking: Sequence[str] = ()
    held: str = ""
    changed: str = ""
    gone: bool = False
    missing: bool = False
