"""Whether a payout may be requested: every reason against it, with its figures and a sentence."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any, Final, Literal

from pydantic import BaseModel, ConfigDict

from domain import wording
from domain.clocks import Clock
from domain.money import Money, to_minor
from domain.payouts.amounts import available_minor, in_blocks, less_deductions, profit_minor, split
from domain.payouts.facts import GateFact, PayoutFacts
from domain.payouts.parts import AfterFirstTrade, days_after
from domain.payouts.schema import Compared, PayoutTerms
from domain.payouts.tainted import taken_off, total_minor
from domain.wording import money

_MIDNIGHT: Final = Clock(zone="UTC", reset="00:00")

RefusalCode = Literal[
    "not_funded",
    "locked",
    "payouts_used_up",
    "closing_payout_paid",
    "too_early",
    "no_trade_yet",
    "positions_open",
    "orders_pending",
    "gate_unmet",
    "balance_too_low",
    "profit_too_low",
    "more_than_available",
    "request_too_small",
    "not_in_blocks",
    "share_too_small",
    "beneficiary_missing",
]


TOO_SMALL: Final[frozenset[RefusalCode]] = frozenset({"request_too_small", "share_too_small"})


class Refusal(BaseModel):
    """One reason against a request. `figures`: its inputs; minor units as int, instants as datetime, ids as str."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    code: RefusalCode
    sentence: str
    figures: dict[str, Any] = {}


def eligible_from(facts: PayoutFacts, terms: PayoutTerms) -> datetime | None:
    """Returns the first instant (market time) at which a request is possible; None while its start is unknown."""
    own = terms.chosen(facts.cycle, facts.payout_number)
    starts = list(_starts(facts, own)) or [facts.last_payout_at]
    if None in starts:
        return None
    start = max(start for start in starts if start is not None)
    if own.request_days is None:
        return start
    now = max(start, facts.now)
    opens = own.request_days.next_open(now)
    return start if opens == facts.now else opens


