"""The payout terms as the trader reads them: sentences generated from the definition."""

from collections.abc import Iterator
from decimal import Decimal
from typing import Final

from domain.money import from_minor, to_minor
from domain.payouts.parts import AfterFirstTrade, Cap, DaysAre, FeeRefund, RequestDays, WithPayout
from domain.payouts.scaling import Scaling
from domain.payouts.schema import Base, Compared, FromPayout, PayoutTerms, Removable, Replacing
from domain.rules.base import Context
from domain.wording import capital, clause, count, listing, name, percent

_BASE_WORDS: Final[dict[Base, str]] = {
    "balance_minus_initial": "the balance above the initial balance",
    "profit": "the profit since the last payout",
    "profit_above_safety_net": "the profit above the safety net",
    "profit_within_safety_net": "the profit within the safety net",
    "profit_target": "the profit target",
    "min(profit,profit_target)": "the profit since the last payout, at most the profit target",
}
_DONE: Final = {"funded": "the account is funded", "first_trade": "you have made your first trade"}
_UNITS: Final[dict[DaysAre, str]] = {"full": "day", "calendar": "calendar day", "business": "business day"}
_REMOVED_WORDS: Final[dict[Removable, str]] = {
    "after_first_trade": "waiting time after the first trade",
    "request_days": "limit to certain days",
    "min_balance_above_initial": "minimum balance",
    "min_profit": "minimum profit",
    "min_trader_share": "minimum for your share",
    "unlock_when_total_withdrawn": "total to withdraw first",
    "cap_per_request": "cap on a request",
    "cap_total": "cap on all payouts together",
    "cap_trader_share": "cap on your share",
    "in_blocks_of": "multiple that a request must be",
}
_OPEN_WORDS: Final = (
    "Positions may stay open: their open losses count against the payout, their open gains do not count."
)


def words(terms: PayoutTerms, context: Context) -> tuple[str, ...]:
    """Returns the payout terms as sentences, in the order in which a trader needs them."""
    return (
        *_when(terms),
        *_conditions(terms, context),
        *_how_much(terms, context),
        *_shares(terms, context),
        *_later_payouts(terms, context),
    )


def _when(terms: PayoutTerms) -> Iterator[str]:
    start = "your first trade" if terms.first_after == "first_trade" else "the account is funded"
    if terms.first_after_days:
        yield f"The first payout can be requested {_days(terms.first_after_days, terms)} after {start}."
    else:
        yield f"The first payout can be requested as soon as {_DONE[terms.first_after]}."
    every = _days(terms.every_days, terms)
    if terms.cycle == "fixed":
        yield f"After that, a payout can be requested every {every}, no matter when the last one was paid."
    elif terms.every_days:
        yield f"The next payout can be requested {every} after the last one was paid."
    else:
        yield "The next payout can be requested as soon as the last one is paid."
    if terms.after_first_trade is not None:
        yield f"{capital(_after_trade(terms.after_first_trade, terms))}."
    if terms.days_are == "business":
        yield "Business days are Monday to Friday."
    if terms.request_days is not None:
        yield f"{capital(_on_days(terms.request_days))}."
    if terms.max_payouts is not None:
        yield f"At most {count(terms.max_payouts, 'payout')} can be paid from this account."
    if terms.live_account is not None:
        live = terms.live_account.words
        yield f"After the last of them, a live account would start with {live} of your simulated accounts."


def _days(days: int, terms: PayoutTerms) -> str:
    return count(days, _UNITS[terms.days_are])


def _after_trade(wait: AfterFirstTrade, terms: PayoutTerms) -> str:
    which = "your first trade" if wait.since == "start" else "your first trade since the last payout"
    return f"every payout must wait {f'{_days(wait.days, terms)} after' if wait.days else 'for'} {which}"


def _on_days(days: RequestDays) -> str:
    named = listing([f"{capital(day)}s" for day in days.weekdays])
    opens = "" if days.opens == "00:00" else f", from {days.opens} on"
    return f"a payout can be requested only on {named}{opens} ({days.zone})"


def _later_payouts(terms: PayoutTerms, context: Context) -> Iterator[str]:
    for step in terms.by_payout:
        yield f"From payout {step.from_payout} on: {_from_payout(step, terms, context)}."
    for cycle in terms.cycles:
        closes = "; the account is closed once it is paid" if cycle.closes_account else ""
        yield f'You may choose the cycle "{cycle.name}": {_replaced(cycle, terms, context)}{closes}.'


