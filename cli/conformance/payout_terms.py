"""The payout terms of a case: each parameter of the format under its name, as the engine's own terms."""

from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, Final, get_args

from cli.conformance.case import Case, Unsupported
from cli.conformance.facts import Past
from domain.money import from_minor
from domain.payouts import PayoutTerms
from domain.payouts.schema import Removable, Replacing
from domain.quoting import quoted
from domain.rules.terms import NO_LIMIT

TIME: Final = (
    *("min_days_since_first_trade", "first_trade_since", "min_days_since_last_payout", "min_days_since_funded"),
    *("days_are", "request_days", "first_cycle_days", "next_cycle_days"),
)
CONDITIONS: Final = (
    *("min_trading_days", "winning_days_required", "winning_day_min_pnl", "consecutive", "window", "counts", "basis"),
    *("min_balance_above_initial", "min_profit", "profit_since", "min_request", "min_trader_share", "compare"),
    *("requires_flat", "requires_no_pending_orders", "unlock_when_total_withdrawn", "max_payouts"),
)
# what a request can be limited to a share of: max_request_pct_of_balance, ...
SHARES: Final = ("max_request_pct_of_balance", "max_request_pct_of_initial", "max_request_pct_of_profit")
CAPS: Final = (
    *("cap", "cap_first_payouts", "max_request", *SHARES, "caps"),
    *("cap_total", "cap_trader_share", "totals_over", "in_blocks_of", "excess"),
)
AMOUNT: Final = (
    *("base", "safety_net", "profit_target", "split_pct"),
    *("split_by_payout", "split_by_trading_days", "split_tiers"),
)
OF_ELIGIBILITY: Final = (*TIME, *CONDITIONS, *CAPS, *AMOUNT, "by_payout", "day")
OF_AMOUNT: Final = (
    *("unlock_when_total_withdrawn", "max_payouts", "first_cycle_days", "next_cycle_days"),
    *(*CAPS, *AMOUNT, "by_payout", "day"),
)
# the sizes that the engine's terms know; others become amounts
_OWN_SIZES: Final = ("amount", "pct_of_initial", "pct_of_balance", "pct_of_payout_balance")
_COMPARED: Final = ("min_balance_above_initial", "min_profit", "min_request", "min_trader_share")
TOTALS: Final = ("cap_total", "cap_trader_share")
REMOVABLE: Final[tuple[Removable, ...]] = get_args(Removable)
_CAP_FIELDS: Final = ("type", "value", "at_least", "steps", "from_payout", "to_payout", "below_profit", "per_days")
_WEEKDAYS: Final = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")


def by_number(case: Case, given: Mapping[str, Any]) -> list[tuple[int, Mapping[str, Any]]]:
    """Returns (payout number, the parameters from there on), first those of payout 1. Raises Unsupported."""
    steps = dict[int, dict[str, Any]]()
    for step in given.get("by_payout") or ():
        named = OF_AMOUNT if case.kind == "payout_amount" else OF_ELIGIBILITY
        case.only("by_payout", step, ("from_payout", *(name for name in named if name not in ("by_payout", "day"))))
        if step.get("from_payout") is None:
            raise Unsupported("by_payout: from_payout is missing", "from_payout")
        steps.setdefault(int(step["from_payout"]), {}).update(step)
    own = {name: value for name, value in given.items() if name != "by_payout"}
    found: list[tuple[int, Mapping[str, Any]]] = [(1, own)]
    for number in sorted(steps):
        step = {name: value for name, value in steps[number].items() if name != "from_payout"}
        own = {**own, **_other_splits(step), **step}
        own = {name: value for name, value in own.items() if value is not None}
        found.append((number, own))
    return found


def _other_splits(step: Mapping[str, Any]) -> dict[str, None]:
    """Returns the splits that the one of a step replaces."""
    if step.get("split_tiers"):
        return {"split_by_trading_days": None}
    return {"split_tiers": None} if step.get("split_by_trading_days") or "split_pct" in step else {}


