"""Static maximum loss: a floor under the initial balance that never moves."""

from domain.products import MaxLossStatic
from domain.rules.floors import FloorSpec
from domain.rules.sizes import allowance


def compile_rule(rule: MaxLossStatic, initial_minor: int, currency: str) -> FloorSpec:
    fixed, pct = allowance(rule.allowance, initial_minor, currency)
    return FloorSpec(
        rule_id=rule.id,
        rule_type=rule.type,
        source="initial",
        moves="never",
        initial_minor=initial_minor,
        allowance_minor=fixed,
        allowance_pct=pct,
        ceiling_minor=None,
        payout="unchanged",
        operator=rule.breach_when,
    )
