"""Judges a statement as if it had been traded under a product: terms fitted to the account, all rules, and proofs."""

import hashlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from pydantic import ValidationError

from domain.errors import BadInput
from domain.histories.replay import replay
from domain.histories.results import DecidingMoment, Replay
from domain.histories.statement_events import MarketData, Timeline, initial_minor
from domain.histories.statement_sums import Discrepancy, Sums, brought_forward, discrepancies, is_inferred, sums
from domain.histories.statements import Statement
from domain.money import from_minor
from domain.products.phase_terms import PhaseTerms, phase_terms
from domain.products.product import Product
from domain.proofs import money as proof
from domain.proofs.check import check
from domain.proofs.history import ProofSubject, pass_history, pass_rules, violation_sheet
from domain.proofs.money import JudgedAccount
from domain.proofs.sheets import BalancePart, EventKind, EventPart, Movement
from domain.proofs.sources import StatementSource
from domain.rules.base import VenueCalendar
from domain.rules.conduct.lot_size_band import LotSizeBand
from domain.rules.conduct.max_exposure import MaxExposure
from domain.rules.events import Clocked, Event, Marked, PaidOut, PayoutRequested, Rolled
from domain.rules.gates.trading_day_count import TradingDayCount
from domain.wording import money

Wrap = Callable[[Iterator[Event]], Iterator[Event]]

_NEEDS: Final = {
    "news_window": "a statement contains no scheduled news",
    "exposure_multiple": "a statement does not contain the value of positions",
    "required_stop": "a statement contains the last stop of a trade, but not when it was set",
}
_BY_SIZE: Final = ("lot_size_band", "max_exposure")


@dataclass(frozen=True, slots=True)
class WhatIf:
    """The result. `product` has the currency and the initial balance of the statement; `sold` is the product as it
    is sold. `not_judged`: the rules that the statement cannot decide, by id, with the reason. `priced`: there
    were quotes."""

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
    market: MarketData | None = None,
    calendars: Mapping[str, VenueCalendar] | None = None,
    wrap: Wrap = lambda events: events,
) -> WhatIf:
    """Judges `statement` under phase `phase_index` of `sold`. `initial`: the initial balance, if the caller knows
    better than the statement. `wrap` may observe the events."""
    if not 1 <= phase_index <= sold.funded_index:
        raise BadInput(
            f"{sold.ref} has no phase {phase_index}.",
            field="phase",
            remedy=f"Choose 1 to {sold.funded_index}; {sold.funded_index} is the funded one.",
        )
    began = initial_minor(statement, initial)
    product = fitted(sold, statement.currency, began, phase_index)
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
    write_proof = _SheetWriter(statement, terms, timeline)
    judged = replay(_with_last_request(wrap(timeline.events()), terms), terms, terms.context, write_proof)
    rows = sums(statement)
    differences = discrepancies(statement, rows)
    if timeline.difference is not None and not differences and began == initial_minor(statement):
        differences.append(timeline.difference)
    return WhatIf(
        statement=statement,
        sums=rows,
        discrepancies=tuple(differences),
        sold=sold,
        product=product,
        phase_index=phase_index,
        initial_minor=began,
        replay=judged,
        not_judged=unanswered,
        notes=tuple(_notes(statement, sold, product, began, phase_index, timeline)),
        priced=market is not None,
    )


def fitted(sold: Product, currency: str, initial: int, phase_index: int = 1) -> Product:
    """Returns `sold` for an account of another size or currency: percentages apply to the new size, fixed amounts stay
    unchanged. Raises BadInput when the terms do not fit such an account."""
    if (sold.currency, sold.initial_of(phase_index)) == (currency, initial):
        return sold
    terms = sold.model_dump(mode="json")
    terms |= {"product": f"{sold.product[:33]}-what-if", "currency": currency}
    phases = [*terms["phases"], terms["funded"]]
    if initial:
        terms["initial_balance"] = str(from_minor(initial, currency))
        for phase in phases:
            phase.pop("initial_balance", None)
    else:
        phases[phase_index - 1]["initial_balance"] = "0"
    try:
        return Product.model_validate(terms)
    except ValidationError as exc:
        problems = "; ".join(f"{'.'.join(map(str, error['loc']))}: {error['msg']}" for error in exc.errors())
        raise BadInput(
            f"The terms of {sold.ref} do not fit an account of {money(initial, currency)}: {problems}.",
            field="product",
            remedy="Choose a product of a comparable size; amounts in it are not scaled.",
        ) from exc


