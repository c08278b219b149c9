"""An account that returns from an overturned breach: it goes on as if the breach had never been found.

Its levels, peaks and counted offences are those of before. What a reset would have set anew meanwhile is set anew, with
the money of now: the account was flat. Only an account that would break a level again at once, because the loss was
real, begins its periods anew, as the firm has decided to give it room.
"""

from domain.clocks import begun_with
from domain.rules.evaluate import level_breaches
from domain.rules.floors import FloorSpec, Mark, RuleState
from domain.rules.state import AccountRules, on_reinstatement, with_begun
from monitor.columns.roster import AccountRow
from monitor.state import ShardState


def rules_of(state: ShardState, account: AccountRow, now: Mark) -> tuple[AccountRules, bool]:
    """Returns the rules of the returned account, and whether a day began while it was away, or begins with its
    return."""
    group = state.clock.groups[int(state.columns.loss_group[account.row])]

    def begun(spec: FloorSpec, level: RuleState) -> bool:
        if level.at is not None:
            before = group.clock.trading_day(level.at)
        elif account.trading_days:  # no reset since it opened: it was away at every reset after its last trade
            before = account.trading_days[-1]
        else:
            return False
        return before < group.day and spec.period in begun_with(before, group.day)

    rules = with_begun(account.rules, now, begun)
    if level_breaches(rules, now):
        return on_reinstatement(rules, now), True
    pairs = zip(account.rules.specs, account.rules.states, strict=True)
    return rules, any(spec.begins_anew and begun(spec, level) for spec, level in pairs)
