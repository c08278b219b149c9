"""The daily resets: one vector operation per clock group, phase and rule; then every row is held to its new floor.

A product may take its anchors by another clock than the one that ends its trading day: a reset does to each row what
the clocks of that row's product ask for.
"""

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import TYPE_CHECKING, Literal

import numpy as np

from domain.pnl import RateMissing
from domain.rules.events import Marked
from domain.rules.floors import FloorSpec
from monitor.columns.account_columns import Ints
from monitor.columns.reset_clock import Reset
from monitor.columns.roster import Account
from monitor.columns.rule_columns import microseconds
from monitor.facts import SnapshotFact
from monitor.judging.gates import changed_gates
from monitor.judging.judge import Happening

if TYPE_CHECKING:
    from monitor.shard import Shard


@contextmanager
def _without_pauses() -> Iterator[None]:
    """No collection of garbage meanwhile: what a reset makes stays, and each look at all of it takes half a second."""
    collects = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if collects:
            gc.enable()


class Rollover:
    def __init__(self, shard: "Shard") -> None:
        self._shard = shard

    def run(self, at: datetime, seq: int) -> None:
        """Every reset up to and at market time `at`, before event `seq` is applied."""
        for reset in self._shard.clock.due(at):
            self._reset(reset, seq)

    def _reset(self, reset: Reset, seq: int) -> None:
        columns, judge, index = self._shard.columns, self._shard.judge, reset.group.index
        size = columns.size
        concerned = (columns.group[:size] == index) | (columns.loss_group[:size] == index)
        mine = self._shard.versions.not_begun_at(np.flatnonzero(columns.judged[:size] & concerned), reset.at)
        rows, equity = self._exact_equity(mine, reset)
        for row in rows[columns.synced[rows] >= seq].tolist():
            self._doubt(
                self._shard.accounts[row], reset, "after a gap in the stream: the platform's later snapshot was used"
            )
        taken, ended = columns.loss_group[rows] == index, columns.group[rows] == index
        self._anew(mine, index, reset.at)
        self._take(rows[taken], equity[taken], reset.at, seq)
        self._end_day(rows[ended], equity[ended], reset, seq)
        happening = Happening("rollover", seq, reset.at)
        for row in self._broken(rows[taken], equity[taken]):
            judge.account(self._shard.accounts[row], happening)
        with _without_pauses():
            self._days_of(mine[columns.group[mine] == index], reset, happening)
        self._shard.versions.carry_out(rows[ended], equity[ended], reset, seq)

    def _anew(self, rows: Ints, index: int, at: datetime) -> None:
        """Limits count anew at the reset of their clock, and who was paused trades again at the end of the trading day;
        neither asks what the account is worth."""
        shard, columns = self._shard, self._shard.columns
        for row in sorted(set(rows.tolist()) & shard.accounts.standings.keys()):
            account = shard.accounts[row]
            if columns.loss_group[row] == index:
                shard.judge.unmute(account)
            if columns.group[row] == index:
                shard.judge.resume(account, at)

    def _take(self, rows: Ints, equity: Ints, at: datetime, seq: int) -> None:
        """Anchors and end-of-day peaks anew."""
        columns = self._shard.columns
        columns.dirty[rows] = True
        balance = columns.balance[rows]
        for number in np.unique(columns.terms[rows]).tolist():
            mine = columns.terms[rows] == number
            specs = self._shard.accounts.terms[number].specs
            self._roll(specs, rows[mine], balance[mine], equity[mine], at, seq)
        for row, standing in list(self._shard.accounts.standings.items()):
            if standing.curing:
                account = self._shard.accounts[row]
                self._shard.judge.set_alarms(account, self._shard.rules.get(row, account.terms.specs))

    def _end_day(self, rows: Ints, equity: Ints, reset: Reset, seq: int) -> None:
        balance = self._shard.columns.balance[rows]
        self._open_day(rows, balance, reset.at, seq)
        self._snapshots(rows, balance, equity, reset)

    def _days_of(self, rows: Ints, reset: Reset, event: Happening) -> None:
        """Tell conduct rules and gates that their trading day has ended, whether or not it is known what the account is
        worth: a gate may now be met, and the phase passed."""
        shard, columns, index = self._shard, self._shard.columns, reset.group.index
        for row in sorted(set(rows.tolist()) & shard.accounts.standings.keys()):
            account = shard.accounts[row]
            purpose: Literal["trading_day", "both"] = "both" if columns.loss_group[row] == index else "trading_day"
            equity = None if columns.unknown[row] else int(columns.equity[row])
            now = Marked(seq=event.seq, at=reset.at, balance_minor=int(columns.balance[row]), equity_minor=equity)
            violations = shard.conduct.rolled(account, now, reset.ended_day, purpose)
            shard.harvest.gates += changed_gates(account, now)
            shard.judge.conduct(account, event, violations)
            if self._may_pass(account):
                shard.judge.account(account, event, target=True)

    def _may_pass(self, account: Account) -> bool:
        """Whether nothing but gates may stand between the account and its target: few need the exact judge."""
        columns, row, target = self._shard.columns, account.row, account.terms.target_minor
        if target is None or columns.positions[row]:
            return False
        return int(columns.balance[row]) >= account.terms.product.initial_minor + target

    def _exact_equity(self, rows: Ints, reset: Reset) -> tuple[Ints, Ints]:
        """Exact equity, and the rows it is known for: one that rests on a missing quote is left as it was."""
        shard = self._shard
        known = shard.columns.unknown[rows] == 0
        for row in rows[~known].tolist():
            account = shard.accounts[row]
            try:
                shard.marks.exact(account)
            except RateMissing as exc:
                self._doubt(account, reset, exc.message)
        return rows[known], shard.columns.equity[rows[known]]

    def _doubt(self, account: Account, reset: Reset, why: str) -> None:
        key = f"{account.account_id}/{reset.ended_day}"
        self._shard.note("missed_reset", key, reset.at, {"why": why}, account.account_id)

    def _roll(
        self, specs: tuple[FloorSpec, ...], rows: Ints, balance: Ints, equity: Ints, at: datetime, seq: int
    ) -> None:
        extra = self._shard.judge.uncounted(rows, specs)
        for index, spec in enumerate(specs):
            worth = equity if spec.holds.floating else balance
            more = extra.get(index, 0)
            self._shard.rules.roll(spec, index, rows, balance + more, worth + more, seq, at)
        self._shard.judge.set_alarms_of(rows, specs)

    def _open_day(self, rows: Ints, balance: Ints, at: datetime, seq: int) -> None:
        columns = self._shard.columns
        columns.opening[rows], columns.opening_seq[rows] = balance, seq
        columns.opening_at[rows] = microseconds(at)
        columns.dirty[rows] = True
        for row in rows.tolist():
            self._shard.accounts[row].forget_movements()

    def _snapshots(self, rows: Ints, balance: Ints, equity: Ints, reset: Reset) -> None:
        floors = self._shard.rules.floor[:, rows].T.tolist()
        for row, cash, worth, levels in zip(rows.tolist(), balance.tolist(), equity.tolist(), floors, strict=True):
            account = self._shard.accounts[row]
            self._shard.harvest.snapshots.append(
                SnapshotFact(
                    account_id=account.account_id,
                    day=reset.ended_day,
                    reset_at=reset.at,
                    balance_minor=cash,
                    equity_minor=worth,
                    floors={spec.key: level for spec, level in zip(account.terms.specs, levels, strict=False)},
                )
            )

    def _broken(self, rows: Ints, equity: Ints) -> list[int]:
        """Rows that the new floors break, by login so that the order does not hang on who was loaded first."""
        shard, broken = self._shard, set[int]()
        terms, balance = shard.columns.terms[rows], shard.columns.balance[rows]
        for number in np.unique(terms).tolist():
            mine = terms == number
            specs = shard.accounts.terms[number].specs
            extra = shard.judge.uncounted(rows[mine], specs)
            for index, spec in enumerate(specs):
                worth = (equity if spec.holds.floating else balance)[mine] + extra.get(index, 0)
                broken.update(rows[mine][shard.rules.breached(index, spec, rows[mine], worth)].tolist())
        return sorted(broken, key=lambda row: shard.accounts[row].login)
