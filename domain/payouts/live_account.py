"""The starting balance of a live account for a trader with several simulated accounts."""

import re
from dataclasses import dataclass
from typing import Final, Literal

from domain.rules.terms import Terms

_TERM: Final = re.compile(r"^(sum|largest|smallest)_(?:of_)?(balance|size)s?$")

Formula = Literal[
    "sum_of_balances",
    "sum_of_sizes",
    "largest_balance",
    "largest_size",
    "min(sum_of_balances, largest_size)",
    "min(sum_of_balances, sum_of_sizes)",
    "max(sum_of_balances, largest_size)",
]


@dataclass(frozen=True, slots=True)
class SimulatedAccount:
    size_minor: int
    balance_minor: int


class LiveAccountStart(Terms):
    formula: Formula

    def start_balance(self, accounts: tuple[SimulatedAccount, ...]) -> int:
        """Returns the starting balance in minor units; zero without accounts."""
        both = {"min": min, "max": max}.get(self.formula[:3])
        if both is None:
            return _term(self.formula, accounts)
        left, right = self.formula[4:-1].split(", ")
        return both(_term(left, accounts), _term(right, accounts))


def _term(name: str, accounts: tuple[SimulatedAccount, ...]) -> int:
    found = _TERM.match(name)
    assert found is not None, name
    values = [a.balance_minor if found[2] == "balance" else a.size_minor for a in accounts]
    if found[1] == "sum":
        return sum(values)
    return (max if found[1] == "largest" else min)(values, default=0)
