"""Proof sheets: a verdict with everything that is needed to recompute it.

A sheet is plain JSON with a hash over all of it. `domain.proofs.sheets` defines its shape; `domain.proofs.check`
recomputes it from itself alone. This module writes the common parts and the two verdicts on an account's worth: breach
and pass.
"""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from functools import lru_cache
from typing import Any, Final, TypeVar

from domain.clocks import Clock, require_utc, zone_of
from domain.pnl import conversion_rate
from domain.products.phase_terms import PhaseTerms
from domain.products.product import Product
from domain.proofs.levels import breach_sentence, floor_part, subject_worth, worth_steps
from domain.proofs.sheets import (
    HASH_VERSION,
    AccountPart,
    AnySheet,
    BalancePart,
    BreachSheet,
    ClockPart,
    ContinuesPart,
    CostsPart,
    EventPart,
    GatePart,
    HistoryPart,
    Movement,
    PassSheet,
    PositionPart,
    ProductPart,
    QuotePart,
    RulePart,
    TargetPart,
)
from domain.proofs.sources import QuotesSource, Source
from domain.proofs.texts import SealedSheet, json_text
from domain.rules.base import EquityRule, RuleBase
from domain.rules.floors import NO_COSTS, Costs, FloorSpec, Mark, RuleState
from domain.rules.marking import Instrument, Position, QuoteBoard, conversion_symbol, profit_minor

__all__ = ["BalancePart", "EventPart", "JudgedAccount", "Movement", "Source", "breach_sheet", "pass_sheet"]

_QUOTES: Final = QuotesSource()
_REMEMBERED: Final = 1024
T = TypeVar("T")
V = TypeVar("V")


@dataclass(frozen=True, slots=True)
class JudgedAccount:
    """The account at the deciding event, as it was judged. `continues`: where it came from, if it changed its
    platform."""

    account_id: str
    challenge_id: str
    login: int
    terms: PhaseTerms
    event: EventPart
    balance: BalancePart
    positions: Sequence[Position]
    equity_minor: int
    trading_days: tuple[date, ...]
    costs: Costs = NO_COSTS
    source: Source = _QUOTES
    continues: ContinuesPart | None = None


def canonical(body: Mapping[str, Any]) -> str:
    """Returns the text that the hash covers: JSON with sorted keys and no spaces, without the hash itself."""
    return json_text({k: v for k, v in body.items() if k != "hash"})


def digest(body: Mapping[str, Any]) -> str:
    return hashlib.sha256(canonical(body).encode()).hexdigest()


def _remembered(make: Callable[[T], V]) -> Callable[[T], V]:
    """Caches `make` by object identity: terms do not change, thousands of sheets share them, and a model with a
    mapping is not hashable."""
    known: dict[int, tuple[T, V]] = {}

    def remembered(of: T) -> V:
        kept = known.get(id(of))
        if kept is None:
            if len(known) >= _REMEMBERED:
                known.clear()
            kept = known[id(of)] = (of, make(of))
        return kept[1]

    return remembered


@_remembered
def _common(part: ProductPart | ClockPart) -> tuple[dict[str, Any], str]:
    """Returns a part that many sheets share, as JSON data and as canonical text. Do not change the shared data."""
    data = part.model_dump(mode="json")
    return data, canonical(data)


# No stored text has this character, so that no text of a sheet is taken for one of these places.
_PLACES: Final = {name: f"\0{name}" for name in ("clock", "product")}


def sealed(sheet: AnySheet) -> SealedSheet:
    """Returns the sheet as JSON data with its hash. The hash is `digest`, with the cached texts of parts that many
    sheets share put into the text of the others."""
    shared = {"clock": _common(sheet.clock), "product": _common(sheet.product)}
    data = sheet.model_dump(mode="json", exclude=set(shared))
    text = json_text(data | _PLACES)
    for name, (_, part) in shared.items():
        text = text.replace(json_text(_PLACES[name]), part, 1)
    hashed = hashlib.sha256(text.encode()).hexdigest()
    body = {name: shared[name][0] if name in shared else data[name] for name in type(sheet).model_fields}
    return SealedSheet(body | {"hash": hashed}, f'{text[:-1]},"hash":"{hashed}"}}')


@_remembered
def product_part(product: Product) -> ProductPart:
    return ProductPart(ref=product.ref, content_hash=product.content_hash, terms=product.model_dump(mode="json"))


@_remembered
def parameters(rule: RuleBase) -> dict[str, Any]:
    """Returns the definition of a rule as JSON data. Do not change the shared data."""
    return rule.model_dump(mode="json")


@lru_cache(maxsize=1024)
def clock_part(clock: Clock, at: datetime) -> ClockPart:
    """Returns the reading of the clock at `at`: local time, offset from UTC and trading day."""
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


def head(
    kind: str,
    proof_id: str,
    terms: PhaseTerms,
    at: datetime,
    *,
    account_id: str,
    challenge_id: str,
    login: int,
    continues: ContinuesPart | None = None,
) -> dict[str, Any]:
    """Returns the first fields of every sheet."""
    product = terms.product
    return {
        "hash_version": HASH_VERSION,
        "proof_id": proof_id,
        "kind": kind,
        "account": AccountPart(
            account_id=account_id,
            challenge_id=challenge_id,
            login=login,
            phase_index=terms.phase_index,
            phase_name=terms.phase.name,
            currency=product.currency,
            initial_minor=terms.initial_minor,
            continues=continues,
        ),
        "product": product_part(product),
        "clock": clock_part(product.clock, at),
    }


