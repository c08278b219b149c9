"""An account as the record has it: how it is loaded, and how it is stored again."""

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any, Final, Protocol

from pydantic import TypeAdapter

from domain.rules.floors import NO_COSTS, Costs
from domain.rules.marking import Position
from domain.rules.proof import Movement
from domain.rules.state import AccountRules, PhaseTerms, fresh, from_json, to_json
from monitor.columns.conduct_state import Standing
from monitor.columns.roster import Account
from ports.platform import AccountState


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
    costs: Costs = NO_COSTS
    stated: AccountState | None = None  # the venue's last word, for an account that it values itself
    standing: Standing | None = None


@dataclass(frozen=True, slots=True)
class Pending:
    """The terms of another version under which an account goes on from its next reset, and the move that says so."""

    move_id: str
    terms: PhaseTerms


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
    pending: Pending | None = None
    ended_seq: int = 0
    marks: str = "quotes"  # or states: the venue says itself what the account is worth

    def trades_at(self, seq: int) -> bool:
        """Whether the record lets it trade at event `seq`: what a later verdict ended was still active there, when the
        stream is read once more from before it."""
        return self.status == "active" or seq < self.ended_seq

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


@dataclass(frozen=True, slots=True)
class Aside:
    """What an account has beside its columns, at one moment; `standing` as JSON."""

    account_id: str
    movements: tuple[Movement, ...]
    trading_days: tuple[date, ...]
    offences: dict[str, int]
    costs: Costs
    standing: dict[str, Any] | None
    ended: bool


def aside(account: Account) -> Aside:
    standing = account.standing
    return Aside(
        account_id=account.account_id,
        movements=account.movements,
        trading_days=account.trading_days,
        offences=account.offences,
        costs=account.costs,
        standing=standing.model_dump(mode="json") if standing else None,
        ended=account.ended,
    )


def rule_state(
    account: Aside, rules: AccountRules, opening: tuple[int, datetime | None, int], judged: bool, synced: int
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
        "costs": asdict(account.costs),
        "conduct": account.standing,
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


_MOVEMENTS: Final = TypeAdapter(tuple[Movement, ...])


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
        movements=_MOVEMENTS.validate_python(state["movements"]),
        trading_days=tuple(date.fromisoformat(day) for day in state["days"]),
        offences=dict(state["offences"]),
        judged=state["judged"],
        ended=state["ended"],
        synced=state["synced"],
        costs=Costs(**state["costs"]) if "costs" in state else NO_COSTS,
        standing=Standing.model_validate(state["conduct"]) if state.get("conduct") else None,
        stated=AccountState.model_validate(state["stated"]) if state.get("stated") else None,
    )
