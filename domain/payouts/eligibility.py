"""Whether a payout may be requested: every reason against it, with its figures and a sentence."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from domain import wording
from domain.money import Money, to_minor
from domain.payouts.amounts import available_minor, base_minor, split
from domain.payouts.facts import GateFact, PayoutFacts
from domain.payouts.schema import PayoutTerms
from domain.wording import money

RefusalCode = Literal[
    "not_funded",
    "locked",
    "too_early",
    "no_trade_yet",
    "positions_open",
    "orders_pending",
    "gate_unmet",
    "balance_too_low",
    "profit_too_low",
    "more_than_available",
    "request_too_small",
    "share_too_small",
    "beneficiary_missing",
]


class Refusal(BaseModel):
    """One reason against a request. `figures`: its inputs; minor units as int, instants as datetime, ids as str."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    code: RefusalCode
    sentence: str
    figures: dict[str, Any] = {}


def eligible_from(facts: PayoutFacts, terms: PayoutTerms) -> datetime | None:
    """Returns the first instant (market time) at which a request is possible; None while its start is unknown."""
    terms = terms.chosen(facts.cycle)
    begun = facts.first_trade_at if terms.first_after == "first_trade" else facts.funded_at
    first = None if begun is None else begun + timedelta(days=terms.first_after_days)
    last = facts.last_payout_at
    if last is None:
        return first
    every = timedelta(days=terms.every_days)
    if terms.cycle == "since_last_payout" or first is None:
        return last + every if first is None else max(first, last + every)
    return first + max(0, (last - first) // every + 1) * every


def blocking_gates(facts: PayoutFacts, terms: PayoutTerms) -> tuple[GateFact, ...]:
    """Returns the gates that apply in the chosen cycle and are not met."""
    wanted = terms.chosen(facts.cycle).gates
    return tuple(gate for gate in facts.gates if not gate.met and (wanted is None or gate.rule_id in wanted))


def refusals_of_any_amount(facts: PayoutFacts, terms: PayoutTerms, currency: str) -> tuple[Refusal, ...]:
    """Returns the reasons against a request of any amount."""
    own = terms.chosen(facts.cycle)
    return (*_state(facts, own, currency), *_time(facts, own), *_account(facts, own, currency))


def refusals(facts: PayoutFacts, terms: PayoutTerms, gross: Money) -> tuple[Refusal, ...]:
    """Returns all reasons against a request for `gross`; empty: it can be made."""
    own = terms.chosen(facts.cycle)
    missing = () if facts.beneficiary_known else (_beneficiary(),)
    return (*refusals_of_any_amount(facts, terms, gross.currency), *_amount(facts, own, gross), *missing)


def _state(facts: PayoutFacts, terms: PayoutTerms, currency: str) -> Iterator[Refusal]:
    if facts.challenge_state != "funded":
        sentence = f"the challenge is not funded; its state is {wording.name(facts.challenge_state)}"
        yield Refusal(code="not_funded", sentence=sentence, figures={"state": facts.challenge_state})
    if terms.unlock_when_total_withdrawn is not None:
        needed = to_minor(terms.unlock_when_total_withdrawn, currency)
        if facts.paid_gross_minor < needed:
            figures = {"withdrawn": facts.paid_gross_minor, "needed": needed}
            sentence = f"payouts unlock once {money(needed, currency)} has been withdrawn in total"
            yield Refusal(code="locked", sentence=sentence, figures=figures)


def _time(facts: PayoutFacts, terms: PayoutTerms) -> Iterator[Refusal]:
    since = eligible_from(facts, terms)
    if since is not None and facts.now < since:
        sentence = f"the next payout can be requested from {wording.instant(since)}"
        yield Refusal(code="too_early", sentence=sentence, figures={"now": facts.now, "from": since})
    if since is None and terms.first_after == "first_trade" and facts.first_trade_at is None:
        yield Refusal(
            code="no_trade_yet", sentence="the waiting time starts with the first trade, and there is none yet"
        )


def _account(facts: PayoutFacts, terms: PayoutTerms, currency: str) -> Iterator[Refusal]:
    if terms.requires_flat and facts.open_positions:
        sentence = f"close all positions first ({facts.open_positions} open)"
        yield Refusal(code="positions_open", sentence=sentence, figures={"open_positions": facts.open_positions})
    if terms.requires_no_pending_orders and facts.pending_orders:
        sentence = f"cancel all pending orders first ({facts.pending_orders} pending)"
        yield Refusal(code="orders_pending", sentence=sentence, figures={"pending_orders": facts.pending_orders})
    for gate in blocking_gates(facts, terms):
        sentence = f"{wording.name(gate.rule_id)}: {wording.clause(gate.sentence)}"
        yield Refusal(code="gate_unmet", sentence=sentence, figures={"gate": gate.rule_id, "needs": gate.sentence})
    if terms.min_balance_above_initial is not None:
        above = terms.min_balance_above_initial.of(facts.initial_minor, currency)
        if not _reached(facts.worth_minor, facts.initial_minor + above, terms):
            figures = {"balance": facts.worth_minor, "min_balance": facts.initial_minor + above}
            sentence = f"the balance must be {_at_least(terms)} {money(facts.initial_minor + above, currency)}"
            sentence += " after open losses" if facts.open_loss_minor else ""
            yield Refusal(code="balance_too_low", sentence=sentence, figures=figures)
    if terms.min_profit is not None:
        least, profit = terms.min_profit.of(facts.initial_minor, currency), base_minor(facts, terms, currency)
        if not _reached(profit, least, terms):
            sentence = f"the profit must be {_at_least(terms)} {money(least, currency)}"
            yield Refusal(code="profit_too_low", sentence=sentence, figures={"profit": profit, "min_profit": least})


def _amount(facts: PayoutFacts, terms: PayoutTerms, gross: Money) -> Iterator[Refusal]:
    currency = gross.currency
    available = available_minor(facts, terms, currency)
    if gross.minor > available:
        sentence = f"{gross} is more than the {Money(minor=available, currency=currency)} available"
        if facts.open_loss_minor:
            sentence += f": open positions have lost {money(facts.open_loss_minor, currency)}"
        figures = {"requested": gross.minor, "available": available}
        yield Refusal(code="more_than_available", sentence=sentence, figures=figures)
    least = to_minor(terms.min_request, currency)
    if not _reached(gross.minor, least, terms):
        figures = {"requested": gross.minor, "min_request": least}
        yield Refusal(
            code="request_too_small", sentence=f"the smallest request is {money(least, currency)}", figures=figures
        )
    yield from share_refusals(split(gross, terms, facts)[0].minor, terms, currency)


def share_refusals(trader_minor: int, terms: PayoutTerms, currency: str) -> Iterator[Refusal]:
    """Yields the reason when the trader's share, after the split, is too small."""
    if terms.min_trader_share is None:
        return
    wanted = to_minor(terms.min_trader_share, currency)
    if not _reached(trader_minor, wanted, terms):
        sentence = f"your share must be {_at_least(terms)} {money(wanted, currency)}"
        figures = {"trader_share": trader_minor, "min_trader_share": wanted}
        yield Refusal(code="share_too_small", sentence=sentence, figures=figures)


def _beneficiary() -> Refusal:
    return Refusal(code="beneficiary_missing", sentence="add the bank account for your payouts")


def _reached(value: int, least: int, terms: PayoutTerms) -> bool:
    return value > least if terms.compare == ">" else value >= least


def _at_least(terms: PayoutTerms) -> str:
    return "more than" if terms.compare == ">" else "at least"
