"""Which words of a report mean buy and sell.

Terminals translate them in some languages. What is not known is learned from the trades themselves: a profit while the
price rose is a buy.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from domain.histories.statements import Side

Lesson = tuple[str, Decimal, Decimal | None, Decimal | None]  # word, profit, opening price, closing price
_BUY: Final = "buy long kaufen kauf acheter achat compra comprar acquisto kupno покупка"
_SELL: Final = "sell short verkaufen verkauf vendre vente venta vender venda vendita продажа"


@dataclass(frozen=True, slots=True)
class Sides:
    """Side by word, in lower case."""

    words: dict[str, Side]

    def of(self, word: str) -> Side | None:
        return self.words.get(word.strip().lower())


_WORDS: Final[dict[str, Side]] = {}
_WORDS.update((word, "buy") for word in _BUY.split())
_WORDS.update((word, "sell") for word in _SELL.split())
KNOWN: Final = Sides(_WORDS)


def learned(trades: Iterable[Lesson], given: Sides | None = None) -> Sides:
    """The known words, those `given`, and what `trades` teach. A word whose
    trades contradict each other stays unknown."""
    words = KNOWN.words | (given.words if given else {})
    votes: dict[str, Counter[Side]] = defaultdict(Counter)
    for word, profit, opening, closing in trades:
        key = word.strip().lower()
        if key in words or opening is None or closing is None or not profit or opening == closing:
            continue
        votes[key]["buy" if (profit > 0) == (closing > opening) else "sell"] += 1
    for key, seen in votes.items():
        side, count = seen.most_common(1)[0]
        if count * 20 >= sum(seen.values()) * 19:  # fees inside a profit may turn single trades
            words[key] = side
    return Sides(words)
