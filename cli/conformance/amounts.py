"""Cases about payouts: their parameters become the engine's payout terms, their events its payout facts."""

from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final

from cli.conformance.case import Case, EngineResult, RawEvent, Unsupported, Value
from cli.conformance.daily import engine_events
from cli.conformance.eligibility import payout_eligibility
from cli.conformance.facts import REQUEST_SHARES, caps, cycle_dates, facts, payout_terms
from cli.conformance.gates import amount_of, needed, resolved
from domain.payouts import PayoutFacts, PayoutTerms
from domain.payouts.amounts import cap_minor, payout_amount, refund_minor
from domain.payouts.eligibility import refusals_of_any_amount
from domain.payouts.live_account import LiveAccountStart, SimulatedAccount
from domain.payouts.scaling import Scaling
from domain.rules import days as day_book
from domain.rules.days import DayBasis, day_profit
from domain.rules.equity.daily_loss import DailyLoss
from domain.rules.equity.max_loss_static import MaxLossStatic
from domain.rules.events import DayEnded
from domain.rules.floors import FloorSpec, Mark, floor_of, opened, room_minor
from domain.rules.state import AccountRules, fresh, on_payout_hold, on_payout_settled
from domain.rules.terms import Size

_BASES: Final[dict[str, DayBasis]] = {
    "equity": "equity_snapshot_to_snapshot",
    "equity_snapshot_to_snapshot": "equity_snapshot_to_snapshot",
    "closed_pnl": "closed_pnl",
    "closed_pnl_plus_negative_floating": "closed_pnl_plus_negative_floating",
    "closing_balance_minus_opening_balance": "closing_balance_minus_opening_balance",
}


@dataclass(slots=True)
class _Money:
    """The money of the account as the case proceeds. `balance_given`: the case states the balance. `profit`: None until
    an event gives one."""

    balance: int
    balance_given: bool = False
    profit: int | None = None
    paid: int = 0
    withdrawn: int = 0

    def pay_out(self, gross: int, forfeited: int) -> None:
        self.balance -= gross + forfeited
        if self.profit is not None:
            self.profit -= gross + forfeited
        self.paid, self.withdrawn = self.paid + 1, self.withdrawn + gross


def payout_amount_of(case: Case) -> EngineResult:
    given = case.params(
        *("base", "cap", "cap_first_payouts", "excess", "split_pct", "safety_net", "profit_target", "day"),
        *("unlock_when_total_withdrawn", "first_cycle_days", "next_cycle_days", "max_request"),
        *(f"max_request_{size}" for size in REQUEST_SHARES),
    )
    base, limits = given.get("base", "balance_minus_initial"), caps(case, given)
    deducts = given.get("excess") == "deducted_from_account"
    terms = payout_terms(
        case,
        base=base,
        safety_net=resolved(case, given.get("safety_net")) if "safety_net" in base else None,
        profit_target=resolved(case, given.get("profit_target")) if "profit_target" in base else None,
        caps=limits,
        # only this word takes the excess away
        excess="deducted_from_account" if deducts and limits else "kept_in_account",
        split_pct=given.get("split_pct", 100),
        unlock_when_total_withdrawn=case.major(amount_of(case, given.get("unlock_when_total_withdrawn"))),
    )
    money, result = _Money(case.initial_minor), EngineResult(outcome="eligible")
    for raw, _ in engine_events(case, case.clock(given.get("day"))):
        _earned(case, raw, money)
        if raw.kind == "payout":
            money.pay_out(raw.money("gross_amount", case.currency) or 0, 0)
        if raw.kind == "payout_request":
            number = raw.data.get("payout_number")
            money.paid = money.paid if number is None else int(number) - 1
            result.outcome, result.amounts = _paid(case, terms, money, raw, _requested(case, raw))
        result.steps.append({**result.amounts, "balance": case.major(money.balance)})
    if not any(raw.kind == "payout_request" for raw in case.events):
        last = case.events[-1] if case.events else RawEvent(0, "", "", {})
        result.outcome, result.amounts = _paid(case, terms, money, last)
        result.steps[-1:] = [result.amounts]
    result.amounts |= cycle_dates(case, given)
    return result


