"""Cases about payout eligibility: waiting times by date, day counts by the engine's gates, the rest by its terms."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import UTC, date, datetime, time
from typing import Any, Final

from cli.conformance.case import Case, EngineResult, Value
from cli.conformance.daily import context, states_after_events, status
from cli.conformance.facts import REQUEST_SHARES, caps, cycle_dates, facts, payout_terms
from cli.conformance.gates import amount_of, profitable_days, resolved, window_of
from cli.conformance.translator import Translator
from domain.clocks import Clock
from domain.money import Money, from_minor
from domain.payouts import GateFact, PayoutFacts, PayoutTerms
from domain.payouts.amounts import available_minor, base_minor, cap_minor, split
from domain.payouts.eligibility import Refusal, eligible_from, refusals, refusals_of_any_amount, share_refusals
from domain.rules.base import Gate, GateStatus
from domain.rules.gates.profitable_day_count import ProfitableDayCount
from domain.rules.gates.trading_day_count import TradingDayCount

# the names for days with at least a certain profit, and the names of their counts
_DAYS: Final = {"winning": "winning_days", "benchmark": "benchmark_days", "profitable": "profitable_days"}
_TIME: Final = (
    "min_days_since_first_trade",
    "min_days_since_last_payout",
    "min_days_since_funded",
    "first_cycle_days",
    "next_cycle_days",
)
# other names of the same parameters
_ALSO: Final = {
    "days_since_first_trade": "min_days_since_first_trade",
    "days_since_last_payout": "min_days_since_last_payout",
    "days_between_payouts": "min_days_since_last_payout",
    "min_days_between_payouts": "min_days_since_last_payout",
    "days_since_funded": "min_days_since_funded",
    "trading_days_required": "min_trading_days",
}
# amounts that state the account's money; without any, a request is compared with the parameters only
_MONEY: Final = ("balance", "equity", "profit", "net_pnl", "closed_pnl", "pnl", "gross_pnl")
_OTHERS: Final = (
    *("min_trading_days", "min_balance_above_initial", "min_balance", "min_profit", "min_request", "min_trader_share"),
    *("requires_flat", "requires_no_pending_orders", "max_request", "cap", "cap_first_payouts", "split_pct"),
    *(f"max_request_{size}" for size in REQUEST_SHARES),
    *("consecutive", "window", "compare", "day", "base", "safety_net", "counts", "basis"),
)


def payout_eligibility(case: Case) -> EngineResult:
    days = [name for word in _DAYS for name in _day_names(word)]
    case = replace(case, rule={_ALSO.get(name, name): value for name, value in case.rule.items()})
    given = case.params(*_TIME, *_OTHERS, *days)
    clock = case.clock(given.get("day"))
    terms = _terms(case, given)
    counted = dict(_days(case, given, clock))
    gates = [GateFact(rule_id=name, met=found.met, sentence=found.sentence) for name, found in counted.items()]
    last = case.events[-1] if case.events else None
    if last is not None and last.held_back:
        gates.append(GateFact(rule_id="others", met=False, sentence="A gate of another rule is not met."))
    known = _known(case, clock, tuple(gates))
    reasons = list(_reasons(case, terms, known))
    result = EngineResult(outcome=_outcome(reasons))
    result.amounts = _amounts(case, given, terms, known)
    result.amounts |= {name: int(found.figures[_count(name)]) for name, found in counted.items()}
    result.steps = [result.amounts for _ in case.events]
    return result


def _outcome(reasons: list[Refusal]) -> str:
    if not reasons:
        return "eligible"
    return "eligible_from" if {refusal.code for refusal in reasons} == {"too_early"} else "ineligible"


def _reasons(case: Case, terms: PayoutTerms, known: PayoutFacts) -> Iterator[Refusal]:
    requested, has_money = _requested(case), _has_money(case)
    if requested is None and has_money and "min_request" in case.rule:
        requested = available_minor(known, terms, case.currency)
    plain = terms.model_copy(update={"min_trader_share": None})
    if requested is None:
        yield from refusals_of_any_amount(known, plain, case.currency)
    else:
        cap = cap_minor(known, terms, case.currency)
        fits = not has_money and (cap is None or requested <= cap)
        for refusal in refusals(known, plain, Money(minor=requested, currency=case.currency)):
            if refusal.code != "more_than_available" or not fits:
                yield refusal
    if _waits_for_both(case):
        yield from (
            one
            for one in refusals_of_any_amount(known, _since_funded(case, plain), case.currency)
            if one.code == "too_early"
        )
    share = _share(case, terms, known)
    if share is not None:
        yield from share_refusals(share, terms, case.currency)


def _requested(case: Case) -> int | None:
    return _fact(case, "payout_request", "amount", "gross_amount", "requested")


def _has_money(case: Case) -> bool:
    return any(name in raw.data for raw in case.events for name in _MONEY)


def _share(case: Case, terms: PayoutTerms, known: PayoutFacts) -> int | None:
    """Returns the trader's share: as stated, or of the amount requested, or of the amount available."""
    stated, requested = _fact(case, None, "trader_share"), _requested(case)
    if stated is not None or (requested is None and not _has_money(case)):
        return stated
    gross = available_minor(known, terms, case.currency) if requested is None else requested
    return split(Money(minor=gross, currency=case.currency), terms, known)[0].minor


