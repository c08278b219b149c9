"""Cases about payouts: their parameters become the engine's payout terms, their events its payout facts."""

from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any, Final

from cli.conformance.case import Case, EngineResult, RawEvent, Unsupported, Value
from cli.conformance.daily import engine_events, has_rollovers
from cli.conformance.eligibility import dates_of, payout_eligibility, shares_in_money, sizes_in_money
from cli.conformance.facts import Dates, Past, cycle_dates, facts
from cli.conformance.gates import FROM_RESET_TO_RESET, amount_of, needed
from cli.conformance.payout_terms import OF_AMOUNT, SHARES, in_force, payout_terms, terms_of
from domain.money import to_minor
from domain.payouts.amounts import cap_minor, payout_amount, refund_minor
from domain.payouts.eligibility import refusals_of_any_amount
from domain.payouts.live_account import LiveAccountStart, SimulatedAccount
from domain.rules import days as day_book
from domain.rules.days import DayBasis, day_profit
from domain.rules.events import DayEnded
from domain.rules.floors import FloorSpec, Mark, floor_of, opened, room_minor
from domain.rules.state import AccountRules, fresh, on_payout_hold, on_payout_settled

_BASES: Final[dict[str, DayBasis]] = {
    "equity": "equity_snapshot_to_snapshot",
    "equity_snapshot_to_snapshot": "equity_snapshot_to_snapshot",
    "closed_pnl": "closed_pnl",
    "closed_pnl_plus_negative_floating": "closed_pnl_plus_negative_floating",
    "closing_balance_minus_opening_balance": "closing_balance_minus_opening_balance",
}


def payout_amount_of(case: Case) -> EngineResult:
    given = case.params(*OF_AMOUNT)
    past, result = Past(case, dates_of(case, given)), EngineResult(outcome="eligible")
    # the last request decides until its payout is over; else the amounts are those of a payout right now
    requests = any(raw.kind == "payout_request" for raw in case.events)
    asked = settled = False
    for raw in case.events or (RawEvent(0, "", "", {}),):
        past.step(raw)
        asks, asked = raw.kind == "payout_request", asked and not settled
        settled = asked and raw.kind == "payout" and "account" not in raw.data
        if asks or not asked:
            before, requested = past.balance, raw.money("amount", case.currency) if asks else None
            result.outcome, result.amounts = _paid(case, given, past, requested)
            if asks and result.outcome == "eligible":
                past.pay_out(*_left(case, result))
            asked = asks
            # a payout that is requested later has not left the balance yet
            waits = requests and not asked
            shown = {**result.amounts, "balance": case.major(before)} if waits else result.amounts
        else:
            shown = result.amounts = {**result.amounts, "balance": case.major(past.balance)}
        result.steps.append(shown)
    result.steps[-1:] = [result.amounts]
    result.amounts = {**result.amounts, **cycle_dates(case, given)}
    return result


def _left(case: Case, result: EngineResult) -> tuple[int, int]:
    """Returns (gross, forfeited) of a payout in minor units."""
    gross, forfeited = result.amounts["gross"], result.amounts["forfeited"]
    assert isinstance(gross, Decimal) and isinstance(forfeited, Decimal)
    return to_minor(gross, case.currency), to_minor(forfeited, case.currency)


def _paid(case: Case, given: Mapping[str, Any], past: Past, requested: int | None) -> tuple[str, dict[str, Value]]:
    """Returns the outcome and the amounts of a payout now."""
    own, currency = in_force(case, given, past.next_number), case.currency
    known, terms = past.facts(own), terms_of(case, given, past)
    amount = payout_amount(known, terms, currency, requested)
    reasons = {refusal.code for refusal in refusals_of_any_amount(known, terms, currency)}
    locked = past.held_back or not reasons.isdisjoint(("locked", "payouts_used_up"))
    named = {
        "profit": amount.base,
        "gross": 0 if locked else amount.gross,
        "forfeited": 0 if locked else amount.forfeited,
        "trader": 0 if locked else amount.trader,
        "firm": 0 if locked else amount.firm,
        "balance": past.balance if locked else amount.balance,
        "cap": cap_minor(known, terms, currency),
        "max_request": cap_minor(known, terms, currency),
        "withdrawn_total": known.withdrawn_minor,
        **sizes_in_money(case, own, past),
        **shares_in_money(own, known, terms, currency),
    }
    figures: dict[str, Value] = {name: case.major(minor) for name, minor in named.items()}
    figures["payout_number"] = known.payout_number
    return "ineligible" if locked else "eligible", figures


def fee_refund(case: Case) -> EngineResult:
    given = case.params("amount", "paid_with", "pct")
    with_payout = given.get("paid_with", "first_payout")
    if isinstance(with_payout, Mapping):
        case.only("paid_with", with_payout, ("payout",))
    refund = {"amount": given.get("amount", "last_fee_paid"), "paid_with": with_payout}
    terms = payout_terms(case, fee_refund={**refund, "pct": given.get("pct", 100)})
    assert terms.fee_refund is not None
    past, result = Past(case, Dates(None, None)), EngineResult(outcome="eligible")
    last = every = 0
    for raw in case.events:
        past.step(raw)
        if raw.kind == "payment":
            last = raw.money("amount", case.currency) or 0
            every += last
        known = past.facts(given, last_fee_minor=last, all_fees_minor=every)
        due = known.payout_number == terms.fee_refund.payout_number and not raw.held_back
        result.outcome = "eligible" if due else "ineligible"
        named = {"refund": refund_minor(known, terms) if due else 0, "last_fee_paid": last, "all_fees_paid": every}
        named["amount"] = named[refund["amount"]]
        result.amounts = {name: case.major(minor) for name, minor in named.items()}
        result.steps.append(result.amounts)
    return result