def in_force(case: Case, given: Mapping[str, Any], number: int) -> Mapping[str, Any]:
    """Returns the parameters of this payout."""
    return [own for first, own in by_number(case, given) if first <= number][-1]


def terms_of(case: Case, given: Mapping[str, Any], past: Past) -> PayoutTerms:
    """Returns the terms of all payouts. Sizes that the engine's terms do not know are taken as they are now."""
    first, *later = by_number(case, given)
    terms = _fields(case, first[1], past, 0)
    steps = []
    before = terms
    for place, (number, own) in enumerate(later, start=1):
        fields = _fields(case, own, past, place)
        if before["excess"] is not None and fields["excess"] is None:
            fields["excess"] = "kept_in_account"
        replaced = {name: fields[name] for name in Replacing.model_fields if fields.get(name) is not None}
        if fields["split_pct"] == before["split_pct"]:
            replaced.pop("split_pct")  # a step that names no share leaves those by payout number in force
        without = [name for name in REMOVABLE if fields.get(name) is None and before.get(name) is not None]
        steps.append({"from_payout": number, "without": without, **replaced})
        before = fields
    every = [terms, *steps]
    totals = any(_has_total(each) for each in every)
    now = in_force(case, given, past.next_number)
    return payout_terms(
        case,
        **terms,
        by_payout=steps,
        max_payouts=now.get("max_payouts"),
        totals_over=now.get("totals_over", "account") if totals else _known_totals(now),
        split_by_payout=[] if terms["split_tiers"] else _splits(case, now),
    )


def payout_terms(case: Case, **given: Any) -> PayoutTerms:
    """Returns payout terms with these fields. By default nothing prevents the payout, and all goes to the trader."""
    plain: dict[str, Any] = {
        "first_after_days": 0,
        "every_days": 0,
        "split_pct": 100,
        "min_request": from_minor(1, case.currency),
        "requires_flat": False,
    }
    return PayoutTerms.model_validate({**plain, **{name: value for name, value in given.items() if value is not None}})


def gate_ids(own: Mapping[str, Any], place: int) -> list[str]:
    """Returns the ids of the gates of these parameters. `place`: the number of the step, from 0."""
    named = {"trading_days": own.get("min_trading_days"), "winning_days": own.get("winning_days_required")}
    return [f"{name}_{place}" for name, wanted in named.items() if wanted]


def size(case: Case, value: Any, past: Past) -> dict[str, Any] | None:
    """Returns a size, or a bare number of money, as the payout terms have it; None without one, or without a limit."""
    found = case.size(value)
    if found is None:
        return None
    if found.type in _OWN_SIZES:
        return {"type": found.type, "value": found.value, "at_least": found.at_least, "steps": found.steps}
    minor = found.minor_of(past.figures(), case.currency)
    return None if minor == NO_LIMIT else {"type": "amount", "value": from_minor(minor, case.currency)}


def minor_of(case: Case, value: Any, past: Past) -> int | None:
    """Returns a size, or a bare number of money, in minor units."""
    found = case.size(value)
    minor = None if found is None else found.minor_of(past.figures(), case.currency)
    if found is not None and found.type in ("amount", "pct_of_initial"):  # its steps go by the profit in the balance
        minor = found.minor(initial=case.initial_minor, basis=past.balance, currency=case.currency)
    return None if minor == NO_LIMIT else minor


