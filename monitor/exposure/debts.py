"""What the firm would owe the funded accounts of a shard at any worth: curves, and exact functions where none fits."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np

from domain.exposure.owed import NOTHING_PAID, Paid, curve_of, exact_minor
from domain.payouts.schema import PayoutTerms
from monitor.columns.account_columns import Floats, Ints
from monitor.exposure import kernels
from monitor.exposure.frozen import Frozen

_STEP: Final = 100


@dataclass(frozen=True, slots=True)
class Debts:
    """`rows`: those with a curve, `curves` beside them. `exact`: rows whose terms have no straight pieces, and what was
    paid from them."""

    rows: Ints
    curves: Ints
    exact: Mapping[int, Paid]

    def owed(self, frozen: Frozen, worths: Ints) -> tuple[Ints, Ints]:
        """Returns (rows, what each is owed in its own currency) at `worths`, which are by row."""
        out = np.zeros(len(self.rows), np.int64)
        kernels.owed(self.rows, self.curves, worths, out)
        if not self.exact:
            return self.rows, out
        others = np.fromiter(self.exact, np.int64, len(self.exact))
        more = np.fromiter(
            (self._exact(frozen, row, int(worths[row])) for row in others.tolist()), np.int64, len(others)
        )
        return np.concatenate([self.rows, others]), np.concatenate([out, more])

    def shares(self, frozen: Frozen, worths: Ints) -> Floats:
        """Returns, by row, what the firm would owe of one more unit of profit."""
        out = np.zeros(frozen.size)
        kernels.shares(self.rows, self.curves, worths, _STEP, out)
        for row in self.exact:
            worth = int(worths[row])
            more = self._exact(frozen, row, worth + _STEP) - self._exact(frozen, row, worth - _STEP)
            out[row] = more / (2 * _STEP)
        return out

    def _exact(self, frozen: Frozen, row: int, worth: int) -> int:
        terms = frozen.terms_of(row)
        if worth <= terms.initial_minor:
            return 0
        currency = terms.product.currency
        return exact_minor(terms.product.payout, currency, worth, terms.initial_minor, self.exact[row])


def debts_of(frozen: Frozen, paid: Mapping[str, Paid]) -> Debts:
    """Returns the debts of the accounts in a funded phase that count. `paid`: by account id."""
    funded = np.array([terms.phase_index == terms.product.funded_index for terms in frozen.table], np.bool_)
    if not funded.size:
        return Debts(np.zeros(0, np.int64), np.zeros((0, kernels.CURVE_FIELDS), np.int64), {})
    candidates = np.flatnonzero(frozen.counts & frozen.judged & funded[frozen.terms])
    known: dict[tuple[int, Paid], tuple[int, ...] | None] = {}
    rows, curves, exact = list[int](), list[tuple[int, ...]](), dict[int, Paid]()
    for row in candidates.tolist():
        terms, before = frozen.terms_of(row), paid.get(frozen.account_id(row), NOTHING_PAID)
        key = (int(frozen.terms[row]), before)
        if key not in known:
            known[key] = _flat(terms.product.payout, terms.product.currency, terms.initial_minor, before)
        flat = known[key]
        if flat is None:
            exact[row] = before
        else:
            rows.append(row)
            curves.append(flat)
    shape = np.array(curves, np.int64).reshape(-1, kernels.CURVE_FIELDS)
    return Debts(np.array(rows, np.int64), shape, exact)


def _flat(payout: PayoutTerms, currency: str, initial_minor: int, paid: Paid) -> tuple[int, ...] | None:
    curve = curve_of(payout, currency, initial_minor, paid)
    if curve is None:
        return None
    limits = (curve.start_minor, curve.cap_minor, curve.most_pct, curve.worth_pct, curve.block_minor)
    return *limits, *curve.tiers, *curve.shares
