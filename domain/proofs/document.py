"""A proof sheet as a document: what the terminal and the page both show, in the order in which it is read.

All values are text: amounts with their currency, instants in UTC, clocks with zone and offset.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from pydantic import ValidationError

from domain.proofs.figures import (
    amount_text,
    data_text,
    figure_text,
    instant_text,
    label,
    offset_text,
    words,
)
from domain.proofs.lists import ListTable, tables
from domain.proofs.sheets import (
    AnySheet,
    BreachSheet,
    ClockPart,
    ConfirmationPart,
    ContinuesPart,
    DepartureSheet,
    GateSheet,
    HistoryPart,
    HistoryRulePart,
    MoneySheet,
    PassSheet,
    PayoutRefusalSheet,
    Step,
    ViolationSheet,
)
from domain.proofs.sources import BalanceSource, BarSource, Source, StatementSource, StateSource
from domain.rules.base import Consequence

_SIZES: Final = {
    "amount": "in the currency of the account",
    "pct_of_initial": "% of the initial balance",
    "pct_of_anchor": "% of the anchor",
    "pct_of_peak": "% of the peak",
    "pct_of_trade_value": "% of the trade value",
    "pct_of_balance": "% of the balance",
    "pct_of_payout_balance": "% of the balance that the last payout left",
    "pct_of_anchor_profit": "% of the profit at the anchor",
    "pct_of_peak_profit": "% of the profit at the peak",
}
_SHOWN_ELSEWHERE: Final = ("id", "type", "breach_when")  # parameters that have a row of their own


@dataclass(frozen=True)
class Row:
    """A label and its value. `total`: the value follows from the rows above."""

    label: str
    value: str
    total: bool = False


@dataclass(frozen=True)
class Section:
    """Labelled values under a title. `sum`: the rows are arithmetic, line by line."""

    title: str
    rows: Sequence[Row]
    sum: bool = False


@dataclass(frozen=True)
class Document:
    """`context`: rule, event, clock, account. `findings`: the derivation of the verdict. `tables`: what it rests on."""

    proof_id: str
    kind: str
    favourable: bool  # a pass, or a gate that is met
    verdict: str
    digest: str
    context: Sequence[Section]
    findings: Sequence[Section]
    tables: Sequence[ListTable]


def document(sheet: AnySheet, digest: str, account: str | None = None) -> Document:
    """Returns the document of a sheet; `digest` is its hash, `account` the number people know the account by."""
    return Document(
        proof_id=sheet.proof_id,
        kind=words(sheet.kind),
        favourable=isinstance(sheet, PassSheet) or (isinstance(sheet, GateSheet) and sheet.met),
        verdict=_verdict(sheet),
        digest=digest,
        context=[*_rule_and_event(sheet), _clock(sheet), _account(sheet, account), _origin(sheet, digest)],
        findings=list(_findings(sheet)),
        tables=list(tables(sheet)),
    )


def _verdict(sheet: AnySheet) -> str:
    currency = sheet.account.currency
    if isinstance(sheet, BreachSheet):
        rule, floor = sheet.rule, sheet.rule.floor
        worth, level = amount_text(rule.worth_minor, currency), amount_text(floor.floor_minor, currency)
        crossed = "fell below" if floor.direction == "floor" else "rose above"
        verb = "reached" if rule.operator == "equity <= floor" else crossed
        measured = "equity" if len(rule.worth) == 2 else "worth as the rule counts it"
        measured = f"what {rule.subject} makes," if rule.subject is not None else measured
        return f"{label(rule.id)} breached: {measured} {worth} {verb} the {floor.direction} of {level}."
    if isinstance(sheet, PassSheet):
        balance = amount_text(sheet.balance.balance_minor, currency)
        required = amount_text(sheet.target.required_balance_minor, currency)
        days = f"{len(set(sheet.target.trading_days))} of {sheet.target.min_trading_days} trading days"
        return f"Phase passed: balance {balance} of {required}, no open position, {days}."
    return f"{sheet.verdict[:1].upper()}{sheet.verdict[1:]}"


def _rule_and_event(sheet: AnySheet) -> Iterator[Section]:
    if isinstance(sheet, BreachSheet):
        yield Section("Rule", _breached_rule(sheet))
    elif isinstance(sheet, PassSheet):
        yield Section("Rule", _target_rule(sheet))
    elif isinstance(sheet, ViolationSheet | GateSheet):
        yield Section("Rule", _history_rule(sheet, sheet.rule))
    elif isinstance(sheet, DepartureSheet):
        yield Section("Change of platform", _departure(sheet))
    else:
        terms = sheet.product.terms.get("payout", {})
        yield Section("Rule", [Row("Terms", "payout"), *_parameters(terms)])
    yield Section("Deciding event", _event(sheet))


def _breached_rule(sheet: BreachSheet) -> list[Row]:
    rule, basis = sheet.rule, sheet.rule.floor.basis
    mirrored = ", mirrored above" if rule.floor.direction == "ceiling" else ""
    set_at = f"{instant_text(basis.set_at)}, sequence {basis.set_seq:,}" if basis.set_at else "at the start"
    return [
        Row("Rule", f"{label(rule.type)} ({rule.id})"),
        Row("Breaches when", rule.operator + mirrored),
        _offence(sheet.offence, sheet.consequence),
        *([] if rule.subject is None else [Row("Symbol or position", rule.subject)]),
        Row("Basis", f"{basis.source}, moves: {words(basis.moves)}"),
        Row("Basis set", set_at),
        *_parameters(rule.parameters),
    ]


def _offence(number: int, consequence: Mapping[str, Any]) -> Row:
    return Row(f"Consequence of offence {number}", _follows(consequence))


def _follows(consequence: Mapping[str, Any]) -> str:
    try:
        return Consequence.model_validate(consequence).words
    except ValidationError:  # of another version
        return data_text(consequence)


def _target_rule(sheet: PassSheet) -> list[Row]:
    target = sheet.target
    days = ", ".join(map(str, target.trading_days)) or "none"
    size = f"{target.value} {_SIZES.get(target.type, words(target.type))}"
    return [Row("Kind", "target"), Row("Size", size), Row("Trading days", days), *_beginning(sheet.history)]


def _history_rule(sheet: ViolationSheet | GateSheet, rule: HistoryRulePart) -> list[Row]:
    rows = [Row("Rule", f"{label(rule.type)} ({rule.id})")]
    if isinstance(sheet, ViolationSheet):
        rows.append(_offence(sheet.offence, sheet.consequence))
        rows.append(Row("Positions", ", ".join(sheet.position_ids) or "none"))
    calendars = [
        Row("Calendar", f"{calendar.name}, session dates looked up: {len(calendar.closes)}")
        for calendar in sheet.history.calendars
    ]
    return [*rows, *_beginning(sheet.history), *_parameters(rule.parameters), *calendars]


def _beginning(part: HistoryPart | None) -> list[Row]:
    """The point from which the events of a sheet begin."""
    if part is None or part.point is None:
        return []
    return [Row("History from", f"point {part.point.number}, {part.point.hash}")]


def _departure(sheet: DepartureSheet) -> list[Row]:
    point = "none: no rule looks at the history" if sheet.point is None else f"{sheet.point.number}, {sheet.point.hash}"
    return [
        Row("From", f"{sheet.platform}, login {sheet.account.login}"),
        Row("To", f"{sheet.to_platform}, login {sheet.to_login}"),
        Row("Trading days", ", ".join(map(str, sheet.trading_days)) or "none"),
        Row("Offences so far", data_text(sheet.offences) or "none"),
        Row("Point of the history", point),
    ]


def _event(sheet: AnySheet) -> list[Row]:
    currency = sheet.account.currency
    if isinstance(sheet, GateSheet):
        return [
            Row("Asked at", f"{instant_text(sheet.now.at)}, sequence {sheet.now.seq:,}"),
            Row("Balance", amount_text(sheet.now.balance_minor, currency)),
            Row("Outcome", words(sheet.outcome)),
        ]
    if isinstance(sheet, PayoutRefusalSheet):
        return [Row("Asked for", amount_text(sheet.request.gross_minor, sheet.request.currency))]
    event = sheet.event
    rows = [
        Row("Kind", label(event.kind)),
        Row("Symbol", event.symbol or "none"),
        Row("At", instant_text(event.at)),
        Row("Sequence at the platform", f"{event.seq:,}"),
    ]
    if isinstance(sheet, MoneySheet):
        rows.append(Row("Worth taken from", _source(sheet.source, currency)))
    return rows


def _source(source: Source, currency: str) -> str:
    if isinstance(source, StateSource):
        return f"the venue's own account state, sequence {source.seq:,} at {instant_text(source.at)}"
    if isinstance(source, StatementSource):
        stated = source.stated_equity_minor
        equity = "" if stated is None else f", which states an equity of {amount_text(stated, currency)}"
        return f"the statement {source.file} (SHA-256 {source.sha256[:16]}…){equity}"
    if isinstance(source, BarSource):
        return f"the {source.taken} of the stored one-minute bar of {instant_text(source.minute)}"
    if isinstance(source, BalanceSource):
        return "the balance: the result of the open positions was not known, and the rule does not count it"
    return "quotes and deals of the venue's stream"


def _clock(sheet: AnySheet) -> Section:
    rows = _clock_rows(sheet.clock)
    if isinstance(sheet, MoneySheet) and sheet.loss_clock is not None:
        rows += [Row(f"Loss snapshot: {row.label.lower()}", row.value) for row in _clock_rows(sheet.loss_clock)]
    return Section("Clock", rows)


def _clock_rows(clock: ClockPart) -> list[Row]:
    return [
        Row("Rule clock", f"{clock.zone}, resets at {clock.reset}"),
        Row("Local time", f"{clock.local_time} {clock.zone} ({offset_text(clock.utc_offset_minutes)})"),
        Row("Trading day", clock.trading_day.isoformat()),
        Row("Day began", instant_text(clock.day_started_at)),
        Row("Day ends", instant_text(clock.day_ends_at)),
    ]


def _account(sheet: AnySheet, number: str | None) -> Section:
    account, came = sheet.account, sheet.account.continues
    return Section(
        "Account and terms",
        [
            Row("Account", f"{number or account.account_id}, login {account.login}"),
            *([] if came is None else [Row("Continues", _continues(came, account.currency))]),
            Row("Phase", f"{account.phase_index}: {account.phase_name}"),
            Row("Initial balance", amount_text(account.initial_minor, account.currency)),
            Row("Product", sheet.product.ref),
            Row("Terms hash", sheet.product.content_hash),
        ],
    )


def _continues(came: ContinuesPart, currency: str) -> str:
    balance = amount_text(came.balance_minor, currency)
    return f"from {came.platform}, login {came.login}, {instant_text(came.at)}, {balance}: sheet {came.proof_id}"


def _origin(sheet: AnySheet, digest: str) -> Section:
    return Section(
        "This sheet",
        [
            Row("Proof", sheet.proof_id),
            Row("Verdict as recorded, in minor units", sheet.verdict),
            Row("SHA-256", digest),
        ],
    )


def _findings(sheet: AnySheet) -> Iterator[Section]:
    if isinstance(sheet, BreachSheet):
        yield from _breach_findings(sheet)
    elif isinstance(sheet, PassSheet):
        yield Section("How the target was derived", _target_steps(sheet), sum=True)
    elif isinstance(sheet, ViolationSheet | GateSheet):
        yield Section("What was found", _figure_rows(sheet.figures, sheet.account.currency))
    elif not isinstance(sheet, DepartureSheet):
        known = {name: value for name, value in sheet.facts.items() if value not in (None, [], {})}
        yield Section("What was known", _figure_rows(known, sheet.account.currency))
    if isinstance(sheet, MoneySheet):
        yield Section("Balance and equity", _money(sheet), sum=True)


def _breach_findings(sheet: BreachSheet) -> Iterator[Section]:
    rule, currency = sheet.rule, sheet.account.currency
    yield Section(f"How the {rule.floor.direction} was derived", _steps(rule.floor.steps, currency), sum=True)
    if len(rule.worth) > 2:  # otherwise it is the equity, which "Balance and equity" derives
        yield Section("What the rule counts", _steps(rule.worth, currency), sum=True)
    if sheet.confirmation is not None:
        yield Section("Confirmed by a person, because an input was doubtful", _confirmation(sheet.confirmation))


def _steps(steps: Sequence[Step], currency: str) -> list[Row]:
    return [Row(label(step.name), amount_text(step.minor, currency), total=step is steps[-1]) for step in steps]


def _confirmation(part: ConfirmationPart) -> list[Row]:
    doubts = [
        Row(label(doubt.kind), f"{doubt.words} (sequence {doubt.seq:,}, {instant_text(doubt.at)})")
        for doubt in part.doubts
    ]
    return [Row("Confirmed by", f"{part.confirmed_by}, {part.role}, {instant_text(part.at)}"), *doubts]


def _target_steps(sheet: PassSheet) -> list[Row]:
    target, currency = sheet.target, sheet.account.currency
    added = target.effective_minor - target.target_minor
    rows = [
        Row("Initial balance", amount_text(sheet.account.initial_minor, currency)),
        Row("Target", amount_text(target.target_minor, currency)),
    ]
    if added:
        rows.append(Row("Added by gates", amount_text(added, currency)))
    return [*rows, Row("Required balance", amount_text(target.required_balance_minor, currency), total=True)]


def _money(sheet: MoneySheet) -> list[Row]:
    currency, balance, costs = sheet.account.currency, sheet.balance, sheet.costs
    start = f"{instant_text(balance.opening_at)}" if balance.opening_at else "the start"
    moved, floating = balance.balance_minor - balance.opening_minor, sheet.equity_minor - balance.balance_minor
    paid = (("commissions", costs.commission_minor), ("swaps", costs.swap_minor), ("fees", costs.fee_minor))
    return [
        Row(f"Balance at {start}", amount_text(balance.opening_minor, currency)),
        Row(f"Movements since: {len(balance.movements):,}", amount_text(moved, currency)),
        Row("Balance", amount_text(balance.balance_minor, currency), total=True),
        Row(f"Open profit, positions: {len(sheet.positions):,}", amount_text(floating, currency)),
        Row("Equity", amount_text(sheet.equity_minor, currency), total=True),
        *(Row(f"Paid so far: {name}", amount_text(minor, currency)) for name, minor in paid if minor),
    ]


def _figure_rows(figures: Mapping[str, Any], currency: str) -> list[Row]:
    return [Row(label(name), figure_text(name, value, currency)) for name, value in figures.items()]


def _parameters(parameters: Mapping[str, Any]) -> list[Row]:
    return [
        Row(label(name), _parameter(name, value))
        for name, value in parameters.items()
        if name not in _SHOWN_ELSEWHERE and value not in (None, [], {})
    ]


def _parameter(name: str, value: Any) -> str:
    if name == "consequences" and isinstance(value, list):
        return "; ".join(f"offence {number}: {_follows(each)}" for number, each in enumerate(value, start=1))
    if isinstance(value, Mapping) and value.keys() >= {"type", "value"}:
        size = f"{data_text(value['value'])} {_SIZES.get(str(value['type']), words(str(value['type'])))}"
        more = {key: inner for key, inner in value.items() if key not in ("type", "value") and inner}
        return f"{size}, {words(data_text(more))}" if more else size
    return words(data_text(value))
