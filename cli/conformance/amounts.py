"""Payouts and what follows from them: the case's parameters become the engine's payout terms, its events the facts."""

from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final

from cli.conformance.case import Case, Got, RawEvent, Unsupported, Value
from cli.conformance.daily import told
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
class _Purse:
    """What a payout is taken from as the case goes on. `told`: the case says what the balance is. `profit`: None until a
    source of it has been seen."""

    balance: int
    told: bool = False
    profit: int | None = None
    paid: int = 0
    withdrawn: int = 0

    def leaves(self, gross: int, forfeited: int) -> None:
        self.balance -= gross + forfeited
        if self.profit is not None:
            self.profit -= gross + forfeited
        self.paid, self.withdrawn = self.paid + 1, self.withdrawn + gross


def payout_amount_of(case: Case) -> Got:
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
        # whatever else a case calls it, only this word takes the rest away
        excess="deducted_from_account" if deducts and limits else "kept_in_account",
        split_pct=given.get("split_pct", 100),
        unlock_when_total_withdrawn=case.major(amount_of(case, given.get("unlock_when_total_withdrawn"))),
    )
    purse, got = _Purse(case.initial_minor), Got(outcome="eligible")
    for raw, _ in told(case, case.clock(given.get("day"))):
        _earned(case, raw, purse)
        if raw.kind == "payout":
            purse.leaves(raw.money("gross_amount", case.currency) or 0, 0)
        if raw.kind == "payout_request":
            number = raw.data.get("payout_number")
            purse.paid = purse.paid if number is None else int(number) - 1
            got.outcome, got.amounts = _paid(case, terms, purse, _requested(case, raw))
        got.steps.append({**got.amounts, "balance": case.major(purse.balance)})
    if not any(raw.kind == "payout_request" for raw in case.events):
        got.outcome, got.amounts = _paid(case, terms, purse)
        got.steps[-1:] = [got.amounts]
    got.amounts |= cycle_dates(case, given)
    return got


def _earned(case: Case, raw: RawEvent, purse: _Purse) -> None:
    """Money as the event gives it: a balance, a profit, or what was made."""
    currency = case.currency
    profit, balance = raw.money("profit", currency), raw.money("balance", currency)
    made = 0
    if raw.kind in ("day_result", "trade_close"):
        names = ("net_pnl", "closed_pnl", "pnl")
        made = next((money for name in names if (money := raw.money(name, currency)) is not None), 0)
    if profit is not None:
        purse.profit = profit
        purse.balance = purse.balance if purse.told else case.initial_minor + profit
    elif raw.kind == "day_result":
        purse.profit = (purse.profit or 0) + made
    purse.told = purse.told or balance is not None
    purse.balance = balance if balance is not None else purse.balance + (made if profit is None else 0)
    withdrawn = _only_amount(case, raw) if raw.kind == "withdrawn_total" else None
    purse.withdrawn = purse.withdrawn if withdrawn is None else withdrawn


def _requested(case: Case, raw: RawEvent) -> int | None:
    names = ("amount", "gross_amount", "requested")
    return next((money for name in names if (money := raw.money(name, case.currency)) is not None), None)


def _paid(case: Case, terms: PayoutTerms, purse: _Purse, requested: int | None = None) -> tuple[str, dict[str, Value]]:
    known = _known(case, purse)
    amount = payout_amount(known, terms, case.currency, requested)
    locked = any(refusal.code == "locked" for refusal in refusals_of_any_amount(known, terms, case.currency))
    named = {
        "profit": amount.base,
        "gross": 0 if locked else amount.gross,
        "forfeited": 0 if locked else amount.forfeited,
        "trader": 0 if locked else amount.trader,
        "firm": 0 if locked else amount.firm,
        "balance": purse.balance if locked else amount.balance,
        "cap": cap_minor(known, terms, case.currency),
        "max_request": cap_minor(known, terms, case.currency),
        **{name: amount_of(case, case.rule.get(name)) for name in ("safety_net", "profit_target")},
        "withdrawn_total": purse.withdrawn,
    }
    if not locked:
        purse.leaves(amount.gross, amount.forfeited)
    return "ineligible" if locked else "eligible", {name: case.major(minor) for name, minor in named.items()}


def _known(case: Case, purse: _Purse) -> PayoutFacts:
    return facts(
        case,
        balance_minor=purse.balance,
        profit_minor=purse.profit,
        payouts_paid=purse.paid,
        paid_gross_minor=purse.withdrawn,
    )


def _only_amount(case: Case, raw: RawEvent) -> int | None:
    """The amount of a fact that carries one figure only, whatever its name."""
    names = ("amount", "value", "total", raw.kind, "gross_amount", "fee", "price")
    found = next((money for name in names if (money := raw.money(name, case.currency)) is not None), None)
    figures = [name for name, value in raw.data.items() if isinstance(value, int | Decimal)]
    return raw.money(figures[0], case.currency) if found is None and len(figures) == 1 else found


