"""The daily resets: one vector operation per clock group, terms and level, then a comparison with the new levels.

A product may move its anchors by another clock than the one that ends its trading day. Each reset does to a row what
the clocks of its product ask for.
"""

import gc
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Literal

import numpy as np

from domain.clocks import Begins, begun_with
from domain.errors import RateMissing
from domain.rules.evaluate import LevelBreach, balance_levels, closing_breaches
from domain.rules.events import Marked
from domain.rules.floors import Mark
from monitor.columns.account_columns import Ints
from monitor.columns.reset_clock import Reset
from monitor.columns.roster import AccountRow
from monitor.facts import ReviewKind, SnapshotFact
from monitor.judging.conduct import Conduct
from monitor.judging.evidence import Trigger
from monitor.judging.gates import changed_gates
from monitor.judging.judge import Judge
from monitor.judging.version_changes import VersionChanges
from monitor.state import ShardState


@contextmanager
def _without_collections() -> Iterator[None]:
    """Pauses garbage collection: the objects that a reset makes stay, and each collection would take half a second."""
    collects = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if collects:
            gc.enable()


class Rollover:
    def __init__(self, state: ShardState, judge: Judge, conduct: Conduct, versions: VersionChanges) -> None:
        self._state, self._judge, self._conduct, self._versions = state, judge, conduct, versions

    def run(self, at: datetime, seq: int) -> None:
        """Does every reset up to and at market time `at`, before event `seq` is applied."""
        for reset in self._state.clock.due(at):
            self._reset(reset, seq)

    def _reset(self, reset: Reset, seq: int) -> None:
        self._do(self._versions.not_begun_at(self._state.judged_under_clock(reset.group.index), reset.at), reset, seq)

    def make_up(self, account: AccountRow, reset: Reset, seq: int) -> None:
        """Does a reset that an account missed between two platforms. It held no position."""
        self._do(np.array([account.row]), reset, seq)

    def _do(self, rows: Ints, reset: Reset, seq: int) -> None:
        state, group = self._state, reset.group.index
        known = self._with_known_value(rows, reset)
        for row in state.contain(known, seq).tolist():
            why = "after a gap in the stream: the platform's later snapshot was used"
            self._missed(state.accounts[row], reset, why)
        limits, days = state.limits_under(known, group), state.days_under(known, group)
        trigger = Trigger("rollover", seq, reset.at)
        self._count_anew_and_resume(rows, reset, trigger)
        closing, begins = self._broken_at_close(limits, trigger), begun_with(reset.ended_day, reset.group.day)
        state.move_anchors(limits, reset.at, seq, begins)
        state.open_day(days, reset.at, seq)
        self._snapshots(days, reset)
        for account in self._to_judge(limits, closing):
            self._judge.account(account, trigger, closing=closing.get(account.row, ()))
        self._on_balance(state.limits_under(rows, group), trigger, begins)
        with _without_collections():
            self._end_days(state.days_under(rows, group), reset, trigger)
        self._versions.carry_out(days, reset, seq)

    def _broken_at_close(self, rows: Ints, trigger: Trigger) -> dict[int, list[LevelBreach]]:
        """Returns, by row, the broken levels that only resets compare. Called before the reset moves them."""
        state, found = self._state, dict[int, list[LevelBreach]]()
        for account in state.accounts.in_order_of_login(state.broken_at_close(rows)):
            mark = state.mark(account, state.exact_equity(account), trigger.seq, trigger.at)
            found[account.row] = closing_breaches(account.rules, mark)
        return found

    def _on_balance(self, rows: Ints, trigger: Trigger, begins: Begins) -> None:
        """Moves and compares the levels that leave open profit and loss out, where the equity is unknown."""
        state = self._state
        unknown = rows[~state.value_known(rows)]
        closing = dict[int, list[LevelBreach]]()
        for account in state.accounts.in_order_of_login(unknown.tolist()):
            levels, balance = balance_levels(account.rules), account.balance_minor
            if levels.specs:
                mark = Mark(balance, balance, trigger.seq, trigger.at, account.costs)
                closing[account.row] = closing_breaches(levels, mark)
        state.move_anchors(np.array(list(closing), np.int64), trigger.at, trigger.seq, begins, on_balance=True)
        for row, found in closing.items():
            self._judge.account(state.accounts[row], trigger, closing=found)

    def _with_known_value(self, rows: Ints, reset: Reset) -> Ints:
        """Those of `rows` whose equity is known. The others miss the reset, which opens a review."""
        known = self._state.value_known(rows)
        for row in rows[~known].tolist():
            account = self._state.accounts[row]
            try:
                self._state.exact_equity(account)
            except RateMissing as exc:
                self._missed(account, reset, exc.message)
        return rows[known]

    def _missed(self, account: AccountRow, reset: Reset, why: str) -> None:
        key = f"{account.account_id}/{reset.ended_day}"
        self._state.review(ReviewKind.MISSED_RESET, key, reset.at, {"why": why}, account)

    def _count_anew_and_resume(self, rows: Ints, reset: Reset, trigger: Trigger) -> None:
        """Limits count anew at the reset of their clock, and a pause ends with the trading day. Neither needs to know
        the equity."""
        accounts, group = self._state.accounts, reset.group.index
        limits = set(self._state.limits_under(rows, group).tolist())
        days = set(self._state.days_under(rows, group).tolist())
        for account in accounts.with_conduct(rows):
            if account.row in limits:
                self._judge.reset_limits(account, trigger, reset.group.day)
            if account.row in days:
                self._judge.resume(account, reset.at)

    def _to_judge(self, limits: Ints, closing: Iterable[int]) -> list[AccountRow]:
        """Accounts that the new levels break or the old ones at the close, and those with a broken level, which the new
        levels may cure. `closing`: the rows of the second kind."""
        accounts = self._state.accounts
        rows = self._state.broken(limits) | set(closing)
        rows |= {account.row for account in accounts.with_conduct(limits) if account.conduct and account.conduct.curing}
        return accounts.in_order_of_login(rows)

    def _snapshots(self, rows: Ints, reset: Reset) -> None:
        """One row of table `daily_snapshots` per account."""
        state = self._state
        balances, equities = state.money(rows)
        for row, balance, equity, levels in zip(
            rows.tolist(), balances, equities, state.rules.floors(rows), strict=True
        ):
            account = state.accounts[row]
            state.facts.snapshots.append(
                SnapshotFact(
                    account_id=account.account_id,
                    day=reset.ended_day,
                    reset_at=reset.at,
                    balance_minor=balance,
                    equity_minor=equity,
                    floors={spec.key: level for spec, level in zip(account.terms.specs, levels, strict=False)},
                )
            )

    def _end_days(self, rows: Ints, reset: Reset, trigger: Trigger) -> None:
        """Ends the trading day for conduct rules and gates, whether or not the equity is known: a gate may now be met,
        and the phase passed."""
        state = self._state
        for account in state.accounts.with_conduct(rows):
            both = state.restarts_limits_with_day(account)
            purpose: Literal["trading_day", "both"] = "both" if both else "trading_day"
            equity = account.equity_minor if account.value_known else None
            now = Marked(seq=trigger.seq, at=reset.at, balance_minor=account.balance_minor, equity_minor=equity)
            violations = self._conduct.end_day(account, now, reset.ended_day, purpose)
            state.facts.gates += changed_gates(account, now)
            at_reset = trigger if both else Trigger("rolled", trigger.seq, trigger.at)
            self._judge.conduct(account, at_reset, violations)
            if _may_pass(account):
                self._judge.account(account, at_reset, target=True)


def _may_pass(account: AccountRow) -> bool:
    """Returns whether only gates may be missing for a pass: few accounts need the exact judge."""
    passing = account.terms.passing_minor
    return passing is not None and not account.open_positions and account.balance_minor >= passing
