"""Every number of the console that leads to a list, compared with the length of that list over all its pages."""

from dataclasses import dataclass, field
from html.parser import HTMLParser
from typing import Final

import httpx

START: Final = (
    "/", "/queue", "/accounts", "/challenges", "/breaches", "/traders", "/payouts", "/deals", "/ledger", "/risk",
    "/cases", "/tickets", "/products", "/messages", "/chargebacks",
    "/passes", "/reconciliation", "/reports/pass-rates",
)  # fmt: skip


@dataclass
class _Read(HTMLParser):
    """`counts`: address -> the number that stands at it. `rows`: of the page's list. `waiting`: the rail's numbers."""

    html: str
    counts: dict[str, int] = field(default_factory=dict)
    rows: int = 0
    next: str | None = None

    def __post_init__(self) -> None:
        super().__init__()
        self._in_list = False
        self.feed(self.html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        if tag == "table":
            self._in_list = "data-keys" in given
        if tag == "tr" and self._in_list and "data-row" in given:
            self.rows += 1
        if tag == "a" and (number := given.get("data-count")) is not None:
            self.counts[given["href"] or ""] = int(number)
        if tag == "a" and given.get("rel") == "next":
            self.next = given["href"]


async def length(http: httpx.AsyncClient, address: str) -> int:
    """The entries of a list on all its pages."""
    found, place = 0, address
    while place:
        answer = await http.get(place)
        assert answer.status_code == 200, (place, answer.status_code)
        page = _Read(answer.text)
        found, place = found + page.rows, page.next or ""
    return found


async def counts(http: httpx.AsyncClient) -> dict[str, int]:
    """Address of a list -> the number that the console shows for it."""
    found: dict[str, int] = {}
    for place in START:
        answer = await http.get(place)
        assert answer.status_code == 200, (place, answer.status_code)
        for address, number in _Read(answer.text).counts.items():
            assert found.setdefault(address, number) == number, f"{address} has two numbers"
    return found


async def differences(http: httpx.AsyncClient) -> dict[str, tuple[int, int]]:
    """The lists whose number is not their length: address -> (number, length)."""
    shown = await counts(http)
    found = {address: (number, await length(http, address)) for address, number in shown.items()}
    return {address: both for address, both in found.items() if both[0] != both[1]}
