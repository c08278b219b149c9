"""Cases about payout eligibility: waiting times by date, day counts by the engine's gates, the rest by its terms."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from cli.conformance.case import Case, EngineResult, RawEvent, Value
from cli.conformance.daily import context, states_after_events, status
from cli.conformance.facts import Dates, Past, cycle_dates
from cli.conformance.gates import FROM_RESET_TO_RESET, profitable_days, window_of
from cli.conformance.payout_terms import OF_ELIGIBILITY, SHARES, by_number, in_force, minor_of, request_zone, terms_of
from domain.clocks import Clock
from domain.money import Money
from domain.payouts import GateFact, PayoutFacts, PayoutTerms
from domain.payouts.amounts import available_minor, base_minor, cap_minor, split
from domain.payouts.eligibility import (
    Refusal,
    eligible_from,
    min_balance_minor,
    refusals,
    refusals_of_any_amount,
    share_refusals,
)
from domain.payouts.parts import Cap
from domain.rules.base import GateStatus
from domain.rules.gates.trading_day_count import TradingDayCount
from domain.rules.gates.windows import WindowGate

# amounts that state the account's money; without any, a request is compared with the parameters only
_MONEY: Final = ("balance", "equity", "profit", "net_pnl", "closed_pnl", "pnl", "gross_pnl")
# parameters in money, under their names
SIZES: Final = (
    *("min_balance_above_initial", "min_profit", "min_request", "min_trader_share", "winning_day_min_pnl"),
    *("cap", "max_request", "cap_total", "cap_trader_share", "in_blocks_of", "safety_net", "profit_target"),
    *("unlock_when_total_withdrawn",),
)


@dataclass(frozen=True, slots=True)
class _Moment:
    """The case after one event. `asked`: the amount of the last request; `share`: the trader's share that the case
    states; `given`: the parameters of the next payout."""

    case: Case
    given: Mapping[str, Any]
    past: Past
    known: PayoutFacts
    terms: PayoutTerms
    has_money: bool
    asked: int | None
    share: int | None


def payout_eligibility(case: Case) -> EngineResult:
    given = case.params(*OF_ELIGIBILITY)
    clock = case.clock(given.get("day"))
    days = dict(_day_gates(case, given, clock))
    past, result = Past(case, dates_of(case, given)), EngineResult(outcome="eligible")
    has_money, asked, share = False, None, None
    for place, raw in enumerate(case.events or (RawEvent(0, "", "", {}),)):
        past.step(raw)
        has_money = has_money or any(name in raw.data for name in _MONEY)
        if raw.kind == "payout_request" or (raw.kind == "payout" and "account" not in raw.data):
            asked, share = raw.money("amount", case.currency), raw.money("trader_share", case.currency)
        counted = {name: statuses[place] for name, statuses in days.items() if place < len(statuses)}
        gates = [GateFact(rule_id=name, met=found.met, sentence=found.sentence) for name, found in counted.items()]
        own = in_force(case, given, past.next_number)
        known, terms = past.facts(own, gates=tuple(gates)), terms_of(case, given, past)
        moment = _Moment(case, own, past, known, terms, has_money, asked, share)
        reasons = list(_reasons(moment))
        result.outcome = "ineligible" if raw.held_back else _outcome(reasons)
        named = terms.chosen(None, known.payout_number).gates or ()
        figures = {name: found for name, found in counted.items() if name in named}
        result.amounts = {**_amounts(moment), **_day_amounts(figures)}
        result.steps.append(result.amounts)
    return result


def dates_of(case: Case, given: Mapping[str, Any]) -> Dates:
    days = next((own["request_days"] for _, own in by_number(case, given) if own.get("request_days")), None)
    if days is None:
        return Dates(case.clock(given.get("day")), None)
    zone = Clock(zone=request_zone(case, days), reset="00:00").zone
    return Dates(case.clock(given.get("day")), zone)


def _outcome(reasons: list[Refusal]) -> str:
    if not reasons:
        return "eligible"
    return "eligible_from" if {refusal.code for refusal in reasons} == {"too_early"} else "ineligible"


def _reasons(moment: _Moment) -> Iterator[Refusal]:
    case, known, terms, requested = moment.case, moment.known, moment.terms, moment.asked
    if requested is None and moment.has_money and "min_request" in moment.given:
        requested = available_minor(known, terms, case.currency)
    if requested is None:
        yield from refusals_of_any_amount(known, terms, case.currency)
    else:
        cap = cap_minor(known, terms, case.currency)
        fits = not moment.has_money and (cap is None or requested <= cap)
        for refusal in refusals(known, terms, Money(minor=requested, currency=case.currency)):
            judged_below = refusal.code == "share_too_small"
            if not judged_below and (refusal.code != "more_than_available" or not fits):
                yield refusal
    share = _share(moment)
    if share is not None:
        yield from share_refusals(share, terms.chosen(None, known.payout_number), case.currency)


def _share(moment: _Moment) -> int | None:
    """Returns the trader's share: as stated, or of the amount requested, or of the amount available."""
    if moment.share is not None or (moment.asked is None and not moment.has_money):
        return moment.share
    currency = moment.case.currency
    gross = available_minor(moment.known, moment.terms, currency) if moment.asked is None else moment.asked
    return split(Money(minor=gross, currency=currency), moment.terms, moment.known)[0].minor