class _SheetWriter:
    """Writes the sheet of a deciding moment while the timeline is at its event; None where a sheet cannot prove it."""

    def __init__(self, statement: Statement, terms: PhaseTerms, timeline: Timeline) -> None:
        number = statement.account
        login = int(number) if number.isascii() and number.isdigit() else 0
        self._subject = ProofSubject(f"{statement.source} statement {number}", "none: a statement", login, terms)
        self._statement, self._terms, self._timeline = statement, terms, timeline

    def __call__(self, moment: DecidingMoment) -> dict[str, Any] | None:
        sheet = self._sheet(moment)
        return None if sheet is None or check(sheet) else sheet

    def _sheet(self, moment: DecidingMoment) -> dict[str, Any] | None:
        name, line, events = self._id(moment), self._timeline, moment.history
        if moment.rule_id is not None and moment.spec is None:
            rule_id, offence = moment.rule_id, moment.offence
            return violation_sheet(
                name, self._subject, rule_id, offence, events, began=moment.began, point=moment.point
            )
        snapshot = self._snapshot(moment)
        if snapshot is None:
            return None
        if moment.spec is not None and moment.state is not None:
            return proof.breach_sheet(
                name,
                snapshot,
                moment.spec,
                moment.state,
                line.board,
                line.instruments,
                offence=moment.offence,
                subject=moment.subject,
            )
        now = Marked(
            seq=snapshot.event.seq,
            at=snapshot.event.at,
            balance_minor=snapshot.balance.balance_minor,
            equity_minor=snapshot.equity_minor,
        )
        history, gates, effective = pass_history(self._terms, events, now, began=moment.began, point=moment.point)
        if not pass_rules(self._terms):
            return proof.pass_sheet(name, snapshot, line.board, line.instruments)
        return proof.pass_sheet(
            name, snapshot, line.board, line.instruments, history=history, gates=gates, effective_minor=effective
        )

    def _snapshot(self, moment: DecidingMoment) -> JudgedAccount | None:
        """Returns the account at this moment; None when the sheet would not contain the inputs of its worth."""
        line, event, mark = self._timeline, moment.event, moment.mark
        stated = mark.equity_minor if isinstance(event, Clocked) and line.held else None
        shown = all(p.symbol in line.board.prices for p in line.positions.values())
        if stated is None and (line.held != len(line.positions) or not shown):
            return None
        opening, opened_at, seq = line.day_opening
        movements = (*line.movements, *self._open_costs(event))
        return JudgedAccount(
            account_id=self._subject.account_id,
            challenge_id=self._subject.challenge_id,
            login=self._subject.login,
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
            trading_days=moment.trading_days,
            costs=mark.costs,
            source=StatementSource(
                file=self._statement.file, sha256=self._statement.sha256, stated_equity_minor=stated
            ),
        )

    def _open_costs(self, event: Event) -> Iterator[Movement]:
        """Yields costs that the venue books at the close of a position, but that already count in its worth."""
        for name, minor in self._timeline.open_costs:
            yield Movement(
                seq=event.seq, at=event.at, kind="deal", reference=f"costs of open {name}", amount_minor=minor
            )

    def _kind(self, event: Event) -> EventKind:
        """Returns the kind of an event. A reset of the clock that the levels follow is a `rollover`."""
        if isinstance(event, Rolled) and (self._terms.product.loss_clock is None or event.purpose != "trading_day"):
            return "rollover"
        kinds: tuple[tuple[type, EventKind], ...] = (
            (Rolled, "rolled"),
            (PaidOut, "balance"),
            (Clocked, "clocked"),
            (Marked, "tick"),
        )
        return next((kind for of, kind in kinds if isinstance(event, of)), "deal")

    def _id(self, moment: DecidingMoment) -> str:
        """Returns the id of the proof: the same statement and terms have the same id."""
        rule = moment.spec.key if moment.spec else moment.rule_id or "pass"
        parts = (self._statement.sha256, self._terms.product.content_hash, rule, str(moment.offence))
        return f"prf_{hashlib.sha256('|'.join(parts).encode()).hexdigest()[:26]}"


def _not_judged(statement: Statement, terms: PhaseTerms) -> Iterator[tuple[str, str]]:
    without_size = any(trade.lots is None for trade in (*statement.closed, *statement.open_positions))
    for rule in terms.phase.rules:
        if rule.type in _NEEDS:
            yield rule.id, _NEEDS[rule.type]
        elif rule.type in _BY_SIZE and without_size:
            yield rule.id, "the file does not contain the size of its trades"
        elif isinstance(rule, MaxExposure) and rule.only is not None:
            yield rule.id, _NEEDS["required_stop"]
        elif isinstance(rule, TradingDayCount) and rule.needs_value:
            yield rule.id, _NEEDS["exposure_multiple"]


def _with_last_request(events: Iterator[Event], terms: PhaseTerms) -> Iterator[Event]:
    """Yields the events, and at their end a request of a payout, if a rule judges closed trades at requests:
    a statement contains none."""
    last: Event | None = None
    for last in events:
        yield last
    by_average = (isinstance(r, LotSizeBand) and r.reference == "average_of_closed" for r in terms.history_rules)
    if last is not None and any(by_average):
        yield PayoutRequested(
            seq=last.seq, at=last.at, balance_minor=last.balance_minor, equity_minor=last.equity_minor
        )


def _notes(
    statement: Statement, sold: Product, product: Product, began: int, phase_index: int, line: Timeline
) -> Iterator[str]:
    """Yields the assumptions, so that the reader can disagree with them."""
    yield f"Times in the file are read as {statement.zone}; choose another server time with --zone."
    if product is not sold:
        size = money(sold.initial_of(phase_index), sold.currency)
        yield (
            f"{sold.ref} is sold at {size}; it was applied to this account's {money(began, statement.currency)}: "
            "percentages apply to that size, fixed amounts are unchanged."
        )
    if statement.summary.balance_minor is None:
        yield "The file has no summary, so its rows could not be compared with one."
    if any(row.reference == "assumed" for row in statement.balance_rows):
        yield f"The file has no initial balance: {money(began, statement.currency)} of the product is assumed."
    yield "The phase starts with the first trade."
    forward = brought_forward(statement)
    if forward:
        source = "the report's balance" if is_inferred(statement) else "the first running balance of the report"
        yield f"The report begins with {money(forward, statement.currency)} brought forward, inferred from {source}."
    if any(row.result for row in statement.balance_rows):
        yield "Costs and income without a trade, such as interest, are trading results at the time of their row."
    if line.set_aside:
        yield (
            "Money in or out after the first deposit is not a trading result and was set aside"
            + ("; withdrawals beyond it count as payouts." if phase_index == product.funded_index else ".")
        )
    if statement.source != "mt5":
        yield "Commissions are booked when a trade closes, as the report shows them."
    if any(row.credit for row in statement.balance_rows):
        yield "Credit is lent money: it counts neither in the balance nor in the judged equity."
