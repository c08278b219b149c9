"""Checks the sheets about an account's worth: balance, positions, floor and verdict of a breach; target of a pass."""

from collections.abc import Iterator
from decimal import Decimal
from itertools import pairwise

from domain.errors import RateMissing
from domain.pnl import conversion_rate, position_profit_minor
from domain.products.phase_terms import PhaseTerms
from domain.proofs import levels
from domain.proofs import money as proof
from domain.proofs.difference import Difference, compare, compare_part
from domain.proofs.sheets import BasisPart, BreachSheet, MoneySheet, PassSheet, PositionPart
from domain.proofs.sources import BalanceSource, BarSource, StatementSource, StateSource
from domain.rules.base import EquityRule
from domain.rules.floors import Costs, FloorSpec, Mark, RuleState

_ONE_MINUTE = 60
# sizes of a step that need no figure of the moment at which it was reached
_KNOWN_SIZES = ("amount", "pct_of_initial", "pct_of_anchor")


def check_money(sheet: MoneySheet, terms: PhaseTerms) -> Iterator[Difference]:
    yield from _clocks(sheet, terms)
    yield from _balance(sheet)
    for index, position in enumerate(sheet.positions):
        for difference in _position(position, sheet):
            yield Difference(f"positions.{index}.{difference.field}", difference.stated, difference.recomputed)
    yield from _source(sheet)


def _clocks(sheet: MoneySheet, terms: PhaseTerms) -> Iterator[Difference]:
    at, loss = sheet.event.at, terms.product.loss_clock
    expected = proof.clock_part(loss, at) if loss else None
    if expected is None or sheet.loss_clock is None:
        yield from compare("loss_clock", sheet.loss_clock, expected)
    else:
        yield from compare_part("loss_clock", sheet.loss_clock, expected)
    if sheet.event.kind == "rollover":
        yield from compare("event.at", at, proof.clock_part(loss or terms.product.clock, at).day_started_at)


def _balance(sheet: MoneySheet) -> Iterator[Difference]:
    total, last = sheet.balance.opening_minor, sheet.balance.opening_seq
    for index, movement in enumerate(sheet.balance.movements):
        total += movement.amount_minor
        if movement.seq < last:
            yield Difference(f"balance.movements.{index}.seq", str(movement.seq), f"not before {last}")
        last = movement.seq
    if last > sheet.event.seq:
        yield Difference("balance.movements", str(last), f"nothing after the event, {sheet.event.seq}")
    yield from compare("balance.balance_minor", sheet.balance.balance_minor, total)


def _position(position: PositionPart, sheet: MoneySheet) -> Iterator[Difference]:
    quote, currency = position.quote, sheet.account.currency
    yield from compare("quote.symbol", quote.symbol, position.symbol)
    yield from compare("close_price", position.close_price, quote.bid if position.side == "buy" else quote.ask)
    by = position.conversion_quote
    for name, used in (("quote", quote), ("conversion_quote", by)):
        if used is not None and used.seq > sheet.event.seq:
            yield Difference(f"{name}.seq", str(used.seq), f"at most {sheet.event.seq}, the event's")
        if used is not None and used.bid > used.ask:
            yield Difference(f"{name}.ask", str(used.ask), f"not below the bid, {used.bid}")
    prices: dict[str, tuple[Decimal, Decimal]] = {by.symbol: (by.bid, by.ask)} if by else {}
    try:
        rate = conversion_rate(position.quote_currency, currency, prices)
    except (RateMissing, ArithmeticError) as exc:
        yield Difference("conversion_quote", str(by), getattr(exc, "message", "a usable rate"))
        return
    yield from compare("conversion_rate", position.conversion_rate, rate)
    profit = position_profit_minor(
        position.side,
        position.lots,
        position.contract_size,
        position.open_price,
        position.close_price,
        position.conversion_rate,
        currency,
    )
    yield from compare("profit_minor", position.profit_minor, profit)


def _source(sheet: MoneySheet) -> Iterator[Difference]:
    """Checks the equity by its source."""
    source, balance = sheet.source, sheet.balance.balance_minor
    equity = balance + sum(p.profit_minor for p in sheet.positions)
    if isinstance(source, StateSource):
        equity = source.equity_minor
        yield from compare("source.balance_minor", source.balance_minor, balance)
        if source.seq > sheet.event.seq:
            yield Difference("source.seq", str(source.seq), f"at most {sheet.event.seq}, the event's")
        if source.at > sheet.event.at:
            yield Difference("source.at", str(source.at), f"not after the event, {sheet.event.at}")
    elif isinstance(source, StatementSource) and source.stated_equity_minor is not None:
        equity = source.stated_equity_minor
    elif isinstance(source, BarSource):
        equity = source.equity_minor
        yield from compare("source.balance_minor", source.balance_minor, balance)
        figures = (source.open_minor, source.close_minor)
        if not source.low_minor <= min(figures) <= max(figures) <= source.high_minor:
            yield Difference("source", str(source), "low, open, close and high in order")
        seconds = (sheet.event.at - source.minute).total_seconds()
        if not 0 <= seconds <= _ONE_MINUTE:
            yield Difference("source.minute", str(source.minute), f"the minute of the event, {sheet.event.at}")
    yield from compare("equity_minor", sheet.equity_minor, equity)


