"""Whether a payout may be requested: time by dates, days by the engine's gates, the rest by the engine's terms."""

from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime, time
from typing import Any, Final

from domain.clocks import Clock
from domain.conformance.case import Case, Got, Value
from domain.conformance.daily import context, folded, status
from domain.conformance.facts import facts, payout_terms
from domain.conformance.gates import amount_of, profitable_days, sized, window_of
from domain.conformance.story import Story
from domain.money import Money, from_minor
from domain.payout_terms import GateFact, PayoutFacts, PayoutTerms
from domain.payout_terms.amounts import available_minor, base_minor, cap_minor
from domain.payout_terms.eligibility import Refusal, eligible_from, refusals, share_refusals, standing
from domain.rules.base import Gate, GateStatus
from domain.rules.gates.profitable_day_count import ProfitableDayCount
from domain.rules.gates.trading_day_count import TradingDayCount

# the field's names for days of at least so much: the word the format counts them under
_DAYS: Final = {"winning": "winning_days", "benchmark": "benchmark_days", "profitable": "profitable_days"}
_TIME: Final = (
    "min_days_since_first_trade",
    "min_days_since_last_payout",
    "min_days_since_funded",
    "first_cycle_days",
    "next_cycle_days",
)
_OTHERS: Final = (
    *("min_trading_days", "min_balance_above_initial", "min_balance", "min_profit", "min_request", "min_trader_share"),
    *("requires_flat", "requires_no_pending_orders", "max_request_pct_of_balance", "max_request", "cap"),
    *("consecutive", "window", "compare", "day", "base", "safety_net", "counts", "basis"),
)


def payout_eligibility(case: Case) -> Got:
    days = [name for word in _DAYS for name in _day_names(word)]
    given = case.params(*_TIME, *_OTHERS, *days)
    clock = case.clock(given.get("day"))
    terms = _terms(case, given)
    counted = dict(_days(case, given, clock))
    gates = [GateFact(rule_id=name, met=found.met, sentence=found.sentence) for name, found in counted.items()]
    known = _known(case, clock, tuple(gates))
    in_the_way = list(_in_the_way(case, terms, known))
    got = Got(outcome=_outcome(in_the_way))
    got.amounts = _amounts(case, given, terms, known)
    got.amounts |= {name: int(found.figures[_count(name)]) for name, found in counted.items()}
    got.steps = [got.amounts for _ in case.events]
    return got


def _outcome(in_the_way: list[Refusal]) -> str:
    if not in_the_way:
        return "eligible"
    return "eligible_from" if {refusal.code for refusal in in_the_way} == {"too_early"} else "ineligible"


def _in_the_way(case: Case, terms: PayoutTerms, known: PayoutFacts) -> Iterator[Refusal]:
    requested = _fact(case, "payout_request", "amount", "gross_amount", "requested")
    if requested is None and "min_request" in case.rule:
        requested = available_minor(known, terms, case.currency)
    # a case may say what the trader's share is; then it is not worked out from a request
    share = _fact(case, None, "trader_share")
    plain = terms if share is None else terms.model_copy(update={"min_trader_share": None})
    if requested is None:
        yield from standing(known, plain, case.currency)
    else:
        yield from refusals(known, plain, Money(minor=requested, currency=case.currency))
    if share is not None:
        yield from share_refusals(share, terms, case.currency)