def _earned(case: Case, raw: RawEvent, money: _Money) -> None:
    """Applies the money of an event: a balance, a profit, or a result."""
    currency = case.currency
    profit, balance = raw.money("profit", currency), raw.money("balance", currency)
    made = 0
    if raw.kind in ("day_result", "trade_close"):
        names = ("net_pnl", "closed_pnl", "pnl")
        made = next((minor for name in names if (minor := raw.money(name, currency)) is not None), 0)
    if profit is not None:
        money.profit = profit
        money.balance = money.balance if money.balance_given else case.initial_minor + profit
    elif raw.kind == "day_result":
        money.profit = (money.profit or 0) + made
    money.balance_given = money.balance_given or balance is not None
    money.balance = balance if balance is not None else money.balance + (made if profit is None else 0)
    withdrawn = _only_amount(case, raw) if raw.kind == "withdrawn_total" else None
    money.withdrawn = money.withdrawn if withdrawn is None else withdrawn


def _requested(case: Case, raw: RawEvent) -> int | None:
    names = ("amount", "gross_amount", "requested")
    return next((minor for name in names if (minor := raw.money(name, case.currency)) is not None), None)


def _paid(
    case: Case, terms: PayoutTerms, money: _Money, raw: RawEvent, requested: int | None = None
) -> tuple[str, dict[str, Value]]:
    known = _known(case, money, raw)
    amount = payout_amount(known, terms, case.currency, requested)
    reasons = refusals_of_any_amount(known, terms, case.currency)
    locked = raw.held_back or any(refusal.code == "locked" for refusal in reasons)
    named = {
        "profit": amount.base,
        "gross": 0 if locked else amount.gross,
        "forfeited": 0 if locked else amount.forfeited,
        "trader": 0 if locked else amount.trader,
        "firm": 0 if locked else amount.firm,
        "balance": money.balance if locked else amount.balance,
        "cap": cap_minor(known, terms, case.currency),
        "max_request": cap_minor(known, terms, case.currency),
        **{name: amount_of(case, case.rule.get(name)) for name in ("safety_net", "profit_target")},
        "withdrawn_total": money.withdrawn,
    }
    if not locked:
        money.pay_out(amount.gross, amount.forfeited)
    return "ineligible" if locked else "eligible", {name: case.major(minor) for name, minor in named.items()}


def _known(case: Case, money: _Money, raw: RawEvent) -> PayoutFacts:
    return facts(
        case,
        deducted_minor=raw.left_out_minor,
        balance_minor=money.balance,
        profit_minor=money.profit,
        payouts_paid=money.paid,
        paid_gross_minor=money.withdrawn,
    )


def _only_amount(case: Case, raw: RawEvent) -> int | None:
    """Returns the amount of an event that carries a single figure, under any name."""
    names = ("amount", "value", "total", raw.kind, "gross_amount", "fee", "price")
    found = next((minor for name in names if (minor := raw.money(name, case.currency)) is not None), None)
    figures = [name for name, value in raw.data.items() if isinstance(value, int | Decimal)]
    return raw.money(figures[0], case.currency) if found is None and len(figures) == 1 else found


def fee_refund(case: Case) -> EngineResult:
    given = case.params("amount", "paid_with", "pct", "refund_pct")
    terms = payout_terms(
        case,
        fee_refund={
            "amount": given.get("amount", "last_fee_paid"),
            "paid_with": given.get("paid_with", "first_payout"),
            "pct": given.get("pct") or given.get("refund_pct") or 100,
        },
    )
    result, fee = EngineResult(outcome="eligible"), 0
    for raw in case.events:
        if raw.kind == "payment":
            fee = _only_amount(case, raw) or 0
        refund = refund_minor(facts(case, last_fee_minor=fee), terms)
        result.amounts = {"refund": case.major(refund), "last_fee_paid": case.major(fee)}
        result.steps.append(result.amounts)
    return result


