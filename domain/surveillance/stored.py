"""How a finding lies in the `evidence` column of its alert, and how it is read back, in today's format and in both
older ones: copied deals with a leader and a follower, and corrected verdicts."""

from datetime import datetime
from decimal import Decimal
from typing import Any, Final

from domain.surveillance.findings import Finding

_FORMAT: Final = 2
_COLUMNS: Final = frozenset({"key", "detector", "at", "score", "sentence"})  # the alert has columns for these


def write(finding: Finding) -> dict[str, Any]:
    """Returns the part of a finding that has no column of its own, as JSON."""
    return {"format": _FORMAT, **finding.model_dump(mode="json", exclude=set(_COLUMNS))}


def read(evidence: dict[str, Any], *, key: str, detector: str, at: datetime, score: Decimal, sentence: str) -> Finding:
    """Returns the finding that an alert holds. Raises ValidationError for a format that was never written."""
    if "format" in evidence:
        body = {name: value for name, value in evidence.items() if name != "format"}
    elif "proof_id" in evidence:
        body = _corrected_verdict(evidence)
    else:
        body = _copied_deals(evidence)
    columns = {"key": key, "detector": detector, "at": at, "score": score, "sentence": sentence}
    return Finding.model_validate({"accounts": (), **body, **columns})


def _copied_deals(evidence: dict[str, Any]) -> dict[str, Any]:
    roles = [role for role in ("leader", "follower") if role in evidence]
    pairs = evidence.get("pairs", [])
    item = {"type": "copied_deals", "openings": evidence.get("openings"), "pairs": pairs}
    return {
        "accounts": [{"account_id": evidence[role], "role": role} for role in roles],
        "blamed": [evidence["follower"]] if "follower" in roles else [],
        "evidence": [item] if pairs else [],
    }


def _corrected_verdict(evidence: dict[str, Any]) -> dict[str, Any]:
    return {
        "if_confirmed": {"kind": "dispute_breach", "proof_id": evidence["proof_id"]},
        "evidence": [{"type": "corrected_verdict", **evidence}],
    }
