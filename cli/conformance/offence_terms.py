"""The shape of what every rule may say about its offences: the firm's words, the consequences, where the rule binds."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from cli.conformance.refusal import Unsupported
from domain.quoting import quoted


def check_offence_terms(rule: Mapping[str, Any]) -> None:
    """Raises Unsupported for the first of these parameters that has another shape than the format gives it."""
    if not isinstance(rule.get("severity", ""), str | None):
        raise Unsupported(f"severity {quoted(rule['severity'])} is not a word", "severity")
    for name in ("severity_by_violation", "phases", "account_types"):
        words = rule.get(name)
        # the words of the first, the second ... offence may have their numbers as names
        listed = list(words.values()) if isinstance(words, Mapping) and name == "severity_by_violation" else words
        if words is not None and not _is_list_of_words(listed):
            raise Unsupported(f"{name} {quoted(words)} is not a list of words", name)
    cure, consequences = rule.get("cure"), rule.get("consequences")
    if isinstance(cure, Mapping) and "minutes" not in cure:
        raise Unsupported("cure: minutes is missing", "minutes")
    for each in consequences if isinstance(consequences, list) else ():
        _check_consequence(each)


def _is_list_of_words(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(word, str) for word in value)


def _check_consequence(data: Any) -> None:
    if not isinstance(data, Mapping):
        raise Unsupported(f"consequences {quoted(data)} is not an object", "consequences")
    unknown = sorted(set(data) - {"kind", "split_pct"})
    if unknown:
        raise Unsupported(f"consequences: field {quoted(unknown[0])}", unknown[0])
    if not isinstance(data.get("kind"), str):
        raise Unsupported(f"consequences: kind {quoted(data.get('kind'))} is not a word", "kind")
    share = data.get("split_pct")
    given = isinstance(share, int | Decimal) and not isinstance(share, bool)
    if given != (data["kind"] == "lower_split") or (share is not None and not given):
        raise Unsupported("consequences: lower_split has a split_pct, and no other", "split_pct")
