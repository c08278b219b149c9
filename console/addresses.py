"""The addresses of the console's pages."""

from typing import Final
from urllib.parse import quote, urlencode

from front.subjects.table import SUBJECTS

_PAGES: Final = {
    "account": "/accounts",
    "breach": "/breaches",
    "challenge": "/challenges",
    "deal": "/accounts",
    "proof": "/proofs",
    "trader": "/traders",
}


def href(kind: str, subject_id: str) -> str:
    """The page of a thing; the risk page for what has none of its own."""
    if kind in _PAGES:
        return f"{_PAGES[kind]}/{subject_id}"
    return SUBJECTS.by_name[kind].href(subject_id) if kind in SUBJECTS.by_name else "/risk"


def has_page(kind: str) -> bool:
    return kind in _PAGES or (kind in SUBJECTS.by_name and SUBJECTS.by_name[kind].page is not None)


def queue_href(tab: str = "", ref: str = "", part: str = "", cursor: str = "") -> str:
    """The work queue limited to the kinds `tab` ("payout,case") and one part of it ("mine"), from `cursor` on, with the
    item `ref` ("payout/pay_…") beside it."""
    asked = (("kind", tab), ("show", part), ("cursor", cursor))
    query = urlencode({name: value for name, value in asked if value}, safe=",")
    return (f"/queue/{quote(ref)}" if ref else "/queue") + (f"?{query}" if query else "")


def page_of_id(subject_id: str) -> str | None:
    """The page of a thing by the kind that its id begins with; None for what has none."""
    prefix = subject_id.split("_", maxsplit=1)[0]
    for kind, known in {"challenge": "chl", "account": "acc", "trader": "trd"}.items():
        if prefix == known:
            return href(kind, subject_id)
    found = (subject for subject in SUBJECTS if subject.find is not None and subject.find.prefix == prefix)
    return next((subject.href(subject_id) for subject in found if subject.page), None)
