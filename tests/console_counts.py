"""Every number of the console that leads to a list, compared with the length of that list over all its pages."""

import re
from dataclasses import dataclass, field
from html.parser import HTMLParser
from typing import Final
from urllib.parse import urljoin, urlsplit

import httpx

START: Final = (
    "/", "/queue", "/accounts", "/challenges", "/breaches", "/traders", "/payouts", "/deals", "/ledger", "/risk",
    "/cases", "/tickets", "/products", "/messages", "/chargebacks",
    "/passes", "/reconciliation", "/reports/pass-rates", "/reports/decision-times", "/reports/liability",
)  # fmt: skip
_NO_PAGES: Final = ("/v1/", "/static/", "/webhooks/", "/docs", "/metrics", "/workflows/")
_FILE: Final = re.compile(r"\.(csv|json|zip|pdf|txt|xml|svg|png|css)$|/(export|pack)$")
_ID: Final = re.compile(r"[^/]*[\d_.][^/]*")
_NUMBER: Final = re.compile(r"^[\d,]+$")


@dataclass
class _Read(HTMLParser):
    """`counts`: address -> the number that stands at it. `bare`: links whose whole text is a number that nothing marks
    as one to be compared; a number that ends the address is an id. `links`: every address. `rows`: of the page's list.
    """

    html: str
    counts: dict[str, int] = field(default_factory=dict)
    bare: list[str] = field(default_factory=list)
    links: list[str] = field(default_factory=list)
    rows: int = 0
    next: str | None = None

    def __post_init__(self) -> None:
        super().__init__()
        self._in_list = False
        self._unmarked = ""
        self._text = ""
        self.feed(self.html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        if tag == "table":
            self._in_list = "data-keys" in given
        if "data-row" in given and (tag == "li" or (tag == "tr" and self._in_list)):
            self.rows += 1
        if tag == "a":
            self._link(given, given.get("href") or "")

    def _link(self, given: dict[str, str | None], href: str) -> None:
        number = given.get("data-count")
        if number is not None:
            self.counts[href] = int(number)
        self._unmarked, self._text = "" if number is not None else href, ""
        if "download" not in given:
            self.links.append(href)
        if given.get("rel") == "next":
            self.next = href

    def handle_data(self, data: str) -> None:
        self._text += data

    def handle_endtag(self, tag: str) -> None:
        said = self._text.strip()
        if tag == "a" and _NUMBER.match(said) and self._unmarked and not self._unmarked.endswith(said):
            self.bare.append(self._unmarked)


async def _read(http: httpx.AsyncClient, place: str) -> _Read:
    answer = await http.get(place, follow_redirects=True)  # a list that needs a time leads to its report
    assert answer.status_code == 200, (place, answer.status_code)
    return _Read(answer.text)


async def length(http: httpx.AsyncClient, address: str) -> int:
    """The entries of a list on all its pages."""
    found, place = 0, address
    while place:
        page = await _read(http, place)
        found, place = found + page.rows, page.next or ""
    return found


async def counts(http: httpx.AsyncClient) -> dict[str, int]:
    """Address of a list -> the number that the console shows for it, on the pages that links lead to: one of each
    kind, whatever id is in its address."""
    found: dict[str, int] = {}
    waiting, kinds = list(START), set(START)
    while waiting:
        place = waiting.pop(0)
        page = await _read(http, place)
        assert page.bare == [], f"{place} has numbers that lead somewhere and are not compared: {page.bare}"
        for href, number in page.counts.items():
            address = urljoin(place, href)
            assert found.setdefault(address, number) == number, f"{place}: {address} has two numbers"
        for link in page.links:
            path = urlsplit(urljoin(place, link)).path
            kind = _ID.sub("*", path)
            own = not urlsplit(link).netloc and not path.startswith(_NO_PAGES) and not _FILE.search(path)
            if own and kind not in kinds:
                kinds.add(kind)
                waiting.append(path)
    return found


async def differences(http: httpx.AsyncClient) -> dict[str, tuple[int, int]]:
    """The lists whose number is not their length: address -> (number, length)."""
    shown = await counts(http)
    found = {address: (number, await length(http, address)) for address, number in shown.items()}
    return {address: both for address, both in found.items() if both[0] != both[1]}
