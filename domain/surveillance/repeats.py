"""Findings that are on the record already: whether one says more than before, and of whom."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

from domain.surveillance.findings import Finding, Severity

CaseState = Literal["none", "open", "ended"]
_RANK: Final[dict[Severity, int]] = {"note": 0, "review": 1, "hold": 2}
_SEPARATOR: Final = "#"
_LONGEST: Final = 150  # of a key that a number is added to


@dataclass(frozen=True, slots=True)
class Earlier:
    """An alert of the same finding. `severity`: as it was routed. `case`: of the case that it is in."""

    finding: Finding
    severity: Severity
    case: CaseState


@dataclass(frozen=True, slots=True)
class Repeat:
    """What is new. `finding` blames only whom it is news about. `holds`: accounts that it holds, if it is a hold."""

    finding: Finding
    holds: frozenset[str]


def numbered(key: str, number: int) -> str:
    """Returns the key of the alert with this number, from 1 on, of the finding `key`."""
    return key if number == 1 else f"{key[:_LONGEST]}{_SEPARATOR}{number}"


def finding_key(key: str) -> str:
    """Returns the key of the finding that an alert with this key is of."""
    return key.partition(_SEPARATOR)[0]


def news(found: Finding, severity: Severity, earlier: Sequence[Earlier]) -> Repeat | None:
    """Returns what a finding adds to the earlier alerts of it, the oldest first; None when it adds nothing.

    News is a higher severity than ever, an account that was not named or not blamed, and once people have decided, as
    many new deals as the first alert named. If only accounts are new, whoever was decided about is left in peace.
    """
    named = {involved.account_id for involved in found.accounts}
    if not earlier or _RANK[severity] > max(_RANK[each.severity] for each in earlier) or _goes_on(found, earlier):
        return Repeat(found, frozenset(named))
    blamed_before = {account for each in earlier for account in each.finding.blamed}
    if not (named - _named(earlier) or set(found.blamed) - blamed_before):
        return None
    suspected = {account for each in earlier if each.case == "open" for account in each.finding.blamed}
    newly_blamed = set(found.blamed) - blamed_before
    decided = _named([each for each in earlier if each.case == "ended"]) - suspected - newly_blamed
    blamed = tuple(account for account in found.blamed if account not in decided)
    if found.blamed and not blamed:
        return None
    return Repeat(found.model_copy(update={"blamed": blamed}), frozenset(named - decided))


def _goes_on(found: Finding, earlier: Sequence[Earlier]) -> bool:
    """Whether the cases are decided and the trading went on as before."""
    cases = {each.case for each in earlier}
    if "open" in cases or "ended" not in cases:
        return False
    new = set(found.deals).difference(*(each.finding.deals for each in earlier))
    return bool(new) and len(new) >= len(earlier[0].finding.deals)


def _named(earlier: Sequence[Earlier]) -> set[str]:
    return {involved.account_id for each in earlier for involved in each.finding.accounts}