def payout_drawdown_effect(case: Case) -> EngineResult:
    given = case.params("floor_policy", "floor_before", "day", *SHARES)
    stated = (raw.data["floor_before"] for raw in case.events if "floor_before" in raw.data)
    before = amount_of(case, given.get("floor_before", next(stated, None)))
    rules = _floor(case, needed(case, "floor_policy"), before)
    limits = [{"type": name.removeprefix("max_request_"), "value": given[name]} for name in SHARES if name in given]
    terms = payout_terms(case, caps=limits)
    result, balance, equity, paid = EngineResult(outcome="computed"), case.initial_minor, case.initial_minor, 0
    for raw in case.events:
        made = raw.money("pnl", case.currency) or raw.money("net_pnl", case.currency) or 0
        given_balance, given_equity = raw.money("balance", case.currency), raw.money("equity", case.currency)
        pays = raw.kind == "payout" and "account" not in raw.data
        left = (raw.money("gross_amount", case.currency) or 0) if pays else 0
        floating = equity - balance
        balance = balance + made - left if given_balance is None else given_balance
        equity = given_equity if given_equity is not None else balance + floating
        if pays:
            paid += 1
            rules = on_payout_settled(on_payout_hold(rules, left))
        floor = None if before is None and not rules.states[0].locked else rules.states[0].floor_minor
        mark = Mark(balance, equity, raw.index + 1, raw.at())
        named = {
            "balance": balance,
            "equity": equity,
            "floor": floor,
            "room": None if floor is None else room_minor(rules.specs[0], floor, mark.equity_minor),
            "max_request": cap_minor(facts(case, balance_minor=balance, payouts_paid=paid), terms, case.currency),
        }
        result.floor = case.major(floor)
        result.floors.append(result.floor)
        result.amounts = {name: case.major(minor) for name, minor in named.items()}
        result.steps.append(result.amounts)
    return result


def _floor(case: Case, policy: str, before: int | None) -> AccountRules:
    """Returns a floor at the level that the case states, with the effect of the first payout on it."""
    effects = {"unchanged": "unchanged", "set_to_zero_on_first_payout": "zero"}
    if policy not in effects:
        raise Unsupported(f"payout_drawdown_effect: floor_policy {policy}", "floor_policy")
    floor_minor = case.initial_minor if before is None else before
    spec = FloorSpec(
        rule_id="floor",
        rule_type="max_loss_static",
        source="initial",
        moves="never",
        initial_minor=case.initial_minor,
        allowance_minor=case.initial_minor - floor_minor,
        allowance_pct=None,
        operator="equity < floor",
        settles="zero" if effects[policy] == "zero" else "unchanged",
    )
    assert floor_of(spec, opened(spec).basis_minor, locked=False) == floor_minor
    return fresh((spec,))


def daily_profit_attribution(case: Case) -> EngineResult:
    given = case.params("basis", "day")
    basis = _BASES.get(given.get("basis", "equity_snapshot_to_snapshot"))
    if basis is None:
        raise Unsupported(f"daily_profit_attribution: basis {given['basis']}", "basis")
    book, found = day_book.begin(None if has_rollovers(case) else case.initial_minor), list[Value]()
    result = EngineResult(outcome="computed", amounts={"days": []})
    by_rollovers = basis in FROM_RESET_TO_RESET
    for _, events in engine_events(case, case.clock(given.get("day")), by_rollovers=by_rollovers):
        for event in events:
            book, ended = day_book.step(book, event)
            whole = (*ended, event) if isinstance(event, DayEnded) else ended
            results = (day_profit(day, basis) for day in whole)
            found.extend(case.major(result) for result in results if result is not None)
        result.amounts = {"days": list(found)}
        result.steps.append(result.amounts)
    return result


def live_account_start(case: Case) -> EngineResult:
    case.params("formula")
    rule = LiveAccountStart.model_validate({"formula": str(needed(case, "formula"))})
    result = EngineResult(outcome="computed")
    for raw in case.events:
        brought = tuple(
            SimulatedAccount(
                _money(case, account.get("size", account.get("balance"))),
                _money(case, account.get("balance", account.get("size"))),
            )
            for account in raw.data.get("accounts", ())
        )
        if raw.kind == "accounts":
            result.amounts = {"start_balance": case.major(rule.start_balance(brought))}
        result.steps.append(result.amounts)
    return result


def _money(case: Case, value: Any) -> int:
    return to_minor(Decimal(value or 0), case.currency)


KINDS: Final[dict[str, Callable[[Case], EngineResult]]] = {
    "payout_eligibility": payout_eligibility,
    "payout_amount": payout_amount_of,
    "fee_refund": fee_refund,
    "payout_drawdown_effect": payout_drawdown_effect,
    "daily_profit_attribution": daily_profit_attribution,
    "live_account_start": live_account_start,
}
