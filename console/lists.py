"""A list's sort, filters and page, all of it in the URL, and what there is on all pages."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

from store.read.listing import EVERYTHING, Asked, Listing, Totals
from store.read.pages import Page


@dataclass(frozen=True)
class Choice:
    """A filter with the values to choose from."""

    name: str
    label: str
    value: str
    values: tuple[str, ...]


@dataclass(frozen=True)
class Table:
    """`params` are the filters in force; `order` is a column name, with a leading minus for descending. `rising`: the
    columns that begin with the least. `choices`: the filters that the page offers. `noun`: what there is several of."""

    path: str
    params: Mapping[str, str] = field(default_factory=dict)
    order: str = ""
    cursor: str | None = None
    next_cursor: str | None = None
    previous_cursor: str | None = None
    rising: frozenset[str] = frozenset()
    choices: tuple[Choice, ...] = ()
    asked: Asked = EVERYTHING
    searches: str = ""
    totals: Totals | None = None
    noun: str = ""
    exports: bool = False

    @property
    def sort(self) -> str:
        return self.order.removeprefix("-")

    @property
    def descending(self) -> bool:
        return self.order.startswith("-")

    @property
    def kept(self) -> list[tuple[str, str]]:
        """The filters in force that the page offers no choice for, such as those of a link that led here."""
        chosen = {"q", *(choice.name for choice in self.choices)}
        return [(name, value) for name, value in self.params.items() if value and name not in chosen]

    @property
    def query(self) -> str:
        """The filters and the order, as in the address."""
        return self._url().partition("?")[2]

    def _url(self, **changes: str | None) -> str:
        values = {**self.params, "sort": self.order, **changes}
        given = {name: value for name, value in values.items() if value}
        return self.path + (f"?{urlencode(given)}" if given else "")

    def sorted_by(self, name: str) -> str:
        """The list by this column, turned around when it already is; from its first page."""
        first, second = (name, f"-{name}") if name in self.rising else (f"-{name}", name)
        return self._url(sort=second if self.order == first else first)

    def tab(self, name: str, value: str) -> str:
        """The list with this filter in the order of its own; the others stay."""
        return self._url(**{name: value, "sort": None})

    def with_filter(self, name: str, value: str) -> str:
        """The list with this filter, or without it; the others stay."""
        return self._url(**{name: value})

    @property
    def first(self) -> str | None:
        return self._url() if self.cursor else None

    @property
    def previous(self) -> str | None:
        return self._url(cursor=self.previous_cursor) if self.previous_cursor else None

    @property
    def next(self) -> str | None:
        return self._url(cursor=self.next_cursor) if self.next_cursor else None


def table_of(
    path: str,
    noun: str,
    listing: Listing,
    asked: Asked,
    cursor: str | None,
    page: Page[Any],
    totals: Totals | None,
    choices: Sequence[Choice] = (),
    *,
    exports: bool = False,
) -> Table:
    return Table(
        path=path,
        params={"q": asked.search, **asked.filters},
        order=asked.order or listing.order,
        cursor=cursor,
        next_cursor=page.next_cursor,
        previous_cursor=page.previous_cursor,
        rising=frozenset(name for name, order in listing.orders.items() if order.closest_first),
        choices=tuple(choices),
        asked=asked,
        searches=listing.searches,
        totals=totals,
        noun=noun,
        exports=exports,
    )


def choices_of(listing: Listing, asked: Asked, *names: str, **values: Sequence[str]) -> list[Choice]:
    """The filters `names` with the values that the list has, or with `values`."""
    known = {name: tuple(values.get(name, listing.filters[name].values)) for name in names}
    return [
        Choice(name, listing.filters[name].label, asked.filters.get(name, ""), offered)
        for name, offered in known.items()
        if offered
    ]
