"""A proof sheet as a person reads it, and the result of recomputing it from itself alone."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any, Final

from console.formats import capital, counted, plain_money, words
from console.views.parts import Entry, Grid, SumLine
from console.views.proof import ProofView, ProvenPosition
from domain.money import Money
from domain.proofs.check import check
from domain.proofs.figures import amount, event_told, named, offset, spoken, told
from domain.proofs.sheets import (
    AnySheet,
    BarSource,
    BreachSheet,
    ClockPart,
    ConfirmationPart,
    EventPart,
    GateSheet,
    Head,
    HistoryPart,
    MoneySheet,
    PassSheet,
    PayoutRefusalSheet,
    PositionPart,
    Source,
    StatementSource,
    StateSource,
    Step,
    ViolationSheet,
    read,
)

_SHOWN_MOVEMENTS: Final = 100
_SHOWN_EVENTS: Final = 500
_UNSAID: Final = ("id", "type", "breach_when")


def view(body: Mapping[str, Any], number: str) -> ProofView:
    """Raises ValidationError when the stored body is no sheet at all."""
    sheet = read(dict(body))
    shown = _head(sheet, number, str(body.get("hash", "")))
    if isinstance(sheet, MoneySheet):
        shown = _money(shown, sheet)
    if isinstance(sheet, BreachSheet):
        shown = _breach(shown, sheet)
    elif isinstance(sheet, PassSheet):
        shown = _pass(shown, sheet)
    elif isinstance(sheet, ViolationSheet | GateSheet):
        shown = _judged_by_history(shown, sheet)
    elif isinstance(sheet, PayoutRefusalSheet):
        shown = _refusal(shown, sheet)
    return replace(shown, differences=[f"{d.field} says {d.stated}, recomputed {d.recomputed}" for d in check(body)])


def _head(sheet: AnySheet, number: str, digest: str) -> ProofView:
    good = isinstance(sheet, PassSheet) or (isinstance(sheet, GateSheet) and sheet.met)
    clocks = _clock(sheet.clock)
    if isinstance(sheet, MoneySheet) and sheet.loss_clock is not None:
        clocks += [(f"Loss snapshot: {name.lower()}", value) for name, value in _clock(sheet.loss_clock)]
    return ProofView(
        proof_id=sheet.proof_id,
        kind=words(sheet.kind),
        tone="ok" if good else "bad",
        verdict=f"{sheet.verdict[:1].upper()}{sheet.verdict[1:]}",
        digest=digest,
        account_number=number,
        account_facts=(
            ("Account", f"{number}, login {sheet.account.login}"),
            ("Phase", f"{sheet.account.phase_index}: {sheet.account.phase_name}"),
            ("Initial balance", plain_money(_amount(sheet.account.initial_minor, sheet))),
            ("Product", sheet.product.ref),
            ("Terms hash", sheet.product.content_hash),
        ),
        event_facts=_event(sheet.event) if isinstance(sheet, MoneySheet | ViolationSheet) else (),
        clock_facts=clocks,
        rule_facts=(),
    )


def _money(shown: ProofView, sheet: MoneySheet) -> ProofView:
    balance, floating = sheet.balance, sheet.equity_minor - sheet.balance.balance_minor
    costs = (
        ("commission", sheet.costs.commission_minor),
        ("swap", sheet.costs.swap_minor),
        ("fee", sheet.costs.fee_minor),
    )
    paid = [SumLine(f"Paid so far: {name}", _amount(minor, sheet)) for name, minor in costs if minor]
    return replace(
        shown,
        event_facts=[*shown.event_facts, ("Worth taken from", _source(sheet.source, sheet.account.currency))],
        money=(
            SumLine("Balance when the day began", _amount(balance.opening_minor, sheet)),
            SumLine(
                "Movements since",
                _amount(balance.balance_minor - balance.opening_minor, sheet),
                counted(len(balance.movements), "movement"),
            ),
            SumLine("Balance", _amount(balance.balance_minor, sheet), total=True),
            SumLine("Open profit", _amount(floating, sheet), counted(len(sheet.positions), "position")),
            SumLine("Equity", _amount(sheet.equity_minor, sheet), total=True),
            *paid,
        ),
        movements=[
            Entry(at=m.at, kind=m.kind, text=f"{m.reference}, sequence {m.seq}", amount=_amount(m.amount_minor, sheet))
            for m in balance.movements[-_SHOWN_MOVEMENTS:]
        ],
        positions=[_position(position, sheet) for position in sheet.positions],
    )


def _position(p: PositionPart, sheet: MoneySheet) -> ProvenPosition:
    return ProvenPosition(
        p.position_id,
        p.symbol,
        p.side,
        p.lots,
        p.open_price,
        p.close_price,
        p.conversion_rate,
        _amount(p.profit_minor, sheet),
        f"{p.quote.bid} / {p.quote.ask} at {p.quote.at:%H:%M:%S}",
    )


def _source(source: Source, currency: str) -> str:
    if isinstance(source, StateSource):
        return f"the venue's own account state, sequence {source.seq:,} at {_instant(source.at)}"
    if isinstance(source, StatementSource):
        stated = source.stated_equity_minor
        return f"the statement {source.file}" + ("" if stated is None else f", equity {amount(stated, currency)}")
    if isinstance(source, BarSource):
        return f"the {source.taken} of the stored bar of {_instant(source.minute)}"
    return "quotes and deals of the venue's stream"


def _breach(shown: ProofView, sheet: BreachSheet) -> ProofView:
    rule, floor = sheet.rule, sheet.rule.floor
    worth, level = (plain_money(_amount(minor, sheet)) for minor in (rule.worth_minor, floor.floor_minor))
    beyond = "fell below" if floor.direction == "floor" else "rose above"
    how = "reached" if rule.operator == "equity <= floor" else beyond
    counted_as = "equity" if len(rule.worth) == 2 else "worth as the rule counts it"
    basis = floor.basis
    set_at = f"{_instant(basis.set_at)}, sequence {basis.set_seq:,}" if basis.set_at else "at the start"
    return replace(
        shown,
        verdict=f"{capital(rule.id)} breached: {counted_as} {worth} {how} the {floor.direction} of {level}.",
        derivation=f"How the {floor.direction} was derived",
        floor=_steps(floor.steps, sheet),
        worth=_steps(rule.worth, sheet) if len(rule.worth) > 2 else (),
        rule_facts=[
            ("Rule", f"{rule.id} ({words(rule.type)})"),
            ("Breaches when", rule.operator + (", mirrored above" if floor.direction == "ceiling" else "")),
            ("Offence", f"number {sheet.offence}: {told(sheet.consequence)}"),
            ("Basis", f"{basis.source}, moves: {words(basis.moves)}"),
            ("Basis set", set_at),
            *_parameters(rule.parameters),
        ],
        facts=_confirmation(sheet.confirmation),
    )


def _confirmation(part: ConfirmationPart | None) -> list[tuple[str, list[tuple[str, str]]]]:
    if part is None:
        return []
    who = ("Confirmed by", f"{part.confirmed_by}, {part.role}, {_instant(part.at)}")
    doubts = [(capital(doubt.kind), f"{doubt.words} ({_instant(doubt.at)})") for doubt in part.doubts]
    return [("Confirmed on doubtful inputs", [who, *doubts])]


def _pass(shown: ProofView, sheet: PassSheet) -> ProofView:
    target, balance = sheet.target, plain_money(_amount(sheet.balance.balance_minor, sheet))
    needed = plain_money(_amount(target.required_balance_minor, sheet))
    lines = [
        SumLine("Initial balance", _amount(sheet.account.initial_minor, sheet)),
        SumLine("Target", _amount(target.target_minor, sheet)),
    ]
    if target.effective_minor != target.target_minor:
        lines.append(SumLine("Added by gates", _amount(target.effective_minor - target.target_minor, sheet)))
    gates = Grid("Gates", ("Gate", "Outcome", "Why"), [(g.rule_id, words(g.outcome), g.sentence) for g in sheet.gates])
    return replace(
        shown,
        verdict=f"Phase passed: balance {balance} of {needed}, no open position, {len(set(target.trading_days))} of "
        f"{target.min_trading_days} trading days.",
        derivation="How the target was derived",
        floor=[*lines, SumLine("Balance needed", _amount(target.required_balance_minor, sheet), total=True)],
        rule_facts=[
            ("Kind", "target"),
            ("Size", f"{target.value} {words(target.type)}"),
            ("Trading days", ", ".join(map(str, target.trading_days)) or "none"),
        ],
        grids=[gates, *_events(sheet.history, sheet)] if sheet.history is not None else (),
    )


def _judged_by_history(shown: ProofView, sheet: ViolationSheet | GateSheet) -> ProofView:
    currency, rule = sheet.account.currency, sheet.rule
    figures = [(capital(named(name)), spoken(name, value, currency)) for name, value in sheet.figures.items()]
    facts = [("Rule", f"{rule.id} ({words(rule.type)})")]
    if isinstance(sheet, ViolationSheet):
        facts.append(("Offence", f"number {sheet.offence}: {told(sheet.consequence)}"))
        facts.append(("Positions", ", ".join(sheet.position_ids) or "none"))
    else:
        shown = replace(shown, event_facts=[("Asked at", _instant(sheet.now.at)), ("Outcome", words(sheet.outcome))])
    return replace(
        shown,
        rule_facts=[*facts, *_parameters(rule.parameters)],
        facts=[("What was found", figures)],
        grids=_events(sheet.history, sheet),
    )


def _events(part: HistoryPart, sheet: AnySheet) -> list[Grid]:
    rows = [
        (
            str(e["seq"]),
            _instant(datetime.fromisoformat(e["at"])),
            words(e["type"]),
            event_told(e, sheet.account.currency),
        )
        for e in part.events[-_SHOWN_EVENTS:]
    ]
    return [Grid("The events that decided", ("Sequence", "At", "Event", "What"), rows, "Nothing had happened.")]


def _refusal(shown: ProofView, sheet: PayoutRefusalSheet) -> ProofView:
    currency = sheet.account.currency
    reasons = [
        (words(r.code), r.sentence, ", ".join(f"{named(n)} {spoken(n, v, currency)}" for n, v in r.figures.items()))
        for r in sheet.refusals
    ]
    rooms = [
        (
            words(room.key),
            *(
                amount(x, currency)
                for x in (room.floor_minor, room.room_minor, room.room_after_minor, room.spare_minor)
            ),
        )
        for room in sheet.rooms
    ]
    facts = [(capital(named(n)), spoken(n, v, currency)) for n, v in sheet.facts.items() if v not in (None, [], {})]
    return replace(
        shown,
        event_facts=[("Asked for", amount(sheet.request.gross_minor, sheet.request.currency))],
        rule_facts=[("Terms", "payout"), *_parameters(sheet.product.terms.get("payout", {}))],
        facts=[("What was known", facts)],
        grids=[
            Grid("Refused because", ("Code", "Reason", "Figures"), reasons),
            Grid(
                "Room to each level", ("Level", "Stands at", "Room", "After the payout", "Most that can leave"), rooms
            ),
        ],
    )


def _amount(minor: int, sheet: Head) -> Money:
    return Money(minor=minor, currency=sheet.account.currency)


def _instant(at: datetime) -> str:
    return f"{at:%Y-%m-%d %H:%M:%S} UTC"


def _steps(steps: tuple[Step, ...], sheet: AnySheet) -> list[SumLine]:
    return [SumLine(capital(step.name), _amount(step.minor, sheet), total=step is steps[-1]) for step in steps]


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
        ("Local time", f"{clock.local_time} ({offset(clock.utc_offset_minutes)})"),
        ("Trading day", clock.trading_day.isoformat()),
        ("Day began", f"{clock.day_started_at:%Y-%m-%d %H:%M} UTC"),
        ("Day ends", f"{clock.day_ends_at:%Y-%m-%d %H:%M} UTC"),
    ]


def _parameters(parameters: Mapping[str, Any]) -> list[tuple[str, str]]:
    return [
        (capital(name), words(told(value)))
        for name, value in parameters.items()
        if name not in _UNSAID and value not in (None, [], {})
    ]
