"""Trailing maximum loss: the floor follows a peak, up to its lock."""

from typing import Final

from domain.money import to_minor
from domain.products import MaxLossTrailing
from domain.rules.floors import FloorSpec, Moves, PayoutEffect, Source
from domain.rules.sizes import allowance

_PEAKS: Final[dict[str, tuple[Source, Moves]]] = {
    "eod_balance_peak": ("balance", "rollover_peak"),
    "eod_max_balance_equity_peak": ("max(balance,equity)", "rollover_peak"),
    "intraday_balance_peak": ("balance", "peak"),
    "intraday_equity_peak": ("equity", "peak"),
}
_PAYOUTS: Final[dict[str, PayoutEffect]] = {
    "unchanged": "unchanged",
    "peak_falls_by_payout": "basis_falls",
    "locks_at_initial": "locks",
}


def compile_rule(rule: MaxLossTrailing, initial_minor: int, currency: str) -> FloorSpec:
    fixed, pct = allowance(rule.allowance, initial_minor, currency)
    source, moves = _PEAKS[rule.peak_basis]
    return FloorSpec(
        rule_id=rule.id,
        rule_type=rule.type,
        source=source,
        moves=moves,
        initial_minor=initial_minor,
        allowance_minor=fixed,
        allowance_pct=pct,
        ceiling_minor=initial_minor + to_minor(rule.lock.offset, currency) if rule.lock else None,
        payout=_PAYOUTS[rule.payout_effect],
        operator=rule.breach_when,
    )
