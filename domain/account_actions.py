"""What people can do about an account now: each action with what it does, in words and money, or why it cannot be done.

The text is shown before an action is confirmed. Who may do what is no part of it (`front/account_actions.py`).
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal

from domain.freezes import stays_disabled, why_not_freeze, why_not_thaw
from domain.interventions import Kind
from domain.money import Money
from domain.wording import instant, name, times

Name = Literal[
    "freeze", "thaw", "message", "note", "extend", "refund", "adjust", "reset", "move", "platform", "compensate",
    "close", "credentials",
]  # fmt: skip


@dataclass(frozen=True, slots=True)
class MoreTime:
    """What an extension would do. `left`: how often the phase can be extended afterwards."""

    days: int
    ends: datetime
    instead_of: datetime
    left: int


@dataclass(frozen=True, slots=True)
class AccountFacts:
    """An account as the record has it. `current`: its challenge has no later account. `open_result`: of its open
    positions. `kept_disabled`: what else than a freeze keeps it from trading, each as a clause.
    `sets_trading`, `cancels_orders`: what its platform does for programs. `payouts`: what the trader receives of each
    open payout. `no_…`: why something cannot be done, as a sentence; empty when it can. `fee`: what was paid and would
    be sent back, through `provider`. `versions`: later versions that it can move to. `tightest`: the rule with the
    least room now. `by_hand`: why an adjustment, a closing without a case and a free reset cannot be proposed."""

    number: str
    platform: str
    status: str
    current: bool
    open_positions: int
    open_result: Money
    frozen: bool
    kept_disabled: tuple[str, ...]
    sets_trading: bool
    cancels_orders: bool
    payouts: tuple[Money, ...]
    has_time_limit: bool
    more_time: MoreTime | None
    no_more_time: str
    fee: Money
    provider: str
    no_refund: str
    reset_price: Money | None
    phase: str
    initial: Money
    balance: Money | None
    equity: Money | None
    trading_days: int
    tightest: tuple[str, Money] | None
    by_hand: Mapping[Kind, str]
    versions: tuple[int, ...]
    no_move: str
    next_reset: datetime
    no_platform: str
    cases: tuple[str, ...]
    disputes: tuple[str, ...]
    no_credentials: str


@dataclass(frozen=True, slots=True)
class Action:
    """`effects`: what it does, each a sentence. `why_not`: why it cannot be done now, as a sentence; empty when it can.
    `people`: how many must agree."""

    name: Name
    label: str
    effects: tuple[str, ...]
    why_not: str
    people: int = 1


def actions(facts: AccountFacts) -> tuple[Action, ...]:
    """Returns every action, in the order in which a person reads them."""
    return tuple(make(facts) for make in _ACTIONS.values())


def _payouts_wait(facts: AccountFacts) -> str:
    if not facts.payouts:
        return "Payouts that are requested in the meantime wait."
    amounts = " and ".join(str(amount) for amount in facts.payouts)
    return f"Payouts wait: {amounts} {'is' if len(facts.payouts) == 1 else 'are'} requested."


def _positions(facts: AccountFacts) -> str:
    if not facts.open_positions:
        return "No position is open."
    one = facts.open_positions == 1
    stay = "1 open position stays" if one else f"{facts.open_positions} open positions stay"
    return f"{stay}, with an open result of {facts.open_result}. The rules still judge {'it' if one else 'them'}."


def _orders(facts: AccountFacts) -> str:
    if facts.cancels_orders:
        return "Pending orders are cancelled. If the platform keeps stop losses as orders, they are cancelled too."
    return f"Pending orders stay: {facts.platform} does not cancel them for us."


def _freeze(facts: AccountFacts) -> Action:
    clock = ("The time limit of the phase stops until the account is thawed.",) if facts.has_time_limit else ()
    return Action(
        "freeze",
        "Freeze",
        (
            f"Freezes trading at {facts.platform} now.",
            _positions(facts),
            _orders(facts),
            _payouts_wait(facts),
            *clock,
            "The trader sees that the account is frozen, but not why.",
        ),
        why_not_freeze(
            status=facts.status,
            current=facts.current,
            frozen=facts.frozen,
            sets_trading=facts.sets_trading,
            platform=facts.platform,
        ),
    )


def _thaw(facts: AccountFacts) -> Action:
    clock = ("The time limit of the phase continues where it stopped.",) if facts.has_time_limit else ()
    waiting = ("Payouts that waited for this continue to their approval.",) if facts.payouts else ()
    return Action(
        "thaw", "Thaw", (stays_disabled(facts.kept_disabled), *waiting, *clock), why_not_thaw(frozen=facts.frozen)
    )


def _message(facts: AccountFacts) -> Action:
    return Action(
        "message",
        "Message the trader",
        (
            f"Opens a ticket about {facts.number} that waits for the trader.",
            "Sends the message by e-mail as well. It cannot be taken back.",
        ),
        "",
    )


def _note(_: AccountFacts) -> Action:
    return Action(
        "note",
        "Add a note",
        ("Staff read the note in the timeline. The trader never sees it.", "A note cannot be changed or removed."),
        "",
    )


def _extend(facts: AccountFacts) -> Action:
    more = facts.more_time
    if more is None:
        return Action("extend", "Extend the time limit", (), facts.no_more_time)
    left = f"can be extended {times(more.left)} more" if more.left else "cannot be extended again"
    return Action(
        "extend",
        "Extend the time limit",
        (
            f"Adds {more.days} days: the phase ends on {instant(more.ends)} instead of {instant(more.instead_of)}.",
            f"Afterwards it {left}.",
            "Nothing is charged.",
        ),
        "",
    )


def _refund(facts: AccountFacts) -> Action:
    return Action(
        "refund",
        "Refund the fee",
        (
            f"Sends {facts.fee} back to the payer through {facts.provider}.",
            "Disables the account at once, and ends the challenge as refunded.",
        ),
        facts.no_refund,
    )


_TWO_PEOPLE: Final = "A second person must approve it. The trader gets the message that you write."


def _adjust(facts: AccountFacts) -> Action:
    room = ""
    if facts.tightest is not None:
        rule, left = facts.tightest
        room = f" The least room is {left}, under {name(rule)}: a debit that breaks a rule by itself is refused."
    return Action(
        "adjust",
        "Adjust the balance",
        (
            f"Changes the balance at {facts.platform}, which is {facts.balance} now, with an equity of {facts.equity}.",
            f"The rules judge the new balance at once: a credit can reach the profit target.{room}",
            "It counts as profit or loss of the account, also for payouts, but not as a trading day.",
            _TWO_PEOPLE,
        ),
        facts.by_hand["adjust"],
        people=2,
    )


def _at_stake(facts: AccountFacts) -> str:
    """What the trader loses with the account, as a sentence."""
    if facts.balance is None:
        return "The account has no balance yet."
    result = Money(minor=facts.balance.minor - facts.initial.minor, currency=facts.initial.currency)
    days = "1 trading day" if facts.trading_days == 1 else f"{facts.trading_days} trading days"
    return f"The trader loses the account: a balance of {facts.balance}, a result of {result} and {days}."


def _closes_positions(facts: AccountFacts) -> str:
    if not facts.open_positions:
        return "No position is open."
    which = "1 open position" if facts.open_positions == 1 else f"{facts.open_positions} open positions"
    return f"Closes {which} at {facts.platform} at market; the open result is {facts.open_result} now."


def _reset(facts: AccountFacts) -> Action:
    sold = "" if facts.reset_price is None else f" The product sells a reset for {facts.reset_price}."
    return Action(
        "reset",
        "Reset free of charge",
        (
            f"Opens a new account of {facts.phase} with {facts.initial}: all rules and trading days start again.",
            f"Nothing is charged.{sold}",
            _closes_positions(facts),
            _at_stake(facts),
            _TWO_PEOPLE,
        ),
        facts.by_hand["reset"],
        people=2,
    )


def _move(facts: AccountFacts) -> Action:
    return Action(
        "move",
        "Move to another version",
        (
            "Proposes that the account continues under the version that you choose.",
            f"Once a second person has approved it, it moves at its daily reset, {facts.next_reset:%H:%M} UTC.",
        ),
        facts.no_move,
        people=2,
    )


def _platform(facts: AccountFacts) -> Action:
    return Action(
        "platform",
        "Move to another platform",
        ("Balance, limits and days stay as they are.", "Nothing changes before a second person approves it."),
        facts.no_platform,
        people=2,
    )


def _compensate(facts: AccountFacts) -> Action:
    return Action(
        "compensate",
        "Compensate",
        ("Proposes a voucher in the dispute, in real money. The firm's policy says how many people must agree.",),
        "" if facts.disputes else "A compensation is granted in a dispute, and this account has none.",
        people=2,
    )


def _close(facts: AccountFacts) -> Action:
    """In a case that is open, else without one."""
    if not facts.cases:
        instead = f"{facts.fee} can be refunded instead: the action “Refund the fee” ends the challenge too."
        effects = (
            _closes_positions(facts),
            "Ends the challenge for good.",
            _at_stake(facts),
            f"Nothing is refunded by this. {facts.no_refund or instead}",
            _TWO_PEOPLE,
        )
        return Action("close", "Close the account", effects, facts.by_hand["close"], people=2)
    waiting = sum((amount.minor for amount in facts.payouts), 0)
    lost = Money(minor=waiting, currency=facts.fee.currency)
    rejected = (f"Rejects the payouts that are requested: {lost}.",) if waiting else ()
    return Action(
        "close",
        "Close the account",
        (
            f"Closes every open position at {facts.platform}, and ends the challenge.",
            *rejected,
            "One person proposes it in the case, and a second person confirms it.",
        ),
        "",
        people=2,
    )


def _credentials(facts: AccountFacts) -> Action:
    return Action(
        "credentials",
        "Reissue the credentials",
        (
            f"Asks {facts.platform} for a new password. The current one stops working.",
            "The trader is shown the new password once. Staff never see it.",
        ),
        facts.no_credentials,
    )


_ACTIONS: Final[Mapping[Name, Callable[[AccountFacts], Action]]] = {
    "freeze": _freeze,
    "thaw": _thaw,
    "message": _message,
    "note": _note,
    "extend": _extend,
    "refund": _refund,
    "adjust": _adjust,
    "reset": _reset,
    "move": _move,
    "platform": _platform,
    "compensate": _compensate,
    "close": _close,
    "credentials": _credentials,
}
NAMES: Final = tuple(_ACTIONS)