def _starts(facts: PayoutFacts, own: PayoutTerms) -> Iterator[datetime | None]:
    """Yields the end of every waiting time; None where it has not begun. Nothing after a payout without a wait."""
    begun = facts.first_trade_at if own.first_after == "first_trade" else facts.funded_at
    first, last = _after(facts, own, begun, own.first_after_days), facts.last_payout_at
    if (last is None and not facts.payouts_paid) or (own.first_after == "first_trade" and first is not None):
        yield first
    if last is not None and own.cycle == "fixed" and first is not None:
        every = timedelta(days=own.every_days)
        yield first + max(0, (last - first) // every + 1) * every
    elif last is not None and own.every_days:
        yield _after(facts, own, last, own.every_days)
    if own.after_first_trade is not None:
        yield _after(facts, own, _first_trade(facts, own.after_first_trade), own.after_first_trade.days)


def _first_trade(facts: PayoutFacts, wait: AfterFirstTrade) -> datetime | None:
    """Returns the trade that the waiting time of every payout starts with."""
    since_payout = wait.since == "last_payout" and facts.last_payout_at is not None
    return facts.first_trade_since_payout_at if since_payout else facts.first_trade_at


def _after(facts: PayoutFacts, own: PayoutTerms, begun: datetime | None, days: int) -> datetime | None:
    """Returns the instant `days` after `begun`. Dates begin with the trading day of the facts' clock."""
    if begun is None or own.days_are == "full":
        return None if begun is None else begun + timedelta(days=days)
    clock = facts.clock or _MIDNIGHT
    return clock.day_start(days_after(clock.trading_day(begun), days, own.days_are))


def blocking_gates(facts: PayoutFacts, terms: PayoutTerms) -> tuple[GateFact, ...]:
    """Returns the gates that apply to this payout and are not met."""
    wanted = terms.chosen(facts.cycle, facts.payout_number).gates
    return tuple(gate for gate in facts.gates if not gate.met and (wanted is None or gate.rule_id in wanted))


def start_minor(facts: PayoutFacts, own: PayoutTerms) -> int:
    """Returns the balance that the minimum profit is counted from."""
    return facts.left_by_payout_minor if own.profit_since == "last_payout" else facts.initial_minor


def min_balance_minor(facts: PayoutFacts, terms: PayoutTerms, currency: str) -> int | None:
    """Returns the least balance that the minimum balance and the minimum profit allow; None without both."""
    own = terms.chosen(facts.cycle, facts.payout_number)
    least = []
    if own.min_balance_above_initial is not None:
        least.append(facts.initial_minor + own.min_balance_above_initial.of_facts(facts, currency))
    if own.min_profit is not None:
        least.append(start_minor(facts, own) + own.min_profit.of_facts(facts, currency))
    return max(least, default=None)


def refusals_of_any_amount(facts: PayoutFacts, terms: PayoutTerms, currency: str) -> tuple[Refusal, ...]:
    """Returns the reasons against a request of any amount."""
    own = terms.chosen(facts.cycle, facts.payout_number)
    return (
        *_state(facts, own, currency),
        *_time(facts, own),
        *_account(facts, own),
        *_gates(facts, own),
        *_money(facts, own, currency),
    )


def refusals(facts: PayoutFacts, terms: PayoutTerms, gross: Money) -> tuple[Refusal, ...]:
    """Returns all reasons against a request for `gross`; empty: it can be made."""
    own = terms.chosen(facts.cycle, facts.payout_number)
    missing = () if facts.beneficiary_known else (_beneficiary(),)
    return (*refusals_of_any_amount(facts, terms, gross.currency), *_amount(facts, own, gross), *missing)


def _state(facts: PayoutFacts, terms: PayoutTerms, currency: str) -> Iterator[Refusal]:
    if facts.challenge_state != "funded":
        sentence = f"the challenge is not funded; its state is {wording.name(facts.challenge_state)}"
        yield Refusal(code="not_funded", sentence=sentence, figures={"state": facts.challenge_state})
    if facts.closed_by_payout:
        yield Refusal(code="closing_payout_paid", sentence="the account was closed with its last payout")
    if terms.max_payouts is not None and facts.payout_number > terms.max_payouts:
        yield _used_up(facts, terms.max_payouts, currency)
    if terms.unlock_when_total_withdrawn is not None:
        needed = to_minor(terms.unlock_when_total_withdrawn, currency)
        if facts.withdrawn_minor < needed:
            figures = {"withdrawn": facts.withdrawn_minor, "needed": needed}
            sentence = f"payouts unlock once {money(needed, currency)} has been withdrawn in total"
            yield Refusal(code="locked", sentence=sentence, figures=figures)


def _used_up(facts: PayoutFacts, most: int, currency: str) -> Refusal:
    sentence = f"{wording.count(most, 'payout')} can be paid from this account, and {facts.payouts_paid} are paid"
    figures: dict[str, Any] = {"payouts_paid": facts.payouts_paid, "max_payouts": most}
    if facts.live_start_minor is not None:
        sentence += f"; a live account would start with {money(facts.live_start_minor, currency)}"
        figures["live_start"] = facts.live_start_minor
    return Refusal(code="payouts_used_up", sentence=sentence, figures=figures)


def _time(facts: PayoutFacts, terms: PayoutTerms) -> Iterator[Refusal]:
    since = eligible_from(facts, terms)
    if since is not None and facts.now < since:
        sentence = f"the next payout can be requested from {wording.instant(since)}"
        yield Refusal(code="too_early", sentence=sentence, figures={"now": facts.now, "from": since})
    waits = terms.first_after == "first_trade" and facts.last_payout_at is None and facts.first_trade_at is None
    if waits or (terms.after_first_trade and _first_trade(facts, terms.after_first_trade) is None):
        yield Refusal(
            code="no_trade_yet", sentence="the waiting time starts with the first trade, and there is none yet"
        )


def _account(facts: PayoutFacts, terms: PayoutTerms) -> Iterator[Refusal]:
    if terms.requires_flat and facts.open_positions:
        sentence = f"close all positions first ({facts.open_positions} open)"
        yield Refusal(code="positions_open", sentence=sentence, figures={"open_positions": facts.open_positions})
    if terms.requires_no_pending_orders and facts.pending_orders:
        sentence = f"cancel all pending orders first ({facts.pending_orders} pending)"
        yield Refusal(code="orders_pending", sentence=sentence, figures={"pending_orders": facts.pending_orders})


def _gates(facts: PayoutFacts, terms: PayoutTerms) -> Iterator[Refusal]:
    for gate in blocking_gates(facts, terms):
        sentence = f"{wording.name(gate.rule_id)}: {wording.clause(gate.sentence)}"
        yield Refusal(code="gate_unmet", sentence=sentence, figures={"gate": gate.rule_id, "needs": gate.sentence})


def _money(facts: PayoutFacts, terms: PayoutTerms, currency: str) -> Iterator[Refusal]:
    if terms.min_balance_above_initial is not None:
        least = facts.initial_minor + terms.min_balance_above_initial.of_facts(facts, currency)
        if not _reached(facts.worth_minor, least, terms, "min_balance_above_initial"):
            words = _at_least(terms, "min_balance_above_initial")
            figures = {"balance": facts.worth_minor, "min_balance": least}
            sentence = f"the balance must be {words} {money(least, currency)}"
            sentence += " after open losses" if facts.open_loss_minor else ""
            yield Refusal(code="balance_too_low", sentence=sentence, figures=figures)
    if terms.min_profit is not None:
        least, profit = terms.min_profit.of_facts(facts, currency), _profit_since(facts, terms)
        if not _reached(profit, least, terms, "min_profit"):
            since = " since the last payout" if terms.profit_since == "last_payout" else ""
            sentence = f"the profit{since} must be {_at_least(terms, 'min_profit')} {money(least, currency)}"
            yield Refusal(code="profit_too_low", sentence=sentence, figures={"profit": profit, "min_profit": least})


def _profit_since(facts: PayoutFacts, terms: PayoutTerms) -> int:
    """Returns the profit that the minimum profit is compared with: after open losses. What does not count is left
    out of the profit since the start; the balance that the last payout left has it already."""
    if terms.profit_since == "last_payout":
        made = facts.worth_minor - start_minor(facts, terms)
        return taken_off(made, total_minor(facts.tainted, facts.last_payout_at))
    if terms.base in ("profit", "min(profit,profit_target)"):
        return less_deductions(profit_minor(facts), facts)
    return less_deductions(facts.worth_minor - facts.initial_minor, facts)


def _amount(facts: PayoutFacts, terms: PayoutTerms, gross: Money) -> Iterator[Refusal]:
    currency = gross.currency
    available = available_minor(facts, terms, currency)
    if gross.minor > available:
        sentence = f"{gross} is more than the {Money(minor=available, currency=currency)} available"
        if facts.open_loss_minor:
            sentence += f": open positions have lost {money(facts.open_loss_minor, currency)}"
        figures = {"requested": gross.minor, "available": available}
        yield Refusal(code="more_than_available", sentence=sentence, figures=figures)
    if terms.in_blocks_of is not None and in_blocks(gross.minor, terms, currency) != gross.minor:
        block = to_minor(terms.in_blocks_of, currency)
        sentence = f"a request must be a multiple of {money(block, currency)}"
        figures = {"requested": gross.minor, "in_blocks_of": block}
        yield Refusal(code="not_in_blocks", sentence=sentence, figures=figures)
    least = to_minor(terms.min_request, currency)
    if not _reached(gross.minor, least, terms, "min_request"):
        figures = {"requested": gross.minor, "min_request": least}
        yield Refusal(
            code="request_too_small", sentence=f"the smallest request is {money(least, currency)}", figures=figures
        )
    trader = split(gross, terms, facts)[0].minor
    yield from share_refusals(trader, terms, currency)
    if terms.min_trader_share is None and not trader and _may_be_nothing(facts, terms):
        figures = {"trader_share": 0, "min_trader_share": 1}
        yield Refusal(code="share_too_small", sentence="your share of this payout would be nothing", figures=figures)


def share_refusals(trader_minor: int, terms: PayoutTerms, currency: str) -> Iterator[Refusal]:
    """Yields the reason when the trader's share, after the split, is too small."""
    if terms.min_trader_share is None:
        return
    wanted = to_minor(terms.min_trader_share, currency)
    if not _reached(trader_minor, wanted, terms, "min_trader_share"):
        sentence = f"your share must be {_at_least(terms, 'min_trader_share')} {money(wanted, currency)}"
        figures = {"trader_share": trader_minor, "min_trader_share": wanted}
        yield Refusal(code="share_too_small", sentence=sentence, figures=figures)


def _may_be_nothing(facts: PayoutFacts, own: PayoutTerms) -> bool:
    """Whether a share of 0 percent is possible."""
    steps = [*(tier.pct for tier in own.split_tiers), *(step.pct for step in own.split_by_trading_days)]
    return 0 in (own.split_pct, facts.own_split_pct, *steps)


def _beneficiary() -> Refusal:
    return Refusal(code="beneficiary_missing", sentence="add the bank account for your payouts")


def _reached(value: int, least: int, terms: PayoutTerms, name: Compared) -> bool:
    return value > least if terms.is_strict(name) else value >= least


def _at_least(terms: PayoutTerms, name: Compared) -> str:
    return "more than" if terms.is_strict(name) else "at least"
