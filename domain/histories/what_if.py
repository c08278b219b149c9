"""A statement judged as if it had been traded under a product: the terms fitted to the account, every rule folded over
its life, each verdict with its proof."""

import hashlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from pydantic import ValidationError

from domain.errors import BadInput
from domain.histories.replay import Replay, Scenery, replay
from domain.histories.statement_events import Market, Timeline, initial_minor
from domain.histories.statement_sums import Discrepancy, Sums, discrepancies, sums
from domain.histories.statements import Statement
from domain.money import from_minor
from domain.products.phase_terms import PhaseTerms, phase_terms
from domain.products.product import Product
from domain.proofs import money as proof
from domain.proofs.check import check
from domain.proofs.history import Whose, pass_history, violation_sheet
from domain.proofs.money import Scene
from domain.proofs.sheets import BalancePart, EventKind, EventPart, Movement, StatementSource
from domain.rules.base import ConductRule, Gate, VenueCalendar, said
from domain.rules.events import Clocked, Event, Marked, PaidOut, Rolled

Wrap = Callable[[Iterator[Event]], Iterator[Event]]

_NEEDS: Final = {
    "news_window": "a statement says nothing of scheduled news",
    "exposure_multiple": "a statement does not say what a position is worth in money",
    "required_stop": "a statement shows the last stop of a trade, not when it was set",
}
# a sheet folds the whole history again: a rule that is broken at every trade is proven by its first offences
_PROVEN: Final = 3
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
    terms = phase_terms(product, phase_index, calendars)
    unanswered = dict(_not_judged(statement, terms))
    terms = replace(terms, history_rules=tuple(rule for rule in terms.history_rules if rule.id not in unanswered))
    timeline = Timeline(
        statement,
        product.clock,
        product.loss_clock,
        initial=began,
        funded=phase_index == product.funded_index,
        market=market,
    )
    witness = _Witness(statement, terms, timeline)
    judged = replay(wrap(timeline.events()), terms, terms.context, witness)
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
        not_judged=unanswered,
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
        number = statement.account
        login = int(number) if number.isascii() and number.isdigit() else 0
        self._whose = Whose(f"{statement.source} statement {number}", "none: a statement", login, terms)
        self._statement, self._terms, self._timeline = statement, terms, timeline

    def __call__(self, scenery: Scenery) -> dict[str, Any] | None:
        sheet = self._sheet(scenery)
        return None if sheet is None or check(sheet) else sheet

    def _sheet(self, scenery: Scenery) -> dict[str, Any] | None:
        name, line = self._id(scenery), self._timeline
        if scenery.rule_id is not None and scenery.spec is None:
            rule = self._terms.rule(scenery.rule_id)
            kinds = len(rule.consequences) if isinstance(rule, ConductRule) else 1
            if scenery.offence > max(_PROVEN, kinds):
                return None
            return violation_sheet(name, self._whose, scenery.rule_id, scenery.offence, scenery.history)
        scene = self._scene(scenery)
        if scene is None:
            return None
        if scenery.spec is not None and scenery.state is not None:
            return proof.breach_sheet(
                name, scene, scenery.spec, scenery.state, line.board, line.instruments, offence=scenery.offence
            )
        now = Marked(
            seq=scene.event.seq,
            at=scene.event.at,
            balance_minor=scene.balance.balance_minor,
            equity_minor=scene.equity_minor,
        )
        history, gates, effective = pass_history(self._terms, scenery.history, now)
        if not any(isinstance(rule, Gate) for rule in self._terms.phase.rules):
            return proof.pass_sheet(name, scene, line.board, line.instruments)
        return proof.pass_sheet(
            name, scene, line.board, line.instruments, history=history, gates=gates, effective_minor=effective
        )

    def _scene(self, scenery: Scenery) -> Scene | None:
        """The account at this moment; None where its worth follows from nothing that a sheet can show."""
        line, event, mark = self._timeline, scenery.event, scenery.mark
        stated = mark.equity_minor if isinstance(event, Clocked) and line.held else None
        shown = all(p.symbol in line.board.prices for p in line.positions.values())
        if stated is None and (line.held != len(line.positions) or not shown):
            return None
        opening, opened_at, seq = line.day_opening
        movements = (*line.movements, *self._open_costs(event))
        return Scene(
            account_id=self._whose.account_id,
            challenge_id=self._whose.challenge_id,
            login=self._whose.login,
            terms=self._terms,
            event=EventPart(kind=self._kind(event), seq=event.seq, at=event.at, symbol=getattr(event, "symbol", None)),
            balance=BalancePart(
                opening_minor=opening,
                opening_at=opened_at,
                opening_seq=seq,
                movements=movements,
                balance_minor=opening + sum(movement.amount_minor for movement in movements),
            ),
            positions=tuple(line.positions.values()) if stated is None else (),
            equity_minor=mark.equity_minor,
            trading_days=scenery.trading_days,
            costs=mark.costs,
            source=StatementSource(
                file=self._statement.file, sha256=self._statement.sha256, stated_equity_minor=stated
            ),
        )

    def _open_costs(self, event: Event) -> Iterator[Movement]:
        """Costs that the venue books when a position closes, but that its worth already bears."""
        for name, minor in self._timeline.open_costs:
            yield Movement(
                seq=event.seq, at=event.at, kind="deal", reference=f"costs of open {name}", amount_minor=minor
            )

    def _kind(self, event: Event) -> EventKind:
        """A reset is a `rollover` of the clock that the levels follow."""
        if isinstance(event, Rolled) and (self._terms.product.loss_clock is None or event.purpose != "trading_day"):
            return "rollover"
        kinds: tuple[tuple[type, EventKind], ...] = (
            (Rolled, "rolled"),
            (PaidOut, "balance"),
            (Clocked, "clocked"),
            (Marked, "tick"),
        )
        return next((kind for of, kind in kinds if isinstance(event, of)), "deal")

    def _id(self, scenery: Scenery) -> str:
        """The same statement and terms give the same id."""
        rule = scenery.spec.key if scenery.spec else scenery.rule_id or "pass"
        parts = (self._statement.sha256, self._terms.product.content_hash, rule, str(scenery.offence))
        return f"prf_{hashlib.sha256('|'.join(parts).encode()).hexdigest()[:26]}"


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