def check_breach(sheet: BreachSheet, terms: PhaseTerms) -> Iterator[Difference]:
    rule = sheet.rule
    direction = rule.floor.direction
    spec = next((s for s in terms.specs if (s.rule_id, s.direction) == (rule.id, direction)), None)
    if spec is None:
        yield Difference("rule.id", f"{rule.id}, {direction}", "a level of this phase")
        return
    definition = terms.rule(rule.id)
    assert isinstance(definition, EquityRule)
    yield from compare("rule.type", rule.type, spec.rule_type)
    yield from compare("rule.parameters", rule.parameters, proof.parameters(definition))
    yield from compare("rule.operator", rule.operator, spec.operator)
    yield from _offence(sheet, definition)
    yield from check_basis("rule.floor.basis", rule.floor.basis, spec, sheet.event.seq)
    expected = levels.floor_part(spec, state_of(rule.floor.basis, rule.floor.locked_by_payout))
    yield from compare_part("rule.floor", rule.floor, expected, but=("basis",))
    yield from _locked(sheet, spec)
    yield from _compared(sheet, spec)
    worth = _worth(sheet, spec)
    yield from compare("rule.worth_minor", rule.worth_minor, worth)
    balance, equity = sheet.balance.balance_minor, sheet.equity_minor
    steps = levels.worth_steps(spec, balance, equity, sheet.costs, sheet.positions, rule.subject)
    yield from compare("rule.worth", rule.worth, steps)
    sentence = levels.breach_sentence(spec, worth, rule.floor.floor_minor)
    yield from compare("verdict", sheet.verdict, sentence)
    if not sentence.startswith("breached"):
        yield Difference("verdict", sheet.verdict, "a breach sheet proves a breach")


def _offence(sheet: BreachSheet, rule: EquityRule) -> Iterator[Difference]:
    if sheet.offence < 1:
        yield Difference("offence", str(sheet.offence), "at least 1")
    yield from compare("consequence", sheet.consequence, proof.consequence(rule, sheet.offence))


def _locked(sheet: BreachSheet, spec: FloorSpec) -> Iterator[Difference]:
    if sheet.rule.floor.locked_by_payout and spec.settles not in ("locks", "zero"):
        yield Difference("rule.floor.locked_by_payout", "True", "no payout fixes this floor")


def _compared(sheet: BreachSheet, spec: FloorSpec) -> Iterator[Difference]:
    """Checks that the event compares this level, with the balance after it."""
    floor, subject = sheet.rule.floor, sheet.rule.subject
    if (subject is None) is not (spec.per == "account"):
        yield Difference("rule.subject", str(subject), f"the worth of each {spec.per}")
    if isinstance(sheet.source, BalanceSource) and spec.holds.floating:
        yield Difference("source", sheet.source.source, "a source of the equity: the rule counts open profit and loss")
    if spec.judged_at == "eod":
        yield from compare("event.kind", sheet.event.kind, "rollover")
        return
    balance = spec.counted(_mark(sheet)).balance_minor
    if spec.moves == "always":
        yield from compare("rule.floor.basis.value_minor", floor.basis.value_minor, balance)
    if floor.basis.figures is not None:
        yield from compare("rule.floor.basis.figures.balance_minor", floor.basis.figures.balance_minor, balance)


def _mark(sheet: BreachSheet) -> Mark:
    costs = Costs(sheet.costs.commission_minor, sheet.costs.swap_minor, sheet.costs.fee_minor)
    return Mark(sheet.balance.balance_minor, sheet.equity_minor, sheet.event.seq, sheet.event.at, costs)


def _worth(sheet: BreachSheet, spec: FloorSpec) -> int:
    if sheet.rule.subject is not None:
        return levels.subject_worth(spec, sheet.positions, sheet.rule.subject)
    return spec.counted(_mark(sheet)).equity_minor


