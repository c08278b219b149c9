"""The amounts of a payout: its base, its caps, the shares, and the balance that is left.

Everything in minor units, rounded half up. The trader's share is rounded and the firm receives the rest, so no cent is
lost.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal

from domain.money import Money, half_up, to_minor
from domain.payouts.facts import PayoutFacts
from domain.payouts.schema import PayoutTerms
from domain.payouts.tainted import taken_off, total_minor


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


def profit_minor(facts: PayoutFacts) -> int:
    """Returns the net trading result that is not paid out yet, after open losses."""
    if facts.profit_minor is None:
        return facts.worth_minor - facts.initial_minor
    return facts.profit_minor - facts.open_loss_minor


def base_minor(facts: PayoutFacts, terms: PayoutTerms, currency: str) -> int:
    """Returns the profit that payouts come from; negative when the account is below its starting figure."""
    terms = terms.chosen(facts.cycle, facts.payout_number)
    above = facts.worth_minor - facts.initial_minor
    net = 0 if terms.safety_net is None else terms.safety_net.of_facts(facts, currency)
    target = 0 if terms.profit_target is None else terms.profit_target.of_facts(facts, currency)
    base = {
        "balance_minus_initial": above,
        "profit": profit_minor(facts),
        "profit_above_safety_net": above - net,
        "profit_within_safety_net": min(above, net),
        "profit_target": target,
        "min(profit,profit_target)": min(profit_minor(facts), target),
    }[terms.base]
    return less_deductions(base, facts)


def less_deductions(profit: int, facts: PayoutFacts) -> int:
    """Returns the part of a profit that counts: without what the rules deduct, and without the tainted trades."""
    return taken_off(profit - facts.deducted_minor, total_minor(facts.tainted))


def cap_minor(facts: PayoutFacts, terms: PayoutTerms, currency: str) -> int | None:
    """Returns the largest next payout: the smallest of the caps that apply; None without a cap."""
    terms = terms.chosen(facts.cycle, facts.payout_number)
    profit = max(0, base_minor(facts, terms, currency))
    return min((max(0, cap) for cap in _caps(facts, terms, profit, currency)), default=None)


def _caps(facts: PayoutFacts, terms: PayoutTerms, profit: int, currency: str) -> Iterator[int]:
    """Yields every cap of the next payout; negative where more was paid before than a total allows."""
    if terms.cap_per_request is not None:
        yield to_minor(terms.cap_per_request, currency)
    for cap in terms.caps:
        if cap.applies(facts, profit, currency):
            yield cap.of(facts, profit, currency)
    if terms.cap_total is not None:
        yield to_minor(terms.cap_total, currency) - facts.withdrawn_minor
    if terms.cap_trader_share is not None:
        gross = _gross_of_share(to_minor(terms.cap_trader_share, currency), terms, facts, currency)
        yield from () if gross is None else (gross,)


def _uncut_minor(facts: PayoutFacts, terms: PayoutTerms, currency: str) -> int:
    """Returns the base within the caps, before it is cut to whole blocks."""
    profit, cap = max(0, base_minor(facts, terms, currency)), cap_minor(facts, terms, currency)
    return profit if cap is None else min(profit, cap)


def in_blocks(minor: int, terms: PayoutTerms, currency: str) -> int:
    """Returns the largest whole multiple of the block within `minor`; `minor` itself without blocks."""
    block = 0 if terms.in_blocks_of is None else to_minor(terms.in_blocks_of, currency)
    return minor - minor % block if block else minor


def available_minor(facts: PayoutFacts, terms: PayoutTerms, currency: str) -> int:
    """Returns the largest amount that can be requested: the base, within the caps, in whole blocks."""
    terms = terms.chosen(facts.cycle, facts.payout_number)
    return in_blocks(_uncut_minor(facts, terms, currency), terms, currency)


def split(gross: Money, terms: PayoutTerms, facts: PayoutFacts | None = None) -> tuple[Money, Money]:
    """Returns (trader's share rounded half up, firm's share: the rest). `facts`: the number of the payout and the
    amounts paid before; without them it is the first payout. A share that an offence lowered, or that the account has
    since it has grown, replaces that of the terms."""
    own = terms.chosen(None, 1) if facts is None else terms.chosen(facts.cycle, facts.payout_number)
    if own.split_tiers and (facts is None or facts.own_split_pct is None):
        trader = _by_tier(gross, own, 0 if facts is None else facts.withdrawn_minor)
    else:
        trader = gross.share(_share_pct(own, facts))
    return trader, gross - trader


def _share_pct(own: PayoutTerms, facts: PayoutFacts | None) -> Decimal:
    """Returns the trader's percentage, for terms without tiers."""
    if facts is not None and facts.own_split_pct is not None:
        return facts.own_split_pct
    trading_days = 0 if facts is None else facts.trading_days
    fitting = (step.pct for step in own.split_by_trading_days if step.below is None or trading_days < step.below)
    return next(fitting, own.split_pct)


def refund_minor(facts: PayoutFacts, terms: PayoutTerms) -> int:
    """Returns the part of the fee that is refunded with the next payout."""
    refund = terms.fee_refund
    if refund is None or facts.payout_number != refund.payout_number:
        return 0
    every = facts.last_fee_minor if facts.all_fees_minor is None else facts.all_fees_minor
    paid = every if refund.amount == "all_fees_paid" else facts.last_fee_minor
    return half_up(Decimal(paid) * refund.pct / 100)


def payout_amount(
    facts: PayoutFacts, terms: PayoutTerms, currency: str, requested_minor: int | None = None
) -> PayoutAmount:
    """Returns the next payout of `requested_minor`, limited to the available amount and cut to whole blocks; None: of
    everything available. What is beyond the caps is forfeited, where the terms say so; what blocks cut off is not."""
    terms = terms.chosen(facts.cycle, facts.payout_number)
    base, most = base_minor(facts, terms, currency), _uncut_minor(facts, terms, currency)
    wanted = most if requested_minor is None else min(most, requested_minor)
    gross = Money(minor=in_blocks(wanted, terms, currency), currency=currency)
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


def _gross_of_share(share_minor: int, own: PayoutTerms, facts: PayoutFacts, currency: str) -> int | None:
    """Returns the gross amount that gives the trader this share, rounded half up; None: no amount does."""
    if not own.split_tiers or facts.own_split_pct is not None:
        pct = _share_pct(own, facts)
        return half_up(Decimal(share_minor) * 100 / pct) if pct else None
    gross, left, low = Decimal(0), Decimal(share_minor), facts.withdrawn_minor
    for tier in own.split_tiers:
        end = None if tier.up_to is None else to_minor(tier.up_to, currency)
        if end is None and not tier.pct:
            return half_up(gross) if not left else None
        room = Decimal(max(0, (low if end is None else end) - low))
        whole = left * 100 / tier.pct if tier.pct else room
        part = whole if end is None else min(whole, room)
        gross, left = gross + part, left - part * tier.pct / 100
        low = low if end is None else max(low, end)
    return half_up(gross)
