"""The words of files: what a venue or a firm writes for a side, a reason, a state, and which of our words is meant."""

from collections.abc import Mapping
from typing import Final

import numpy as np
import pandas as pd

from surveillance.files.columns import Array, Read


def spellings(text: str) -> dict[str, str]:
    """Reads lines of a word of ours and the other words for it."""
    found: dict[str, str] = {}
    for line in text.strip().splitlines():
        ours, *others = line.split()
        found |= dict.fromkeys((ours, *others), ours)
    return found


SIDES: Final = {"buy": 1, "long": 1, "b": 1, "1": 1, "+1": 1, "sell": -1, "short": -1, "s": -1, "-1": -1}
IMPACTS: Final = {"1": 1, "low": 1, "2": 2, "medium": 2, "moderate": 2, "3": 3, "high": 3}
REASONS: Final = spellings("""
client desktop manual terminal
mobile
web
expert ea robot
signal
dealer
pending order limit
stop sl stop_loss stoploss
target tp take_profit takeprofit
stop_out so stopout liquidation margin
""")
TYPES: Final = spellings("""
market buy sell mkt
limit buy_limit sell_limit
stop buy_stop sell_stop
stop_limit stoplimit buy_stop_limit sell_stop_limit
""")
STATES: Final = spellings("""
filled done executed partial
cancelled canceled rejected deleted
expired
placed open working pending active
""")
OUTCOMES: Final = spellings("""
open active
passed pass
breached breach failed lost
expired
closed
""")
KINDS: Final = spellings("""
ip ip_address login_ip
device device_id fingerprint
card card_fingerprint
beneficiary iban bank_account wallet
address postal_address
document passport id_document
""")
DELETED: Final = frozenset({"deleted", "cancelled", "canceled", "busted", "removed", "void"})


def translated(read: Read, column: str, words: Mapping[str, str]) -> Array:
    """Returns the words of ours; one that is unknown is counted and becomes ""."""
    meant, unknown = _meant(read[column], words, "")
    read.report("unknown_word", column, unknown)
    return meant


def coded(read: Read, column: str, words: Mapping[str, int]) -> Array:
    """Returns the numbers of the words, 0 for one that is empty or unknown."""
    return _meant(read[column], words, 0)[0].astype(np.int64)


def is_deleted(states: Array) -> Array:
    """Returns which rows say that they have been deleted."""
    codes, found = pd.factorize(states)
    deleted = np.array([str(state).lower() in DELETED for state in found] + [False], dtype=bool)
    return np.asarray(deleted[codes], dtype=bool)


def _meant(values: Array, words: Mapping[str, object], otherwise: object) -> tuple[Array, Array]:
    codes, found = pd.factorize(values)
    spelled = [str(value).lower().replace(" ", "_").replace("-", "_") for value in found]
    meant = np.empty(len(found) + 1, dtype=object)
    known = [
        words.get(word, words.get(str(value).lower(), otherwise)) for word, value in zip(spelled, found, strict=True)
    ]
    meant[:-1], meant[-1] = known, otherwise
    strange = np.array([word not in words and word != "" for word in spelled] + [False], dtype=bool)
    return meant[codes], strange[codes]
