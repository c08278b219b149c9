"""The words of reports for rows of money without a trade, and what each of them means.

MT5 names its deal types in English in most languages; MT4 translates `balance` and `credit`. Source: the deal types of
the MQL5 reference (ENUM_DEAL_TYPE), and reports of translated terminals.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, Literal

# transfer: deposit or withdrawal. credit: lent money. result: a cost or an income of trading. cancelled: no fill at all
MoneyKind = Literal["transfer", "credit", "result", "cancelled"]

_TRANSFER: Final = """
balance deposit withdrawal withdraw transfer bilanz saldo solde bilancio bakiye zůstatek egyenleg saldi
баланс залишок υπόλοιπο 余额 餘額 結餘 残高 잔고 잔액 الرصيد اعتبار ยอดคงเหลือ
"""
_CREDIT: Final = """
credit bonus kredit crédit crédito credito kredi kredyt úvěr hitel
кредит бонус πίστωση 信用 信贷 クレジット 신용 ボーナス
"""
_RESULT: Final = """
commission charge interest dividend correction agent tax fee swap rollover so compensation adjustment
"""
_CANCELLED: Final = ("buy canceled", "sell canceled", "buy cancelled", "sell cancelled")


@dataclass(frozen=True, slots=True)
class MoneyWords:
    """The meaning of each word; words are in lower case. The first word of a name decides: "commission daily"."""

    words: dict[str, MoneyKind]

    def of(self, name: str) -> MoneyKind | None:
        """Returns the meaning of a name; None when it is not known."""
        name = " ".join(name.lower().split())
        if name in _CANCELLED:
            return "cancelled"
        return self.words.get(name) or self.words.get(name.split(" ")[0] if name else "")

    def with_words(self, transfers: Iterable[str], results: Iterable[str]) -> "MoneyWords":
        """Returns these words and the given ones."""
        added: dict[str, MoneyKind] = {word.lower(): "transfer" for word in transfers}
        added |= {word.lower(): "result" for word in results}
        return MoneyWords(self.words | added)


def _known() -> dict[str, MoneyKind]:
    words: dict[str, MoneyKind] = {}
    kinds: tuple[tuple[MoneyKind, str], ...] = (("transfer", _TRANSFER), ("credit", _CREDIT), ("result", _RESULT))
    for kind, text in kinds:
        words |= dict.fromkeys(text.split(), kind)
    return words


KNOWN: Final = MoneyWords(_known())
