"""An account changes its platform in the middle of a phase: states, refusals, and what the people who agree have seen.

Until the record switches, the account can be given back as it was. From then on the change only goes forward.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from domain.platform_errors import PlatformChangeRefused
from domain.states import StateMachine
from domain.wording import listing

PLATFORM_CHANGE: Final = StateMachine(
    noun="change of platform",
    initial="proposed",
    table={
        ("proposed", "approval_given"): "approved",
        ("proposed", "change_rejected"): "rejected",
        ("proposed", "change_withdrawn"): "withdrawn",
        ("approved", "account_shut"): "shut",
        ("shut", "account_opened"): "leaving",
        ("leaving", "record_switched"): "switched",
        ("switched", "account_taken"): "taken",
        ("taken", "trading_resumed"): "done",
        **{(state, "change_abandoned"): "giving_back" for state in ("approved", "shut", "leaving")},
        ("giving_back", "account_given_back"): "abandoned",
    },
    transient=frozenset({"approved", "shut", "leaving", "switched", "taken", "giving_back"}),
)
# From the approval on: no trade, no payout, no other change.
UNDER_WAY: Final = PLATFORM_CHANGE.transient
UNFINISHED: Final = UNDER_WAY | {PLATFORM_CHANGE.initial}
MAY_BE_ABANDONED: Final = tuple(state for state in ("approved", "shut", "leaving"))

ADJUSTING: Final = "An approved adjustment of the balance is being carried out."

Instruments = Mapping[str, Sequence[str]]
"""By symbol: (size of a contract, quote currency), as a venue describes it."""


@dataclass(frozen=True, slots=True)
class ChangeFacts:
    """What the record says of an account that is to change its platform.

    `lacks`: what the target cannot do, as sentences; None: no such platform is configured. `symbols`: those that the
    account has traded or its rules name. `here`, `there`: what both venues describe; None: nothing was read yet.
    """

    status: str
    platform: str
    to_platform: str
    close_positions: bool
    open_positions: int
    balance_minor: int | None
    lacks: Sequence[str] | None = ()
    open_payout: str | None = None
    open_reviews: Sequence[str] = ()
    other_change: str | None = None
    version_waits: bool = False
    reset_waits: bool = False
    adjustment_waits: bool = False
    symbols: frozenset[str] = frozenset()
    here: Instruments | None = None
    there: Instruments | None = None


def refusals(facts: ChangeFacts) -> list[str]:
    """Returns a sentence for everything that stands in the way."""
    return [*_of_target(facts), *_of_money(facts), *_of_others(facts), *_unlike(facts)]


def _of_target(facts: ChangeFacts) -> Iterable[str]:
    if facts.to_platform == facts.platform:
        yield f"The account is at {facts.platform} already."
    if facts.lacks is None:
        yield f"No platform {facts.to_platform} is configured."
    yield from (f"{facts.to_platform}: {sentence}" for sentence in facts.lacks or ())


def _of_money(facts: ChangeFacts) -> Iterable[str]:
    if facts.status != "active":
        yield f"The account is {facts.status}: only an active account can change its platform."
    if facts.balance_minor is None:
        yield "The monitor has not stored anything of the account yet."
    elif facts.balance_minor < 0:
        yield "The balance is below zero, and no venue opens an account with a debt."
    if facts.open_positions and not facts.close_positions:
        yield "The account has open positions, and the change may not close them."
    if facts.reset_waits:
        yield "The balance of the account is being brought back to the initial one."
    if facts.adjustment_waits:
        yield ADJUSTING


def _of_others(facts: ChangeFacts) -> Iterable[str]:
    if facts.open_payout is not None:
        yield f"Payout {facts.open_payout} is open."
    if facts.open_reviews:
        yield f"A person has to look at this first: {listing(facts.open_reviews)}."
    if facts.other_change is not None:
        yield f"Change {facts.other_change} of this account is not finished."
    if facts.version_waits:
        yield "The account waits for another version of its product."


def _unlike(facts: ChangeFacts) -> Iterable[str]:
    """Yields the symbols that the other venue does not have, or trades otherwise."""
    if facts.there is None:
        if facts.lacks is not None:
            yield f"No shard has read the stream of {facts.to_platform} yet, so its symbols are not known."
        return
    for symbol in sorted(facts.symbols):
        ours, theirs = (facts.here or {}).get(symbol), facts.there.get(symbol)
        if theirs is None:
            yield f"{facts.to_platform} has no symbol {symbol}."
        elif ours is not None and list(ours) != list(theirs):
            yield (
                f"A lot of {symbol} is {ours[0]} in {ours[1]} at {facts.platform}, and {theirs[0]} in {theirs[1]} at"
                f" {facts.to_platform}."
            )


def check(facts: ChangeFacts) -> None:
    """Raises PlatformChangeRefused with every reason."""
    found = refusals(facts)
    if found:
        raise PlatformChangeRefused(found)


def named_symbols(rules: Iterable[Any], known: Iterable[str]) -> frozenset[str]:
    """Returns those of the `known` symbols that the definitions of rules name, at any depth."""
    symbols, found = frozenset(known), set[str]()
    waiting: list[Any] = list(rules)
    while waiting:
        each = waiting.pop()
        if isinstance(each, str):
            found.add(each)
        elif isinstance(each, Mapping):
            waiting += [*each.keys(), *each.values()]
        elif isinstance(each, Sequence):
            waiting += each
    return symbols & found


def change_digest(*, change_id: str, account_id: str, platform: str, login: int, to: str, close_positions: bool) -> str:
    """Returns the digest of what is approved: this account, from this place to that platform."""
    return _digest(
        {
            "v": 1,
            "change": change_id,
            "account": account_id,
            "from": [platform, login],
            "to": to,
            "close_positions": close_positions,
        }
    )


def seen_digest(
    *,
    balance_minor: int | None,
    floors: Mapping[str, int],
    trading_days: int,
    last_trading_day: str | None,
    positions: Iterable[Mapping[str, Any]],
) -> str:
    """Returns the digest of the figures that a person reads before agreeing: all that the change carries over."""
    held = sorted((str(each["position_id"]), str(each["lots"])) for each in positions)
    figures = {"v": 1, "balance": balance_minor, "floors": dict(floors), "days": [trading_days, last_trading_day]}
    return _digest({**figures, "positions": held})


def _digest(body: Mapping[str, object]) -> str:
    return hashlib.sha256(json.dumps(body, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def why_not_now(
    *, ended: bool, open_positions: int, balance_minor: int, final_minor: int, resetting: bool, currency: str
) -> str:
    """Returns why the account, with everything judged until its trading stopped, cannot leave; empty when it can.
    `final_minor`: the balance that its venue showed when it was shut."""
    if ended:
        return "A verdict ended the account before it left."
    if open_positions:
        return f"The account has {open_positions} open positions on the record, and none at its venue."
    if balance_minor != final_minor:
        return (
            f"The record has a balance of {balance_minor} and the venue one of {final_minor} (minor units, {currency})."
        )
    if resetting:
        return "The balance of the account is being brought back to the initial one."
    return ""
