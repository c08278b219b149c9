"""A proof sheet as a person reads it, and the result of recomputing it from itself alone."""

from collections.abc import Mapping
from typing import Any

from console.formats import capital, counted, plain_money, words
from console.views import Entry, ProofView, ProvenPosition, SumLine
from domain.money import Money
from domain.rules.check import check
from domain.rules.proof import ClockPart, EventPart, Sheet

_SHOWN_MOVEMENTS = 100


def view(body: Mapping[str, Any], number: str) -> ProofView:
    """Raises ValidationError when the stored body is no sheet at all."""
    sheet = Sheet.model_validate({key: value for key, value in body.items() if key != "hash"})
    currency = sheet.account.currency

    def money(minor: int) -> Money:
        return Money(minor=minor, currency=currency)

    floating = sheet.equity_minor - sheet.balance.balance_minor
    return ProofView(
        proof_id=sheet.proof_id,
        kind=sheet.kind,
        verdict=_verdict(sheet),
        digest=str(body.get("hash", "")),
        account_number=number,
        account_facts=(
            ("Account", f"{number}, login {sheet.account.login}"),
            ("Phase", f"{sheet.account.phase_index}: {sheet.account.phase_name}"),
            ("Initial balance", plain_money(money(sheet.account.initial_minor))),
            ("Product", sheet.product.ref),
            ("Terms hash", sheet.product.content_hash),
        ),
        event_facts=_event(sheet.event),
        clock_facts=_clock(sheet.clock),
        rule_facts=_rule(sheet),
        floor=_derivation(sheet, money),
        money=(
            SumLine("Balance when the day began", money(sheet.balance.opening_minor)),
            SumLine(
                "Movements since",
                money(sheet.balance.balance_minor - sheet.balance.opening_minor),
                counted(len(sheet.balance.movements), "movement"),
            ),
            SumLine("Balance", money(sheet.balance.balance_minor), total=True),
            SumLine("Open profit", money(floating), counted(len(sheet.positions), "position")),
            SumLine("Equity", money(sheet.equity_minor), total=True),
        ),
        movements=[
            Entry(at=m.at, kind=m.kind, text=f"{m.reference}, sequence {m.seq}", amount=money(m.amount_minor))
            for m in sheet.balance.movements[-_SHOWN_MOVEMENTS:]
        ],
        positions=[
            ProvenPosition(
                p.position_id,
                p.symbol,
                p.side,
                p.lots,
                p.open_price,
                p.close_price,
                p.conversion_rate,
                money(p.profit_minor),
                f"{p.quote.bid} / {p.quote.ask} at {p.quote.at:%H:%M:%S}",
            )
            for p in sheet.positions
        ],
        differences=[f"{d.field} says {d.stated}, recomputed {d.recomputed}" for d in check(body)],
    )


def _verdict(sheet: Sheet) -> str:
    currency = sheet.account.currency
    if sheet.rule is not None:
        equity = plain_money(Money(minor=sheet.equity_minor, currency=currency))
        floor = plain_money(Money(minor=sheet.rule.floor.floor_minor, currency=currency))
        reached = "reached" if sheet.rule.operator == "equity <= floor" else "fell below"
        return f"{capital(sheet.rule.id)} breached: equity {equity} {reached} the floor of {floor}."
    assert sheet.target is not None
    balance = plain_money(Money(minor=sheet.balance.balance_minor, currency=currency))
    needed = plain_money(Money(minor=sheet.target.required_balance_minor, currency=currency))
    days = len(set(sheet.target.trading_days))
    return (
        f"Phase passed: balance {balance} of {needed}, no open position, {days} of "
        f"{sheet.target.min_trading_days} trading days."
    )


def _event(event: EventPart) -> list[tuple[str, str]]:
    return [
        ("Kind", capital(event.kind)),
        ("Symbol", event.symbol or "none"),
        ("At", f"{event.at:%Y-%m-%d %H:%M:%S.%f}"[:-3] + " UTC"),
        ("Venue sequence", f"{event.seq:,}"),
    ]


def _clock(clock: ClockPart) -> list[tuple[str, str]]:
    return [
        ("Rule clock", f"{clock.zone}, resets at {clock.reset}"),
        ("Local time", clock.local_time),
        ("Trading day", clock.trading_day.isoformat()),
        ("Day began", f"{clock.day_started_at:%Y-%m-%d %H:%M} UTC"),
        ("Day ends", f"{clock.day_ends_at:%Y-%m-%d %H:%M} UTC"),
    ]


def _rule(sheet: Sheet) -> list[tuple[str, str]]:
    if sheet.rule is None:
        assert sheet.target is not None
        return [("Kind", "target"), ("Size", f"{sheet.target.value} {words(sheet.target.type)}")]
    basis = sheet.rule.floor.basis
    set_at = f"{basis.set_at:%Y-%m-%d %H:%M:%S} UTC, sequence {basis.set_seq:,}" if basis.set_at else "at the start"
    parameters = [
        (capital(name), _said(value))
        for name, value in sheet.rule.parameters.items()
        if name not in ("id", "type", "breach_when") and value is not None
    ]
    return [
        ("Rule", f"{sheet.rule.id} ({words(sheet.rule.type)})"),
        ("Breaches when", sheet.rule.operator),
        ("Basis", f"{basis.source}, moves: {words(basis.moves)}"),
        ("Basis set", set_at),
        *parameters,
    ]


def _said(value: object) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{words(str(name))} {_said(inner)}" for name, inner in value.items())
    return words(str(value))


def _derivation(sheet: Sheet, money: Any) -> list[SumLine]:
    if sheet.rule is not None:
        steps = sheet.rule.floor.steps
        return [SumLine(capital(step.name), money(step.minor), total=step is steps[-1]) for step in steps]
    assert sheet.target is not None
    return [
        SumLine("Initial balance", money(sheet.account.initial_minor)),
        SumLine("Target", money(sheet.target.target_minor)),
        SumLine("Balance needed", money(sheet.target.required_balance_minor), total=True),
    ]
