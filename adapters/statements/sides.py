"""Which words of a report mean buy and sell.

Terminals translate them in some languages. What is not known is learned from the trades themselves: a profit while the
price rose is a buy.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from domain.statements import Side

_KNOWN: Final[dict[str, Side]] = dict.fromkeys(
    ("buy", "long", "kaufen", "kauf", "acheter", "achat", "compra", "comprar", "acquisto", "kup", "kupno", "покупка"),
    "buy",
) | dict.fromkeys(
    ("sell", "short", "verkaufen", "verkauf", "vendre", "vente", "venta", "vender", "venda", "vendita", "sprzedaż")
    + ("продажа",),
    "sell",
)


@dataclass(frozen=True, slots=True)
class Sides:
    """Side by word, in lower case."""

    words: dict[str, Side]

    def of(self, word: str) -> Side | None:
        return self.words.get(word.strip().lower())


KNOWN: Final = Sides(_KNOWN)


def learned(trades: Iterable[tuple[str, Decimal, Decimal | None, Decimal | None]], given: Sides | None = None) -> Sides:
    """The known words, those `given`, and what `trades` (word, profit, opening and closing price) teach. A word whose
    trades contradict each other, or that shares its meaning with a word that is known, stays unknown."""
    words = dict(_KNOWN) | (given.words if given else {})
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
