"""A trader's own account: the room to every limit, and what can be done next."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from domain.money import Money
from firm.payouts.preview import PayoutPreview


@dataclass(frozen=True)
class LimitCard:
    """One limit. `breaks`: when the rule is broken, in words before the level. `after_room` None: no limit then."""

    label: str
    room: Money
    level: Money
    breaks: str
    used: str
    share: float
    tone: str
    after_level: Money | None
    after_room: Money | None


@dataclass(frozen=True)
class OwnRoom:
    """The live part of the page. `at`: the second that the figures are as of. `reset_local`: the next reset on the wall
    clock of its zone; `stale`: why the figures do not move, empty while they do."""

    number: str
    active: bool
    equity: Money
    balance: Money
    open: Money
    at: datetime
    stale: str
    next_reset: datetime
    reset_local: str
    reset_zone: str
    reset_in: str
    limits: Sequence[LimitCard]


@dataclass(frozen=True)
class OwnPayout:
    """What a trader can ask for. `earliest`: the market time from which it is possible, None when more than time is in
    the way; `open_id`: of the payout under way."""

    most: Money
    cycles: Sequence[str]
    ahead: PayoutPreview
    earliest: datetime | None
    open_id: str | None

    @property
    def possible(self) -> bool:
        return not self.ahead.refusals and self.most.minor > 0
