"""What a trader is told about a decided case: facts of the trader's own account and the rule, in words of the firm.

A message never names the score, another trader or another trader's account. `{account}` and `{trades}` stand for the
reader's own accounts and trades; they are filled in for each reader.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Final

from domain.errors import BadInput
from domain.surveillance.casework import ProposedAction

_FACTS: Final[Mapping[str, str]] = {
    "copying": "trades on {account} copied the trades of another account, or were opposite to them",
    "identity": "{account} shares personal details, a device or a payment method with other accounts",
    "sizing": "positions on {account} risked most of the loss limit, or grew while they were losing",
    "timing": "trades on {account} were held for seconds only, or were placed around a news release or a market close",
    "market_data": "trades on {account} were filled at prices that the market did not quote at that moment",
    "conduct": "trades on {account} were made only to reach a number of trading days, or in another style than before",
}
_OTHER_FACTS: Final = "we reviewed the trading on {account}"
_DOES: Final[Mapping[ProposedAction, str]] = {
    "warn": "This is a warning. We take no money from your account, but we can if this happens again.",
    "deduct": "The profit of these trades does not count for payouts. Your account stays open.",
    "deny": "We rejected your payout request. The money is back on your account, and your account stays open.",
    "close": "We closed your account and rejected its open payouts.",
}
_APPEAL: Final = (
    "You can appeal once, on the page of the account. A person who did not make this decision reviews the appeal."
)
PLACEHOLDERS: Final = ("{account}", "{trades}")
_BRACES: Final = re.compile(r"\{[^{}]*\}|[{}]")
_IDS: Final = re.compile(r"\b(?:acc|trd|cas|alr|chl|usr|act)_[0-9a-z]+")
_SCORE: Final = re.compile(r"\b(?:score|scored|probability|confidence|threshold)\b", re.IGNORECASE)


def template(family: str, action: ProposedAction, rule: str) -> str:
    """Returns the message of a family of patterns, with placeholders."""
    facts = _FACTS.get(family, _OTHER_FACTS)
    parts = (f"{facts[0].upper()}{facts[1:]}.", "{trades}", f"The rule: {rule.strip().rstrip('.')}.", _DOES[action])
    return "\n\n".join((*parts, _APPEAL))


def filled(message: str, *, accounts: Sequence[str], trades: Sequence[str]) -> str:
    """Returns the message as one reader gets it. `accounts`: numbers of their accounts; `trades`: a line each."""
    lines = "\n".join(f"- {line}" for line in trades)
    text = message.replace("{account}", " and ".join(accounts)).replace("{trades}", lines)
    return re.sub(r"\n{3,}", "\n\n", text).strip()


def check(message: str, *, others: Iterable[str], numbers: Iterable[str], scores: Iterable[Decimal]) -> None:
    """Refuse a message that says what the reader must not learn. `others`: names of other traders; `numbers`: of their
    accounts; `scores`: of the alerts. Raises BadInput, naming what is wrong."""
    wrong = [text for text in _BRACES.findall(message) if text not in PLACEHOLDERS]
    if wrong:
        raise _refused(f"{wrong[0]} stands for nothing", f"Use {' and '.join(PLACEHOLDERS)} only.")
    if found := _SCORE.search(message):
        raise _refused(f"it speaks of a {found[0].lower()}", "Name what was traded and the rule.")
    if any(_has_score(message, score) for score in scores):
        raise _refused("it names the score", "Name what was traded and the rule.")
    if found := _IDS.search(message):
        raise _refused(f"it names {found[0]}", "Write {account} for the reader's own account.")
    lowered = message.casefold()
    for number in numbers:
        if number.casefold() in lowered:
            raise _refused(f"it names the account {number}", "Write {account} for the reader's own account.")
    for name in others:
        if name.casefold() in lowered or _has_part(message, name):
            raise _refused(f"it names {name}", "Leave the names of other traders out.")


def _has_score(message: str, score: Decimal) -> bool:
    """Whether the score is written as a share or in percent. 0 and 1 are too common to be told from sizes."""
    if score in (0, 1):
        return False
    plain, percent = f"{score.normalize():f}", f"{(score * 100).normalize():f}"
    return bool(
        re.search(rf"(?<![\d.]){re.escape(plain)}0*(?![\d.]\d)", message)
        or re.search(rf"(?<![\d.]){re.escape(percent)}(?:\.0+)?\s*(?:%|percent)", message)
    )


def _has_part(text: str, name: str) -> bool:
    """Whether the text has a part of the name as a word, written as in the name: "Will" is one, "will" is not."""
    parts = (part for part in re.split(r"[^\w]+", name) if len(part) >= 3)
    return any(re.search(rf"\b{re.escape(part)}\b", text) for part in parts)


def _refused(why: str, remedy: str) -> BadInput:
    return BadInput(f"The message cannot be sent to the trader: {why}.", field="message", remedy=remedy)
