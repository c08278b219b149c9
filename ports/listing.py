"""The list of accounts that a venue can give in few calls, to compare them with the record."""

from collections.abc import AsyncIterator, Sequence
from typing import NamedTuple, Protocol, runtime_checkable

from domain.products.second_wall import VenueFloors
from domain.venue_accounts import Lots


class ListedAccount(NamedTuple):
    """`lots`: open lots under the venue's names of symbols. `floors`: None where the list does not have them."""

    login: int
    currency: str
    trading_enabled: bool
    balance_minor: int
    lots: Lots
    floors: VenueFloors | None = None


@runtime_checkable
class ListsAccounts(Protocol):
    """Part of a TradingPlatform with the capability `lists_accounts`."""

    def accounts(self) -> AsyncIterator[Sequence[ListedAccount]]:
        """Yields all accounts of ours at the venue, also those that the record does not know, each once. The figures
        of one account may be of different moments. Raises Unavailable."""
        ...