def _from_payout(step: FromPayout, terms: PayoutTerms, context: Context) -> str:
    replaced = _replaced(step, terms, context)
    if not step.without:
        return replaced
    without = f"there is no {listing([_REMOVED_WORDS[field] for field in step.without], last='or')} any more"
    return f"{replaced}; {without}" if step.replaced() else without


def _replaced(part: Replacing, terms: PayoutTerms, context: Context) -> str:
    """Returns what a cycle or a payout number replaces, as clauses."""
    own = terms.model_copy(update=part.replaced())
    parts = [*_replaced_times(part, own), *_replaced_shares(part, terms, own, context)]
    parts += [*_replaced_conditions(part, own, context), *_replaced_amounts(part, context)]
    return "; ".join(parts) or "the terms above, unchanged"


def _replaced_times(part: Replacing, own: PayoutTerms) -> Iterator[str]:
    if part.first_after_days is not None:
        yield (
            f"first payout after {_days(part.first_after_days, own)}"
            if part.first_after_days
            else ("first payout at once")
        )
    if part.every_days is not None:
        then = "then every" if part.first_after_days is not None else "a payout every"
        again = "the next one as soon as the last one is paid"
        yield f"{then} {_days(part.every_days, own)}" if part.every_days else again
    if part.days_are is not None:
        yield {"full": "days are 24 hours", "calendar": "days are dates", "business": "days are Monday to Friday"}[
            part.days_are
        ]
    if part.after_first_trade is not None:
        yield _after_trade(part.after_first_trade, own)
    if part.request_days is not None:
        yield _on_days(part.request_days)


def _replaced_conditions(part: Replacing, own: PayoutTerms, context: Context) -> Iterator[str]:
    if part.gates is not None:
        yield clause(_gates(part.gates))
    if part.requires_flat is not None:
        yield "all positions must be closed" if part.requires_flat else "positions may stay open"
    if part.requires_no_pending_orders is not None:
        yield "no order may be pending" if part.requires_no_pending_orders else "pending orders may stay open"
    named = ("min_balance_above_initial", "min_profit", "min_request", "min_trader_share")
    changed = part.compare is not None
    least = [field for field in named if getattr(part, field) is not None or changed]
    if part.profit_since is not None and "min_profit" not in least:
        least.append("min_profit")
    for field, sentence in _minimums(own, context):
        if field in least:
            yield clause(sentence)
    if part.unlock_when_total_withdrawn is not None:
        yield f"they unlock once {_money(part.unlock_when_total_withdrawn, context)} has been withdrawn in total"


def _replaced_amounts(part: Replacing, context: Context) -> Iterator[str]:
    if part.base is not None:
        yield f"payouts come from {_BASE_WORDS[part.base]}"
    if part.safety_net is not None:
        yield f"the safety net is {context.size(part.safety_net)}"
    if part.profit_target is not None:
        yield f"the profit target is {context.size(part.profit_target)}"
    if part.caps is not None:
        yield " and ".join(_capped(cap, context) for cap in part.caps) or "without a cap"
    amounts = (part.cap_per_request, part.cap_total, part.cap_trader_share, part.in_blocks_of)
    if any(amount is not None for amount in amounts):
        yield from (clause(sentence) for sentence in _limits(part, context))
    if part.excess is not None:
        yield (
            "profit above the cap is paid to nobody"
            if part.excess == "deducted_from_account"
            else ("profit above the cap stays in the account")
        )


def _replaced_shares(part: Replacing, terms: PayoutTerms, own: PayoutTerms, context: Context) -> Iterator[str]:
    if part.split_pct is not None:
        yield f"your share is {percent(part.split_pct)}"
    if part.split_by_trading_days is not None:
        yield from (clause(sentence) for sentence in _by_age(own))
    yield from (clause(sentence) for sentence in (_tiers(own, context) if part.split_tiers else ()))
    no_tiers = part.split_tiers == () or bool(terms.split_tiers and not own.split_tiers)
    if no_tiers and part.split_pct is None and not _covers_every_age(own):
        otherwise = "otherwise " if own.split_by_trading_days else ""
        yield f"{otherwise}your share is {percent(own.split_pct)}"


