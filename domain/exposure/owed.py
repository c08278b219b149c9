"""What the firm would owe an account at a worth: the trader's share of the eligible profit, within the caps.

The exact figure is `exact_minor`, made of the functions that a payout is made of. Where the terms allow it, the same
figure is a `Curve`: straight pieces in whole minor units, which the monitor computes for all accounts at once.

Waiting times, gates and minimum amounts are left out: what is earned and cannot be asked for today is owed tomorrow.
"""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from domain.money import to_minor
from domain.payouts.amounts import payout_amount
from domain.payouts.facts import PayoutFacts
from domain.payouts.parts import Cap, Least
from domain.payouts.schema import PayoutTerms

NO_CAP: Final = 2**50
TIERS: Final = 3
PCT: Final = 10_000  # a percentage as a whole number: 87.5 % is 875,000
WHOLE: Final = 100 * PCT
_WHEN: Final = datetime(1970, 1, 1, tzinfo=UTC)  # no amount depends on the time of the request


@dataclass(frozen=True, slots=True)
class Paid:
    """What was paid from an account, before and after the split, and the tainted profit that is not paid out."""

    payouts: int = 0
    gross_minor: int = 0
    trader_minor: int = 0
    tainted_minor: int = 0
    trading_days: int = 0


NOTHING_PAID: Final = Paid()


@dataclass(frozen=True, slots=True)
class Curve:
    """Profit is counted from `start_minor`, limited to `cap_minor`, to `most_pct` of itself and to `worth_pct` of the
    worth, cut to whole blocks, and shared: `shares[i]` (per WHOLE) of the part up to `tiers[i]`."""

    start_minor: int
    cap_minor: int
    most_pct: int
    worth_pct: int
    block_minor: int
    tiers: tuple[int, int, int]
    shares: tuple[int, int, int]

    def owed_minor(self, worth_minor: int) -> int:
        """Returns the trader's share in minor units, never below zero."""
        profit = max(0, worth_minor - self.start_minor)
        gross = min(profit, self.cap_minor, _part(profit, self.most_pct), _part(max(0, worth_minor), self.worth_pct))
        if self.block_minor:
            gross -= gross % self.block_minor
        total, begin = 0, 0
        for end, share in zip(self.tiers, self.shares, strict=True):
            total += max(0, min(gross, end) - begin) * share
            begin = end
        return (2 * total + WHOLE) // (2 * WHOLE)


def _part(minor: int, pct: int) -> int:
    return (2 * minor * pct + WHOLE) // (2 * WHOLE)


def facts_at(worth_minor: int, initial_minor: int, paid: Paid) -> PayoutFacts:
    """Returns the facts of a flat account that is worth so much."""
    return PayoutFacts(
        now=_WHEN,
        challenge_state="funded",
        funded_at=None,
        last_payout_at=None,
        balance_minor=worth_minor - paid.tainted_minor,
        initial_minor=initial_minor,
        open_positions=0,
        open_payout_id=None,
        beneficiary_known=True,
        payouts_paid=paid.payouts,
        paid_gross_minor=paid.gross_minor,
        paid_trader_minor=paid.trader_minor,
        trading_days=paid.trading_days,
    )


def exact_minor(terms: PayoutTerms, currency: str, worth_minor: int, initial_minor: int, paid: Paid) -> int:
    """Returns the trader's share of everything that could leave the account, in minor units, never below zero."""
    if terms.max_payouts is not None and paid.payouts >= terms.max_payouts:
        return 0
    return max(0, payout_amount(facts_at(worth_minor, initial_minor, paid), terms, currency).trader)


