"""Recomputes a verdict with an input that the venue has corrected or cancelled since.

Everything comes from the proof sheet and the correction. Where the sheet does not contain a needed figure (the quote
before a cancelled one, the events behind a level that was set at the corrected event), the result says so and
nothing is guessed.
"""

from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any

from domain.pnl import conversion_rate, position_profit_minor
from domain.products.phase_terms import phase_terms
from domain.products.product import Product
from domain.proofs.check_money import state_of
from domain.proofs.levels import breach_sentence
from domain.proofs.sheets import BreachSheet, MoneySheet, PassSheet, PositionPart, QuotePart, read
from domain.rules.floors import Costs, Mark, breached, marked


@dataclass(frozen=True, slots=True)
class Correction:
    """A correction: `bid` and `ask` of a tick, or the whole effect of a deal on the balance; all None: cancelled."""

    corrects_seq: int
    bid: Decimal | None = None
    ask: Decimal | None = None
    change_minor: int | None = None

    @property
    def cancels(self) -> bool:
        return self.bid is None and self.change_minor is None


@dataclass(frozen=True, slots=True)
class CorrectionResult:
    """`stands`: whether the verdict would be the same; None when the sheet is not enough, for the reasons in
    `unknown`."""

    stands: bool | None
    balance_minor: int
    equity_minor: int
    sentence: str
    unknown: tuple[str, ...]


def corrected(body: dict[str, Any], change: Correction) -> CorrectionResult | None:
    """Returns the verdict of a stored sheet with the correction; None for kinds without quotes and deals. Raises
    ValidationError when `body` is not a sheet."""
    sheet = read(body)
    if not isinstance(sheet, BreachSheet | PassSheet):
        return None
    unknown = list(_unknown(sheet, change))
    movements = sum(
        (change.change_minor or 0) if m.seq == change.corrects_seq else m.amount_minor for m in sheet.balance.movements
    )
    balance = sheet.balance.opening_minor + movements
    equity = balance + sum(_profit(position, change, sheet.account.currency) for position in sheet.positions)
    stands, sentence = _judged(sheet, change, balance, equity)
    if unknown:
        return CorrectionResult(None, balance, equity, sentence, tuple(unknown))
    return CorrectionResult(stands, balance, equity, sentence, ())


def _unknown(sheet: MoneySheet, change: Correction) -> list[str]:
    found = []
    quoted = any(
        change.corrects_seq in (p.quote.seq, p.conversion_quote.seq if p.conversion_quote else None)
        for p in sheet.positions
    )
    if change.cancels and quoted:
        found.append("the sheet does not contain the quote before the cancelled one")
    if change.cancels and sheet.event.seq == change.corrects_seq:
        found.append("the deciding event was cancelled")
    if isinstance(sheet, BreachSheet) and sheet.rule.floor.basis.set_seq == change.corrects_seq:
        found.append("the level was set at the corrected event")
    return found


def _quote(quote: QuotePart, change: Correction) -> QuotePart:
    if quote.seq != change.corrects_seq or change.bid is None or change.ask is None:
        return quote
    return quote.model_copy(update={"bid": change.bid, "ask": change.ask})


def _profit(position: PositionPart, change: Correction, currency: str) -> int:
    quote, by = _quote(position.quote, change), position.conversion_quote
    converts = _quote(by, change) if by else None
    rate = conversion_rate(
        position.quote_currency, currency, {converts.symbol: (converts.bid, converts.ask)} if converts else {}
    )
    price = quote.bid if position.side == "buy" else quote.ask
    return position_profit_minor(
        position.side, position.lots, position.contract_size, position.open_price, price, rate, currency
    )


def _judged(sheet: BreachSheet | PassSheet, change: Correction, balance: int, equity: int) -> tuple[bool, str]:
    if isinstance(sheet, PassSheet):
        required = sheet.target.required_balance_minor
        stands = balance >= required
        return stands, f"{'passed' if stands else 'not passed'}: balance {balance} of {required}"
    product = Product.model_validate(sheet.product.terms)
    rule, costs = sheet.rule, sheet.costs
    specs = phase_terms(product, sheet.account.phase_index, initial_minor=sheet.account.initial_minor).specs
    spec = next(s for s in specs if (s.rule_id, s.direction) == (rule.id, rule.floor.direction))
    paid = Costs(costs.commission_minor, costs.swap_minor, costs.fee_minor)
    mark = Mark(balance, equity, sheet.event.seq, sheet.event.at, paid)
    worth, level = spec.counted(mark).equity_minor, rule.floor.floor_minor
    if rule.subject is not None:
        mine = (p for p in sheet.positions if rule.subject in (p.symbol, p.position_id))
        worth = sum(_profit(position, change, sheet.account.currency) for position in mine)
    if (spec.moves == "always" or spec.figured) and spec.judged_at == "every_event":
        state = replace(state_of(rule.floor.basis, rule.floor.locked_by_payout), floor_minor=level)
        level = marked(spec, state, mark).floor_minor
    return breached(spec, level, worth), breach_sentence(spec, worth, level)