def fee_refund(case: Case) -> Got:
    given = case.params("amount", "paid_with", "pct", "refund_pct")
    terms = payout_terms(
        case,
        fee_refund={
            "amount": given.get("amount", "last_fee_paid"),
            "paid_with": given.get("paid_with", "first_payout"),
            "pct": given.get("pct") or given.get("refund_pct") or 100,
        },
    )
    got, fee = Got(outcome="eligible"), 0
    for raw in case.events:
        if raw.kind == "payment":
            fee = _only_amount(case, raw) or 0
        refund = refund_minor(facts(case, last_fee_minor=fee), terms)
        got.amounts = {"refund": case.major(refund), "last_fee_paid": case.major(fee)}
        got.steps.append(got.amounts)
    return got


def payout_drawdown_effect(case: Case) -> Got:
    given = case.params("floor_policy", "floor_before", "day", *(f"max_request_{size}" for size in REQUEST_SHARES))
    said = (raw.data["floor_before"] for raw in case.events if "floor_before" in raw.data)
    before = amount_of(case, given.get("floor_before", next(said, None)))
    rules = _floor(case, needed(case, "floor_policy"), before)
    terms = payout_terms(case, caps=caps(case, given), split_pct=100)
    got, balance, equity, paid = Got(outcome="computed"), case.initial_minor, case.initial_minor, 0
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
        got.floor = case.major(floor)
        got.floors.append(got.floor)
        got.amounts = {name: case.major(minor) for name, minor in named.items()}
        got.steps.append(got.amounts)
    return got


def _floor(case: Case, policy: str, before: int | None) -> AccountRules:
    """A floor that stands where the case says it stood, and what the first payout does to it."""
    effects = {"unchanged": "unchanged", "set_to_zero_on_first_payout": "zero"}
    if policy not in effects:
        raise Unsupported(f"payout_drawdown_effect: floor_policy {policy}")
    stands = case.initial_minor if before is None else before
    spec = FloorSpec(
        rule_id="floor",
        rule_type="max_loss_static",
        source="initial",
        moves="never",
        initial_minor=case.initial_minor,
        allowance_minor=case.initial_minor - stands,
        allowance_pct=None,
        operator="equity < floor",
        settles="zero" if effects[policy] == "zero" else "unchanged",
    )
    assert floor_of(spec, opened(spec).basis_minor, locked=False) == stands
    return fresh((spec,))


def daily_profit_attribution(case: Case) -> Got:
    given = case.params("basis", "day")
    basis = _BASES.get(given.get("basis", "equity_snapshot_to_snapshot"))
    if basis is None:
        raise Unsupported(f"daily_profit_attribution: basis {given['basis']}")
    midway = any(raw.kind == "rollover" for raw in case.events)
    book, found = day_book.begin(None if midway else case.initial_minor), list[Value]()
    got = Got(outcome="computed", amounts={"days": []})
    strict = midway and basis in ("equity_snapshot_to_snapshot", "closing_balance_minus_opening_balance")
    for _, happened in told(case, case.clock(given.get("day")), close_last=not strict):
        for event in happened:
            book, ended = day_book.step(book, event)
            whole = (*ended, event) if isinstance(event, DayEnded) else ended
            results = (day_profit(day, basis) for day in whole)
            found.extend(case.major(result) for result in results if result is not None)
        got.amounts = {"days": list(found)}
        got.steps.append(got.amounts)
    return got


def scaling(case: Case) -> Got:
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
    got = Got(outcome="computed")
    for raw in case.events:
        if raw.kind == "scale_up":
            size = plan.next_size(case.initial_minor, size, case.currency)
            named["sizes"].append(case.major(size))
            for name, allowed in _limits(case, given, size).items():
                named[name].append(case.major(allowed))
        got.amounts = {name: list(values) for name, values in named.items()}
        got.steps.append({"size": case.major(size)})
    return got


def _limits(case: Case, given: Any, size_minor: int) -> dict[str, int]:
    """What the loss limits of a product allow at this size."""
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


def live_account_start(case: Case) -> Got:
    case.params("formula")
    formula = str(needed(case, "formula")).replace(" ", "").replace(",", ", ")
    rule = LiveAccountStart.model_validate({"formula": formula})
    got = Got(outcome="computed")
    for raw in case.events:
        brought = tuple(
            SimulatedAccount(
                amount_of(case, account.get("size", account.get("balance"))) or 0,
                amount_of(case, account.get("balance", account.get("size"))) or 0,
            )
            for account in raw.data.get("accounts", ())
        )
        got.amounts = {"start_balance": case.major(rule.start_balance(brought))}
        got.steps.append(got.amounts)
    return got


KINDS: Final[dict[str, Callable[[Case], Got]]] = {
    "payout_eligibility": payout_eligibility,
    "payout_amount": payout_amount_of,
    "fee_refund": fee_refund,
    "payout_drawdown_effect": payout_drawdown_effect,
    "daily_profit_attribution": daily_profit_attribution,
    "scaling": scaling,
    "live_account_start": live_account_start,
}