def _fields(case: Case, own: Mapping[str, Any], past: Past, place: int) -> dict[str, Any]:
    def money(name: str) -> Decimal | None:
        minor = minor_of(case, own.get(name), past)
        return from_minor(minor, case.currency) if minor else None

    base, caps = own.get("base") or _base(past), list(_caps(case, own, past))
    # a total of nothing is a cap of nothing
    caps += [{"type": "amount", "value": 0} for name in TOTALS if minor_of(case, own.get(name), past) == 0]
    capped = caps or own.get("cap_total") is not None or own.get("cap_trader_share") is not None
    return {
        **_times(case, own),
        "requires_flat": own.get("requires_flat", False),
        "requires_no_pending_orders": own.get("requires_no_pending_orders", False),
        "gates": gate_ids(own, place),
        "min_balance_above_initial": size(case, own.get("min_balance_above_initial"), past),
        "min_profit": size(case, own.get("min_profit"), past),
        "profit_since": _word(own, "profit_since", "initial", "last_payout") if "min_profit" in own else None,
        "compare": _compare(case, own),
        "min_request": money("min_request") or from_minor(1, case.currency),
        "min_trader_share": money("min_trader_share"),
        "unlock_when_total_withdrawn": money("unlock_when_total_withdrawn"),
        "caps": caps,
        "cap_total": money("cap_total"),
        "cap_trader_share": money("cap_trader_share"),
        "in_blocks_of": money("in_blocks_of"),
        # without a cap there is nothing in excess
        "excess": _excess(own) if capped else None,
        "base": base,
        "safety_net": size(case, own.get("safety_net"), past) if "safety_net" in base else None,
        "profit_target": size(case, own.get("profit_target"), past) if "profit_target" in base else None,
        "split_pct": own.get("split_pct", 100),
        "split_by_trading_days": None if own.get("split_tiers") else list(_by_age(case, own)),
        "split_tiers": _tiers(case, own, past),
    }


def _base(past: Past) -> str:
    """Without a base, payouts come from a profit that the case states, else from the balance above the initial one."""
    return "profit" if past.profit_stated else "balance_minus_initial"


def _excess(own: Mapping[str, Any]) -> str | None:
    given = own.get("excess")
    if given not in (None, "deducted_from_account"):
        raise Unsupported(f"excess {quoted(given)}", "excess")
    return given


def _times(case: Case, own: Mapping[str, Any]) -> dict[str, Any]:
    traded = own.get("min_days_since_first_trade")
    return {
        "first_after_days": int(own.get("min_days_since_funded") or 0),
        "every_days": int(own.get("min_days_since_last_payout") or 0),
        "days_are": _word(own, "days_are", "calendar", "business"),
        "after_first_trade": None
        if traded is None
        else {"days": int(traded), "since": _word(own, "first_trade_since", "start", "last_payout")},
        "request_days": _request_days(case, own.get("request_days")),
    }


def _request_days(case: Case, days: Any) -> dict[str, Any] | None:
    if days is None:
        return None
    case.only("request_days", days, ("weekdays", "from", "timezone"))
    named = days.get("weekdays") or list(_WEEKDAYS)
    weekdays = [_weekday(name) for name in ([named] if isinstance(named, str) else named)]
    return {"weekdays": weekdays, "opens": days.get("from") or "00:00", "zone": request_zone(case, days)}


def request_zone(case: Case, days: Mapping[str, Any]) -> Any:
    """Returns the zone of request days; without one, that of the rule's clock, or the offset that times are written
    in."""
    clock = case.clock(case.rule.get("day"))
    if days.get("timezone") is not None or clock is not None:
        return days.get("timezone") or (clock and clock.zone)
    written = (datetime.fromisoformat(raw.t).utcoffset() for raw in case.events if raw.has_instant)
    minutes = round((next(written, None) or timedelta(0)).total_seconds() / 60)
    return f"{'-' if minutes < 0 else '+'}{abs(minutes) // 60:02}:{abs(minutes) % 60:02}"


def _weekday(name: Any) -> str:
    found = [day for day in _WEEKDAYS if len(str(name)) >= 3 and day.startswith(str(name).lower())]
    if len(found) != 1:
        raise Unsupported(f"weekdays: {quoted(name)} is no weekday", "weekdays")
    return found[0]


def _compare(case: Case, own: Mapping[str, Any]) -> dict[str, str]:
    """Returns the operator of each amount that the case gives."""
    given = own.get("compare", ">=")
    if isinstance(given, Mapping):
        case.only("compare", given, (*_COMPARED, "winning_day_min_pnl"))
        named = {name: operator for name, operator in given.items() if name in _COMPARED}
    else:
        named = {name: given for name in _COMPARED if own.get(name) is not None}
    wrong = [(name, operator) for name, operator in named.items() if operator not in (">=", ">")]
    if wrong:
        name, operator = wrong[0]
        raise Unsupported(f"compare {quoted(operator)}", name if isinstance(given, Mapping) else "compare")
    return named


