"""A statement judged as if it had been traded under a product: the terms fitted to the account, every rule folded over
its life, each verdict with its proof."""

import hashlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from pydantic import ValidationError

from domain.errors import BadInput
from domain.money import from_minor
from domain.products import Product
from domain.rules import proof
from domain.rules.base import VenueCalendar, said
from domain.rules.check import check
from domain.rules.events import Clocked, Event, Marked, PaidOut, Rolled
from domain.rules.proof import BalancePart, EventPart, Movement, Scene
from domain.rules.replay import Replay, Scenery, replay
from domain.rules.state import PhaseTerms, phase_terms
from domain.statement_events import Market, Timeline, initial_minor
from domain.statement_sums import Discrepancy, Sums, discrepancies, sums
from domain.statements import Statement

Wrap = Callable[[Iterator[Event]], Iterator[Event]]

_NEEDS: Final = {
    "news_window": "a statement says nothing of scheduled news",
    "exposure_multiple": "a statement does not say what a position is worth in money",
    "required_stop": "a statement shows the last stop of a trade, not when it was set",
}
_BY_SIZE: Final = ("lot_size_band", "max_exposure")


@dataclass(frozen=True, slots=True)
class WhatIf:
    """`product` has the statement's currency and initial balance; `sold` is the product as it is on the shelf.
    `not_judged`: rules the statement cannot answer, by id, and why. `priced`: quotes were given."""

    statement: Statement
    sums: Sums
    discrepancies: tuple[Discrepancy, ...]
    sold: Product
    product: Product
    phase_index: int
    initial_minor: int
    replay: Replay
    not_judged: Mapping[str, str]
    notes: tuple[str, ...]
    priced: bool

    @property
    def terms(self) -> PhaseTerms:
        return phase_terms(self.product, self.phase_index)


def judge(
    statement: Statement,
    sold: Product,
    phase_index: int = 1,
    *,
    initial: int | None = None,
    market: Market | None = None,
    calendars: Mapping[str, VenueCalendar] | None = None,
    wrap: Wrap = lambda events: events,
) -> WhatIf:
    """The verdict on `statement` under phase `phase_index` of `sold`. `initial`: what the account began with, where
    the caller knows better than the statement. `wrap` may watch the events as they pass."""
    if not 1 <= phase_index <= sold.funded_index:
        raise BadInput(
            f"{sold.ref} has no phase {phase_index}.",
            field="phase",
            remedy=f"Choose 1 to {sold.funded_index}; {sold.funded_index} is the funded one.",
        )
    began = initial_minor(statement, initial)
    product = fitted(sold, statement.currency, began)
    terms = phase_terms(product, phase_index)
    timeline = Timeline(
        statement,
        product.clock,
        product.loss_clock,
        initial=began,
        funded=phase_index == product.funded_index,
        market=market,
    )
    witness = _Witness(statement, terms, timeline)
    context = product.context(phase_index, calendars)
    judged = replay(wrap(timeline.events()), terms, context, witness)
    rows = sums(statement)
    return WhatIf(
        statement=statement,
        sums=rows,
        discrepancies=tuple(discrepancies(statement, rows)),
        sold=sold,
        product=product,
        phase_index=phase_index,
        initial_minor=began,
        replay=judged,
        not_judged=dict(_not_judged(statement, terms)),
        notes=tuple(_notes(statement, sold, product, began, phase_index, timeline)),
        priced=market is not None,
    )


def fitted(sold: Product, currency: str, initial: int) -> Product:
    """`sold` for an account of another size or currency: percentages apply to the new size, fixed amounts stay as
    they are written. Raises BadInput when its terms make no sense for such an account."""
    if (sold.currency, sold.initial_minor) == (currency, initial):
        return sold
    terms = sold.model_dump(mode="json")
    terms |= {"product": f"{sold.product[:33]}-what-if", "currency": currency}
    terms["initial_balance"] = str(from_minor(initial, currency))
    try:
        return Product.model_validate(terms)
    except ValidationError as exc:
        told = "; ".join(f"{'.'.join(map(str, error['loc']))}: {error['msg']}" for error in exc.errors())
        raise BadInput(
            f"The terms of {sold.ref} make no sense for an account of {said(initial, currency)}: {told}.",
            field="product",
            remedy="Choose a product of a comparable size; amounts in it are not scaled.",
        ) from exc


