"""The payout terms as the trader reads them: sentences generated from the definition."""

from collections.abc import Iterator
from decimal import Decimal
from typing import Final

from domain.money import to_minor
from domain.payouts.scaling import Scaling
from domain.payouts.schema import Base, Cap, Cycle, PayoutTerms
from domain.rules.base import Context
from domain.wording import capital, count, listing, name, percent

_BASE_WORDS: Final[dict[Base, str]] = {
    "balance_minus_initial": "the balance above the initial balance",
    "profit": "the profit since the last payout",
    "profit_above_safety_net": "the balance above the initial balance plus the safety net",
    "profit_target": "the profit target",
    "min(profit,profit_target)": "the profit since the last payout, at most the profit target",
}
_DONE: Final = {"funded": "the account is funded", "first_trade": "you have made your first trade"}
_OPEN_WORDS: Final = (
    "Positions may stay open: their open losses count against the payout, their open gains do not count."
)


def words(terms: PayoutTerms, context: Context) -> tuple[str, ...]:
    """Returns the payout terms as sentences, in the order in which a trader needs them."""
    return (*_when(terms, context), *_conditions(terms, context), *_how_much(terms, context), *_shares(terms, context))


def _when(terms: PayoutTerms, context: Context) -> Iterator[str]:
    start = "your first trade" if terms.first_after == "first_trade" else "the account is funded"
    if terms.first_after_days:
        yield f"The first payout can be requested {count(terms.first_after_days, 'day')} after {start}."
    else:
        yield f"The first payout can be requested as soon as {_DONE[terms.first_after]}."
    every = count(terms.every_days, "day")
    if terms.cycle == "fixed":
        yield f"After that, a payout can be requested every {every}, no matter when the last one was paid."
    else:
        yield f"The next payout can be requested {every} after the last one was paid."
    for cycle in terms.cycles:
        yield f'You may choose the cycle "{cycle.name}": {_chosen(cycle, context)}.'


def _chosen(cycle: Cycle, context: Context) -> str:
    parts = []
    if cycle.first_after_days is not None:
        days = count(cycle.first_after_days, "day")
        parts.append(f"first payout after {days}" if cycle.first_after_days else "first payout at once")
    if cycle.every_days is not None:
        parts.append(f"then every {count(cycle.every_days, 'day')}")
    if cycle.split_pct is not None:
        parts.append(f"your share is {percent(cycle.split_pct)}")
    if cycle.gates is not None:
        parts.append(f"these rules must be met: {_rules(cycle.gates)}" if cycle.gates else "no rule must be met")
    if cycle.caps is not None:
        parts.append(" and ".join(_capped(cap, context) for cap in cycle.caps) or "without a cap")
    return "; ".join(parts) or "the terms above, unchanged"


def _conditions(terms: PayoutTerms, context: Context) -> Iterator[str]:
    more = "more than" if terms.compare == ">" else "at least"
    yield "All positions must be closed." if terms.requires_flat else _OPEN_WORDS
    yield "No order may be pending." if terms.requires_no_pending_orders else "Pending orders may stay open."
    if terms.gates is not None:
        yield f"These rules must be met: {_rules(terms.gates)}." if terms.gates else "No rule must be met."
    if terms.min_balance_above_initial is not None:
        yield f"The balance must be {more} {context.size(terms.min_balance_above_initial)} above the initial balance."
    if terms.min_profit is not None:
        yield f"The profit must be {more} {context.size(terms.min_profit)}."
    yield f"A request must be for {more} {_money(terms.min_request, context)}."
    if terms.min_trader_share is not None:
        yield f"Your share must be {more} {_money(terms.min_trader_share, context)}."
    if terms.unlock_when_total_withdrawn is not None:
        yield f"Payouts unlock once {_money(terms.unlock_when_total_withdrawn, context)} has been withdrawn in total."


def _how_much(terms: PayoutTerms, context: Context) -> Iterator[str]:
    yield f"Payouts come from {_BASE_WORDS[terms.base]}."
    if terms.safety_net is not None:
        yield f"The safety net is {context.size(terms.safety_net)}."
    if terms.profit_target is not None:
        yield f"The profit target is {context.size(terms.profit_target)}."
    if terms.cap_per_request is not None:
        yield f"A request may be at most {_money(terms.cap_per_request, context)}."
    for cap in terms.caps:
        yield f"{capital(_capped(cap, context))}."
    if terms.excess == "deducted_from_account":
        yield "Profit above the cap leaves the account and is paid to nobody."


def _capped(cap: Cap, context: Context) -> str:
    most = f"{percent(cap.value)} of the {cap.type.removeprefix('pct_of_')}"
    if cap.type == "amount":
        most = _money(cap.value, context)
    elif cap.type == "pct_of_initial":
        minor = cap.minor(initial=context.initial_minor, balance=0, profit=0, currency=context.currency)
        most = f"{percent(cap.value)} of the initial balance ({context.money(minor)})"
    which = "a request"
    if cap.to_payout is not None:
        which = f"for payouts {cap.from_payout} to {cap.to_payout}, a request"
        which = f"for payout {cap.to_payout}, a request" if cap.to_payout == cap.from_payout else which
    elif cap.from_payout > 1:
        which = f"from payout {cap.from_payout} on, a request"
    until = "" if cap.until is None else f", until the rule {_rule(cap.until)} is met"
    return f"{which} may be at most {most}{until}"


def _shares(terms: PayoutTerms, context: Context) -> Iterator[str]:
    yield from _tiers(terms, context)
    if not terms.split_tiers:
        yield f"Your share is {percent(terms.split_pct)}."
    for step in terms.split_by_payout:
        yield f"From payout {step.from_payout} on, your share is {percent(step.pct)}."
    yield "The firm's share leaves the account together with yours."
    if terms.fee_refund is not None:
        yield f"With the first payout you get back {percent(terms.fee_refund.pct)} of the last fee you paid."
    if terms.goodwill_pct is not None:
        yield f"After a soft breach you still receive {percent(terms.goodwill_pct)} of the profit made until then."
    if terms.scaling is not None:
        yield _scaling(terms.scaling, context)


def _tiers(terms: PayoutTerms, context: Context) -> Iterator[str]:
    low: Decimal | None = None
    for tier in terms.split_tiers:
        bounds = [] if low is None else [f"above {_money(low, context)}"]
        bounds += [] if tier.up_to is None else [f"up to {_money(tier.up_to, context)}"]
        part = f" {listing(bounds)}" if bounds else ""
        yield f"You receive {percent(tier.pct)} of the total paid out{part}."
        low = tier.up_to


def _scaling(plan: Scaling, context: Context) -> str:
    base = "its original size" if plan.of == "original_size" else "its size"
    most = "" if plan.cap is None else f", up to at most {_money(plan.cap, context)}"
    needs = [f"a profit of {percent(plan.min_profit_pct)}"] if plan.min_profit_pct else []
    needs += [count(plan.min_payouts, "payout")] if plan.min_payouts else []
    after = f", after {listing(needs)} since the last step" if needs else ""
    share = "" if plan.split_pct is None else f" From then on, your share is {percent(plan.split_pct)}."
    every = count(plan.every_months, "month")
    return f"Every {every} the account may grow by {percent(plan.increase_pct)} of {base}{most}{after}.{share}"


def _rules(gates: tuple[str, ...]) -> str:
    return ", ".join(_rule(gate) for gate in gates)


def _rule(gate: str) -> str:
    return f'"{name(gate)}"'


def _money(amount: Decimal, context: Context) -> str:
    return context.money(to_minor(amount, context.currency))
