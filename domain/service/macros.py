"""Macros: texts with placeholders such as {{payout.amount}}, filled with facts of the record before a person edits and
sends them. A fact that is missing refuses the macro: a text with a gap is never made."""

import re
from collections.abc import Mapping
from typing import Final

from domain.errors import BadInput
from domain.quoting import cut

_PLACEHOLDER: Final = re.compile(r"\{\{\s*([^{}]{0,80}?)\s*\}\}")

FACTS: Final[dict[str, str]] = {
    "trader.name": "name of the trader",
    "trader.identity": "state of the identity check",
    "ticket.subject": "subject of the ticket",
    "account.number": "number of the account",
    "account.product": "product of the account",
    "account.status": "status of the account",
    "account.balance": "balance with currency",
    "account.equity": "equity with currency",
    "account.at": "market time of the figures of the account",
    "limit.name": "limit with the least room",
    "limit.room": "room to it with currency",
    "limit.floor": "its floor with currency",
    "limit.reset": "next daily reset",
    "breach.rule": "broken rule",
    "breach.at": "market time of the breach",
    "breach.equity": "equity at the breach",
    "breach.floor": "floor at the breach",
    "breach.dispute_until": "until when it can be disputed",
    "payout.amount": "amount of the newest payout",
    "payout.state": "its state in words",
    "payout.decide_by": "by when an open payout is decided",
    "payout.possible_from": "from when a payout can be requested",
    "payout.blocks": "what is in the way of a payout, as one sentence",
    "payout.most": "most that can be requested",
}
"""Name of a fact -> what it is. Stored texts name them: never rename one."""


def names(text: str) -> tuple[str, ...]:
    """Returns the facts that a text asks for, each once, in order."""
    return tuple(dict.fromkeys(_PLACEHOLDER.findall(text)))


def unfilled(text: str) -> tuple[str, ...]:
    """Returns the placeholders that a text still has."""
    return names(text)


def check(text: str) -> None:
    """Raises BadInput for a text that asks for a fact that does not exist."""
    unknown = [name for name in names(text) if name not in FACTS]
    if unknown:
        raise BadInput(
            f"There is no fact {', '.join(cut(name, 40) or '{{}}' for name in unknown)}.",
            field="body",
            remedy=f"Use one of: {', '.join(FACTS)}.",
        )


def fill(text: str, facts: Mapping[str, str]) -> tuple[str, dict[str, str]]:
    """Returns the text with its facts, and those facts. Raises BadInput that names every fact that is missing."""
    wanted = names(text)
    missing = [name for name in wanted if not facts.get(name)]
    if missing:
        words = ", ".join(f"{name} ({FACTS.get(name, 'unknown')})" for name in missing)
        raise BadInput(
            f"This macro needs facts that the record does not have for this ticket: {words}.",
            field="macro",
            remedy="Choose another macro, or set the account of the ticket.",
        )
    used = {name: facts[name] for name in wanted}
    return _PLACEHOLDER.sub(lambda found: used[found[1]], text), used
