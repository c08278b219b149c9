"""From candidates to verdicts: nothing that a float says ends an account, the exact evaluator confirms it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

import numpy as np

from domain.ids import derived_id
from domain.pnl import RateMissing
from domain.rules import proof
from domain.rules.base import Violation
from domain.rules.evaluate import Verdict, judge, target_reached, verdicts
from domain.rules.events import Marked
from domain.rules.floors import FloorSpec, Mark
from domain.rules.history import HistoryState
from domain.rules.proof import BalancePart, EventPart, Scene
from domain.rules.proof_history import gates_of, pass_history
from domain.rules.room import warn_level
from domain.rules.sheets import GatePart, HistoryPart
from domain.rules.state import AccountRules
from monitor.columns.account_columns import Ints
from monitor.columns.kernels import HIGHEST, LOWEST
from monitor.columns.roster import Account, Roster
from monitor.columns.rule_columns import RuleColumns, instant
from monitor.columns.stated_marks import StatedMarks
from monitor.facts import BreachFact, Harvest, PassFact
from monitor.judging.doubtful import DoubtfulBreaches
from monitor.judging.feed_quality import Doubt, FeedQuality
from monitor.judging.offences import Offences, sift
from monitor.judging.warnings import limits_used


@dataclass(frozen=True, slots=True)
class Happening:
    """What an account is judged at."""

    kind: Literal["tick", "deal", "balance", "account", "rollover", "clocked"]
    seq: int
    at: datetime
    symbol: str | None = None


def _now(event: Happening, balance_minor: int, equity_minor: int) -> Marked:
    return Marked(seq=event.seq, at=event.at, balance_minor=balance_minor, equity_minor=equity_minor)


def _history_of(account: Account) -> HistoryState | None:
    return account.standing.history if account.standing else None


def _pass_history(account: Account, now: Marked) -> tuple[HistoryPart | None, tuple[GatePart, ...], int | None]:
    """What a pass rests on beside the money, for a phase that has gates."""
    if account.standing is None or not gates_of(account.terms):
        return None, (), None
    return pass_history(account.terms, account.standing.events, now, began=account.standing.began)


class Judge:
    def __init__(
        self, roster: Roster, rules: RuleColumns, marks: StatedMarks, harvest: Harvest, quality: FeedQuality
    ) -> None:
        self._roster, self._columns = roster, roster.columns
        self._rules, self._marks, self._harvest = rules, marks, harvest
        self.doubts = DoubtfulBreaches(marks, quality, harvest)
        self._offences = Offences(harvest)
        self.curing: Callable[[Account], None] = lambda _account: None  # a window for a cure opened or closed

    def account(
        self, account: Account, event: Happening, *, moved: AccountRules | None = None, target: bool = False
    ) -> None:
        """Judge one account exactly. `moved`: its rules after what the event itself did to them; `target`: closed
        money changed, so that the target may have been reached."""
        if not self._columns.judged[account.row]:
            return  # what came before at this very event has ended it
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
        mark = Mark(balance, equity, event.seq, event.at, account.costs)
        after, found = judge(rules, mark)
        if after is not rules or moved:
            self._rules.put(account.row, after)
            self._columns.dirty[account.row] = True
        held, days = int(self._columns.positions[account.row]), len(account.trading_days)
        if found and (doubts := self.doubts.of(account, event.at)):
            self.doubts.review(account, self._scene(account, event, equity), found, doubts)
        elif ending := self._ending(account, event, found, equity):
            self._breach(account, event, ending, equity)
        elif target and target_reached(account.terms, _now(event, balance, equity), held, days, _history_of(account)):
            self._pass(account, event, equity)
        else:
            self._warn(account, after, mark)
        self.set_alarms(account, after)

    def _ending(self, account: Account, event: Happening, found: list[Verdict], equity: int) -> list[Verdict]:
        """What of the broken limits ends the phase; the rest is recorded with its lesser consequence."""
        standing = account.standing
        if standing is None or not (found or standing.curing):
            return found
        ending, soft = sift(account, standing, found, event.at)
        self.curing(account)
        self._columns.dirty[account.row] = True
        if soft and not ending:
            scene = self._scene(account, event, equity)
            for verdict, what in soft:
                proof = self._breach_sheet(account, scene, verdict)
                self._offences.limit(account, verdict, what, event.seq, event.at, proof)
        return ending

    def money(
        self,
        account: Account,
        event: Happening,
        violations: Sequence[Violation],
        *,
        moved: AccountRules | None = None,
        target: bool = True,
    ) -> None:
        """Judge an event that changed closed money: limits first, then the offences that it is, and only who still
        stands after both may pass."""
        self.account(account, event, moved=moved, target=target and not violations)
        self.conduct(account, event, violations)
        if violations and target:
            self.account(account, event, target=True)

    def conduct(self, account: Account, event: Happening, violations: Sequence[Violation]) -> None:
        """Record broken rules of conduct, unless the account has ended before."""
        if not violations or not self._columns.judged[account.row]:
            return
        equity = int(self._columns.equity[account.row])
        if self._offences.conduct(account, violations, event.seq, event.at, equity):
            account.offences |= {v.rule_id: v.offence for v in violations if v.consequence.kind == "fail"}
            self._end(account)
            self.set_alarms(account, self._rules.get(account.row, account.terms.specs))

    def unmute(self, account: Account) -> None:
        """The reset at which limits count anew."""
        if account.standing is not None and account.standing.muted:
            account.standing.muted.clear()
            self._columns.dirty[account.row] = True
            self.set_alarms(account, self._rules.get(account.row, account.terms.specs))

    def resume(self, account: Account, at: datetime) -> None:
        """The reset of the trading day, for which a paused account waits."""
        self._columns.dirty[account.row] |= self._offences.resume(account, at)

    def suspect(self, account: Account, event: Happening, doubt: Doubt) -> None:
        """Whether a quote that was set aside, and now stands on the board for a moment, would break the account: then a
        person learns of it. Nothing of the account changes."""
        if not self._columns.judged[account.row] or event.seq <= self._columns.synced[account.row]:
            return
        equity, balance = self._marks.exact(account), int(self._columns.balance[account.row])
        rules = self._rules.get(account.row, account.terms.specs)
        found = verdicts(rules, Mark(balance, equity, event.seq, event.at, account.costs))
        if found:
            doubts = [doubt, *self.doubts.of(account, event.at, besides=doubt)]
            self.doubts.review(account, self._scene(account, event, equity), found, doubts)

    def look_again(self, at: datetime) -> None:
        """Doubtful breaches that good data have not confirmed: their reviews say so."""
        for account in [self._roster[row] for row in self.doubts.rows()]:
            row = account.row
            equity = int(self._columns.equity[row])
            within = self._columns.low_alarm[row] < equity <= self._columns.high_alarm[row]
            if not self._columns.judged[row] or (within and not self.doubts.of(account, at)):
                self.doubts.refuted(account, equity, at, judged=bool(self._columns.judged[row]))

    def _warn(self, account: Account, rules: AccountRules, mark: Mark) -> None:
        for index, warning in limits_used(account, rules, mark):
            if not self._rules.told[index, account.row]:
                self._rules.told[index, account.row] = True
                self._harvest.warnings.append(warning)

    def set_alarms(self, account: Account, rules: AccountRules) -> None:
        """Where the equity of an account begins to be a candidate."""
        columns, row = self._columns, account.row
        low, high = LOWEST, HIGHEST
        standing = account.standing
        if columns.judged[row] and standing is not None and standing.curing:
            low = HIGHEST  # every mark may be the one that cures
        elif columns.judged[row]:
            for index, (spec, state) in enumerate(zip(rules.specs, rules.states, strict=True)):
                if standing is not None and spec.rule_id in standing.muted and not spec.follows_equity:
                    continue
                extra = 0 if spec.holds.everything else spec.uncounted(account.costs)
                told = self._rules.told[index, row]
                if spec.direction == "floor" and spec.holds.floating:
                    level = state.floor_minor - (not spec.inclusive) if told else warn_level(spec, state)
                    low = max(low, level - extra)
                elif spec.holds.floating:
                    level = state.floor_minor - spec.inclusive if told else warn_level(spec, state) - 1
                    high = min(high, level - extra)
                if spec.follows_equity:
                    high = min(high, state.basis_minor - extra)
        columns.low_alarm[row], columns.high_alarm[row] = low, high

    def set_alarms_of(self, rows: Ints, specs: Sequence[FloorSpec]) -> None:
        """The same for many judged `rows`, all under `specs`."""
        low, high = self._rules.alarms(specs, rows, self.uncounted(rows, specs))
        self._columns.low_alarm[rows], self._columns.high_alarm[rows] = low, high

    def uncounted(self, rows: Ints, specs: Sequence[FloorSpec]) -> dict[int, Ints]:
        """By index of a level that leaves costs out, what it adds to the money of each row."""
        found: dict[int, Ints] = {}
        for index, spec in enumerate(specs):
            if not spec.holds.everything:
                costs = (self._roster[row].costs for row in rows.tolist())
                found[index] = np.fromiter((spec.uncounted(each) for each in costs), np.int64, len(rows))
        return found

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
                movements=account.movements,
                balance_minor=int(columns.balance[row]),
            ),
            positions=account.positions(),
            equity_minor=equity,
            trading_days=account.trading_days,
            costs=account.costs,
            source=self._marks.source(account),
        )

    def _breach(self, account: Account, event: Happening, found: Sequence[Verdict], equity: int) -> None:
        """Every rule that broke at this event, the cause first."""
        scene = self._scene(account, event, equity)
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
                    proof=self._breach_sheet(account, scene, verdict),
                    seq=event.seq,
                    at=event.at,
                    floor_minor=verdict.floor_minor,
                    equity_minor=verdict.equity_minor,
                    cause=verdict is found[0],
                )
            )
        account.offences |= {verdict.spec.rule_id: account.offence(verdict.spec.rule_id) for verdict in found}
        self._end(account)

    def _breach_sheet(self, account: Account, scene: Scene, verdict: Verdict) -> dict[str, Any]:
        rule_id, offence = verdict.spec.rule_id, account.offence(verdict.spec.rule_id)
        proof_id = derived_id("prf", account.account_id, account.terms.phase_index, rule_id, offence)
        board, instruments = self._marks.board, self._marks.instruments
        return proof.breach_sheet(proof_id, scene, verdict.spec, verdict.state, board, instruments, offence=offence)

    def _pass(self, account: Account, event: Happening, equity: int) -> None:
        phase = account.terms.phase_index
        proof_id = derived_id("prf", account.account_id, phase, "pass")
        scene = self._scene(account, event, equity)
        history, gates, wanted = _pass_history(account, _now(event, scene.balance.balance_minor, equity))
        board, instruments = self._marks.board, self._marks.instruments
        self._harvest.verdicts.append(
            PassFact(
                account_id=account.account_id,
                challenge_id=account.challenge_id,
                login=account.login,
                phase_index=phase,
                proof_id=proof_id,
                proof=proof.pass_sheet(
                    proof_id, scene, board, instruments, history=history, gates=gates, effective_minor=wanted
                ),
                seq=event.seq,
                at=event.at,
                balance_minor=scene.balance.balance_minor,
            )
        )
        self._end(account)
