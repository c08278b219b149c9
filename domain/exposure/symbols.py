"""What a symbol is a position in: the pair, metal or coin behind its name, or a bucket of its own; and its synonyms."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Final, Literal

from domain.money import is_known

Kind = Literal["pair", "metal", "coin", "bucket"]

METALS: Final = frozenset({"XAU", "XAG", "XPT", "XPD"})
COINS: Final = frozenset({"BTC", "ETH", "LTC", "XRP", "BCH", "SOL", "ADA", "DOT", "DOGE", "BNB", "AVAX", "LINK"})
GOLD: Final = "XAU"
# A futures contract: root, month, year. The months of a root are one underlying.
_FUTURE: Final = re.compile(r"([A-Z][A-Z0-9]{1,3}?)[FGHJKMNQUVXZ]\d{1,2}")
_CODE: Final = 3


@dataclass(frozen=True, slots=True)
class Underlying:
    """`symbol`: the name under which synonyms are merged. `base`: the currency, metal or coin that one unit is; None
    for a bucket of its own, such as an index, whose quote currency carries only the open profit and loss."""

    symbol: str
    kind: Kind
    base: str | None
    quote_currency: str


class Synonyms:
    """The names that mean one underlying. `names`: the other names of each; `suffixes`: endings that venues add."""

    def __init__(self, names: Mapping[str, tuple[str, ...]], suffixes: tuple[str, ...] = ()) -> None:
        self._main = {other: main for main, others in names.items() for other in others}
        self._known = frozenset(names)
        self._suffixes = tuple(sorted(suffixes, key=len, reverse=True))

    def main(self, symbol: str) -> str:
        """Returns the name under which `symbol` is merged: its own where it has no other."""
        for name in (symbol, self._bare(symbol)):
            if name in self._main:
                return self._main[name]
            if name in self._known or (name != symbol and pair_of(name) is not None):
                return name
        future = _FUTURE.fullmatch(symbol)
        if future is not None:
            return self._main.get(future[1], future[1])
        return symbol

    def _bare(self, symbol: str) -> str:
        for suffix in self._suffixes:
            if symbol.endswith(suffix) and len(symbol) > len(suffix):
                return symbol[: -len(suffix)]
        return symbol


NO_SYNONYMS: Final = Synonyms({})


@lru_cache(maxsize=10_000)
def pair_of(symbol: str) -> tuple[str, str] | None:
    """Returns (base, quote) of a name such as EURUSD, XAUUSD or DOGEUSD; None where the name is no pair."""
    base, quote = symbol[:-_CODE], symbol[-_CODE:]
    if not is_known(quote) or not (is_known(base) or base in METALS or base in COINS):
        return None
    return base, quote


def underlying(symbol: str, quote_currency: str, synonyms: Synonyms = NO_SYNONYMS) -> Underlying:
    """Returns what a symbol is a position in. A pair whose quote differs from the contract's is not believed."""
    main = synonyms.main(symbol)
    pair = pair_of(main)
    if pair is None or pair[1] != quote_currency:
        return Underlying(main, "bucket", None, quote_currency)
    base = pair[0]
    kind: Kind = "metal" if base in METALS else "coin" if base in COINS else "pair"
    return Underlying(main, kind, base, quote_currency)
