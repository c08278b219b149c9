"""What the checks of one platform share, and how a check ends."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Final, Literal, NamedTuple

from adapters.platforms.http_stream import GatewaySettings
from cli.adapters import OnePlatform
from cli.platforms.session import Session
from domain import keys
from gateway.symbols import MappedFeed
from ports.platform import TradingPlatform
from ports.venue import Message

NO_LOGIN: Final = 2_147_483_587  # a login that no venue gives to a test account
Outcome = Literal["pass", "fail", "skipped"]
# Opens a position on a login, by whatever means the venue has; the port has none.
Trade = Callable[[int], Awaitable[None]]


class Failed(Exception):
    """The platform does not keep a promise. `remedy`: what its author does."""

    def __init__(self, sentence: str, remedy: str) -> None:
        super().__init__(sentence)
        self.sentence, self.remedy = sentence, remedy


class Skipped(Exception):
    """The check asks for what this venue cannot do; the text says why."""


class Result(NamedTuple):
    """`sentence`: the promise of a check that passed, what is wrong, or why it was skipped."""

    check: str
    outcome: Outcome
    sentence: str
    remedy: str = ""


@dataclass
class Terms:
    """What test accounts are opened with. `login`: a test account that exists already, for a venue that cannot create
    one. `patience`: seconds until something that does not come counts as missing."""

    group: str = "two-step/1"
    currency: str = "USD"
    leverage: int = 100
    login: int | None = None
    patience: float = 60.0


@dataclass
class World:
    """`newest`: an account that was opened while the feed was connected. `deposits`: keys of the deposits that the feed
    has told. `closing`: what is left to clean up."""

    one: OnePlatform
    terms: Terms
    trade: Trade | None
    login: int | None = None
    session: Session | None = None
    newest: int | None = None
    deposits: list[str] = field(default_factory=list)
    recorded: list[Message] = field(default_factory=list)
    closing: list[Callable[[], None]] = field(default_factory=list)

    @property
    def platform(self) -> TradingPlatform:
        return self.one.platform

    def needs(self, *features: str) -> None:
        """Raises Skipped with the sentence of a feature that the venue does not declare."""
        for each in self.one.plugin.capabilities.features():
            if each.name in features and not each.able:
                raise Skipped(each.sentence)

    def account(self) -> int:
        """Returns the login of the test account."""
        if self.login is None:
            raise Skipped("There is no test account: see the checks before this one, or give --login.")
        return self.login

    def feed(self) -> MappedFeed:
        if self.one.raw_feed is None:
            raise Skipped("This platform is read without a gateway: it has no feed.")
        return MappedFeed(self.one.raw_feed, self.one.symbols)

    def gateway(self) -> GatewaySettings:
        if not isinstance(self.one.values, GatewaySettings):
            raise Failed(
                "The adapter has a feed, and its settings are no GatewaySettings.",
                "Derive the settings model from adapters.platforms.http_stream.GatewaySettings.",
            )
        return self.one.values

    def live(self) -> Session:
        if self.session is None:
            self.feed()
            raise Skipped("The feed is not connected: see the check connect.")
        return self.session

    def recording(self) -> list[Message]:
        self.feed()
        if not self.recorded:
            raise Skipped("No message was recorded: see the check connect.")
        return self.recorded


@dataclass(frozen=True)
class Check:
    """`promise`: what a platform that passes does, as a sentence."""

    name: str
    promise: str
    run: Callable[[World], Awaitable[None]]


# Keys have the forms of the firm's own: a venue with little room for a comment may store only those whole.


def account_key() -> str:
    return keys.account_creation(keys.new_id("chl"), 1, 1)


def deposit_key() -> str:
    return keys.initial_deposit(keys.new_id("acc"))


def trading_key() -> str:
    return keys.trading(keys.new_id("acc"), "enable")


def lock_key() -> str:
    return keys.account_lock(keys.new_id("acc"), "breach")


def stop_key() -> str:
    """Of a call that stops trading, or sets a password."""
    return keys.new_id("hlt")


def limits_key() -> str:
    return keys.venue_limits(keys.new_id("acc"), "opened")


def close_key() -> str:
    return keys.close_message(keys.new_id("off"))


def expect(holds: bool, sentence: str, remedy: str) -> None:
    if not holds:
        raise Failed(sentence, remedy)