def _conditions(terms: PayoutTerms, context: Context) -> Iterator[str]:
    yield "All positions must be closed." if terms.requires_flat else _OPEN_WORDS
    yield "No order may be pending." if terms.requires_no_pending_orders else "Pending orders may stay open."
    if terms.gates is not None:
        yield _gates(terms.gates)
    for _, sentence in _minimums(terms, context):
        yield sentence
    if terms.unlock_when_total_withdrawn is not None:
        yield f"Payouts unlock once {_money(terms.unlock_when_total_withdrawn, context)} has been withdrawn in total."


def _minimums(terms: PayoutTerms, context: Context) -> Iterator[tuple[Compared, str]]:
    """Yields (field, sentence) of every minimum."""

    def more(field: Compared) -> str:
        return "more than" if terms.is_strict(field) else "at least"

    if terms.min_balance_above_initial is not None:
        field: Compared = "min_balance_above_initial"
        size = terms.min_balance_above_initial
        above = f"{context.size(size)} above " if size.value or not size.is_plain else ""
        yield field, f"The balance must be {more(field)} {above}the initial balance."
    if terms.min_profit is not None:
        since = " since the last payout" if terms.profit_since == "last_payout" else ""
        yield "min_profit", f"The profit{since} must be {more('min_profit')} {context.size(terms.min_profit)}."
    yield "min_request", f"A request must be for {more('min_request')} {_money(terms.min_request, context)}."
    if terms.min_trader_share is not None:
        least = _money(terms.min_trader_share, context)
        yield "min_trader_share", f"Your share must be {more('min_trader_share')} {least}."


def _how_much(terms: PayoutTerms, context: Context) -> Iterator[str]:
    yield f"Payouts come from {_BASE_WORDS[terms.base]}."
    if terms.safety_net is not None:
        yield f"The safety net is {context.size(terms.safety_net)} of profit."
    if terms.profit_target is not None:
        yield f"The profit target is {context.size(terms.profit_target)}."
    for cap in terms.caps:
        yield f"{capital(_capped(cap, context))}."
    yield from _limits(terms, context)
    if terms.totals_over == "trader":
        yield "Totals count the payouts of all your accounts together."
    if terms.excess == "deducted_from_account":
        yield "Profit above the cap leaves the account and is paid to nobody."


def _limits(terms: PayoutTerms | Replacing, context: Context) -> Iterator[str]:
    if terms.cap_per_request is not None:
        yield f"A request may be at most {_money(terms.cap_per_request, context)}."
    if terms.cap_total is not None:
        yield f"All payouts together may be at most {_money(terms.cap_total, context)}."
    if terms.cap_trader_share is not None:
        yield f"Your share of a payout may be at most {_money(terms.cap_trader_share, context)}."
    if terms.in_blocks_of is not None:
        yield f"A request must be a multiple of {_money(terms.in_blocks_of, context)}."


def _capped(cap: Cap, context: Context) -> str:
    which = "a request"
    if cap.to_payout is not None:
        which = f"for payouts {cap.from_payout} to {cap.to_payout}, a request"
        which = f"for the first {cap.to_payout} payouts, a request" if cap.from_payout == 1 else which
        which = f"for payout {cap.to_payout}, a request" if cap.to_payout == cap.from_payout else which
    elif cap.from_payout > 1:
        which = f"from payout {cap.from_payout} on, a request"
    if cap.per_days is not None:
        which += f", together with everything paid in the {count(cap.per_days, 'day')} before it,"
    most = _sized(cap.type, cap.value, cap.at_least, context)
    for change in cap.steps:
        profit = _money(change.from_profit, context)
        value = "without a cap" if change.value is None else _sized(cap.type, change.value, None, context)
        most += f", from a profit of {profit} on {value}"
    until = "" if cap.until is None else f", until the rule {_rule(cap.until)} is met"
    below = "" if cap.below_profit is None else f", while the profit is below {context.size(cap.below_profit)}"
    return f"{which} may be at most {most}{until}{below}"


def _sized(kind: str, value: Decimal, at_least: Decimal | None, context: Context) -> str:
    if kind == "amount":
        most = _money(value, context)
    elif kind == "pct_of_initial":
        whole = _money(from_minor(context.initial_minor, context.currency) * value / 100, context)
        most = f"{percent(value)} of the initial balance ({whole})"
    elif kind == "pct_of_payout_balance":
        most = f"{percent(value)} of the balance that the last payout left"
    else:
        most = f"{percent(value)} of the {kind.removeprefix('pct_of_')}"
    return most if at_least is None else f"{most}, but never less than {_money(at_least, context)}"


