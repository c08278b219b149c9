"""Sums over open positions, as the rules about exposure take them: which positions count, and in which sum."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Final, Literal, TypeVar

from domain.rules.holdings import Holding
from domain.wording import listing, number

Per = Literal["account", "symbol", "class"]
Only = Literal["with_risk", "without_stop"]
N = TypeVar("N", int, Decimal)

ACCOUNT: Final = "account"
_ONLY_WORDS: Final[Mapping[str | None, str]] = {
    None: "open positions",
    "with_risk": "open positions that can still lose (without a stop loss, or with one short of the entry price)",
    "without_stop": "open positions without a stop loss",
}


def counts(holding: Holding, only: Only | None) -> bool:
    """Returns whether the position is one that the rule counts."""
    if only is None:
        return True
    return holding.can_lose if only == "with_risk" else not holding.has_stop


def sum_of(symbol: str, per: str, classes: Mapping[str, str]) -> str:
    """Returns the name of the sum that a position in `symbol` belongs to: "account", the symbol, or its class."""
    if per == "account":
        return ACCOUNT
    return symbol if per == "symbol" else classes.get(symbol, symbol)


def limit_for(limit: Decimal | Mapping[str, Decimal] | None, name: str) -> Decimal | None:
    """Returns the limit of the sum `name`; None: it has none."""
    return limit.get(name) if isinstance(limit, Mapping) else limit


def moved(sums: Mapping[str, N], taken: tuple[str, N] | None, added: tuple[str, N] | None) -> dict[str, N]:
    """Returns the sums after a part was taken out and another added. A sum of 0 is left out."""
    after = dict(sums)
    if added is not None:
        name, part = added
        after[name] = after[name] + part if name in after else part
    if taken is not None and taken[0] in after:
        after[taken[0]] -= taken[1]
        if not after[taken[0]]:
            del after[taken[0]]
    return after


def counted_words(per: str, only: Only | None) -> str:
    """Returns what a sum covers: "open positions", "open positions in one symbol"."""
    where = {"symbol": " in one symbol", "class": " in one class"}.get(per, "")
    return f"{_ONLY_WORDS[only]}{where}"


def limit_words(limit: Decimal | Mapping[str, Decimal], suffix: str = "") -> str:
    """Returns "3", or "2 in metals and 10 in EURUSD", each number with the suffix. Sorted, because a stored mapping may
    come back in another order."""
    if not isinstance(limit, Mapping):
        return f"{number(limit)}{suffix}"
    return listing([f"{number(value)}{suffix} in {name}" for name, value in sorted(limit.items())])


def classes_words(classes: Mapping[str, str]) -> str:
    """Returns the symbols of each class: " Class metals: XAGUSD, XAUUSD."."""
    words = ""
    for name in sorted(set(classes.values())):
        symbols = ", ".join(sorted(symbol for symbol, of in classes.items() if of == name))
        words += f" Class {name}: {symbols}."
    return words


def in_words(per: str, name: str) -> str:
    """Returns " in EURUSD" for the sum of a symbol or a class; "" for that of the account."""
    return "" if per == "account" else f" in {name}"
