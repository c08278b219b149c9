"""What a broken limit leads to: the end of the phase, or less. Which of it is said by the rule's consequences."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from domain.rules.base import Consequence, EquityRule
from domain.rules.evaluate import Verdict
from monitor.standings import Curing, Standing

if TYPE_CHECKING:
    from monitor.accounts import Account


def consequence(rule: EquityRule, offence: int) -> Consequence:
    """What offence number `offence` (from 1) leads to; the last one repeats."""
    return rule.consequences[min(offence, len(rule.consequences)) - 1]


class Sifted:
    """Broken limits by what follows: `ending` end the phase, `soft` have another consequence."""

    def __init__(self) -> None:
        self.ending: list[Verdict] = []
        self.soft: list[tuple[Verdict, Consequence, int]] = []


def sift(account: "Account", standing: Standing, found: Sequence[Verdict], at: datetime) -> Sifted:
    """Sort what is broken at `at`, and follow the cures: what is back within its limit is cured, what is newly broken
    may get its time."""
    sifted = Sifted()
    broken = {verdict.spec.rule_id for verdict in found}
    for rule_id, curing in list(standing.curing.items()):
        if rule_id not in broken and at <= curing.until:
            del standing.curing[rule_id]
            standing.cured[rule_id] = standing.cured.get(rule_id, 0) + 1
    for verdict in found:
        rule_id = verdict.spec.rule_id
        rule = account.terms.rule(rule_id)
        assert isinstance(rule, EquityRule)
        if rule_id in standing.muted or _may_be_cured(rule, standing, at):
            continue
        standing.curing.pop(rule_id, None)
        offence = standing.offence(rule_id)
        what = consequence(rule, offence)
        if what.kind == "fail":
            sifted.ending.append(verdict)
        else:
            sifted.soft.append((verdict, what, offence))
            standing.offences[rule_id] = offence
            standing.muted.append(rule_id)
    return sifted


def _may_be_cured(rule: EquityRule, standing: Standing, at: datetime) -> bool:
    """Whether a broken limit still has time; opens the window at the first sight of it."""
    if rule.cure is None:
        return False
    curing = standing.curing.get(rule.id)
    if curing is not None:
        return at <= curing.until
    if standing.cured.get(rule.id, 0) >= rule.cure.times:
        return False
    standing.curing[rule.id] = Curing(until=at + timedelta(minutes=rule.cure.minutes))
    return True


def cure_ends(standing: Standing) -> datetime | None:
    """When the next window closes: just after it, a limit that is still broken counts."""
    return min((curing.until for curing in standing.curing.values()), default=None)
