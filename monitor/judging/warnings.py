"""Warnings before harm: when most of a limit is used, and before a reset that would breach with no price move.

The level at which a warning is due is part of the alarm that every mark is compared with, so that watching costs
nothing more. The exact evaluator then decides, and each warning is given once per reset period or phase.
"""

from datetime import datetime, timedelta
from typing import Final

from domain.clocks import begun_with, period_start
from domain.rules.evaluate import worth_of
from domain.rules.floors import FloorSpec, Mark, room_minor
from domain.rules.room import Room, broken_by_reset, rooms
from domain.rules.state import AccountRules
from monitor.columns.reset_clock import Group
from monitor.columns.roster import AccountRow
from monitor.facts import WarningFact
from monitor.state import ShardState
from store.warnings import LIMIT_USED, RESET_WOULD_BREACH, figures

_PHASE: Final = "phase"


def warning_period(spec: FloorSpec, account: AccountRow, at: datetime) -> str:
    """The first day of the period for a limit that begins anew at each reset, or with a week or month, else the
    phase."""
    if not spec.begins_anew and spec.moves != "always" and spec.per == "account":
        return _PHASE
    product = account.terms.product
    day = (product.loss_clock or product.clock).trading_day(at)
    return period_start(spec.period, day).isoformat()


def limits_used(account: AccountRow, rules: AccountRules, mark: Mark) -> list[tuple[int, WarningFact]]:
    """Returns (index of the level, warning) for every level that is used so far that the trader must know."""
    return [
        (
            index,
            WarningFact(
                account.account_id,
                LIMIT_USED,
                room.spec.key,
                warning_period(room.spec, account, mark.at),
                mark.at,
                {**figures(room, worth_of(room.spec, mark)), "seq": mark.seq},
            ),
        )
        for index, room in enumerate(rooms(rules, mark))
        if room.warns
    ]


class ResetWarnings:
    """Looks ahead once before each reset, as long before it as the product says."""

    def __init__(self, state: ShardState) -> None:
        self._state = state
        self._done: dict[tuple[int, int], datetime] = {}  # (clock group, number of the terms) -> the reset

    def run(self, at: datetime, seq: int) -> None:
        """Called once a minute of market time, before the events of that minute."""
        for group in self._state.clock.groups:
            for number, terms in enumerate(self._state.accounts.terms):
                ahead = timedelta(minutes=terms.product.warn_before_reset_minutes)
                due = group.next_reset - ahead <= at < group.next_reset
                if due and self._done.get((group.index, number)) != group.next_reset:
                    self._done[group.index, number] = group.next_reset
                    for account in self._state.broken_by_next_reset(group.index, number):
                        self._warn(account, group, at, seq)

    def _warn(self, account: AccountRow, group: Group, at: datetime, seq: int) -> None:
        mark = self._state.mark(account, self._state.exact_equity(account), seq, at)
        reset_at = group.next_reset.isoformat()
        begun = begun_with(group.day, group.day + timedelta(1))
        for verdict in broken_by_reset(account.rules, mark, begun):
            spec = verdict.spec
            beyond = room_minor(spec, verdict.floor_minor, verdict.equity_minor)
            room = Room(spec, verdict.floor_minor, spec.allowance_of(verdict.state), beyond)
            detail = figures(room, verdict.equity_minor) | {"reset_at": reset_at, "seq": seq}
            del detail["used_pct"]
            warning = WarningFact(account.account_id, RESET_WOULD_BREACH, spec.key, reset_at, at, detail)
            self._state.facts.warnings.append(warning)