def _caps(case: Case, own: Mapping[str, Any], past: Past) -> Iterator[dict[str, Any]]:
    """Yields the caps of a request, under each of their names in the format."""
    if own.get("cap") is not None and own.get("cap_first_payouts") != 0:
        yield from _cap(case, own["cap"], past, {"to_payout": own.get("cap_first_payouts")})
    if own.get("max_request") is not None:
        yield from _cap(case, own["max_request"], past, {})
    for share in SHARES:
        if own.get(share) is not None:
            yield {"type": share.removeprefix("max_request_"), "value": own[share]}
    for cap in own.get("caps") or ():
        case.only("caps", cap, _CAP_FIELDS)
        sized = {name: cap[name] for name in ("type", "value", "at_least", "steps") if name in cap}
        binds = {name: cap[name] for name in ("from_payout", "to_payout", "per_days") if cap.get(name) is not None}
        yield from _cap(case, sized, past, {**binds, "below_profit": size(case, cap.get("below_profit"), past)})


def _cap(case: Case, value: Any, past: Past, binds: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    if isinstance(value, Mapping) and value.get("type") == "pct_of_profit":
        case.only("cap", value, ("type", "value", "at_least", "steps"))
        # a share of the payout's own profit, which no other size is of
        share = case.size({**value, "type": "pct_of_balance"})
        assert share is not None
        yield {**share.model_dump(), "type": "pct_of_profit", **binds}
        return
    found = size(case, value, past)
    if found is not None:
        yield {**found, **binds}


def _splits(case: Case, given: Mapping[str, Any]) -> list[dict[str, Any]]:
    for step in given.get("split_by_payout") or ():
        case.only("split_by_payout", step, ("from_payout", "pct"))
    by_first = {int(step["from_payout"]): step["pct"] for step in given.get("split_by_payout") or ()}
    return [{"from_payout": first, "pct": by_first[first]} for first in sorted(by_first)]


def _by_age(case: Case, own: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Yields the steps that can be the first to fit."""
    most = 0
    for step in own.get("split_by_trading_days") or ():
        case.only("split_by_trading_days", step, ("below", "pct"))
        below = step.get("below")
        if below is None:
            yield {"pct": step["pct"]}
            return
        if int(below) > most:
            most = int(below)
            yield {"below": most, "pct": step["pct"]}


def _tiers(case: Case, own: Mapping[str, Any], past: Past) -> list[dict[str, Any]]:
    """Returns the tiers; above the last of them, the plain split."""
    tiers = []
    for tier in own.get("split_tiers") or ():
        case.only("split_tiers", tier, ("up_to", "pct"))
        up_to = minor_of(case, tier.get("up_to"), past)
        if up_to == 0:
            continue
        tiers.append({"up_to": None if up_to is None else from_minor(up_to, case.currency), "pct": tier["pct"]})
    if tiers and tiers[-1]["up_to"] is not None:
        tiers.append({"up_to": None, "pct": own.get("split_pct", 100)})
    return tiers


def _word(own: Mapping[str, Any], name: str, default: str, *others: str) -> str:
    """Returns a word of the format. Raises Unsupported for another."""
    word = own.get(name, default)
    if word not in (default, *others):
        raise Unsupported(f"{name} {quoted(word)}", name)
    return str(word)


def _known_totals(given: Mapping[str, Any]) -> str | None:
    _word(given, "totals_over", "account", "trader")
    return None


def _has_total(fields: Mapping[str, Any]) -> bool:
    within_days = any(cap.get("per_days") for cap in fields.get("caps") or ())
    named = ("cap_total", "split_tiers", "unlock_when_total_withdrawn")
    return within_days or any(fields.get(name) for name in named)
