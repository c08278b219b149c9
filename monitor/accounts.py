"""One account of a shard: what no column holds, how it is loaded, and how it is checkpointed."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from typing import Any, Protocol

from domain.rules.marking import Position
from domain.rules.proof import Movement
from domain.rules.state import AccountRules, PhaseTerms, fresh, from_json, to_json
from monitor.books import Holding


@dataclass(slots=True)
class Account:
    """`row` is its place in the columns; `ended` once a breach or pass was found in this life of the account."""

    account_id: str
    challenge_id: str
    login: int
    terms: PhaseTerms
    row: int
    holdings: dict[str, Holding] = field(default_factory=dict)
    movements: list[Movement] = field(default_factory=list)
    trading_days: list[date] = field(default_factory=list)
    offences: dict[str, int] = field(default_factory=dict)
    ended: bool = False

    def positions(self) -> list[Position]:
        return [holding.position for holding in self.holdings.values()]

    def offence(self, rule_id: str) -> int:
        """The number the next breach of this rule gets: 1, or more after a reinstatement."""
        return self.offences.get(rule_id, 0) + 1


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """An account as of a stored batch."""

    balance_minor: int
    positions: tuple[Position, ...]
    rules: AccountRules
    opening_minor: int
    opening_at: datetime | None
    opening_seq: int
    movements: tuple[Movement, ...]
    trading_days: tuple[date, ...]
    offences: dict[str, int]
    judged: bool
    ended: bool
    synced: int


@dataclass(frozen=True, slots=True)
class Loaded:
    """An account as the record has it. `breaches` are (rule id, sequence number) of all of this phase's."""

    account_id: str
    challenge_id: str
    login: int
    terms: PhaseTerms
    status: str
    breaches: tuple[tuple[str, int], ...]
    checkpoint: Checkpoint | None

    def offences_before(self, seq: int) -> dict[str, int]:
        """Breaches per rule that were found before `seq`; later ones are about to be judged again."""
        counts: dict[str, int] = {}
        for rule_id, at_seq in self.breaches:
            if at_seq < seq:
                counts[rule_id] = counts.get(rule_id, 0) + 1
        return counts

    def at_the_start(self) -> Checkpoint:
        return Checkpoint(0, (), fresh(self.terms.specs), 0, None, 0, (), (), {}, False, False, 0)


class AccountSource(Protocol):
    """Where accounts come from when the stream names a login for the first time, or enables one."""

    def load(self, login: int) -> Loaded | None:
        """None: not an account of ours."""
        ...


def rule_state(
    account: Account, rules: AccountRules, opening: tuple[int, datetime | None, int], judged: bool, synced: int
) -> dict[str, Any]:
    """The engine's own state of an account, version 1."""
    minor, at, seq = opening
    return {
        "v": 1,
        "rules": to_json(rules),
        "opening": {"minor": minor, "at": at.isoformat() if at else None, "seq": seq},
        "movements": [movement.model_dump(mode="json") for movement in account.movements],
        "days": [day.isoformat() for day in account.trading_days],
        "offences": account.offences,
        "judged": judged,
        "ended": account.ended,
        "synced": synced,
    }


def positions_json(positions: Iterable[tuple[Position, Decimal | None, int | None]]) -> list[dict[str, Any]]:
    """Open positions with their closing price and profit, None while a quote is missing."""
    return [
        {
            "position_id": p.position_id,
            "symbol": p.symbol,
            "side": p.side,
            "lots": str(p.lots),
            "open_price": str(p.open_price),
            "opened_at": p.opened_at.isoformat(),
            "price": None if price is None else str(price),
            "profit_minor": profit,
        }
        for p, price, profit in positions
    ]


def checkpoint_from(
    terms: PhaseTerms, balance_minor: int, positions: list[dict[str, Any]], state: dict[str, Any]
) -> Checkpoint:
    """Read back what `rule_state` and `positions_json` wrote."""
    if state["v"] != 1:
        raise ValueError(f"rule_state version {state['v']} is not known")
    opening = state["opening"]
    return Checkpoint(
        balance_minor=balance_minor,
        positions=tuple(
            Position(
                p["position_id"],
                p["symbol"],
                p["side"],
                Decimal(p["lots"]),
                Decimal(p["open_price"]),
                datetime.fromisoformat(p["opened_at"]),
            )
            for p in positions
        ),
        rules=from_json(terms.specs, state["rules"]),
        opening_minor=opening["minor"],
        opening_at=datetime.fromisoformat(opening["at"]) if opening["at"] else None,
        opening_seq=opening["seq"],
        movements=tuple(Movement.model_validate(m) for m in state["movements"]),
        trading_days=tuple(date.fromisoformat(day) for day in state["days"]),
        offences=dict(state["offences"]),
        judged=state["judged"],
        ended=state["ended"],
        synced=state["synced"],
    )
