"""A trader disputes a breach; people uphold it or reinstate the account.

How many people decide, and until when, is the firm's policy (`domain/dispute_policy.py`).
"""

import hashlib
import json
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, Final, Literal

from domain.money import half_up
from domain.states import StateMachine

Verb = Literal["uphold", "reinstate"]
VERBS: Final[tuple[Verb, ...]] = ("uphold", "reinstate")
FIRST: Final = 1  # instance of a dispute
APPEAL: Final = 2  # the only other instance: other people decide about the same breach again

# What the trader reads when nobody wrote a message.
STANDARD_MESSAGE: Final[Mapping[Verb, str]] = {
    "uphold": "We looked at the breach again, and it stands. The proof sheet shows the figures.",
    "reinstate": "We looked at the breach again and took it back. Your account trades again.",
}
STANDARD_APPEAL_MESSAGE: Final[Mapping[Verb, str]] = {
    "uphold": "We looked at our decision again, and it stands.",
    "reinstate": "We looked at our decision again and took it back.",
}

_ROOM_PCT: Final = Decimal(
    1
)  # percent of the initial balance: the room of a reinstated account above its highest floor

DISPUTE: Final = StateMachine(
    noun="dispute",
    initial="opened",
    table={
        ("opened", "evidence_assembled"): "awaiting_decision",
        ("awaiting_decision", "breach_upheld"): "upheld",
        ("awaiting_decision", "reinstatement_granted"): "reinstating",
        ("reinstating", "account_reinstated"): "reinstated",
    },
    transient=frozenset({"opened", "reinstating"}),
)


def window_end(occurred_at: datetime, dispute_days: int) -> datetime:
    """Returns the end (market time) of the time in which a breach can be disputed."""
    return occurred_at + timedelta(days=dispute_days)


def breach_is_final(
    now: datetime, until: datetime, dispute_state: str | None, appeal_until: datetime | None = None
) -> bool:
    """Whether a breach ends the challenge: the window closed without a dispute, or its last dispute was upheld and can
    no longer be appealed. `appeal_until`: the end of the time to appeal; None: there is no appeal (any more)."""
    if dispute_state is None:
        return now >= until
    return dispute_state == "upheld" and (appeal_until is None or now >= appeal_until)


def goodwill_minor(equity_minor: int, floors_minor: Iterable[int], initial_minor: int) -> int:
    """Returns the credit at a reinstatement: none while equity is above every floor, because the account goes on as if
    the breach had never been found. Otherwise so much that equity is 1 % of the initial balance above the highest
    floor.

    Without it, a real loss would breach the account again at the next tick. The money of the account is simulated, so
    the firm's books have no entry for it; it is no profit of the trader, and the dispute's page names it before anybody
    decides.
    """
    highest = max(floors_minor, default=None)
    if highest is None or equity_minor > highest:
        return 0
    return highest + half_up(Decimal(initial_minor) * _ROOM_PCT / 100) - equity_minor


def evidence_digest(dispute_id: str, breach_id: str | None, case_id: str | None, evidence: Mapping[str, Any]) -> str:
    """Returns a digest of what exactly is decided on: the breach or case, and the evidence that was shown."""
    about = {"breach": breach_id} if case_id is None else {"case": case_id}
    return _digest({"v": 1, "dispute": dispute_id, **about, "evidence": evidence})


def seen_digest(digest: str, votes: Iterable[tuple[int, str, str, str]]) -> str:
    """Returns the digest of what a person reads before deciding: the evidence, and what others decided before. `votes`:
    (number, verb, sealed reason, message), oldest first."""
    return _digest({"v": 1, "evidence": digest, "votes": [list(vote) for vote in votes]})


def _digest(body: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(body, sort_keys=True, separators=(",", ":")).encode()).hexdigest()
