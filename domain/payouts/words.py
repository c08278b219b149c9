"""The payout terms as the trader reads them: plain sentences generated from the definition."""

from collections.abc import Iterator
from decimal import Decimal
from typing import Final

from domain.money import to_minor
from domain.payouts.schema import Base, Cap, Cycle, PayoutTerms
from domain.rules.base import Context, said, spoken

_BASE_WORDS: Final[dict[Base, str]] = {
    "balance_minus_initial": "the balance above the initial balance",
    "profit": "the profit since the last payout",
    "profit_above_safety_net": "the balance above the initial balance and the safety net",
    "profit_target": "the profit target",
    "min(profit,profit_target)": "the profit since the last payout, at most the profit target",
}
_OPEN_WORDS: Final = (
    "Positions may stay open: what they have lost counts against the payout, what they have gained does not count."
)


def words(terms: PayoutTerms, context: Context) -> tuple[str, ...]:
    """The terms of an account as sentences, in the order in which a trader meets them."""
    return (*_when(terms, context), *_conditions(terms, context), *_how_much(terms, context), *_shares(terms, context))


def _when(terms: PayoutTerms, context: Context) -> Iterator[str]:
    begins = "the first trade" if terms.first_after == "first_trade" else "the day the account is funded"
    yield f"The first payout can be requested {_days(terms.first_after_days)} after {begins}."
    if terms.cycle == "fixed":
        yield f"From then on a payout can be requested every {_days(terms.every_days)}, whenever the last one was paid."
    else:
        yield f"The next one can be requested {_days(terms.every_days)} after the last was paid."
    for cycle in terms.cycles:
        yield f'You may choose the cycle "{cycle.name}": {_chosen(cycle, context)}.'


def _chosen(cycle: Cycle, context: Context) -> str:
    told = []
    if cycle.first_after_days is not None:
        told.append(f"first payout after {_days(cycle.first_after_days)}")
    if cycle.every_days is not None:
        told.append(f"then every {_days(cycle.every_days)}")
    if cycle.split_pct is not None:
        told.append(f"your share is {_pct(cycle.split_pct)}")
    if cycle.gates is not None:
        told.append(f"these rules must be met: {_rules(cycle.gates)}")
    if cycle.caps is not None:
        told.append(" and ".join(_capped(cap, context) for cap in cycle.caps) or "without a cap")
    return "; ".join(told) or "as everybody else"


def _conditions(terms: PayoutTerms, context: Context) -> Iterator[str]:
    more = "more than" if terms.compare == ">" else "at least"
    yield "All positions must be closed." if terms.requires_flat else _OPEN_WORDS
    yield "No order may be pending." if terms.requires_no_pending_orders else "Pending orders may stay."
    if terms.gates is not None:
        yield f"These rules must be met: {_rules(terms.gates)}."
    if terms.min_balance_above_initial is not None:
        yield f"The balance must be {more} {spoken(terms.min_balance_above_initial, context)} above the initial balance."
    if terms.min_profit is not None:
        yield f"The profit must be {more} {spoken(terms.min_profit, context)}."
    yield f"A request must be for {more} {_money(terms.min_request, context)}."
    if terms.min_trader_share is not None:
        yield f"Your share must be {more} {_money(terms.min_trader_share, context)}."
    if terms.unlock_when_total_withdrawn is not None:
        yield f"Payouts unlock once {_money(terms.unlock_when_total_withdrawn, context)} have been withdrawn in total."


def _how_much(terms: PayoutTerms, context: Context) -> Iterator[str]:
    yield f"A payout is taken from {_BASE_WORDS[terms.base]}."
    if terms.safety_net is not None:
        yield f"The safety net is {spoken(terms.safety_net, context)}."
    if terms.profit_target is not None:
        yield f"The profit target is {spoken(terms.profit_target, context)}."
    if terms.cap_per_request is not None:
        yield f"One request is at most {_money(terms.cap_per_request, context)}."
    for cap in terms.caps:
        told = _capped(cap, context)
        yield f"{told[0].upper()}{told[1:]}."
    if terms.excess == "deducted_from_account":
        yield "What lies beyond the cap leaves the account and is paid to nobody."


def _capped(cap: Cap, context: Context) -> str:
    most = f"{_pct(cap.value)} of the {cap.type.removeprefix('pct_of_')}"
    if cap.type == "amount":
        most = _money(cap.value, context)
    elif cap.type == "pct_of_initial":
        minor = cap.minor(initial=context.initial_minor, balance=0, profit=0, currency=context.currency)
        most = f"{_pct(cap.value)} of the initial balance ({said(minor, context.currency)})"
    which = f"from payout {cap.from_payout} on a request" if cap.from_payout > 1 else "a request"
    if cap.to_payout is not None:
        which = f"a request for payouts {cap.from_payout} to {cap.to_payout}"
        which = f"a request for payout {cap.to_payout}" if cap.to_payout == cap.from_payout else which
    until = "" if cap.until is None else f", until the rule {_rule(cap.until)} is met"
    return f"{which} is at most {most}{until}"


def _shares(terms: PayoutTerms, context: Context) -> Iterator[str]:
    low: Decimal | None = None
    for tier in terms.split_tiers:
        over = "" if low is None else f" above {_money(low, context)}"
        to = "" if tier.up_to is None else f" up to {_money(tier.up_to, context)}"
        yield f"Of what is paid out in total{over}{to}, {_pct(tier.pct)} is yours."
        low = tier.up_to
    if not terms.split_tiers:
        yield f"Your share is {_pct(terms.split_pct)}."
    for step in terms.split_by_payout:
        yield f"From payout {step.from_payout} on your share is {_pct(step.pct)}."
    yield "The firm's share leaves the account together with yours."
    if terms.fee_refund is not None:
        yield f"With the first payout {_pct(terms.fee_refund.pct)} of the last fee you paid comes back."
    if terms.goodwill_pct is not None:
        yield f"After a soft breach {_pct(terms.goodwill_pct)} of the profit that stood is still yours."
    if terms.scaling is not None:
        plan = terms.scaling
        base = "its original size" if plan.of == "original_size" else "its size"
        most = "" if plan.cap is None else f", at most to {_money(plan.cap, context)}"
        needs = [f"a profit of {_pct(plan.min_profit_pct)}"] if plan.min_profit_pct else []
        needs += [f"{plan.min_payouts} paid payout(s)"] if plan.min_payouts else []
        after = f", after {' and '.join(needs)} since the last step" if needs else ""
        share = "" if plan.split_pct is None else f" From then on your share is {_pct(plan.split_pct)}."
        grows = f"Every {plan.every_months} months the account may grow by {_pct(plan.increase_pct)} of {base}{most}"
        yield f"{grows}{after}.{share}"


def _rules(gates: tuple[str, ...]) -> str:
    return ", ".join(_rule(gate) for gate in gates) or "none"


def _rule(gate: str) -> str:
    return f'"{gate.replace("_", " ")}"'


def _days(days: int) -> str:
    return "1 day" if days == 1 else f"{days} days"


def _pct(percent: Decimal) -> str:
    return f"{percent.normalize():f} %"


def _money(amount: Decimal, context: Context) -> str:
    return said(to_minor(amount, context.currency), context.currency)
