"""Warnings before harm: when most of a limit is used, and before a reset that would breach with no price move.

The level at which a warning is due is part of the alarm that every mark is held against, so that watching costs nothing
more; the exact evaluator then says what is true, and the same is told once per reset period or phase.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import numpy as np

from domain.rules.floors import FloorSpec, Mark
from domain.rules.room import Room, broken_by_reset, rooms
from domain.rules.state import AccountRules
from monitor.columns.account_columns import Ints
from monitor.columns.reset_clock import Group
from monitor.columns.roster import Account
from store.warnings import LIMIT_USED, RESET_WOULD_BREACH, figures

if TYPE_CHECKING:
    from monitor.shard import Shard

_PHASE = "phase"


@dataclass(frozen=True, slots=True)
class WarningFact:
    """A row for table `warnings`; telling the same twice in a `period` is harmless."""

    account_id: str
    kind: str
    rule_id: str
    period: str
    at: datetime
    figures: dict[str, Any]


def period(spec: FloorSpec, account: Account, at: datetime) -> str:
    """The trading day of a limit that begins anew at each reset, else the phase."""
    if spec.moves != "rollover":
        return _PHASE
    product = account.terms.product
    return (product.loss_clock or product.clock).trading_day(at).isoformat()


def limits_used(account: Account, rules: AccountRules, mark: Mark) -> list[tuple[int, WarningFact]]:
    """(index of the level, warning) for every level of which so much is used that its trader must know."""
    return [
        (
            index,
            WarningFact(
                account.account_id,
                LIMIT_USED,
                room.spec.key,
                period(room.spec, account, mark.at),
                mark.at,
                {**figures(room, room.spec.seen(mark).equity_minor), "seq": mark.seq},
            ),
        )
        for index, room in enumerate(rooms(rules, mark))
        if room.warns
    ]


class ResetsAhead:
    """Looks ahead once before each reset, as long before it as the product says."""

    def __init__(self, shard: "Shard") -> None:
        self._shard = shard
        self._looked: dict[tuple[int, int], datetime] = {}  # (clock group, number of the terms) -> the reset

    def run(self, at: datetime, seq: int) -> None:
        """Called once a minute of market time, before anything else of it."""
        terms = self._shard.accounts.terms
        for group in self._shard.clock.groups:
            for number, each in enumerate(terms):
                ahead = timedelta(minutes=each.product.warn_before_reset_minutes)
                due = group.next_reset - ahead <= at < group.next_reset
                if due and self._looked.get((group.index, number)) != group.next_reset:
                    self._looked[group.index, number] = group.next_reset
                    self._look(group, number, at, seq)

    def _look(self, group: Group, number: int, at: datetime, seq: int) -> None:
        """Only open positions can make equity and balance differ, so that a reset alone breaks something."""
        columns, size = self._shard.columns, self._shard.columns.size
        mine = columns.judged[:size] & (columns.group[:size] == group.index) & (columns.terms[:size] == number)
        rows = np.flatnonzero(mine & (columns.positions[:size] > 0) & (columns.unknown[:size] == 0))
        for row in self._candidates(self._shard.accounts.terms[number].specs, rows):
            self._tell(self._shard.accounts[row], group, at, seq)

    def _candidates(self, specs: tuple[FloorSpec, ...], rows: Ints) -> list[int]:
        shard, found = self._shard, np.zeros(rows.shape, np.bool_)
        extra = shard.judge.uncounted(rows, specs)
        for index, spec in enumerate(specs):
            balance = shard.columns.balance[rows] + extra.get(index, 0)
            worth = shard.columns.equity[rows] + extra.get(index, 0) if spec.holds.floating else balance
            found |= shard.rules.broken_after_reset(spec, index, rows, balance, worth)
        return [int(row) for row in rows[found]]

    def _tell(self, account: Account, group: Group, at: datetime, seq: int) -> None:
        shard, row = self._shard, account.row
        balance, equity = int(shard.columns.balance[row]), shard.marks.exact(account)
        mark = Mark(balance, equity, seq, at, account.costs)
        for verdict in broken_by_reset(shard.rules.get(row, account.terms.specs), mark):
            spec = verdict.spec
            room = Room(spec, verdict.floor_minor, spec.allowance(verdict.state.basis_minor), 0)
            detail = figures(room, verdict.equity_minor) | {
                "room_minor": verdict.equity_minor - verdict.floor_minor,
                "reset_at": group.next_reset.isoformat(),
                "seq": seq,
            }
            del detail["used_pct"]
            fact = WarningFact(
                account.account_id, RESET_WOULD_BREACH, spec.key, group.next_reset.isoformat(), at, detail
            )
            shard.harvest.warnings.append(fact)
