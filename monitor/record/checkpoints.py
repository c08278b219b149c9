"""The JSON of an account in a checkpoint: written from its row, read back into a `Checkpoint`."""

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any, Final

from pydantic import TypeAdapter

from domain.products.phase_terms import PhaseTerms
from domain.proofs.departure import Place, place_of
from domain.proofs.money import Movement
from domain.rules.floors import NO_COSTS, Costs
from domain.rules.marking import Position
from domain.rules.state import AccountRules, from_json, to_json
from monitor.columns.conduct_state import stored_conduct_state
from monitor.columns.roster import AccountRow
from monitor.loaded import Checkpoint
from ports.platform import AccountState


@dataclass(frozen=True, slots=True)
class AccountExtras:
    """What an account has beside its columns, at one moment; `conduct` as JSON."""

    account_id: str
    movements: tuple[Movement, ...]
    trading_days: tuple[date, ...]
    offences: dict[str, int]
    costs: Costs
    conduct: dict[str, Any] | None
    ended: bool
    place: Place | None = None


def extras_of(account: AccountRow) -> AccountExtras:
    conduct = account.conduct
    return AccountExtras(
        account_id=account.account_id,
        movements=account.movements,
        trading_days=account.trading_days,
        offences=account.offences,
        costs=account.costs,
        conduct=conduct.model_dump(mode="json") if conduct else None,
        ended=account.ended,
        place=account.place,
    )


def rule_state(
    account: AccountExtras, rules: AccountRules, opening: tuple[int, datetime | None, int], judged: bool, synced: int
) -> dict[str, Any]:
    """Returns the stored state of an account, version 1. `opening`: balance, time and number of the day's start."""
    minor, at, seq = opening
    place = account.place
    return {
        "v": 1,
        "rules": to_json(rules),
        "opening": {"minor": minor, "at": at.isoformat() if at else None, "seq": seq},
        "movements": [movement.model_dump(mode="json") for movement in account.movements],
        "days": [day.isoformat() for day in account.trading_days],
        "offences": account.offences,
        "costs": asdict(account.costs),
        "conduct": account.conduct,
        "judged": judged,
        "ended": account.ended,
        "synced": synced,
        **({} if place is None else {"place": place.model_dump(mode="json")}),
    }


Exits = Mapping[str, tuple[float, float]]


def positions_json(
    positions: Iterable[tuple[Position, Decimal | None, int | None]], exits: Exits
) -> list[dict[str, Any]]:
    """Returns open positions with their closing price and profit, both None while a quote is missing, and with the
    stop loss and take profit that they have."""
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
            **_exits_json(*exits.get(p.position_id, (0.0, 0.0))),
        }
        for p, price, profit in positions
    ]


def _exits_json(stop: float, target: float) -> dict[str, str]:
    named = {"stop_loss": stop, "take_profit": target}
    return {name: repr(price) for name, price in named.items() if price}


def _exits_of(p: dict[str, Any]) -> tuple[float, float]:
    return float(p.get("stop_loss", 0)), float(p.get("take_profit", 0))


_MOVEMENTS: Final = TypeAdapter(tuple[Movement, ...])


def checkpoint_from(
    terms: PhaseTerms, balance_minor: int, positions: list[dict[str, Any]], state: dict[str, Any]
) -> Checkpoint:
    """Reads back what `rule_state` and `positions_json` wrote."""
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
        conduct=stored_conduct_state(state["conduct"], terms) if state.get("conduct") else None,
        place=place_of(state),
        exits={p["position_id"]: _exits_of(p) for p in positions if "stop_loss" in p or "take_profit" in p},
        stated=AccountState.model_validate(state["stated"]) if state.get("stated") else None,
    )
