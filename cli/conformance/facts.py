"""Payout facts and terms of a case. By default nothing prevents the payout, and all of it goes to the trader."""

from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from typing import Any, Final

from cli.conformance.case import Case, Value
from cli.conformance.gates import resolved
from domain.payouts import ApprovalBand, PayoutFacts, PayoutTerms
from domain.payouts.amounts import next_cycle

# the instant of cases that are not about time
NOW: Final = datetime(2000, 1, 1, tzinfo=UTC)
# what a request can be limited to a share of: max_request_pct_of_balance, ...
REQUEST_SHARES: Final = ("pct_of_balance", "pct_of_initial", "pct_of_profit")


def payout_terms(case: Case, **given: Any) -> PayoutTerms:
    """Returns payout terms with the parameters of the case."""
    plain: dict[str, Any] = {
        "first_after_days": 0,
        "every_days": 1,
        "split_pct": 100,
        "min_request": "0.01" if case.currency != "JPY" else "1",
        "requires_flat": False,
        "bands": (ApprovalBand(up_to=None, approvers=0),),
    }
    return PayoutTerms.model_validate({**plain, **given})


def facts(case: Case, **known: Any) -> PayoutFacts:
    """Returns payout facts with what the case states."""
    plain: dict[str, Any] = {
        "now": NOW,
        "challenge_state": "funded",
        "funded_at": None,
        "last_payout_at": None,
        "balance_minor": case.initial_minor,
        "initial_minor": case.initial_minor,
        "open_positions": 0,
        "open_payout_id": None,
        "beneficiary_known": True,
    }
    return PayoutFacts.model_validate({**plain, **known})


def caps(case: Case, given: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Returns the caps of a request, under each of their names in the format."""
    found = list[dict[str, Any]]()
    for name in ("cap", "max_request"):
        size = resolved(case, given.get(name))
        if size is not None:
            found.append({**size, "to_payout": given.get("cap_first_payouts") if name == "cap" else None})
    shares = ((share, given.get(f"max_request_{share}")) for share in REQUEST_SHARES)
    return [*found, *({"type": share, "value": value} for share, value in shares if value is not None)]


def cycle_dates(case: Case, given: Mapping[str, Any]) -> dict[str, Value]:
    """Returns the dates of the next payout cycle. The first cycle begins when the account is funded."""
    ended, first, days = _day_of(case, "cycle_end"), given.get("first_cycle_days"), given.get("next_cycle_days")
    if first is None and days is None:
        return {}
    funded = _day_of(case, "funded")
    named = dict[str, Value]()
    if first is not None and funded is not None:
        named["first_cycle_start"] = funded
        named["first_cycle_end"] = next_cycle(funded - timedelta(days=1), int(first))[1]
        ended = ended or next_cycle(funded - timedelta(days=1), int(first))[1]
    if ended is not None:
        start, end = next_cycle(ended, int(days or first or 1))
        named |= {"cycle_end": ended, "next_cycle_start": start, "next_cycle_end": end}
    return named


def _day_of(case: Case, kind: str) -> date | None:
    clock = case.clock(case.rule.get("day"))
    days = [raw.day(clock) for raw in case.events if raw.kind == kind]
    return days[-1] if days else None
