"""The amounts of a payout: its base, its caps, the shares, and the balance that is left.

Everything in minor units, rounded half up. The trader's share is rounded and the firm receives the rest, so no cent is
lost.
"""

from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal

from domain.money import Money, half_up, to_minor
from domain.payouts.facts import PayoutFacts
from domain.payouts.schema import PayoutTerms


@dataclass(frozen=True, slots=True)
class PayoutAmount:
    """Minor units. `base`: the profit that payouts come from. `gross` leaves the account and is split into `trader` and
    `firm`. `forfeited` leaves the account and is paid to nobody. `refund`: the part of the fee that is paid on top.
    `balance`: the balance afterwards."""

    base: int
    gross: int
    forfeited: int
    trader: int
    firm: int
    refund: int
    balance: int


def base_minor(facts: PayoutFacts, terms: PayoutTerms, currency: str) -> int:
    """Returns the profit that payouts come from; negative when the account is below its starting figure."""
    above = facts.worth_minor - facts.initial_minor
    profit = above if facts.profit_minor is None else facts.profit_minor - facts.open_loss_minor
    if terms.base == "balance_minus_initial":
        base = above
    elif terms.base == "profit_above_safety_net" and terms.safety_net is not None:
        base = above - terms.safety_net.of(facts.initial_minor, currency)
    elif terms.profit_target is not None:
        target = terms.profit_target.of(facts.initial_minor, currency)
        base = target if terms.base == "profit_target" else min(profit, target)
    else:
        base = profit
    return base - facts.deducted_minor


def cap_minor(facts: PayoutFacts, terms: PayoutTerms, currency: str) -> int | None:
    """Returns the largest next payout: the smallest of the caps that apply; None without a cap."""
    terms = terms.chosen(facts.cycle)
    met = {gate.rule_id for gate in facts.gates if gate.met}
    number, profit = facts.payout_number, max(0, base_minor(facts, terms, currency))
    caps = [] if terms.cap_per_request is None else [to_minor(terms.cap_per_request, currency)]
    for cap in terms.caps:
        if number < cap.from_payout or (cap.to_payout is not None and number > cap.to_payout) or cap.until in met:
            continue
        caps.append(cap.minor(initial=facts.initial_minor, balance=facts.worth_minor, profit=profit, currency=currency))
    return min(caps, default=None)


def available_minor(facts: PayoutFacts, terms: PayoutTerms, currency: str) -> int:
    """Returns the largest amount that can be requested: the base, within the caps."""
    terms = terms.chosen(facts.cycle)
    profit, cap = max(0, base_minor(facts, terms, currency)), cap_minor(facts, terms, currency)
    return profit if cap is None else min(profit, max(0, cap))


def split(gross: Money, terms: PayoutTerms, facts: PayoutFacts | None = None) -> tuple[Money, Money]:
    """Returns (trader's share rounded half up, firm's share: the rest). `facts`: the number of the payout and the
    amounts paid before; without them it is the first payout. A share that an offence lowered replaces that of the
    terms."""
    own = terms if facts is None else terms.chosen(facts.cycle)
    if facts is not None and facts.lowered_split_pct is not None:
        trader = gross.share(facts.lowered_split_pct)
    elif own.split_tiers:
        trader = _by_tier(gross, own, 0 if facts is None else facts.paid_gross_minor)
    else:
        trader = gross.share(share_pct(own, 1 if facts is None else facts.payout_number))
    return trader, gross - trader


def share_pct(terms: PayoutTerms, payout_number: int) -> Decimal:
    """Returns the trader's percentage of payout `payout_number`, for terms without tiers."""
    steps = [step.pct for step in terms.split_by_payout if step.from_payout <= payout_number]
    return steps[-1] if steps else terms.split_pct


def refund_minor(facts: PayoutFacts, terms: PayoutTerms) -> int:
    """Returns the part of the fee that is refunded with the next payout."""
    if terms.fee_refund is None or facts.payout_number != 1:
        return 0
    return half_up(Decimal(facts.last_fee_minor) * terms.fee_refund.pct / 100)


def payout_amount(
    facts: PayoutFacts, terms: PayoutTerms, currency: str, requested_minor: int | None = None
) -> PayoutAmount:
    """Returns the next payout of `requested_minor`, limited to the available amount; None: of everything available."""
    terms = terms.chosen(facts.cycle)
    base, most = base_minor(facts, terms, currency), available_minor(facts, terms, currency)
    gross = Money(minor=most if requested_minor is None else min(most, requested_minor), currency=currency)
    forfeited = max(0, base) - most if terms.excess == "deducted_from_account" else 0
    trader, firm = split(gross, terms, facts)
    return PayoutAmount(
        base=base,
        gross=gross.minor,
        forfeited=forfeited,
        trader=trader.minor,
        firm=firm.minor,
        refund=refund_minor(facts, terms),
        balance=facts.balance_minor - gross.minor - forfeited,
    )


def next_cycle(ended: date, days: int) -> tuple[date, date]:
    """Returns (first day, last day) of the cycle after the one that ended on the day `ended`, both inclusive."""
    start = ended + timedelta(days=1)
    return start, start + timedelta(days=days - 1)


def _by_tier(gross: Money, terms: PayoutTerms, paid_minor: int) -> Money:
    """Returns the trader's share: each part of the money at the percentage of its tier, rounded once at the end."""
    share, low, high = Decimal(0), paid_minor, paid_minor + gross.minor
    begin = 0
    for tier in terms.split_tiers:
        end = high if tier.up_to is None else to_minor(tier.up_to, gross.currency)
        share += max(0, min(high, end) - max(low, begin)) * tier.pct / 100
        begin = end
    return Money(minor=half_up(share), currency=gross.currency)
