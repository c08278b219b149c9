"""From candidates to verdicts: nothing that a float says ends an account, the exact evaluator confirms it."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

import numpy as np

from domain.ids import derived_id
from domain.pnl import RateMissing
from domain.rules import proof
from domain.rules.evaluate import Verdict, judge, target_reached
from domain.rules.floors import FloorSpec, Mark
from domain.rules.proof import BalancePart, EventPart, Scene
from domain.rules.state import AccountRules
from monitor.accounts import Account
from monitor.columns import Columns, Ints
from monitor.facts import BreachFact, Harvest, PassFact
from monitor.marks import Marks
from monitor.rule_columns import RuleColumns, instant


@dataclass(frozen=True, slots=True)
class Happening:
    """What an account is judged at."""

    kind: Literal["tick", "deal", "balance", "account", "rollover"]
    seq: int
    at: datetime
    symbol: str | None = None


class Judge:
    def __init__(self, columns: Columns, rules: RuleColumns, marks: Marks, harvest: Harvest) -> None:
        self._columns, self._rules, self._marks, self._harvest = columns, rules, marks, harvest

    def account(
        self, account: Account, event: Happening, *, moved: AccountRules | None = None, target: bool = False
    ) -> None:
        """Judge one account exactly. `moved`: its rules after what the event itself did to them; `target`: closed
        money changed, so that the target may have been reached."""
        if event.seq <= self._columns.synced[account.row]:
            return  # its money and positions are already those of a later moment
        rules = moved or self._rules.get(account.row, account.terms.specs)
        try:
            equity = self._marks.exact(account)
        except RateMissing:
            if moved:
                self._rules.put(account.row, moved)
            return
        balance = int(self._columns.balance[account.row])
        after, found = judge(rules, Mark(balance, equity, event.seq, event.at))
        if after is not rules or moved:
            self._rules.put(account.row, after)
        if found:
            self._breach(account, event, found)
        elif target and target_reached(account.terms, balance, len(account.holdings), len(account.trading_days)):
            self._pass(account, event, equity)
        self.set_alarms(account, after)

    def set_alarms(self, account: Account, rules: AccountRules) -> None:
        """Where the float equity of an account begins to be a candidate."""
        columns, row = self._columns, account.row
        if not columns.judged[row]:
            columns.low_alarm[row], columns.high_alarm[row] = -np.inf, np.inf
            return
        guard = columns.guard_of(row)
        peaks = [s.basis_minor for spec, s in zip(rules.specs, rules.states, strict=True) if spec.follows_equity]
        columns.low_alarm[row] = max(s.floor_minor for s in rules.states) + guard
        columns.high_alarm[row] = min(peaks) - guard if peaks else np.inf

    def set_alarms_of(self, rows: Ints, specs: Sequence[FloorSpec]) -> None:
        """The same for many judged `rows`, all under `specs`."""
        guard = self._columns.guard(rows)
        self._columns.low_alarm[rows] = self._rules.highest_floor(rows) + guard
        self._columns.high_alarm[rows] = self._rules.lowest_equity_peak(specs, rows) - guard

    def _end(self, account: Account) -> None:
        account.ended = True
        self._columns.judged[account.row] = False
        self._columns.dirty[account.row] = True

    def _scene(self, account: Account, event: Happening, equity: int) -> Scene:
        columns, row = self._columns, account.row
        return Scene(
            account_id=account.account_id,
            challenge_id=account.challenge_id,
            login=account.login,
            terms=account.terms,
            event=EventPart(kind=event.kind, seq=event.seq, at=event.at, symbol=event.symbol),
            balance=BalancePart(
                opening_minor=int(columns.opening[row]),
                opening_at=instant(int(columns.opening_at[row])),
                opening_seq=int(columns.opening_seq[row]),
                movements=tuple(account.movements),
                balance_minor=int(columns.balance[row]),
            ),
            positions=account.positions(),
            equity_minor=equity,
            trading_days=tuple(account.trading_days),
        )

    def _breach(self, account: Account, event: Happening, found: Sequence[Verdict]) -> None:
        """Every rule that broke at this event, the cause first."""
        scene = self._scene(account, event, found[0].equity_minor)
        phase = account.terms.phase_index
        for verdict in found:
            rule_id, offence = verdict.spec.rule_id, account.offence(verdict.spec.rule_id)
            proof_id = derived_id("prf", account.account_id, phase, rule_id, offence)
            self._harvest.verdicts.append(
                BreachFact(
                    account_id=account.account_id,
                    challenge_id=account.challenge_id,
                    login=account.login,
                    phase_index=phase,
                    rule_id=rule_id,
                    offence=offence,
                    proof_id=proof_id,
                    proof=proof.breach_sheet(
                        proof_id, scene, verdict.spec, verdict.state, self._marks.board, self._marks.instruments
                    ),
                    seq=event.seq,
                    at=event.at,
                    floor_minor=verdict.floor_minor,
                    equity_minor=verdict.equity_minor,
                    cause=verdict is found[0],
                )
            )
        for verdict in found:
            account.offences[verdict.spec.rule_id] = account.offence(verdict.spec.rule_id)
        self._end(account)

    def _pass(self, account: Account, event: Happening, equity: int) -> None:
        phase = account.terms.phase_index
        proof_id = derived_id("prf", account.account_id, phase, "pass")
        scene = self._scene(account, event, equity)
        self._harvest.verdicts.append(
            PassFact(
                account_id=account.account_id,
                challenge_id=account.challenge_id,
                login=account.login,
                phase_index=phase,
                proof_id=proof_id,
                proof=proof.pass_sheet(proof_id, scene, self._marks.board, self._marks.instruments),
                seq=event.seq,
                at=event.at,
                balance_minor=scene.balance.balance_minor,
            )
        )
        self._end(account)