class _Witness:
    """Writes the sheet of a verdict while the timeline stands at its event; None where a sheet cannot hold it."""

    def __init__(self, statement: Statement, terms: PhaseTerms, timeline: Timeline) -> None:
        self._statement, self._terms, self._timeline = statement, terms, timeline

    def __call__(self, scenery: Scenery) -> dict[str, Any] | None:
        line = self._timeline
        if line.held != len(line.positions) or any(p.symbol not in line.board.prices for p in line.positions.values()):
            return None
        scene = self._scene(scenery)
        if scenery.spec is None or scenery.state is None:
            sheet = proof.pass_sheet(self._id(scenery), scene, line.board, line.instruments)
        else:
            sheet = proof.breach_sheet(
                self._id(scenery), scene, scenery.spec, scenery.state, line.board, line.instruments
            )
        return None if check(sheet) else sheet

    def _scene(self, scenery: Scenery) -> Scene:
        line, statement, event = self._timeline, self._statement, scenery.event
        opening, opened_at, seq = line.day_opening
        costs = tuple(
            Movement(seq=event.seq, at=event.at, kind="deal", reference=f"costs of open {name}", amount_minor=minor)
            for name, minor in line.open_costs
        )
        movements = (*line.movements, *costs)
        number = statement.account
        return Scene(
            account_id=f"{statement.source} statement {number}",
            challenge_id="none: a statement",
            login=int(number) if number.isascii() and number.isdigit() else 0,
            terms=self._terms,
            event=EventPart(kind=_kind(event), seq=event.seq, at=event.at, symbol=getattr(event, "symbol", None)),
            balance=BalancePart(
                opening_minor=opening,
                opening_at=opened_at,
                opening_seq=seq,
                movements=movements,
                balance_minor=opening + sum(movement.amount_minor for movement in movements),
            ),
            positions=tuple(line.positions.values()),
            equity_minor=scenery.mark.equity_minor,
            trading_days=scenery.trading_days,
        )

    def _id(self, scenery: Scenery) -> str:
        """The same statement and terms give the same id."""
        rule = scenery.spec.key if scenery.spec else "pass"
        parts = (self._statement.account, self._terms.product.content_hash, rule, str(scenery.event.seq))
        return f"prf_{hashlib.sha256('|'.join(parts).encode()).hexdigest()[:26]}"


def _kind(event: Event) -> Any:
    if isinstance(event, Rolled):
        return "rollover"
    if isinstance(event, PaidOut):
        return "balance"
    if isinstance(event, Clocked):
        return "account"
    return "tick" if isinstance(event, Marked) else "deal"


def _not_judged(statement: Statement, terms: PhaseTerms) -> Iterator[tuple[str, str]]:
    without_size = any(trade.lots is None for trade in (*statement.closed, *statement.open_positions))
    for rule in terms.phase.rules:
        if rule.type in _NEEDS:
            yield rule.id, _NEEDS[rule.type]
        elif rule.type in _BY_SIZE and without_size:
            yield rule.id, "the file does not say how large its trades were"


def _notes(
    statement: Statement, sold: Product, product: Product, began: int, phase_index: int, line: Timeline
) -> Iterator[str]:
    """What was assumed, for the reader to disagree with."""
    yield f"Times in the file are read as {statement.zone}; another server time is named with --zone."
    if product is not sold:
        size = said(sold.initial_minor, sold.currency)
        yield (
            f"{sold.ref} is sold at {size}; it was applied to this account's own {said(began, statement.currency)}: "
            "percentages of that, fixed amounts as they are written, nothing scaled."
        )
    if statement.summary.balance_minor is None:
        yield "The file has no summary of its own, so its rows could not be compared with one."
    yield "The phase begins with the first trade."
    if line.set_aside:
        yield (
            "Money in or out after the first deposit is no trading result and was set aside"
            + ("; withdrawals beyond it count as payouts." if phase_index == product.funded_index else ".")
        )
    if statement.source != "mt5":
        yield "Commissions are booked when a trade closes, as the report shows them."
    if any(row.credit for row in statement.balance_rows):
        yield "Credit is lent money: it counts neither for the balance nor for the equity that is judged."
