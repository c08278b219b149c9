"""Where a rule of a case binds, what follows from its offences, and the firm's word for them."""

from collections.abc import Mapping
from typing import Any, Final

from cli.conformance.case import Case

# the parameters of every rule that can be broken
PARAMS: Final = ("severity_by_violation", "consequences", "split_pct", "phases", "account_types")


def binds(case: Case) -> bool:
    """Whether the rule binds an account of this phase and type. Without a list it binds all."""
    phases, types = case.rule.get("phases"), case.rule.get("account_types")
    return (phases is None or case.phase in (None, *phases)) and (types is None or case.account_type in types)


def consequences(case: Case) -> dict[str, Any]:
    """Returns the consequences of the rule as a field of the engine's rule; nothing: the account is closed."""
    given = case.rule.get("consequences")
    return {} if given is None else {"consequences": given}


def severity(case: Case, violations: int) -> str | None:
    """Returns the firm's word for the last of `violations` offences; None without one."""
    if not violations:
        return None
    by_violation = case.rule.get("severity_by_violation") or ()
    words = list(by_violation.values() if isinstance(by_violation, Mapping) else by_violation)
    return words[min(violations, len(words)) - 1] if words else case.severity
