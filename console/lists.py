"""A list's sort, filters and page, all of it in the URL."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import urlencode


@dataclass(frozen=True)
class Table:
    """`params` are the filters in force; `sort` is a column name, with a leading minus for descending."""

    path: str
    params: Mapping[str, str] = field(default_factory=dict)
    order: str = ""
    cursor: str | None = None
    next_cursor: str | None = None

    @property
    def sort(self) -> str:
        return self.order.removeprefix("-")

    @property
    def descending(self) -> bool:
        return self.order.startswith("-")

    def _url(self, **changes: str | None) -> str:
        values = {**self.params, "sort": self.order, **changes}
        kept = {name: value for name, value in values.items() if value}
        return self.path + (f"?{urlencode(kept)}" if kept else "")

    def sorted_by(self, name: str) -> str:
        """The list by this column, turned around when it already is; from its first page."""
        return self._url(sort=name if self.order == f"-{name}" else f"-{name}")

    @property
    def first(self) -> str | None:
        return self._url() if self.cursor else None

    @property
    def next(self) -> str | None:
        return self._url(cursor=self.next_cursor) if self.next_cursor else None