def pass_sentence(balance_minor: int, target: TargetPart, open_positions: int, gates: Sequence[GatePart]) -> str:
    days, unmet = len(set(target.trading_days)), [gate.rule_id for gate in gates if not gate.met]
    met = balance_minor >= target.required_balance_minor and not open_positions and days >= target.min_trading_days
    sentence = (
        f"{'passed' if met and not unmet else 'not passed'}: balance {balance_minor} of "
        f"{target.required_balance_minor}, {open_positions} open positions, {days} of {target.min_trading_days} "
        "trading days"
    )
    if gates:
        sentence += f", not met: {', '.join(unmet)}" if unmet else f", {len(gates)} gates met"
    return sentence


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


def money_fields(
    kind: str, proof_id: str, scene: JudgedAccount, board: QuoteBoard, instruments: Mapping[str, Instrument]
) -> dict[str, Any]:
    """Returns the first fields of every sheet about an account's worth."""
    product, at = scene.terms.product, scene.event.at
    # when the venue states the equity itself, the proof is that statement, not prices
    valued = scene.positions if scene.source.source in ("quotes", "statement") else ()
    return {
        **head(
            kind,
            proof_id,
            scene.terms,
            at,
            account_id=scene.account_id,
            challenge_id=scene.challenge_id,
            login=scene.login,
            continues=scene.continues,
        ),
        "event": scene.event,
        "loss_clock": clock_part(product.loss_clock, at) if product.loss_clock else None,
        "source": scene.source,
        "balance": scene.balance,
        "positions": tuple(position_part(p, board, instruments, product.currency) for p in valued),
        "costs": CostsPart(
            commission_minor=scene.costs.commission_minor,
            swap_minor=scene.costs.swap_minor,
            fee_minor=scene.costs.fee_minor,
        ),
        "equity_minor": scene.equity_minor,
    }


def breach_sheet(
    proof_id: str,
    scene: JudgedAccount,
    spec: FloorSpec,
    state: RuleState,
    board: QuoteBoard,
    instruments: Mapping[str, Instrument],
    *,
    offence: int = 1,
    subject: str | None = None,
) -> dict[str, Any]:
    """Returns the sealed proof of one broken rule. `offence`: its number, which decides the consequence. `subject`: the
    symbol or position, where each is a limit of its own."""
    terms = scene.terms.rule(spec.rule_id)
    assert isinstance(terms, EquityRule)
    body = money_fields("breach", proof_id, scene, board, instruments)
    balance, event = scene.balance.balance_minor, scene.event
    worth = spec.counted(Mark(balance, scene.equity_minor, event.seq, event.at, scene.costs)).equity_minor
    positions: tuple[PositionPart, ...] = body["positions"]
    if subject is not None:
        worth = subject_worth(spec, positions, subject)
    rule = RulePart(
        id=spec.rule_id,
        type=spec.rule_type,
        parameters=parameters(terms),
        floor=floor_part(spec, state),
        operator=spec.operator,
        worth=worth_steps(spec, balance, scene.equity_minor, body["costs"], positions, subject),
        worth_minor=worth,
        subject=subject,
    )
    return sealed(
        BreachSheet(
            **body,
            rule=rule,
            offence=offence,
            consequence=consequence(terms, offence),
            verdict=breach_sentence(spec, worth, state.floor_minor),
        )
    )


def consequence(rule: EquityRule, offence: int) -> dict[str, Any]:
    """Returns the consequence of offence number `offence` (from 1); the last one repeats."""
    return rule.consequence(offence).model_dump(mode="json")


def pass_sheet(
    proof_id: str,
    scene: JudgedAccount,
    board: QuoteBoard,
    instruments: Mapping[str, Instrument],
    *,
    history: HistoryPart | None = None,
    gates: Sequence[GatePart] = (),
    effective_minor: int | None = None,
) -> dict[str, Any]:
    """Returns the sealed proof that the target of a phase was reached. For a phase with gates, `history`, `gates` and
    `effective_minor` are those of `domain.proofs.history.pass_history`."""
    phase, target_minor = scene.terms.phase, scene.terms.target_minor
    if phase.target is None or target_minor is None:
        raise ValueError("a phase without a target cannot be passed")
    wanted = target_minor if effective_minor is None else effective_minor
    target = TargetPart(
        type=phase.target.type,
        value=phase.target.value,
        target_minor=target_minor,
        effective_minor=wanted,
        required_balance_minor=scene.terms.initial_minor + wanted,
        min_trading_days=phase.min_trading_days,
        trading_days=tuple(scene.trading_days),
    )
    return sealed(
        PassSheet(
            **money_fields("pass", proof_id, scene, board, instruments),
            target=target,
            history=history,
            gates=tuple(gates),
            verdict=pass_sentence(scene.balance.balance_minor, target, len(scene.positions), gates),
        )
    )
