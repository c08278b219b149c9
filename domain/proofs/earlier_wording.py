"""Sentences in earlier wording. A sheet keeps the sentence of its day, so the checker accepts these as well.

An earlier sentence is accepted where its form is known and its figures are exactly those that follow from the sheet.
"""

import re
from typing import Final

_FIGURE: Final = re.compile(r"\d[\d,:.-]*\d|\d")
# A figure is `#`; `*` is a name or an id of the account, the rule or the market.
_EARLIER: Final = (
    "# lots were open at once; allowed is #.",
    "# positions were open at once; allowed is #.",
    "# position(s) open at or after # # UTC.",
    "# lots were opened; allowed is between # and #.",
    "# lots were opened; allowed is at most #.",
    "# lots were opened; allowed is at least #.",
    "One idea in * (*) lost # *; allowed is # *.",
    "* in * at # UTC, around the release of # UTC.",
    "The stop of position * lets it lose # *; allowed is # *.",
    "Position * had no stop loss # seconds long.",
    "Nothing was traded from # # UTC to # # UTC.",
    "The * of the open positions was # *, above # times the *.",
    "There is no profit yet, so no best-day ratio.",
    "The best day, # *, is # % of # *; the limit is * # %.",
    "The result of # day(s) is not known, for want of prices.",
    "The profit target stands as it is.",
    "# * made beyond the daily cap does not count.",
    "There is no trade to share yet.",
    "There is no profit to share yet.",
    "# % of your * came from positions held longer than # seconds.",
    "# of # profitable day(s) are done.",
    "# of # profitable day(s) in a row are done.",
    "# of # profitable day(s) are done. The result of # more is not known, for want of prices.",
    "# of # profitable day(s) in a row are done. The result of # more is not known, for want of prices.",
    "# of # trading day(s) are done.",
    "the account is not funded but *",
    "it unlocks once # * have been withdrawn in total",
    "the days count from the first trade, and there is none yet",
    "cancel all pending orders first (# waiting)",
    "add the bank account that the money goes to",
    "it would break * by itself; at most # * can leave the account, for with open losses its room is # *",
)
_FORMS: Final = [
    re.compile(re.escape(form).replace(r"\#", r"-?[\d,:.-]*\d").replace(r"\*", r"[\w .,<=-]+")) for form in _EARLIER
]


def same_sentence(stated: str, recomputed: str) -> bool:
    """Whether a sheet may state this sentence: the one that follows from it, or an earlier wording with its figures."""
    if stated == recomputed:
        return True
    return _FIGURE.findall(stated) == _FIGURE.findall(recomputed) and any(form.fullmatch(stated) for form in _FORMS)