def _waits_for_both(case: Case) -> bool:
    return "min_days_since_first_trade" in case.rule and _funded_days(case.rule) is not None


def _funded_days(given: Mapping[str, Any]) -> Any:
    return given.get("min_days_since_funded", given.get("first_cycle_days"))


def _since_funded(case: Case, terms: PayoutTerms) -> PayoutTerms:
    """Returns the terms with the wait counted from the funding instead of the first trade."""
    return terms.model_copy(update={"first_after": "funded", "first_after_days": int(_funded_days(case.rule))})


def _terms(case: Case, given: Mapping[str, Any]) -> PayoutTerms:
    first = given.get("min_days_since_first_trade")
    funded = _funded_days(given)
    # the stated profit, or the balance above the initial balance
    base = "balance_minus_initial" if _fact(case, None, "profit") is None else "profit"
    terms: dict[str, Any] = {
        "first_after_days": next((days for days in (first, funded) if days is not None), 0),
        "first_after": "funded" if first is None else "first_trade",
        "every_days": given.get("min_days_since_last_payout", given.get("next_cycle_days", first)) or 1,
        "requires_flat": given.get("requires_flat", False),
        "requires_no_pending_orders": given.get("requires_no_pending_orders", False),
        "min_balance_above_initial": resolved(case, given.get("min_balance_above_initial")),
        "min_profit": resolved(case, given.get("min_profit")),
        "compare": given.get("compare", ">="),
        "min_trader_share": case.major(amount_of(case, given.get("min_trader_share"))),
        "caps": caps(case, given),
        "base": given.get("base", base),
        "safety_net": resolved(case, given.get("safety_net")),
        "split_pct": given.get("split_pct", 100),
    }
    least = amount_of(case, given.get("min_request"))
    if least:
        terms["min_request"] = from_minor(least, case.currency)
    if given.get("min_balance") is not None:
        above = (amount_of(case, given["min_balance"]) or 0) - case.initial_minor
        terms["min_balance_above_initial"] = {"type": "amount", "value": from_minor(max(0, above), case.currency)}
    return payout_terms(case, **terms)


def _day_names(word: str) -> tuple[str, ...]:
    return f"{word}_days_required", f"min_{word}_days", f"{word}_day_min_pnl", f"{word}_day_min_profit"


def _count(name: str) -> str:
    return "trading_days" if name == "trading_days" else "profitable_days"


def _days(case: Case, given: Mapping[str, Any], clock: Clock | None) -> Iterator[tuple[str, GateStatus]]:
    """Yields the statuses of the day gates of the case; a stated total replaces the count."""
    totals: dict[str, Any] = {}
    for raw in case.events:
        totals |= raw.data if raw.kind == "totals" else {}
    where = context(case, clock)
    if given.get("min_trading_days"):
        rule = TradingDayCount.model_validate(
            {
                "type": "trading_day_count",
                "required": given["min_trading_days"],
                "counts": given.get("counts", _counts(case)),
                "window": window_of(case, given),
            }
        )
        total = totals.get("trading_days")
        yield "trading_days", _gate(case, rule, clock) if total is None else rule.counted(int(total))
    for word, name in _DAYS.items():
        required, at_least, *thresholds = _day_names(word)
        wanted = given.get(required) or given.get(at_least)
        if not wanted:
            continue
        threshold = next((given[each] for each in thresholds if each in given), None)
        profitable = _profitable(case, given, wanted, threshold)
        total = totals.get(name)
        counted = None if total is None else profitable.counted(int(total), where)
        yield name, counted or _gate(case, profitable, clock)


