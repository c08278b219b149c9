"""Who is on a sanctions list, as every published format is read."""

import hashlib
import json
from dataclasses import dataclass
from datetime import date
from typing import Final, Literal

ListName = Literal["un", "ofac", "eu", "uk"]
LISTS: Final[dict[ListName, str]] = {
    "un": "United Nations consolidated list",
    "ofac": "US OFAC list of specially designated nationals",
    "eu": "European Union consolidated list",
    "uk": "United Kingdom sanctions list",
}


@dataclass(frozen=True, slots=True)
class Entry:
    """One listed person, company or ship. `ref`: its id on the list. `names`: the name first, then its aliases.
    `births`: dates or years as the list has them. `countries`: of nationality, as the list has them."""

    ref: str
    names: tuple[str, ...]
    births: tuple[str, ...] = ()
    countries: tuple[str, ...] = ()

    @property
    def digest(self) -> str:
        """Changes when anything about the entry that screening reads changes."""
        body = json.dumps(["v1", self.ref, sorted(self.names), sorted(self.births), sorted(self.countries)])
        return hashlib.sha256(body.encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class ListFile:
    """A list as published. `published`: the date in the file, None if it has none. `sha256`: of the file."""

    entries: tuple[Entry, ...]
    published: date | None
    sha256: str
