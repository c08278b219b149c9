"""A shard at one moment, copied so that another thread may compute with it while the shard judges on."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal

import numpy as np
import numpy.typing as npt

from domain.products.phase_terms import PhaseTerms
from domain.rules.floors import NO_COSTS, Costs
from domain.rules.marking import Instrument
from domain.rules.state import AccountRules
from monitor.columns import kernels
from monitor.columns.account_columns import Bools, Ints, Narrow, Short
from monitor.columns.books import Arena, Book
from monitor.columns.conduct_state import ConductState
from monitor.columns.rule_columns import Levels
from monitor.state import ShardState

Quotes = Mapping[str, tuple[Decimal, Decimal]]


@dataclass(frozen=True, slots=True)
class Frozen:
    """The columns of a shard, by row. `counts`: accounts of this shard that have not ended. `stated`: those whose
    equity the venue states itself. Conduct states are those of the shard, and may be newer than the columns."""

    at: datetime
    batch: int
    size: int
    equity: Ints
    balance: Ints
    counts: Bools
    judged: Bools
    known: Bools
    stated: Bools
    positions: Short
    terms: Short
    low_alarm: Ints
    high_alarm: Ints
    traders: Narrow
    trader_ids: tuple[str, ...]
    account_ids: npt.NDArray[np.bytes_]
    table: tuple[PhaseTerms, ...]
    levels: Levels
    arena: Arena
    books: tuple[Book, ...]
    quotes: Quotes
    instruments: Mapping[str, Instrument]
    days: tuple[tuple[date, ...], ...]
    conduct: Mapping[int, ConductState]
    costs: Mapping[int, Costs]
    offences: Mapping[int, Mapping[str, int]]

    def account_id(self, row: int) -> str:
        return str(self.account_ids[row].decode())

    def terms_of(self, row: int) -> PhaseTerms:
        return self.table[int(self.terms[row])]

    def rules_of(self, row: int) -> AccountRules:
        return self.levels.of(row, int(self.terms[row]))

    def costs_of(self, row: int) -> Costs:
        return self.costs.get(row, NO_COSTS)


def freeze(state: ShardState, batch: int) -> Frozen:
    """Copies what judging changes. Called in the thread that judges, between two batches."""
    columns, accounts, size = state.columns, state.accounts, state.columns.size
    hot = columns.hot[:size]
    arena, books = state.marks.frozen(tickets=state.rules.watches_losses)
    stated = np.zeros(size, np.bool_)
    stated[state.marks.stated_rows()] = True
    return Frozen(
        at=state.now,
        batch=batch,
        size=size,
        equity=hot[:, kernels.EQUITY].copy(),
        balance=hot[:, kernels.BALANCE].copy(),
        counts=accounts.counting(),
        judged=columns.judged[:size].copy(),
        known=columns.unknown[:size] == 0,
        stated=stated,
        positions=columns.positions[:size].copy(),
        terms=columns.terms[:size].copy(),
        low_alarm=hot[:, kernels.LOW].copy(),
        high_alarm=hot[:, kernels.HIGH].copy(),
        traders=accounts.traders[:size].copy(),
        trader_ids=tuple(accounts.trader_ids),
        account_ids=accounts.account_ids,  # an id in a row never changes; a column that grows is a new array
        table=tuple(accounts.terms),
        levels=state.rules.frozen(size),
        arena=arena,
        books=books,
        quotes=dict(state.board.prices),
        instruments=dict(state.instruments),
        days=tuple(accounts.days),
        conduct=dict(accounts.conduct_states),
        costs=dict(accounts.costs),
        offences=dict(accounts.offences),
    )