def state_of(basis: BasisPart, locked: bool) -> RuleState:
    """Returns the state of a level, without the level itself, which the caller recomputes."""
    return RuleState(
        basis.value_minor,
        0,
        locked,
        basis.balance_minor,
        basis.equity_minor,
        basis.payouts_minor,
        basis.set_seq,
        basis.set_at,
        basis.figures,
    )


def check_basis(field: str, basis: BasisPart, spec: FloorSpec, last_seq: int | None) -> Iterator[Difference]:
    """Checks an anchor or peak against the figures it was taken from. `last_seq`: the latest number at which it was
    set."""
    yield from compare(f"{field}.source", basis.source, spec.source)
    yield from compare(f"{field}.moves", basis.moves, spec.moves)
    taken = spec.figure(basis.balance_minor, basis.equity_minor)
    yield from compare(f"{field}.value_minor", basis.value_minor, taken - basis.payouts_minor)
    if basis.set_at is None:
        yield from compare(f"{field}.set_seq", basis.set_seq, 0)
        initial = (spec.initial_minor, spec.initial_minor)
        yield from compare(f"{field}.balance_minor", (basis.balance_minor, basis.equity_minor), initial)
    yield from _figures(f"{field}.figures", basis, spec)
    if not spec.payout_falls:
        yield from compare(f"{field}.payouts_minor", basis.payouts_minor, 0)
    if not spec.holds.floating:
        yield from compare(f"{field}.equity_minor", basis.equity_minor, basis.balance_minor)
    if last_seq is not None and basis.set_seq > last_seq:
        yield Difference(f"{field}.set_seq", str(basis.set_seq), f"at most {last_seq}, the event's")


def _figures(field: str, basis: BasisPart, spec: FloorSpec) -> Iterator[Difference]:
    """Checks the further figures of a level against its terms."""
    if (basis.figures is not None) is not spec.figured:
        yield Difference(field, str(basis.figures), "figures" if spec.figured else "none")
    if basis.figures is None or not spec.figured:
        return
    figures = basis.figures
    if not figures.reset:
        initial = (spec.initial_minor, spec.initial_minor)
        yield from compare(f"{field}.anchor_minor", (figures.anchor_minor, figures.peak_minor), initial)
    elif figures.peak_minor < figures.anchor_minor:
        yield Difference(f"{field}.peak_minor", str(figures.peak_minor), f"at least {figures.anchor_minor}, the anchor")
    if not 0 <= figures.step <= len(spec.steps):
        yield Difference(f"{field}.step", str(figures.step), f"one of {len(spec.steps)} steps, or 0")
    elif not figures.step:
        yield from compare(f"{field}.step", (figures.step_base_minor, figures.step_allowance_minor), (0, 0))
    else:
        step = spec.steps[figures.step - 1]
        if step.anchor == "initial":
            yield from compare(f"{field}.step_base_minor", figures.step_base_minor, spec.initial_minor)
        elif figures.step_base_minor < step.reaches_minor:
            reaches = f"at least {step.reaches_minor}"
            yield Difference(f"{field}.step_base_minor", str(figures.step_base_minor), reaches)
        if step.size.size.type in _KNOWN_SIZES:
            size = spec.step_allowance(figures.step, figures.step_base_minor, figures)
            yield from compare(f"{field}.step_allowance_minor", figures.step_allowance_minor, size)


def check_pass(sheet: PassSheet, terms: PhaseTerms) -> Iterator[Difference]:
    target, phase = sheet.target, terms.phase
    if phase.target is None or terms.target_minor is None:
        yield Difference("target", str(target), "a phase with a target")
        return
    if isinstance(sheet.source, BalanceSource):
        yield Difference("source", sheet.source.source, "a source of the equity: nothing is open at a pass")
    required = terms.initial_minor + target.effective_minor
    yield from compare("target.type", target.type, phase.target.type)
    yield from compare("target.value", target.value, phase.target.value)
    yield from compare("target.target_minor", target.target_minor, terms.target_minor)
    yield from compare("target.required_balance_minor", target.required_balance_minor, required)
    yield from compare("target.min_trading_days", target.min_trading_days, phase.min_trading_days)
    if any(later <= earlier for earlier, later in pairwise(target.trading_days)):
        yield Difference("target.trading_days", ", ".join(map(str, target.trading_days)), "each day once, in order")
    if any(day > sheet.clock.trading_day for day in target.trading_days):
        yield Difference("target.trading_days", str(target.trading_days[-1]), f"none after {sheet.clock.trading_day}")
    sentence = proof.pass_sentence(sheet.balance.balance_minor, target, len(sheet.positions), sheet.gates)
    yield from compare("verdict", sheet.verdict, sentence)
    if not sentence.startswith("passed"):
        yield Difference("verdict", sheet.verdict, "a pass sheet proves a pass")
