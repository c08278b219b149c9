"""The words of a report for buy and sell.

Some terminals translate them. An unknown word is learned from the trades: a profit while the price rose is a buy.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from domain.histories.statements import Side

SideSample = tuple[str, Decimal, Decimal | None, Decimal | None]  # word, profit, opening price, closing price
_BUY: Final = "buy long kaufen kauf acheter achat compra comprar acquisto kupno покупка"
_SELL: Final = "sell short verkaufen verkauf vendre vente venta vender venda vendita продажа"


@dataclass(frozen=True, slots=True)
class Sides:
    """The side of each word; words are in lower case."""

    words: dict[str, Side]

    def of(self, word: str) -> Side | None:
        return self.words.get(word.strip().lower())


_WORDS: Final[dict[str, Side]] = {}
_WORDS.update((word, "buy") for word in _BUY.split())
_WORDS.update((word, "sell") for word in _SELL.split())
KNOWN: Final = Sides(_WORDS)


def learn_sides(trades: Iterable[SideSample], given: Sides | None = None) -> Sides:
    """Returns the known words, those `given`, and those learned from `trades`.

    A word is not learned when its trades contradict each other.
    """
    words = KNOWN.words | (given.words if given else {})
    votes: dict[str, Counter[Side]] = defaultdict(Counter)
    for word, profit, opening, closing in trades:
        key = word.strip().lower()
        if key in words or opening is None or closing is None or not profit or opening == closing:
            continue
        votes[key]["buy" if (profit > 0) == (closing > opening) else "sell"] += 1
    for key, seen in votes.items():
        side, count = seen.most_common(1)[0]
        if count * 20 >= sum(seen.values()) * 19:  # fees inside a profit may turn the sign of single trades
            words[key] = side
    return Sides(words)
