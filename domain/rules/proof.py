"""Proof sheets: a verdict together with everything that recomputing it needs.

A sheet is plain JSON: the terms, the floor's derivation, the account's money and positions with the quotes used, the
clock, the verdict, and a hash over all of it. `domain.rules.check` recomputes a sheet from itself alone.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from domain.clocks import Clock, require_utc, zone_of
from domain.pnl import conversion_rate
from domain.rules.base import Operator
from domain.rules.floors import FloorSpec, RuleState, breached, floor_of
from domain.rules.marking import Instrument, Position, QuoteBoard, Side, conversion_symbol, profit_minor
from domain.rules.state import PhaseTerms

HASH_VERSION = 1


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class AccountPart(_Part):
    account_id: str
    challenge_id: str
    login: int
    phase_index: int
    phase_name: str
    currency: str
    initial_minor: int


class ProductPart(_Part):
    ref: str
    content_hash: str
    terms: dict[str, Any]


class EventPart(_Part):
    """The event that decided. A rollover bears the reset instant and the sequence number it came before."""

    kind: Literal["tick", "deal", "balance", "account", "rollover"]
    seq: int
    at: datetime
    symbol: str | None = None


class ClockPart(_Part):
    zone: str
    reset: str
    local_time: str
    utc_offset_minutes: int
    trading_day: date
    day_started_at: datetime
    day_ends_at: datetime


class Movement(_Part):
    """A deal or balance operation; `amount_minor` is its whole effect on the balance."""

    seq: int
    at: datetime
    kind: Literal["deal", "balance"]
    reference: str
    amount_minor: int


class BalancePart(_Part):
    """The balance: what it was at the start of the trading day (or of the account), and every movement since."""

    opening_minor: int
    opening_at: datetime | None
    opening_seq: int
    movements: tuple[Movement, ...]
    balance_minor: int


class QuotePart(_Part):
    symbol: str
    seq: int
    at: datetime
    bid: Decimal
    ask: Decimal


class PositionPart(_Part):
    position_id: str
    symbol: str
    side: Side
    lots: Decimal
    open_price: Decimal
    opened_at: datetime
    contract_size: Decimal
    quote_currency: str
    quote: QuotePart
    close_price: Decimal
    conversion_rate: Decimal
    conversion_quote: QuotePart | None
    profit_minor: int


class Step(_Part):
    """One line of the derivation: a name and the figure it stands at."""

    name: str
    minor: int


class BasisPart(_Part):
    """The anchor or peak, and the account's figures at the event that set it (seq 0: the initial balance)."""

    source: str
    moves: str
    value_minor: int
    set_seq: int
    set_at: datetime | None
    balance_minor: int
    equity_minor: int
    payouts_minor: int


class FloorPart(_Part):
    basis: BasisPart
    allowance_minor: int
    ceiling_minor: int | None
    locked_by_payout: bool
    steps: tuple[Step, ...]
    floor_minor: int


class RulePart(_Part):
    id: str
    type: str
    parameters: dict[str, Any]
    floor: FloorPart
    operator: Operator


class TargetPart(_Part):
    type: str
    value: Decimal
    target_minor: int
    required_balance_minor: int
    min_trading_days: int
    trading_days: tuple[date, ...]


class Sheet(_Part):
    """One verdict. Exactly one of `rule` (breach) and `target` (pass) is set."""

    hash_version: Literal[1]
    proof_id: str
    kind: Literal["breach", "pass"]
    account: AccountPart
    product: ProductPart
    event: EventPart
    clock: ClockPart
    balance: BalancePart
    positions: tuple[PositionPart, ...]
    equity_minor: int
    rule: RulePart | None
    target: TargetPart | None
    verdict: Annotated[str, Field(min_length=1)]


@dataclass(frozen=True, slots=True)
class Scene:
    """The account at the deciding event, as the judge saw it."""

    account_id: str
    challenge_id: str
    login: int
    terms: PhaseTerms
    event: EventPart
    balance: BalancePart
    positions: Sequence[Position]
    equity_minor: int
    trading_days: tuple[date, ...]


def canonical(body: Mapping[str, Any]) -> str:
    """JSON with sorted keys and no spaces, without the hash itself: what hash version 1 is taken over."""
    return json.dumps({k: v for k, v in body.items() if k != "hash"}, sort_keys=True, separators=(",", ":"))


def digest(body: Mapping[str, Any]) -> str:
    return hashlib.sha256(canonical(body).encode()).hexdigest()


def sealed(sheet: Sheet) -> dict[str, Any]:
    """The sheet as JSON data with its hash."""
    body = sheet.model_dump(mode="json")
    return {**body, "hash": digest(body)}


