"""The kinds of notifications: who is told of what, by which channels, with which variables, and what cannot be switched
off.

A kind about a trader is made from business events, which the database writes in the transaction of the change
(`domain/business_events.py`). Names of kinds are kept for ever: stored choices, links and files name them.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final, Literal

from domain.errors import BadInput

Channel = Literal["mail", "app"]
To = Literal["trader", "staff"]
Type = Literal["text", "amount", "percent", "time", "number", "link", "lines"]
BOTH: Final[frozenset[Channel]] = frozenset({"mail", "app"})
APP: Final[frozenset[Channel]] = frozenset({"app"})


@dataclass(frozen=True, slots=True)
class Variable:
    """What a text may name. `example`: what a preview shows while the record has nothing to show. `needed`: a mail that
    leaves it out is refused. A `link` is a whole address; `lines` has one item on each line."""

    name: str
    type: Type
    means: str
    example: str
    needed: bool = False


@dataclass(frozen=True, slots=True)
class Kind:
    """`tells`: what it is about, as the page of choices says. `events`: the business events that it is made from.
    `channels`: those that it has; each is on until a person switches it off. `fixed`: why nobody can switch it off, as
    a sentence for people; empty when they can. `chosen_as`: the kind whose choices count for it."""

    name: str
    tells: str
    to: To
    variables: tuple[Variable, ...]
    events: tuple[str, ...] = ()
    channels: frozenset[Channel] = BOTH
    fixed: str = ""
    chosen_as: str = ""

    @property
    def by_name(self) -> dict[str, Variable]:
        return {variable.name: variable for variable in self.variables}

    @property
    def choice(self) -> str:
        """The kind under which people choose."""
        return self.chosen_as or self.name


_NAME: Final = Variable("trader.name", "text", "name of the trader", "Mara Beck")
_LINK: Final = Variable("link", "link", "page in the console", "https://firm.example/accounts/A-10001", needed=True)
_NUMBER: Final = Variable("account.number", "text", "number of the account", "A-10001")
_PRODUCT: Final = Variable("product.name", "text", "name of the product", "Two-step 100k")
_PHASE: Final = Variable("phase.name", "text", "name of the phase", "Phase 1")
_AMOUNT: Final = Variable("payout.amount", "amount", "what the trader receives", "800.00 USD", needed=True)
_AT: Final = Variable("event.at", "time", "market time at which it happened", "2026-03-02 14:05 UTC")
_COUNT: Final = Variable("count", "number", "how many there are", "3")

_OF_ORDER: Final = (_NAME, _PRODUCT, _AT, _LINK)
_OF_ACCOUNT: Final = (_NAME, _NUMBER, _PRODUCT, _PHASE, _AT, _LINK)
_OF_PAYOUT: Final = (_NAME, _NUMBER, _PRODUCT, _AMOUNT, _AT, _LINK)

MONEY: Final = "It is about your money, so it is always sent."
RIGHTS: Final = "It starts the time in which you can dispute it, so it is always sent."
CONTRACT: Final = "It is about your contract with us, so it is always sent."
SAFETY: Final = "It protects your money if somebody else can sign in as you, so it is always sent."

WARNINGS: Final = "account.warnings"
DEADLINE: Final = "work.deadline"
RETURNED: Final = "work.returned"
LAPSED: Final = "work.lapsed"

KINDS: Final[tuple[Kind, ...]] = (
    Kind(
        "order.paid", "Your payment for an order arrived", "trader",
        (*_OF_ORDER, Variable("order.amount", "amount", "what was paid", "499.00 USD", needed=True)),
        ("order.paid",), fixed=CONTRACT,
    ),
    Kind("order.refunded", "A payment was paid back to you", "trader", _OF_ORDER, ("order.refunded",), fixed=MONEY),
    Kind("account.opened", "An account is ready to trade", "trader", _OF_ACCOUNT, ("account.opened",)),
    Kind(
        "account.warning", "A limit of an account is near", "trader",
        (
            *_OF_ACCOUNT,
            Variable("limit.name", "text", "the limit", "daily loss"),
            Variable(
                "warning.text", "text", "the warning with its exact figures",
                "80 % of daily loss is used: equity 96,000.00 USD, floor 95,000.00 USD, room 1,000.00 USD.",
                needed=True,
            ),
        ),
        ("account.warning",),
    ),
    Kind(
        WARNINGS, "Several limits are near at the same time", "trader",
        (
            _NAME, _COUNT,
            Variable(
                "lines", "lines", "the warnings, one on each line",
                "A-10001: 80 % of daily loss is used.\nA-10002: 85 % of max loss is used.", needed=True,
            ),
            Variable("link", "link", "page in the console", "https://firm.example/notifications", needed=True),
        ),
        chosen_as="account.warning",
    ),
    Kind(
        "account.breached", "An account broke a rule that ends its phase", "trader",
        (
            *_OF_ACCOUNT,
            Variable("breach.rule", "text", "the broken rule", "daily loss", needed=True),
            Variable("breach.equity", "amount", "equity at the breach", "94,980.00 USD"),
            Variable(
                "breach.dispute_until", "time", "until when it can be disputed", "2026-03-16 14:05 UTC", needed=True,
            ),
        ),
        ("account.breached",), fixed=RIGHTS,
    ),
    Kind("phase.passed", "An account reached its target", "trader", _OF_ACCOUNT, ("phase.passed",)),
    Kind("challenge.funded", "A challenge reached its funded phase", "trader", _OF_ORDER, ("challenge.funded",)),
    Kind("challenge.failed", "A breach became final", "trader", _OF_ORDER, ("challenge.failed",), fixed=CONTRACT),
    Kind(
        "challenge.expired", "The time limit of a phase is over", "trader", _OF_ORDER, ("challenge.expired",),
        fixed=CONTRACT,
    ),
    Kind("challenge.closed", "We closed a challenge", "trader", _OF_ORDER, ("challenge.closed",), fixed=CONTRACT),
    Kind("payout.requested", "A payout was requested", "trader", _OF_PAYOUT, ("payout.requested",), fixed=SAFETY),
    Kind("payout.approved", "A payout was approved", "trader", _OF_PAYOUT, ("payout.approved",)),
    Kind("payout.sent", "A payout was sent to your bank account", "trader", _OF_PAYOUT, ("payout.sent",), fixed=SAFETY),
    Kind("payout.arrived", "A payout arrived", "trader", _OF_PAYOUT, ("payout.arrived",)),
    Kind(
        "payout.ended", "A payout was refused, rejected, or not decided in time", "trader", _OF_PAYOUT,
        ("payout.refused", "payout.rejected", "payout.timed_out"), fixed=MONEY,
    ),
    Kind("payout.cancelled", "A payout was cancelled", "trader", _OF_PAYOUT, ("payout.cancelled",)),
    Kind(
        "payout.returned", "A payout was returned to us", "trader", _OF_PAYOUT, ("payout.returned",),
        fixed=MONEY,
    ),
    Kind(
        "ticket.answered", "Support answered a ticket. The answer itself comes by e-mail", "trader",
        (
            _NAME,
            Variable("ticket.subject", "text", "subject of the ticket", "When is my payout sent?", needed=True),
            _AT,
            Variable("link", "link", "page of the ticket", "https://firm.example/tickets/tkt_1", needed=True),
        ),
        ("ticket.answered",), channels=APP,
    ),
    Kind(
        "dispute.decided", "A dispute or an appeal was decided. The decision itself comes by e-mail", "trader",
        (*_OF_ACCOUNT, Variable("dispute.outcome", "text", "what was decided", "in your favour", needed=True)),
        ("dispute.decided",), channels=APP, fixed=RIGHTS,
    ),
    Kind(
        "identity.decided", "Your identity was checked", "trader",
        (_NAME, Variable("identity.state", "text", "what was decided", "verified", needed=True), _AT, _LINK),
        ("identity.decided",),
    ),
    Kind(
        DEADLINE, "Work of yours or of your role is due soon or overdue", "staff",
        (
            Variable("person.name", "text", "name of the person", "Ana Ruiz"),
            _COUNT,
            Variable(
                "lines", "lines", "the items, one on each line, the most urgent first",
                "Overdue since 09:30 UTC: Payout 800.00 USD, A-10001\nDue at 11:00 UTC: Dispute, A-10002", needed=True,
            ),
            Variable("link", "link", "the work queue", "https://firm.example/queue", needed=True),
        ),
    ),
    Kind(
        RETURNED, "A second person rejected what you proposed", "staff",
        (
            Variable("person.name", "text", "name of the person", "Ana Ruiz"),
            Variable("item", "text", "what was proposed", "version of a product", needed=True),
            Variable("link", "link", "page of the proposal", "https://firm.example/proposals/ppr_1", needed=True),
        ),
    ),
    Kind(
        LAPSED, "What you proposed or approved could not be carried out", "staff",
        (
            Variable("person.name", "text", "name of the person", "Ana Ruiz"),
            Variable("item", "text", "what was approved", "Adjustment of A-10001", needed=True),
            Variable("why", "text", "why it was not carried out", "The account had ended before.", needed=True),
            Variable("link", "link", "page of it", "https://firm.example/interventions/itv_1", needed=True),
        ),
    ),
)  # fmt: skip

BY_NAME: Final[Mapping[str, Kind]] = {kind.name: kind for kind in KINDS}
OF_EVENTS: Final[Mapping[str, Kind]] = {event: kind for kind in KINDS for event in kind.events}
Choices = Mapping[str, frozenset[Channel]]
"""Kind -> the channels that a person switched off."""


def named(name: str) -> Kind:
    """Raises BadInput for a kind that there is none of."""
    if name not in BY_NAME:
        raise BadInput(
            f"There is no kind of notification {name[:60]!r}.",
            field="kind",
            remedy=f"Use one of: {', '.join(BY_NAME)}.",
        )
    return BY_NAME[name]


def chosen_by(to: To) -> tuple[Kind, ...]:
    """Returns the kinds that a trader, or a person of the firm, gets and chooses."""
    return tuple(kind for kind in KINDS if kind.to == to and not kind.chosen_as)


def channels(kind: Kind, choices: Choices) -> frozenset[Channel]:
    """Returns by which channels a person is told."""
    if kind.fixed:
        return kind.channels
    return kind.channels - choices.get(kind.choice, frozenset())


def check_choice(kind: Kind, to: To, off: Iterable[Channel]) -> frozenset[Channel]:
    """Returns the channels that a person switches off. Raises BadInput for a kind that they do not get, that cannot be
    switched off, or that does not have this channel."""
    if kind.to != to or kind.chosen_as:
        raise BadInput(f"You do not choose {kind.name}.", field="kind", remedy="Read the list of your choices.")
    wanted = frozenset(off)
    if wanted and kind.fixed:
        raise BadInput(f"{kind.name} cannot be switched off.", field="kind", remedy=kind.fixed)
    if missing := wanted - kind.channels:
        names = ", ".join(sorted(missing))
        raise BadInput(f"{kind.name} has no channel {names}.", field="off", remedy="Leave it out.")
    return wanted
