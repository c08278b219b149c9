"""The starting balance of a live account for a trader with several simulated accounts."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Final

from pydantic import AfterValidator

from domain.rules.terms import Terms

_FIGURE: Final = re.compile(r"^(sum|largest|smallest)_(?:of_)?(balance|size)s?$")
_CHOICE: Final = re.compile(r"^(min|max)\((.*)\)$")


@dataclass(frozen=True, slots=True)
class SimulatedAccount:
    size_minor: int
    balance_minor: int


def _known(formula: str) -> str:
    """Returns the formula with one space after each comma. Raises ValueError for one that cannot be computed."""
    plain = formula.replace(" ", "")
    start_of(plain, (SimulatedAccount(1, 1),))
    return plain.replace(",", ", ")


class LiveAccountStart(Terms):
    """`formula`: sum_of_balances, sum_of_sizes, largest_balance, largest_size, smallest_balance or smallest_size; or
    the min(…) or max(…) of several of them."""

    formula: Annotated[str, AfterValidator(_known)]

    def start_balance(self, accounts: Sequence[SimulatedAccount]) -> int:
        """Returns the starting balance in minor units; zero without accounts."""
        return start_of(self.formula.replace(" ", ""), accounts)

    @property
    def words(self) -> str:
        """Returns the formula for people: "the smaller of the sum of balances and the largest size"."""
        text = self.formula.replace("_of_", " of ").replace("_", " ")
        parts = re.split(r"(min|max|[(),])", text)
        kinds = {"min": "the smaller of", "max": "the larger of", "(": " ", ")": "", ",": " and "}
        words = [kinds.get(part, f"the {part.strip()}" if part.strip() else "") for part in parts]
        return "".join(words)


def start_of(formula: str, accounts: Sequence[SimulatedAccount]) -> int:
    """Returns what a formula without spaces gives, in minor units. Raises ValueError."""
    choice = _CHOICE.match(formula)
    if choice is not None:
        values = [start_of(part, accounts) for part in _parts(choice[2])]
        return min(values) if choice[1] == "min" else max(values)
    figure = _FIGURE.match(formula)
    if figure is None:
        raise ValueError(f"{formula!r} is no figure; use sum_of_balances, largest_size, or min(…) of such figures")
    known = [account.balance_minor if figure[2] == "balance" else account.size_minor for account in accounts]
    if figure[1] == "sum":
        return sum(known)
    return (max if figure[1] == "largest" else min)(known, default=0)


def _parts(text: str) -> list[str]:
    """Returns the parts between the commas that are in no bracket."""
    parts, depth = [""], 0
    for letter in text:
        depth += (letter == "(") - (letter == ")")
        if letter == "," and depth == 0:
            parts.append("")
        else:
            parts[-1] += letter
    return parts
