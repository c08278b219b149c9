"""Daily loss: the floor follows an anchor that is taken anew at each daily reset."""

from domain.products import DailyLoss
from domain.rules.floors import FloorSpec
from domain.rules.sizes import allowance


def compile_rule(rule: DailyLoss, initial_minor: int, currency: str) -> FloorSpec:
    fixed, pct = allowance(rule.allowance, initial_minor, currency)
    return FloorSpec(
        rule_id=rule.id,
        rule_type=rule.type,
        source=rule.anchor,
        moves="rollover",
        initial_minor=initial_minor,
        allowance_minor=fixed,
        allowance_pct=pct,
        ceiling_minor=None,
        payout="unchanged",
        operator=rule.breach_when,
    )