def _counts(case: Case) -> str:
    """Returns what counts as a trading day: in a case with closes only, a day with a close."""
    kinds = {raw.kind for raw in case.events}
    only_closes = "trade_close" in kinds and not kinds & {"trade_open", "day_result"}
    return "day_with_qualifying_close" if only_closes else "day_with_new_position_opened"


def _profitable(case: Case, given: Mapping[str, Any], required: int, threshold: Any) -> ProfitableDayCount:
    return profitable_days(
        case,
        {
            "required": required,
            "threshold": threshold,
            # without a threshold a winning day is one with any profit
            "compare": given.get("compare", ">=") if threshold else ">",
            "basis": given.get("basis", "closed_pnl"),
            "consecutive": given.get("consecutive", False),
            "window": given.get("window"),
        },
    )


def _gate(case: Case, rule: Gate[Any], clock: Clock | None) -> GateStatus:
    where = context(case, clock)
    found = rule.status(rule.start(where), where)
    for _, state in states_after_events(case, (rule,), where, clock):
        found = status(rule, state, where)
    return found


def _known(case: Case, clock: Clock | None, gates: tuple[GateFact, ...]) -> PayoutFacts:
    """Returns the facts at the end of the case; instants are the starts of their dates."""
    translator, pending, held = Translator(case, clock), 0, 0
    counted_from_payouts = any(name in case.rule for name in ("min_days_since_last_payout", "next_cycle_days"))
    seen: dict[str, date] = {}
    payouts = gross = 0
    today: date | None = None
    for raw in case.events:
        translator.event(raw)
        day = raw.day(clock)
        today = day or today
        if raw.kind in ("trade_open", "trade_close", "day_result") and day is not None:
            seen.setdefault("trade", day)
        if raw.kind in ("funded", "payout") and day is not None:
            seen[raw.kind] = day
        if raw.kind == "payout":
            payouts, gross = payouts + 1, gross + (raw.money("gross_amount", case.currency) or 0)
        pending += raw.kind == "pending_order_placed"
        pending = int(raw.data.get("pending_orders", pending))
        held = int(raw.data["open_positions"]) if "open_positions" in raw.data else len(translator.lots)
    return facts(
        case,
        now=_start(today) or facts(case).now,
        funded_at=_start(seen.get("funded")),
        first_trade_at=_start(seen.get("trade")),
        last_payout_at=_start(seen.get("payout")) if counted_from_payouts else None,
        balance_minor=translator.balance,
        profit_minor=_fact(case, None, "profit"),
        open_positions=held,
        pending_orders=pending,
        payouts_paid=payouts,
        paid_gross_minor=gross,
        deducted_minor=case.events[-1].left_out_minor if case.events else 0,
        gates=gates,
    )


def _start(day: date | None) -> datetime | None:
    return None if day is None else datetime.combine(day, time(0), tzinfo=UTC)


def _fact(case: Case, kind: str | None, *names: str) -> int | None:
    """Returns the last amount under one of these names in events of `kind` (None: any kind)."""
    found = [
        money
        for raw in case.events
        for name in names
        if (kind is None or raw.kind == kind) and (money := raw.money(name, case.currency)) is not None
    ]
    return found[-1] if found else None


def _amounts(case: Case, given: Mapping[str, Any], terms: PayoutTerms, known: PayoutFacts) -> dict[str, Value]:
    currency, since = case.currency, eligible_from(known, terms)
    above = terms.min_balance_above_initial
    money = {
        "balance": known.balance_minor,
        "profit": base_minor(known, terms, currency),
        "available": available_minor(known, terms, currency),
        "max_request": cap_minor(known, terms, currency),
        "min_balance": None if above is None else case.initial_minor + above.of(case.initial_minor, currency),
        "trader_share": _share(case, terms, known),
    }
    sizes = ("min_balance_above_initial", "min_profit", "min_request", "min_trader_share", "winning_day_min_pnl")
    money |= {name: amount_of(case, given[name]) for name in sizes if name in given}
    named: dict[str, Value] = {name: case.major(minor) for name, minor in money.items()}
    if _waits_for_both(case):
        starts = (since, eligible_from(known, _since_funded(case, terms)))
        since = max((start for start in starts if start is not None), default=None)
    return named | {"date": None if since is None else since.date()} | cycle_dates(case, given)