def payout_drawdown_effect(case: Case) -> EngineResult:
    given = case.params("floor_policy", "floor_before", "day", *(f"max_request_{size}" for size in REQUEST_SHARES))
    stated = (raw.data["floor_before"] for raw in case.events if "floor_before" in raw.data)
    before = amount_of(case, given.get("floor_before", next(stated, None)))
    rules = _floor(case, needed(case, "floor_policy"), before)
    terms = payout_terms(case, caps=caps(case, given), split_pct=100)
    result, balance, equity, paid = EngineResult(outcome="computed"), case.initial_minor, case.initial_minor, 0
    for raw in case.events:
        made = raw.money("pnl", case.currency) or raw.money("net_pnl", case.currency) or 0
        given_balance, given_equity = raw.money("balance", case.currency), raw.money("equity", case.currency)
        left = (raw.money("gross_amount", case.currency) or 0) if raw.kind == "payout" else 0
        floating = equity - balance
        balance = balance + made - left if given_balance is None else given_balance
        equity = given_equity if given_equity is not None else balance + floating
        if raw.kind == "payout":
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
    midway = any(raw.kind == "rollover" for raw in case.events)
    book, found = day_book.begin(None if midway else case.initial_minor), list[Value]()
    result = EngineResult(outcome="computed", amounts={"days": []})
    strict = midway and basis in ("equity_snapshot_to_snapshot", "closing_balance_minus_opening_balance")
    for _, events in engine_events(case, case.clock(given.get("day")), close_last=not strict):
        for event in events:
            book, ended = day_book.step(book, event)
            whole = (*ended, event) if isinstance(event, DayEnded) else ended
            results = (day_profit(day, basis) for day in whole)
            found.extend(case.major(result) for result in results if result is not None)
        result.amounts = {"days": list(found)}
        result.steps.append(result.amounts)
    return result


def scaling(case: Case) -> EngineResult:
    given = case.params(
        *("increase_pct", "of", "cap", "daily_loss_pct", "max_loss_pct"),
        *("every_months", "min_profit_pct", "min_payouts", "split_pct"),
    )
    own = ("increase_pct", "of", "every_months", "min_profit_pct", "min_payouts", "split_pct")
    plan = Scaling.model_validate(
        {
            **{name: given[name] for name in own if name in given},
            "cap": case.major(amount_of(case, given.get("cap"))),
        }
    )
    size, named = case.initial_minor, dict[str, list[Value]](sizes=[], daily_loss=[], max_loss=[])
    result = EngineResult(outcome="computed")
    for raw in case.events:
        if raw.kind == "scale_up":
            size = plan.next_size(case.initial_minor, size, case.currency)
            named["sizes"].append(case.major(size))
            for name, allowed in _limits(case, given, size).items():
                named[name].append(case.major(allowed))
        result.amounts = {name: list(values) for name, values in named.items()}
        result.steps.append({"size": case.major(size)})
    return result


def _limits(case: Case, given: Any, size_minor: int) -> dict[str, int]:
    """Returns the allowances of the loss limits at this size."""
    limits = dict[str, int]()
    for name, rule in (("daily_loss", DailyLoss), ("max_loss", MaxLossStatic)):
        pct = given.get(f"{name}_pct")
        if pct is None:
            continue
        allowance = Size(type="pct_of_initial", value=Decimal(pct))
        terms: dict[str, Any] = {"allowance": allowance, "breach_when": "equity < floor"}
        if rule is DailyLoss:
            compiled = DailyLoss(type="daily_loss", anchor="balance", **terms).compile(size_minor, case.currency)
        else:
            compiled = MaxLossStatic(type="max_loss_static", **terms).compile(size_minor, case.currency)
        limits[name] = compiled[0].allowance(size_minor)
    return limits


def live_account_start(case: Case) -> EngineResult:
    case.params("formula")
    formula = str(needed(case, "formula")).replace(" ", "").replace(",", ", ")
    rule = LiveAccountStart.model_validate({"formula": formula})
    result = EngineResult(outcome="computed")
    for raw in case.events:
        brought = tuple(
            SimulatedAccount(
                amount_of(case, account.get("size", account.get("balance"))) or 0,
                amount_of(case, account.get("balance", account.get("size"))) or 0,
            )
            for account in raw.data.get("accounts", ())
        )
        result.amounts = {"start_balance": case.major(rule.start_balance(brought))}
        result.steps.append(result.amounts)
    return result


KINDS: Final[dict[str, Callable[[Case], EngineResult]]] = {
    "payout_eligibility": payout_eligibility,
    "payout_amount": payout_amount_of,
    "fee_refund": fee_refund,
    "payout_drawdown_effect": payout_drawdown_effect,
    "daily_profit_attribution": daily_profit_attribution,
    "scaling": scaling,
    "live_account_start": live_account_start,
}