def _day_gates(case: Case, given: Mapping[str, Any], clock: Clock | None) -> Iterator[tuple[str, list[GateStatus]]]:
    """Yields the day gates of each step of payout numbers, with their status after each event. A stated total replaces
    the count."""
    for place, (_, own) in enumerate(by_number(case, given)):
        if own.get("min_trading_days"):
            rule = TradingDayCount.model_validate(
                {
                    "type": "trading_day_count",
                    "required": own["min_trading_days"],
                    "counts": own.get("counts", _counts(case)),
                    "window": window_of(case, own),
                }
            )
            statuses = _statuses(case, rule, clock)
            yield f"trading_days_{place}", [*_stated(case, "trading_days", statuses, rule.counted)]
        if own.get("winning_days_required"):
            yield f"winning_days_{place}", _winning(case, own, clock)


def _winning(case: Case, own: Mapping[str, Any], clock: Clock | None) -> list[GateStatus]:
    threshold, compare = own.get("winning_day_min_pnl"), own.get("compare", ">=")
    if isinstance(compare, Mapping):
        compare = compare.get("winning_day_min_pnl", ">=")
    wanted = {
        "required": own["winning_days_required"],
        "threshold": threshold,
        # without a threshold a winning day is one with any profit
        "compare": compare if threshold else ">",
        "basis": own.get("basis", "closed_pnl"),
        "consecutive": own.get("consecutive", False),
        "window": own.get("window"),
    }
    rule, where = profitable_days(case, wanted), context(case, clock)
    statuses = _statuses(case, rule, clock, by_rollovers=rule.basis in FROM_RESET_TO_RESET)
    return [*_stated(case, "winning_days", statuses, lambda total: rule.counted(total, where))]


def _statuses(
    case: Case, rule: WindowGate[Any], clock: Clock | None, *, by_rollovers: bool = False
) -> list[GateStatus]:
    """Returns the status after each event. A request is judged by the window that it ends."""
    where = context(case, clock)
    found = [rule.status(rule.start(where), where)]
    for raw, state in states_after_events(case, (rule,), where, clock, by_rollovers=by_rollovers):
        ends = raw.kind == "payout_request" and rule.window == "since_last_payout_request"
        found.append(found[-1] if ends else status(rule, state, where))
    return found[1:] or found


def _stated(case: Case, name: str, statuses: list[GateStatus], counted: Any) -> Iterator[GateStatus]:
    total: int | None = None
    for raw, found in zip(case.events, statuses, strict=False):
        total = int(raw.data[name]) if raw.kind == "totals" and name in raw.data else total
        yield found if total is None else counted(total)
    if not case.events:
        yield from statuses


def _counts(case: Case) -> str:
    """Returns what counts as a trading day: in a case with closes only, a day with a close."""
    kinds = {raw.kind for raw in case.events}
    only_closes = "trade_close" in kinds and not kinds & {"trade_open", "day_result"}
    return "day_with_qualifying_close" if only_closes else "day_with_new_position_opened"


def _day_amounts(counted: Mapping[str, GateStatus]) -> dict[str, Value]:
    named = dict[str, Value]()
    for name, found in counted.items():
        kind = name.rpartition("_")[0]
        figure = found.figures["trading_days" if kind == "trading_days" else "profitable_days"]
        named[kind] = int(figure or 0)
    return named


def _amounts(moment: _Moment) -> dict[str, Value]:
    case, known, terms, past = moment.case, moment.known, moment.terms, moment.past
    currency, since = case.currency, eligible_from(known, terms)
    money = {
        "balance": known.balance_minor,
        "profit": base_minor(known, terms, currency),
        "available": available_minor(known, terms, currency),
        "max_request": cap_minor(known, terms, currency),
        "min_balance": min_balance_minor(known, terms, currency),
        "trader_share": _share(moment),
    }
    money |= sizes_in_money(case, moment.given, past) | shares_in_money(moment.given, known, terms, currency)
    named: dict[str, Value] = {name: case.major(minor) for name, minor in money.items()}
    days = terms.chosen(None, known.payout_number).request_days
    date = None if since is None else past.dates.date(since, None if days is None else days.zone)
    return named | {"date": date, "payout_number": known.payout_number} | cycle_dates(case, moment.given)


def shares_in_money(
    given: Mapping[str, Any], known: PayoutFacts, terms: PayoutTerms, currency: str
) -> dict[str, int | None]:
    """Returns the limits of a request that are a share of something, in minor units."""
    profit, found = max(0, base_minor(known, terms, currency)), dict[str, int | None]()
    for name in SHARES:
        if given.get(name) is not None:
            cap = Cap.model_validate({"type": name.removeprefix("max_request_"), "value": given[name]})
            found[name] = cap.of(known, profit, currency)
    return found


def sizes_in_money(case: Case, given: Mapping[str, Any], past: Past) -> dict[str, int | None]:
    """Returns the parameters that are sizes, in minor units."""
    found = dict[str, int | None]()
    for name in SIZES:
        value = given.get(name)
        of_profit = isinstance(value, Mapping) and value.get("type") == "pct_of_profit"
        if value is not None and not of_profit:
            found[name] = minor_of(case, value, past)
    return found