def _shares(terms: PayoutTerms, context: Context) -> Iterator[str]:
    yield from _tiers(terms, context)
    if not terms.split_tiers:
        yield from () if _covers_every_age(terms) else (f"Your share is {percent(terms.split_pct)}.",)
    yield from _by_age(terms)
    for step in terms.split_by_payout:
        yield f"From payout {step.from_payout} on, your share is {percent(step.pct)}."
    yield "The firm's share leaves the account together with yours."
    if terms.fee_refund is not None:
        yield _refund(terms.fee_refund)
    if terms.goodwill_pct is not None:
        yield f"After a soft breach you still receive {percent(terms.goodwill_pct)} of the profit made until then."
    if terms.scaling is not None:
        yield _scaling(terms.scaling, context)


def _covers_every_age(terms: PayoutTerms) -> bool:
    return any(step.below is None for step in terms.split_by_trading_days)


def _by_age(terms: PayoutTerms) -> Iterator[str]:
    for step in terms.split_by_trading_days:
        if step.below is None:
            yield f"Otherwise your share is {percent(step.pct)}."
        else:
            days = count(step.below, "trading day")
            yield f"With fewer than {days}, your share is {percent(step.pct)}."


def _refund(refund: FeeRefund) -> str:
    of = "all fees you paid" if refund.amount == "all_fees_paid" else "the last fee you paid"
    number = refund.paid_with.payout if isinstance(refund.paid_with, WithPayout) else 1
    which = "the first payout" if number == 1 else f"payout {number}"
    return f"With {which} you get back {percent(refund.pct)} of {of}."


def _tiers(terms: PayoutTerms, context: Context) -> Iterator[str]:
    low: Decimal | None = None
    for tier in terms.split_tiers:
        bounds = [] if low is None else [f"above {_money(low, context)}"]
        bounds += [] if tier.up_to is None else [f"up to {_money(tier.up_to, context)}"]
        part = f" {listing(bounds)}" if bounds else ""
        yield f"You receive {percent(tier.pct)} of the total paid out{part}."
        low = tier.up_to


def _scaling(plan: Scaling, context: Context) -> str:
    bases = {"original_size": "its original size", "current_size": "its size", "balance": "its balance"}
    steps = [f"{percent(pct)}" for pct in plan.increases]
    often = "the account" if not plan.every_months else f"Every {count(plan.every_months, 'month')} the account"
    to = " to its balance and" if plan.of == "balance" else " by"
    grows = f"{capital(often)} may grow{to} {steps[0]} of {bases[plan.of]}"
    if len(steps) > 1:
        grows += f" (then by {', '.join([*steps[1:-1], f'{steps[-1]} each time'])})"
    most = "" if plan.cap is None else f", up to at most {_money(plan.cap, context)}"
    needs = [f"a profit of {percent(plan.min_profit_pct)} of its size"] if plan.min_profit_pct else []
    needs += [count(plan.min_payouts, "payout")] if plan.min_payouts else []
    needs += [count(plan.min_profitable_months, "profitable month")] if plan.min_profitable_months else []
    after = f", after {listing(needs)} since the last step" if needs else ""
    paid = "It waits until the profit that you can request has been paid out. " if plan.of != "balance" else ""
    anew = f"{paid}A new account then starts with the new size, and every rule begins anew."
    if plan.profit_stays:
        anew = "The balance grows by as much as the size."
    share = "" if plan.split_pct is None else f" From then on, your share is {percent(plan.split_pct)}."
    return f"{grows}{most}{after}. {anew}{share}"


def _gates(gates: tuple[str, ...]) -> str:
    """Returns which of the rules about payouts apply, as a sentence."""
    if not gates:
        return "The rules above that hold back a payout do not apply."
    return f"Of the rules above that hold back a payout, only {listing([_rule(gate) for gate in gates])} must be met."


def _rule(gate: str) -> str:
    return f'"{name(gate)}"'


def _money(amount: Decimal, context: Context) -> str:
    return context.money(to_minor(amount, context.currency))
