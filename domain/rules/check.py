"""Recompute a proof sheet from itself alone and say where it differs."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from pydantic import ValidationError

from domain.pnl import RateMissing, conversion_rate, position_profit_minor
from domain.products import Product
from domain.rules import proof
from domain.rules.floors import FloorSpec, RuleState
from domain.rules.proof import PositionPart, Sheet
from domain.rules.state import PhaseTerms, phase_terms


@dataclass(frozen=True, slots=True)
class Difference:
    """What a field of the sheet says, and what follows from the rest of it."""

    field: str
    stated: str
    recomputed: str


def check(data: Mapping[str, Any]) -> list[Difference]:
    """Every difference between what a sheet states and what it itself implies; none: it holds.

    Works without a database, on JSON data as `sealed` made it; never raises for bad content.
    """
    found = []
    stated = data.get("hash")
    actual = proof.digest(data)
    if stated != actual:
        found.append(Difference("hash", str(stated), actual))
    body = {key: value for key, value in data.items() if key != "hash"}
    try:
        sheet = Sheet.model_validate(body)
        product = Product.model_validate(sheet.product.terms)
    except ValidationError as exc:
        rows = [Difference(".".join(map(str, e["loc"])), str(e["input"])[:60], e["msg"]) for e in exc.errors()]
        return found + rows
    if not 1 <= sheet.account.phase_index <= product.funded_index:
        return [*found, Difference("account.phase_index", str(sheet.account.phase_index), "a phase of the product")]
    terms = phase_terms(product, sheet.account.phase_index)
    parts = (_identity, _clock, _balance, _positions, _equity, _breach if sheet.kind == "breach" else _pass)
    return found + [difference for part in parts for difference in part(sheet, terms)]


def _compare(field: str, stated: object, recomputed: object) -> Iterator[Difference]:
    if stated != recomputed:
        yield Difference(field, str(stated), str(recomputed))


def _identity(sheet: Sheet, terms: PhaseTerms) -> Iterator[Difference]:
    product = terms.product
    yield from _compare("product.ref", sheet.product.ref, product.ref)
    yield from _compare("product.content_hash", sheet.product.content_hash, product.content_hash)
    yield from _compare("product.terms", sheet.product.terms, product.model_dump(mode="json"))
    yield from _compare("account.phase_name", sheet.account.phase_name, terms.phase.name)
    yield from _compare("account.currency", sheet.account.currency, product.currency)
    yield from _compare("account.initial_minor", sheet.account.initial_minor, product.initial_minor)


def _clock(sheet: Sheet, terms: PhaseTerms) -> Iterator[Difference]:
    expected = proof.clock_part(terms.product.clock, sheet.event.at)
    for name in type(expected).model_fields:
        yield from _compare(f"clock.{name}", getattr(sheet.clock, name), getattr(expected, name))
    if sheet.event.kind == "rollover":
        yield from _compare("event.at", sheet.event.at, expected.day_started_at)


def _balance(sheet: Sheet, terms: PhaseTerms) -> Iterator[Difference]:
    total, last = sheet.balance.opening_minor, sheet.balance.opening_seq
    for index, movement in enumerate(sheet.balance.movements):
        total += movement.amount_minor
        if movement.seq < last:
            yield Difference(f"balance.movements.{index}.seq", str(movement.seq), f"not before {last}")
        last = movement.seq
    if last > sheet.event.seq:
        yield Difference("balance.movements", str(last), f"nothing after the event, {sheet.event.seq}")
    yield from _compare("balance.balance_minor", sheet.balance.balance_minor, total)


def _positions(sheet: Sheet, terms: PhaseTerms) -> Iterator[Difference]:
    for index, position in enumerate(sheet.positions):
        for difference in _position(position, sheet):
            yield Difference(f"positions.{index}.{difference.field}", difference.stated, difference.recomputed)


def _position(position: PositionPart, sheet: Sheet) -> Iterator[Difference]:
    quote, currency = position.quote, sheet.account.currency
    yield from _compare("quote.symbol", quote.symbol, position.symbol)
    yield from _compare("close_price", position.close_price, quote.bid if position.side == "buy" else quote.ask)
    if quote.seq > sheet.event.seq:
        yield Difference("quote.seq", str(quote.seq), f"at most {sheet.event.seq}, the event's")
    by = position.conversion_quote
    prices: dict[str, tuple[Decimal, Decimal]] = {by.symbol: (by.bid, by.ask)} if by else {}
    try:
        rate = conversion_rate(position.quote_currency, currency, prices)
    except RateMissing as exc:
        yield Difference("conversion_quote", str(by), exc.message)
        return
    yield from _compare("conversion_rate", position.conversion_rate, rate)
    profit = position_profit_minor(
        position.side,
        position.lots,
        position.contract_size,
        position.open_price,
        position.close_price,
        position.conversion_rate,
        currency,
    )
    yield from _compare("profit_minor", position.profit_minor, profit)


def _equity(sheet: Sheet, terms: PhaseTerms) -> Iterator[Difference]:
    total = sheet.balance.balance_minor + sum(p.profit_minor for p in sheet.positions)
    yield from _compare("equity_minor", sheet.equity_minor, total)


def _breach(sheet: Sheet, terms: PhaseTerms) -> Iterator[Difference]:
    rule = sheet.rule
    spec = next((spec for spec in terms.specs if rule and spec.rule_id == rule.id), None)
    if rule is None or spec is None:
        yield Difference("rule.id", str(rule and rule.id), "a rule of this phase")
        return
    parameters = next(r for r in terms.phase.equity_rules if r.id == rule.id).model_dump(mode="json")
    yield from _compare("rule.type", rule.type, spec.rule_type)
    yield from _compare("rule.parameters", rule.parameters, parameters)
    yield from _compare("rule.operator", rule.operator, spec.operator)
    yield from _basis(sheet, spec, rule.floor)
    b = rule.floor.basis
    state = RuleState(
        b.value_minor,
        0,
        rule.floor.locked_by_payout,
        b.balance_minor,
        b.equity_minor,
        b.payouts_minor,
        b.set_seq,
        b.set_at,
    )
    expected = proof.floor_part(spec, state)
    for name in type(expected).model_fields:
        if name != "basis":
            yield from _compare(f"rule.floor.{name}", getattr(rule.floor, name), getattr(expected, name))
    yield from _compare(
        "verdict", sheet.verdict, proof.breach_sentence(spec, sheet.equity_minor, rule.floor.floor_minor)
    )
    if not sheet.verdict.startswith("breached"):
        yield Difference("verdict", sheet.verdict, "a breach sheet proves a breach")


def _basis(sheet: Sheet, spec: FloorSpec, floor: proof.FloorPart) -> Iterator[Difference]:
    basis = floor.basis
    yield from _compare("rule.floor.basis.source", basis.source, spec.source)
    yield from _compare("rule.floor.basis.moves", basis.moves, spec.moves)
    taken = spec.figure(basis.balance_minor, basis.equity_minor)
    yield from _compare("rule.floor.basis.value_minor", basis.value_minor, taken - basis.payouts_minor)
    if basis.set_at is None:
        initial = (spec.initial_minor, spec.initial_minor)
        yield from _compare("rule.floor.basis.balance_minor", (basis.balance_minor, basis.equity_minor), initial)
    if basis.set_seq > sheet.event.seq:
        yield Difference("rule.floor.basis.set_seq", str(basis.set_seq), f"at most {sheet.event.seq}, the event's")


def _pass(sheet: Sheet, terms: PhaseTerms) -> Iterator[Difference]:
    target = sheet.target
    if target is None or terms.phase.target is None or terms.target_minor is None:
        yield Difference("target", str(target), "a phase with a target")
        return
    required = terms.product.initial_minor + terms.target_minor
    yield from _compare("target.type", target.type, terms.phase.target.type)
    yield from _compare("target.value", target.value, terms.phase.target.value)
    yield from _compare("target.target_minor", target.target_minor, terms.target_minor)
    yield from _compare("target.required_balance_minor", target.required_balance_minor, required)
    yield from _compare("target.min_trading_days", target.min_trading_days, terms.phase.min_trading_days)
    sentence = proof.pass_sentence(
        sheet.balance.balance_minor,
        required,
        len(sheet.positions),
        len(set(target.trading_days)),
        terms.phase.min_trading_days,
    )
    yield from _compare("verdict", sheet.verdict, sentence)
    if not sentence.startswith("passed"):
        yield Difference("verdict", sheet.verdict, "a pass sheet proves a pass")