def _terms(case: Case, given: Mapping[str, Any]) -> PayoutTerms:
    first = given.get("min_days_since_first_trade")
    funded = given.get("min_days_since_funded", given.get("first_cycle_days"))
    caps: list[dict[str, Any]] = [{**size} for name in ("cap", "max_request") if (size := sized(given.get(name)))]
    if given.get("max_request_pct_of_balance") is not None:
        caps.append({"type": "pct_of_balance", "value": given["max_request_pct_of_balance"]})
    terms: dict[str, Any] = {
        "first_after_days": next((days for days in (first, funded) if days is not None), 0),
        "first_after": "funded" if first is None else "first_trade",
        "every_days": given.get("min_days_since_last_payout", given.get("next_cycle_days", first)) or 1,
        "requires_flat": given.get("requires_flat", False),
        "requires_no_pending_orders": given.get("requires_no_pending_orders", False),
        "min_balance_above_initial": sized(given.get("min_balance_above_initial")),
        "min_profit": sized(given.get("min_profit")),
        "compare": given.get("compare", ">="),
        "min_trader_share": case.major(amount_of(case, given.get("min_trader_share"))),
        "caps": caps,
        "base": given.get("base", "balance_minus_initial"),
        "safety_net": sized(given.get("safety_net")),
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
    """The gates on days that the case asks for, folded over its events; a total that the source gives has been counted."""
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
        said = totals.get("trading_days")
        yield "trading_days", _gate(case, rule, clock) if said is None else rule.counted(int(said))
    for word, name in _DAYS.items():
        required, at_least, *thresholds = _day_names(word)
        wanted = given.get(required) or given.get(at_least)
        if not wanted:
            continue
        threshold = next((given[each] for each in thresholds if each in given), None)
        profitable = _profitable(case, given, wanted, threshold)
        said = totals.get(name)
        counted = None if said is None else profitable.counted(int(said), where)
        yield name, counted or _gate(case, profitable, clock)


def _counts(case: Case) -> str:
    """A case that tells of closes only means the days that had one."""
    told = {raw.kind for raw in case.events}
    only_closes = "trade_close" in told and not told & {"trade_open", "day_result"}
    return "day_with_qualifying_close" if only_closes else "day_with_new_position_opened"


def _profitable(case: Case, given: Mapping[str, Any], required: int, threshold: Any) -> ProfitableDayCount:
    return profitable_days(
        case,
        {
            "required": required,
            "threshold": threshold,
            # without a threshold a winning day is one that made something
            "compare": given.get("compare", ">=") if threshold else ">",
            "basis": given.get("basis", "closed_pnl"),
            "consecutive": given.get("consecutive", False),
            "window": given.get("window"),
        },
    )


def _gate(case: Case, rule: Gate[Any], clock: Clock | None) -> GateStatus:
    where = context(case, clock)
    found = rule.status(rule.start(where), where)
    for _, state in folded(case, (rule,), where, clock):
        found = status(rule, state, where)
    return found


def _known(case: Case, clock: Clock | None, gates: tuple[GateFact, ...]) -> PayoutFacts:
    """The account as the case leaves it; instants are the starts of the dates they fall on."""
    story, pending, held = Story(case, clock), 0, 0
    counted_from_payouts = any(name in case.rule for name in ("min_days_since_last_payout", "next_cycle_days"))
    seen: dict[str, date] = {}
    payouts = gross = 0
    today: date | None = None
    for raw in case.events:
        story.event(raw)
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
        held = int(raw.data["open_positions"]) if "open_positions" in raw.data else len(story.lots)
    return facts(
        case,
        now=_start(today) or facts(case).now,
        funded_at=_start(seen.get("funded")),
        first_trade_at=_start(seen.get("trade")),
        last_payout_at=_start(seen.get("payout")) if counted_from_payouts else None,
        balance_minor=story.balance,
        profit_minor=_fact(case, None, "profit"),
        open_positions=held,
        pending_orders=pending,
        payouts_paid=payouts,
        paid_gross_minor=gross,
        gates=gates,
    )


def _start(day: date | None) -> datetime | None:
    return None if day is None else datetime.combine(day, time(0), tzinfo=UTC)


def _fact(case: Case, kind: str | None, *names: str) -> int | None:
    """The last amount of one of these names, in events of `kind` (None: any)."""
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
        "trader_share": _fact(case, None, "trader_share"),
    }
    sizes = ("min_balance_above_initial", "min_profit", "min_request", "min_trader_share", "winning_day_min_pnl")
    money |= {name: amount_of(case, given[name]) for name in sizes if name in given}
    named: dict[str, Value] = {name: case.major(minor) for name, minor in money.items()}
    return named | {"date": None if since is None else since.date()}
