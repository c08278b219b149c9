"""The catalogue of business events as `docs/webhooks.md` shows it, with what is sent of each."""

import json
from datetime import UTC, datetime
from typing import Final

from domain import business_events
from domain.keys import Noun

BEGIN: Final = "<!-- the catalogue begins -->"
END: Final = "<!-- the catalogue ends -->"
_AT: Final = datetime(2026, 3, 2, 9, 30, tzinfo=UTC)
_NOUNS: Final[dict[str, Noun]] = {
    "trader": "trd", "challenge": "chl", "account": "acc", "breach": "brc", "payout": "pay", "ticket": "tkt",
    "dispute": "dsp", "case": "cas", "chargeback": "cbk",
}  # fmt: skip
_IDS: Final[dict[str, tuple[str, ...]]] = {
    "trader": ("trader",),
    "challenge": ("trader", "account", "challenge"),
    "account": ("trader", "account", "challenge"),
    "breach": ("trader", "account", "challenge"),
    "payout": ("trader", "account", "challenge"),
    "ticket": ("trader", "account"),
    "dispute": ("trader", "account", "challenge"),
    "chargeback": ("trader", "challenge"),
    "case": (),
}


def example(kind: business_events.EventKind) -> dict[str, object]:
    """Returns what is sent of an event of this kind, with ids made up."""
    ids = {name: _id(name) if name in _IDS[kind.subject] else None for name in _NOUNS}
    return business_events.body(
        kind=kind.name,
        subject_kind=kind.subject,
        subject_id=_id(kind.subject),
        trader_id=ids["trader"],
        account_id=ids["account"],
        challenge_id=ids["challenge"],
        occurred_at=_AT,
        recorded_at=_AT,
    )


def _id(subject: str) -> str:
    return f"{_NOUNS[subject]}_01k9z3v5w2q8h6r4t0n7m1c3xe"


def catalogue() -> str:
    """Returns the part of the page between its two marks, marks included."""
    lines = [BEGIN, "", "| Event | It says | `subject` |", "|---|---|---|"]
    lines += [f"| `{kind.name}` | {kind.means} | {kind.subject} |" for kind in business_events.KINDS]
    for kind in business_events.KINDS:
        lines += ["", f"**{kind.name}**", "", "```json", json.dumps(example(kind), indent=2), "```"]
    return "\n".join([*lines, "", END])


if __name__ == "__main__":
    print(catalogue())
