"""Port of a statement source: what a cash account of the firm says moved.

A source reconciles the cash account of its own name: the one that the acquirer or rail of that name books to.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Protocol

from pydantic import AwareDatetime, Field, StringConstraints

from domain.errors import NotConfigured
from ports.money import Data

# What the table of entries can keep.
EntryWord = Annotated[str, StringConstraints(pattern=r"^[!-~]{1,80}$")]


class StatementEntry(Data):
    """One movement of money. Positive amounts come in to the firm, negative amounts go out.

    `kind`: charge, refund, refund_failed, dispute (money taken by a chargeback), dispute_won (given back), fee,
    transfer, transfer_return, settlement (from the acquirer to the firm's bank), or a word that we do not know.
    `reference`: our challenge id, payout id, or transfer key; "" if the entry has none. `problem` says what of the
    entry cannot be read: such an entry is shown to a person and never booked. Its unreadable fields are "-", 0 or 1970,
    and its id is made of its content if it has none.
    """

    entry_id: EntryWord
    object_id: EntryWord
    reference: Annotated[str, StringConstraints(pattern=r"^[ -~]{0,40}$")]
    kind: Annotated[str, StringConstraints(pattern=r"^[!-~]{1,20}$")]
    amount_minor: Annotated[int, Field(ge=-(2**63), lt=2**63)]
    currency: Annotated[str, StringConstraints(pattern=r"^[!-~]{1,4}$")]
    at: AwareDatetime
    problem: str | None = None


class StatementBalance(Data):
    """What the account held at `at`, by the source's own word."""

    currency: str
    amount_minor: int
    at: AwareDatetime


class StatementSource(Protocol):
    """`name`: the name in the firm's settings, and of the cash account that it reconciles."""

    name: str

    async def entries(self, after: str | None, limit: int = 1000) -> list[StatementEntry]:
        """Returns the next movements of money after the entry id `after`, oldest first, at most `limit` or one page of
        the source. Unreadable ones have a `problem`. The reader may ask from an earlier entry again and drops what it
        has. Raises CursorForgotten when the source no longer knows that id, Unavailable for an answer that is not a
        list."""
        ...

    async def balances(self) -> list[StatementBalance]:
        """Returns the newest balance of each currency; empty when the source tells none."""
        ...

    async def healthy(self) -> str: ...

    async def aclose(self) -> None: ...


@dataclass(frozen=True)
class StatementSources:
    """The configured sources by name."""

    by_name: Mapping[str, StatementSource]

    def of(self, name: str) -> StatementSource:
        """Raises NotConfigured."""
        if name not in self.by_name:
            raise NotConfigured("statement source", name, "PROPOS_STATEMENTS")
        return self.by_name[name]
