"""The judge: a candidate of the columns, or an account whose money has changed, is judged by the exact evaluator."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import date, datetime

from domain.errors import RateMissing
from domain.products.target import target_reached
from domain.rules.base import Violation
from domain.rules.evaluate import LevelBreach, balance_levels, in_order, judge, level_breaches, with_levels
from domain.rules.floors import Mark
from domain.rules.state import AccountRules
from monitor.columns.roster import AccountRow
from monitor.facts import BreachFact
from monitor.judging.conduct import Conduct
from monitor.judging.doubtful import DoubtfulBreaches
from monitor.judging.evidence import Trigger, breach_facts, breach_sheet, pass_fact, scene_of
from monitor.judging.feed_quality import Doubt, FeedQuality
from monitor.judging.offences import Broken, Offences, limit_verdicts, reset_limits
from monitor.judging.warnings import limits_used
from monitor.loaded import OpenDoubt
from monitor.state import ShardState


class Judge:
    def __init__(self, state: ShardState, quality: FeedQuality, conduct: Conduct) -> None:
        self._state, self._conduct = state, conduct
        self._doubtful = DoubtfulBreaches(state, quality)
        self._offences = Offences(state.facts)

    def account(
        self,
        account: AccountRow,
        trigger: Trigger,
        *,
        moved: AccountRules | None = None,
        closing: Sequence[LevelBreach] = (),
        violations: Sequence[Violation] = (),
        target: bool = False,
    ) -> None:
        """Judges one account exactly. `moved`: its rules after what the event itself did to them. `closing`: the levels
        that were broken at this reset, before it moved them. `violations`: those of conduct rules at this event, which
        are recorded here only if a limit ends the account. `target`: closed money has changed, so that the target may
        have been reached."""
        if not account.judged or account.contains(trigger.seq):
            return
        rules = moved or account.rules
        try:
            equity = self._state.exact_equity(account)
        except RateMissing:
            self._on_balance(account, trigger, moved, closing, violations)
            return
        mark = self._state.mark(account, equity, trigger.seq, trigger.at)
        after, found = judge(rules, mark)
        if closing:
            found = in_order(after, [*closing, *found])
        if after is not rules or moved:
            account.rules = after
            account.mark_changed()
        if found and (doubts := self._doubtful.doubts(account, trigger.at)):
            self._doubtful.review(account, scene_of(self._state, account, trigger, equity), found, doubts)
        elif ending := self._ending(account, trigger, found, equity):
            self._breach(account, trigger, ending, equity, violations)
        elif target and self._target_reached(account, trigger, equity):
            self._state.facts.verdicts.append(pass_fact(self._state, account, trigger, equity))
            self._end(account)
        else:
            self._warn(account, after, mark)
        self._state.set_alarms(account)
        self._state.facts.offer()

    def _on_balance(
        self,
        account: AccountRow,
        trigger: Trigger,
        moved: AccountRules | None,
        closing: Sequence[LevelBreach],
        violations: Sequence[Violation],
    ) -> None:
        """Judges an account with an unknown equity: the levels that do not count open profit and loss."""
        state, balance = self._state, account.balance_minor
        rules = moved or account.rules
        after, found = judge(balance_levels(rules), Mark(balance, balance, trigger.seq, trigger.at, account.costs))
        found = in_order(after, [*closing, *found])
        account.rules = with_levels(rules, after)
        if after.specs:
            account.mark_changed()
        if found and (doubts := self._doubtful.doubts(account, trigger.at, quotes=False)):
            self._doubtful.review(account, scene_of(state, account, trigger, None), found, doubts)
        elif after.specs and (ending := self._ending(account, trigger, found, None)):
            self._breach(account, trigger, ending, None, violations)
        state.set_alarms(account)
        state.facts.offer()

    def mark(self, account: AccountRow, trigger: Trigger) -> None:
        """Judges an account that a price has brought beyond an alarm: its limits, then the rules of conduct that follow
        the equity."""
        if account.judged and not account.contains(trigger.seq):
            self.both(account, trigger, self._conduct.marked(account, trigger.seq, trigger.at))

    def _target_reached(self, account: AccountRow, trigger: Trigger, equity: int) -> bool:
        if account.conduct is not None and account.conduct.resetting is not None:
            return False
        now = trigger.marked(account.balance_minor, equity)
        history = account.conduct.history if account.conduct else None
        return target_reached(account.terms, now, account.open_positions, len(account.trading_days), history)

    def _ending(
        self, account: AccountRow, trigger: Trigger, found: list[LevelBreach], equity: int | None
    ) -> list[LevelBreach]:
        """Returns the broken limits that end the phase, and records the others with their consequence. `equity` None:
        it is unknown."""
        conduct = account.conduct
        if conduct is None or not (found or conduct.curing):
            return found
        specs = (account.rules if equity is not None else balance_levels(account.rules)).specs
        verdicts = limit_verdicts(account, conduct, specs, found, trigger.at, at_reset=trigger.kind == "rollover")
        if verdicts.changed:
            self._conduct.plan(account)
            account.mark_changed()
        for offence in verdicts.unseen:
            self._offences.unseen(account, offence, trigger.seq, trigger.at)
        if verdicts.lesser:
            scene = scene_of(self._state, account, trigger, equity)
            for verdict, consequence in verdicts.lesser:
                sheet = breach_sheet(self._state, account, scene, verdict)
                self._offences.limit(account, verdict, consequence, trigger.seq, trigger.at, sheet)
        return verdicts.ending

    def _breach(
        self,
        account: AccountRow,
        trigger: Trigger,
        found: Sequence[LevelBreach],
        equity: int | None,
        violations: Sequence[Violation],
    ) -> None:
        """Records every rule that broke at this event, and ends the account. The cause comes first: of limits and
        conduct rules that end the phase, the one that the product lists first."""
        found = list({verdict.spec.key: verdict for verdict in reversed(found)}.values())[::-1]
        facts: list[Broken] = [*breach_facts(self._state, account, trigger, found, equity)]
        account.offences |= {verdict.spec.rule_id: account.next_offence(verdict.spec.rule_id) for verdict in found}
        worth = account.equity_minor if equity is None else equity
        facts += self._offences.conduct(account, violations, trigger.seq, trigger.at, worth)
        self._ended_by(account, facts)

    def _ended_by(self, account: AccountRow, facts: Sequence[Broken]) -> None:
        """Records the event that ends the account, in the order of the product's rules: the first that ends the phase
        is the cause."""
        places = {rule.id: place for place, rule in enumerate(account.terms.phase.rules)}
        listed = sorted(facts, key=lambda fact: places[fact.rule_id])
        ends = [fact for fact in listed if isinstance(fact, BreachFact)]
        self._state.facts.verdicts += [
            replace(f, cause=f is ends[0]) if isinstance(f, BreachFact) else f for f in listed
        ]
        account.offences |= {fact.rule_id: fact.offence for fact in ends}
        self._end(account)

    @staticmethod
    def _end(account: AccountRow) -> None:
        account.ended, account.judged = True, False
        account.mark_changed()

    def _warn(self, account: AccountRow, rules: AccountRules, mark: Mark) -> None:
        for level, warning in limits_used(account, rules, mark):
            if account.warn_once(level):
                self._state.facts.warnings.append(warning)

    def money(
        self,
        account: AccountRow,
        trigger: Trigger,
        violations: Sequence[Violation],
        *,
        moved: AccountRules | None = None,
        target: bool = True,
    ) -> None:
        """Judges an event that changed closed money: limits and conduct rules. Only an account that neither has ended
        may pass."""
        self.both(account, trigger, violations, moved=moved, target=target and not violations)
        if violations and target:
            self.account(account, trigger, target=True)

    def both(
        self,
        account: AccountRow,
        trigger: Trigger,
        violations: Sequence[Violation],
        *,
        moved: AccountRules | None = None,
        closing: Sequence[LevelBreach] = (),
        target: bool = False,
    ) -> None:
        """Judges the limits and the conduct rules of one event. The parameters are those of `account`."""
        self.account(account, trigger, moved=moved, closing=closing, violations=violations, target=target)
        self.conduct(account, trigger, violations)

    def conduct(self, account: AccountRow, trigger: Trigger, violations: Sequence[Violation]) -> None:
        """Records violations of conduct rules, unless the account has ended before."""
        if not violations or not account.judged:
            return
        facts = self._offences.conduct(account, violations, trigger.seq, trigger.at, account.equity_minor)
        if any(isinstance(fact, BreachFact) for fact in facts):
            self._ended_by(account, facts)
            self._state.set_alarms(account)
        else:
            self._state.facts.verdicts += facts

    def reset_limits(self, account: AccountRow, trigger: Trigger, day: date) -> None:
        """The reset that begins `day`, from which limits count anew."""
        conduct = account.conduct
        if conduct is None:
            return
        verdicts = reset_limits(account, conduct, trigger.at, day)
        for offence in verdicts.unseen:
            self._offences.unseen(account, offence, trigger.seq, trigger.at)
        if verdicts.changed:
            self._conduct.plan(account)
            account.mark_changed()
            self._state.set_alarms(account)

    def resume(self, account: AccountRow, at: datetime) -> None:
        """The reset that ends the trading day, and with it a pause."""
        if self._offences.resume(account, at):
            account.mark_changed()

    def suspect(self, account: AccountRow, trigger: Trigger, doubt: Doubt) -> None:
        """Opens a review when a rejected quote, which is on the board only for this call, would break the account.
        Changes nothing of the account."""
        if not account.judged or account.contains(trigger.seq):
            return
        equity = self._state.exact_equity(account)
        mark = self._state.mark(account, equity, trigger.seq, trigger.at)
        found = level_breaches(account.rules, mark)
        if found:
            doubts = [doubt, *self._doubtful.doubts(account, trigger.at, besides=doubt)]
            self._doubtful.review(account, scene_of(self._state, account, trigger, equity), found, doubts)

    def take_up_doubtful(self, account: AccountRow, open_: Iterable[OpenDoubt]) -> None:
        """Takes over the reviews of doubtful breaches that an earlier run opened."""
        self._doubtful.take_up(account, open_)

    def recheck_doubtful(self, at: datetime) -> None:
        """Updates the reviews of doubtful breaches that good data have refuted."""
        for account in [self._state.accounts[row] for row in self._doubtful.rows()]:
            within = not (account.beyond_alarm or self._state.may_lose_too_much(account))
            if not account.judged or (within and not self._doubtful.doubts(account, at)):
                self._doubtful.refuted(account, at)
