"""Accounts of a shard that change to another version of their product, at their daily reset and nowhere else.

The reset itself is still the old version's: its clock, its anchors, its floors, its verdict. Whoever stands after it
goes on under the new terms from that instant; the new clock's first reset is the next one strictly after it, so the
day in between may be shorter or longer. An account that would stand broken under the new terms at that moment is not
moved: no price has moved against it, so a person looks at it instead.
"""

from datetime import datetime
from typing import TYPE_CHECKING

from domain.money import Money
from domain.rules.carry import carried
from domain.rules.evaluate import verdicts
from domain.rules.floors import Mark
from domain.rules.state import AccountRules
from monitor.columns.account_columns import Ints
from monitor.columns.reset_clock import Reset
from monitor.columns.roster import Account
from monitor.judging.judge import Happening
from monitor.record.checkpoints import Pending
from store.version_moves import CarriedOut

if TYPE_CHECKING:
    from monitor.shard import Shard


class VersionMoves:
    """What waits for a reset, by account id."""

    def __init__(self, shard: "Shard") -> None:
        self._shard = shard
        self._pending: dict[str, Pending] = {}
        self._begun: dict[int, datetime] = {}

    def expect(self, account_id: str, pending: Pending | None) -> None:
        """What the account waits for now; None: for nothing."""
        self._pending.pop(account_id, None)
        if pending is not None:
            self._pending[account_id] = pending

    def not_begun_at(self, rows: Ints, at: datetime) -> Ints:
        """`rows` without those that came under their clock at this very instant: its reset is not theirs any more."""
        if not self._begun:
            return rows
        self._begun = {row: begun for row, begun in self._begun.items() if begun >= at}
        begun = [index for index, row in enumerate(rows.tolist()) if self._begun.get(row) == at]
        return rows if not begun else rows[[index for index in range(len(rows)) if index not in set(begun)]]

    def carry_out(self, rows: Ints, equity: Ints, reset: Reset, seq: int) -> None:
        """Change over those of `rows` that wait and still stand; `equity`: their exact equity at the reset."""
        if not self._pending:
            return
        columns = self._shard.columns
        for row, worth in sorted(zip(rows.tolist(), equity.tolist(), strict=True), key=self._login):
            account = self._shard.accounts[row]
            waits = account.account_id in self._pending
            if waits and columns.judged[row] and columns.synced[row] < seq:
                self._change(account, self._pending.pop(account.account_id), worth, reset.at, seq)

    def _login(self, row: tuple[int, int]) -> int:
        return self._shard.accounts[row[0]].login

    def _change(self, account: Account, pending: Pending, equity: int, at: datetime, seq: int) -> None:
        shard, terms, row = self._shard, pending.terms, account.row
        balance = int(shard.columns.balance[row])
        mark = Mark(balance, equity, seq, at, account.costs)
        rules = carried(shard.rules.get(row, account.terms.specs), terms.specs, mark)
        why = _broken(rules, mark, terms.product.currency)
        product = terms.product
        done = CarriedOut(
            move_id=pending.move_id,
            account_id=account.account_id,
            product=product.product,
            version=product.version,
            clock_group=product.clock.group,
            at=at,
            seq=seq,
            why=why,
        )
        shard.harvest.version_moves.append(done)
        if why:
            detail = {"move_id": pending.move_id, "to": product.ref, "why": why, "seq": seq}
            shard.note("move_refused", f"{pending.move_id}/{account.account_id}", at, detail, account.account_id)
            return
        shard.rebind(account, terms, rules, mark)
        self._begun[row] = at
        shard.judge.account(account, Happening("account", seq, at), target=True)


def _broken(rules: AccountRules, mark: Mark, currency: str) -> str:
    """Why an account cannot stand under `rules` at `mark`; empty when it can."""
    found = verdicts(rules, mark)
    if not found:
        return ""
    worth, level = (Money(minor=minor, currency=currency) for minor in (found[0].equity_minor, found[0].floor_minor))
    return f"{found[0].spec.rule_id} would stand broken at once: {worth} against {level}"