def clock_part(clock: Clock, at: datetime) -> ClockPart:
    local = at.astimezone(zone_of(clock.zone))
    offset = local.utcoffset()
    assert offset is not None
    day = clock.trading_day(at)
    return ClockPart(
        zone=clock.zone,
        reset=clock.reset,
        local_time=local.isoformat(),
        utc_offset_minutes=int(offset.total_seconds() // 60),
        trading_day=day,
        day_started_at=clock.day_start(day),
        day_ends_at=clock.day_end(day),
    )


def floor_part(spec: FloorSpec, state: RuleState) -> FloorPart:
    """The derivation of a floor, step by step."""
    allowance = spec.allowance(state.basis_minor)
    name = {"never": "initial balance", "rollover": "anchor"}.get(spec.moves, "peak")
    steps = [Step(name="initial balance", minor=spec.initial_minor)]
    if state.payouts_minor:
        steps.append(Step(name=f"{name} when set", minor=state.basis_minor + state.payouts_minor))
        steps.append(Step(name="payouts since", minor=-state.payouts_minor))
    steps += [Step(name=name, minor=state.basis_minor), Step(name="allowance", minor=allowance)]
    steps.append(Step(name=f"{name} minus allowance", minor=state.basis_minor - allowance))
    if spec.ceiling_minor is not None:
        steps.append(Step(name="lock: the floor rises no further", minor=spec.ceiling_minor))
    if state.locked:
        steps.append(Step(name="fixed by the first payout", minor=spec.lock_level))
    floor = floor_of(spec, state.basis_minor, locked=state.locked)
    steps.append(Step(name="floor", minor=floor))
    return FloorPart(
        basis=BasisPart(
            source=spec.source,
            moves=spec.moves,
            value_minor=state.basis_minor,
            set_seq=state.seq,
            set_at=state.at,
            balance_minor=state.balance_minor,
            equity_minor=state.equity_minor,
            payouts_minor=state.payouts_minor,
        ),
        allowance_minor=allowance,
        ceiling_minor=spec.ceiling_minor,
        locked_by_payout=state.locked,
        steps=tuple(steps),
        floor_minor=floor,
    )


def breach_sentence(spec: FloorSpec, equity_minor: int, floor_minor: int) -> str:
    if not breached(spec, floor_minor, equity_minor):
        return f"not breached: {spec.operator} does not hold for equity {equity_minor} and floor {floor_minor}"
    return f"breached: equity {equity_minor} {'<=' if spec.inclusive else '<'} floor {floor_minor}"


def pass_sentence(balance_minor: int, required_minor: int, open_positions: int, days: int, min_days: int) -> str:
    met = balance_minor >= required_minor and open_positions == 0 and days >= min_days
    return (
        f"{'passed' if met else 'not passed'}: balance {balance_minor} of {required_minor}, "
        f"{open_positions} open positions, {days} of {min_days} trading days"
    )


def _quote(symbol: str, board: QuoteBoard) -> QuotePart:
    (bid, ask), (seq, at) = board.prices[symbol], board.stamps[symbol]
    return QuotePart(symbol=symbol, seq=seq, at=at, bid=bid, ask=ask)


def position_part(
    position: Position, board: QuoteBoard, instruments: Mapping[str, Instrument], currency: str
) -> PositionPart:
    instrument = instruments[position.symbol]
    converts = conversion_symbol(instrument.quote_currency, currency, board.prices)
    return PositionPart(
        position_id=position.position_id,
        symbol=position.symbol,
        side=position.side,
        lots=position.lots,
        open_price=position.open_price,
        opened_at=require_utc(position.opened_at),
        contract_size=instrument.contract_size,
        quote_currency=instrument.quote_currency,
        quote=_quote(position.symbol, board),
        close_price=board.closing_price(position.symbol, position.side),
        conversion_rate=conversion_rate(instrument.quote_currency, currency, board.prices),
        conversion_quote=_quote(converts, board) if converts else None,
        profit_minor=profit_minor(position, board, instruments, currency),
    )


def _common(proof_id: str, scene: Scene, board: QuoteBoard, instruments: Mapping[str, Instrument]) -> dict[str, Any]:
    product = scene.terms.product
    return {
        "hash_version": HASH_VERSION,
        "proof_id": proof_id,
        "account": AccountPart(
            account_id=scene.account_id,
            challenge_id=scene.challenge_id,
            login=scene.login,
            phase_index=scene.terms.phase_index,
            phase_name=scene.terms.phase.name,
            currency=product.currency,
            initial_minor=product.initial_minor,
        ),
        "product": ProductPart(
            ref=product.ref, content_hash=product.content_hash, terms=product.model_dump(mode="json")
        ),
        "event": scene.event,
        "clock": clock_part(product.clock, scene.event.at),
        "balance": scene.balance,
        "positions": tuple(position_part(p, board, instruments, product.currency) for p in scene.positions),
        "equity_minor": scene.equity_minor,
    }


def breach_sheet(
    proof_id: str,
    scene: Scene,
    spec: FloorSpec,
    state: RuleState,
    board: QuoteBoard,
    instruments: Mapping[str, Instrument],
) -> dict[str, Any]:
    """The proof of one broken rule, sealed."""
    terms = next(rule for rule in scene.terms.phase.rules if rule.id == spec.rule_id)
    rule = RulePart(
        id=spec.rule_id,
        type=spec.rule_type,
        parameters=terms.model_dump(mode="json"),
        floor=floor_part(spec, state),
        operator=spec.operator,
    )
    return sealed(
        Sheet(
            **_common(proof_id, scene, board, instruments),
            kind="breach",
            rule=rule,
            target=None,
            verdict=breach_sentence(spec, scene.equity_minor, state.floor_minor),
        )
    )


def pass_sheet(proof_id: str, scene: Scene, board: QuoteBoard, instruments: Mapping[str, Instrument]) -> dict[str, Any]:
    """The proof that a phase's target was reached, sealed."""
    phase, target_minor = scene.terms.phase, scene.terms.target_minor
    if phase.target is None or target_minor is None:
        raise ValueError("a phase without a target cannot be passed")
    required = scene.terms.product.initial_minor + target_minor
    target = TargetPart(
        type=phase.target.type,
        value=phase.target.value,
        target_minor=target_minor,
        required_balance_minor=required,
        min_trading_days=phase.min_trading_days,
        trading_days=scene.trading_days,
    )
    sentence = pass_sentence(
        scene.balance.balance_minor, required, len(scene.positions), len(scene.trading_days), phase.min_trading_days
    )
    return sealed(
        Sheet(**_common(proof_id, scene, board, instruments), kind="pass", rule=None, target=target, verdict=sentence)
    )
