"""What every detector is made of: the fills it observes, its thresholds, and how it makes findings.

A detector is one module in `detectors/`: its thresholds, what it remembers, when it speaks. The registry finds it there
(docs/adding-a-detector.md).
"""

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import ClassVar, Final, Literal

from pydantic import BaseModel, ConfigDict

from domain.surveillance.evidence import Evidence
from domain.surveillance.findings import Action, CloseChallenges, Finding, Involved

_CLOSE: Final = CloseChallenges()


@dataclass(frozen=True, slots=True)
class Fill:
    """A fill as it is on the record. `deal` is its number in the order of storing, `owner_id` the trader.

    `entry`: in opens a position or adds to it, out closes it or a part; `side` is the side of the fill, so a sell
    closes a long position. `profit_minor` is realised before costs, in the account's currency.
    """

    deal: int
    account_id: str
    owner_id: str
    symbol: str
    side: str
    lots: Decimal
    at: datetime
    entry: Literal["in", "out"]
    position_id: str
    price: Decimal
    profit_minor: int
    currency: str


class Thresholds(BaseModel):
    """The numbers that a detector judges by. Times are market time."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    @property
    def version(self) -> str:
        """Returns eight hex digits that change with every number: findings of one version were judged alike."""
        return hashlib.sha256(self.model_dump_json().encode()).hexdigest()[:8]


class Detector(ABC):
    """Observes fills one by one and says what it finds. Pure: no clock, no database; time is the fills' own.

    `name` is stored with each finding and must never change; raise `version` when the detector judges differently.
    Called without arguments a detector takes its own default thresholds.
    """

    name: ClassVar[str]
    version: ClassVar[int] = 1
    thresholds: Thresholds

    @property
    @abstractmethod
    def window(self) -> timedelta:
        """How far back the detector remembers: after a restart it is fed this much again before it goes on."""

    @abstractmethod
    def observe(self, fill: Fill) -> list[Finding]:
        """Take in one fill and return what it makes conspicuous, mostly nothing.

        Each fill comes once, in the order of storing; that is nearly, but not always, the order of time. A finding
        may be returned again after a restart: its key keeps it to one case.
        """

    def finding(
        self,
        *names: str,
        at: datetime,
        score: Decimal,
        sentence: str,
        accounts: Sequence[Involved],
        blamed: Sequence[str],
        evidence: Sequence[Evidence],
        if_confirmed: Action = _CLOSE,
    ) -> Finding:
        """Returns a finding of this detector; `names` and the detector's own name make its key."""
        return Finding(
            key="/".join((self.name, *names)),
            detector=self.name,
            detector_version=self.version,
            thresholds_version=self.thresholds.version,
            at=at,
            score=score,
            sentence=sentence,
            accounts=tuple(accounts),
            blamed=tuple(blamed),
            if_confirmed=if_confirmed,
            evidence=tuple(evidence),
        )
