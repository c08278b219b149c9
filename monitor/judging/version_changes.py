"""Accounts that change to another version of their product, at their daily reset and at no other time.

The reset itself still belongs to the old version: its clock, its anchors, its levels, its verdict. An account that is
not broken then is bound by the new terms from that instant. The first reset of the new clock is the next one strictly
later, so the day in between may be shorter or longer. An account that the new terms would break at that moment is not
moved: no price has moved against it, so a person looks at it.
"""

from datetime import datetime

from domain.money import Money
from domain.rules.carry import carried
from domain.rules.evaluate import level_breaches
from domain.rules.floors import Mark
from domain.rules.state import AccountRules
from monitor.columns.account_columns import Ints
from monitor.columns.reset_clock import Reset
from monitor.columns.roster import AccountRow
from monitor.facts import ReviewKind
from monitor.judging.conduct import Conduct
from monitor.judging.evidence import Trigger
from monitor.judging.judge import Judge
from monitor.loaded import Pending
from monitor.state import ShardState
from store.version_moves import MoveOutcome


class VersionChanges:
    """The changes that wait for a reset, by account id."""

    def __init__(self, state: ShardState, judge: Judge, conduct: Conduct) -> None:
        self._state, self._judge, self._conduct = state, judge, conduct
        self._pending: dict[str, Pending] = {}
        self._begun: dict[int, datetime] = {}  # row -> when it came under its clock

    def expect(self, account_id: str, pending: Pending | None) -> None:
        """Sets the change that the account waits for; None for none."""
        self._pending.pop(account_id, None)
        if pending is not None:
            self._pending[account_id] = pending

    def not_begun_at(self, rows: Ints, at: datetime) -> Ints:
        """Returns `rows` without those that came under their clock at this very instant: its reset is not theirs."""
        if not self._begun:
            return rows
        self._begun = {row: begun for row, begun in self._begun.items() if begun >= at}
        begun = {index for index, row in enumerate(rows.tolist()) if self._begun.get(row) == at}
        return rows[[index for index in range(len(rows)) if index not in begun]] if begun else rows

    def carry_out(self, rows: Ints, reset: Reset, seq: int) -> None:
        """Changes those of `rows` that wait and were not ended by the reset. Their equity is known."""
        if not self._pending:
            return
        for account in self._state.accounts.in_order_of_login(rows.tolist()):
            pending = self._pending.get(account.account_id)
            if pending is not None and account.judged and not account.contains(seq):
                del self._pending[account.account_id]
                self._change(account, pending, reset.at, seq)

    def _change(self, account: AccountRow, pending: Pending, at: datetime, seq: int) -> None:
        state, terms, product = self._state, pending.terms, pending.terms.product
        mark = state.mark(account, account.equity_minor, seq, at, terms.specs)
        rules = carried(account.rules, terms.specs, mark)
        why = _broken(rules, mark, product.currency)
        done = MoveOutcome(
            move_id=pending.move_id,
            account_id=account.account_id,
            product=product.product,
            version=product.version,
            clock_group=product.clock.group,
            at=at,
            seq=seq,
            why=why,
        )
        state.facts.version_moves.append(done)
        if why:
            detail = {"move_id": pending.move_id, "to": product.ref, "why": why, "seq": seq}
            key = f"{pending.move_id}/{account.account_id}"
            state.review(ReviewKind.MOVE_REFUSED, key, at, detail, account)
            return
        before = account.terms
        account.terms = terms
        account.rules = rules
        state.join_clocks(account, terms, at)
        account.mark_changed()
        self._conduct.rebind(account, before, mark)
        state.set_alarms(account)
        self._begun[account.row] = at
        self._judge.account(account, Trigger("account", seq, at), target=True)


def _broken(rules: AccountRules, mark: Mark, currency: str) -> str:
    """Returns why `rules` are broken at `mark`; an empty text when they are not."""
    found = level_breaches(rules, mark)
    if not found:
        return ""
    worth, level = (Money(minor=minor, currency=currency) for minor in (found[0].equity_minor, found[0].floor_minor))
    return f"{found[0].spec.rule_id} would be broken at once: {worth} against {level}"