def curve_of(terms: PayoutTerms, currency: str, initial_minor: int, paid: Paid) -> Curve | None:
    """Returns the same as straight pieces; None where the terms have parts that are none."""
    if terms.max_payouts is not None and paid.payouts >= terms.max_payouts:
        return Curve(0, 0, WHOLE, WHOLE, 0, (NO_CAP, NO_CAP, NO_CAP), (0, 0, 0))
    facts = facts_at(initial_minor, initial_minor, paid)
    own = terms.chosen(None, facts.payout_number)
    start, cap = initial_minor + paid.tainted_minor, NO_CAP
    if own.base == "profit_above_safety_net":
        net = _constant(own.safety_net, facts, currency)
        if net is None:
            return None
        start += net
    elif own.base in ("min(profit,profit_target)", "profit_within_safety_net"):
        limit = _constant(own.profit_target or own.safety_net, facts, currency)
        if limit is None:
            return None
        cap = max(0, limit)
    elif own.base not in ("balance_minus_initial", "profit"):
        return None
    limits = _limits(own, facts, currency)
    shares = _shares(own, facts, currency)
    if limits is None or shares is None:
        return None
    block = 0 if own.in_blocks_of is None else to_minor(own.in_blocks_of, currency)
    most, of_profit, of_worth = limits
    if of_worth != WHOLE and paid.tainted_minor:
        return None  # payouts count the balance without the tainted profit
    return Curve(start, min(cap, most), of_profit, of_worth, block, *shares)


def _constant(size: Least | None, facts: PayoutFacts, currency: str) -> int | None:
    if size is None or not size.is_plain or size.type not in ("amount", "pct_of_initial"):
        return None
    return size.of_facts(facts, currency)


def _limits(own: PayoutTerms, facts: PayoutFacts, currency: str) -> tuple[int, int, int] | None:
    """Returns (the largest amount, share of the profit, share of the worth); None for caps of another kind. A cap that
    ends once a gate is met applies: gates are left out."""
    if own.cap_trader_share is not None:
        return None
    most, pct, worth_pct = NO_CAP, WHOLE, WHOLE
    if own.cap_per_request is not None:
        most = min(most, to_minor(own.cap_per_request, currency))
    if own.cap_total is not None:
        most = min(most, max(0, to_minor(own.cap_total, currency) - facts.withdrawn_minor))
    for cap in own.caps:
        if cap.steps or cap.below_profit is not None or cap.per_days is not None:
            return None
        if not cap.applies(facts, 0, currency):
            continue
        found = _cap(cap, facts, currency)
        if found is None:
            return None
        most, pct, worth_pct = (min(pair) for pair in zip((most, pct, worth_pct), found, strict=True))
    return most, pct, worth_pct


def _cap(cap: Cap, facts: PayoutFacts, currency: str) -> tuple[int, int, int] | None:
    if cap.type in ("amount", "pct_of_initial"):
        return max(0, cap.of(facts, 0, currency)), WHOLE, WHOLE
    scaled = cap.value * PCT
    if cap.at_least is not None or scaled != int(scaled):
        return None
    if cap.type == "pct_of_profit":
        return NO_CAP, int(scaled), WHOLE
    return (NO_CAP, WHOLE, int(scaled)) if cap.type == "pct_of_balance" else None


def _shares(
    own: PayoutTerms, facts: PayoutFacts, currency: str
) -> tuple[tuple[int, int, int], tuple[int, int, int]] | None:
    """Returns the ends of the tiers, counted from the amount that was paid before, and the share of each."""
    if own.split_by_trading_days:
        return None
    ends, shares = [NO_CAP], [own.split_pct]
    if own.split_tiers:
        before = facts.withdrawn_minor
        limits = [NO_CAP if tier.up_to is None else to_minor(tier.up_to, currency) - before for tier in own.split_tiers]
        ends, shares = [max(0, limit) for limit in limits], [tier.pct for tier in own.split_tiers]
    scaled = [share * PCT for share in shares]
    if len(ends) > TIERS or any(each != int(each) for each in scaled):
        return None
    left = TIERS - len(ends)
    first, second, third = [*ends, *[NO_CAP] * left]
    one, two, three = [*map(int, scaled), *[0] * left]
    return (first, second, third), (one, two, three)
