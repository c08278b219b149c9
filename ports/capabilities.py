"""What a trading platform can do, typed for programs and in sentences for people.

An adapter declares it once, beside its settings (`Plugin.capabilities`), so that the firm knows it before anything is
connected. What an adapter does not declare, its venue cannot do.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal

from pydantic import BaseModel, ConfigDict, Field

# none: traders bring their own. create: the venue makes them with the account. reset: it also replaces them.
Credentials = Literal["none", "create", "reset"]
# all: trading stops in everything at once. symbol: in one symbol, or in everything.
KillSwitch = Literal["none", "all", "symbol"]


@dataclass(frozen=True)
class Feature:
    """`name`: of the field. `able`: whether the venue has it. `sentence`: the same for a person."""

    name: str
    able: bool
    sentence: str


class PlatformCapabilities(BaseModel):
    """The features of a platform.

    `creates_accounts`: opens accounts, and finds them again by key. `sets_trading`: enables and disables trading.
    `moves_balances`: pays in and takes out. `finds_balance_operations`: finds a payment again by its key.
    `closes_all_in_one_call`: closes all positions of an account in one call; else one call closes one position.
    `cancels_orders`: cancels pending orders. `close_only`: can allow an account to close positions and not to open any.
    `kill_switch`: stops trading for all accounts. `holds_floors`: enforces loss limits that the firm sends.
    `lists_accounts`: shows all accounts with their money, rights and positions in a few calls.
    `pushes_events`: sends fills by itself; else it is asked at intervals. `pushes_quotes`: likewise for prices.
    `keeps_deals_days`: for how many days it lists deals; None: it states no limit. `credentials`: of the traders.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    creates_accounts: bool = False
    sets_trading: bool = False
    moves_balances: bool = False
    finds_balance_operations: bool = False
    closes_all_in_one_call: bool = False
    cancels_orders: bool = False
    close_only: bool = False
    kill_switch: KillSwitch = "none"
    holds_floors: bool = False
    lists_accounts: bool = False
    pushes_events: bool = False
    pushes_quotes: bool = False
    keeps_deals_days: int | None = Field(None, ge=1)
    credentials: Credentials = "none"

    def features(self) -> list[Feature]:
        """Every feature, in the order of the fields."""
        return [self._feature(name) for name in type(self).model_fields]

    def in_words(self) -> list[str]:
        """A sentence for each feature, such as "This venue cannot create accounts."."""
        return [feature.sentence for feature in self.features()]

    def missing_for_new_accounts(self) -> list[str]:
        """A sentence for each feature that the platform of new accounts needs and this one does not have."""
        return [each.sentence for each in self.features() if each.name in _NEEDED_FOR_NEW_ACCOUNTS and not each.able]

    def _feature(self, name: str) -> Feature:
        value = getattr(self, name)
        if name == "keeps_deals_days":
            return Feature(
                name, value is None, _KEEPS_DEALS if value is None else f"This venue keeps {value} days of deals."
            )
        if name in _CHOICES:
            return Feature(name, value != "none", _CHOICES[name][value])
        return Feature(name, value, f"This venue {'can' if value else 'cannot'} {_ABILITIES[name]}.")


_NEEDED_FOR_NEW_ACCOUNTS: Final = ("creates_accounts", "sets_trading", "moves_balances", "finds_balance_operations")
_KEEPS_DEALS: Final = "This venue states no limit to how long it keeps deals."
_ABILITIES: Final[Mapping[str, str]] = {
    "creates_accounts": "create accounts",
    "sets_trading": "enable and disable the trading of an account",
    "moves_balances": "pay into an account or take out of it",
    "finds_balance_operations": "find a payment into or out of an account by its key",
    "closes_all_in_one_call": "close all positions of an account in one call",
    "cancels_orders": "cancel pending orders",
    "close_only": "limit an account to closing positions",
    "holds_floors": "enforce the loss limits of an account by itself",
    "lists_accounts": "list all accounts with what they hold",
    "pushes_events": "send fills without being asked",
    "pushes_quotes": "send prices without being asked",
}
_CHOICES: Final[Mapping[str, Mapping[str, str]]] = {
    "kill_switch": {
        "none": "This venue cannot stop the trading of all accounts in one call.",
        "all": "This venue can stop the trading of all accounts in one call.",
        "symbol": "This venue can stop the trading of all accounts in one call, in one symbol or in all.",
    },
    "credentials": {
        "none": "This venue cannot create credentials for traders.",
        "create": "This venue can create credentials for traders, and cannot reset them.",
        "reset": "This venue can create credentials for traders, and reset them.",
    },
}


@dataclass(frozen=True)
class PlatformFeatures:
    """A configured platform as people are shown it. `adapter`: its entry point. `default`: it gets the new accounts, of
    all products but those that other platforms name in `products`."""

    name: str
    adapter: str
    default: bool
    capabilities: PlatformCapabilities
    products: tuple[str, ...] = ()
