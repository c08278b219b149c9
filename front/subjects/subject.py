"""One kind of work that waits for a person: its words, its rows in the queue, its page, who may decide it and how."""

from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from pydantic import BaseModel
from sqlalchemy.ext.asyncio import AsyncSession

from domain.approvals import Actor
from domain.decision_requests import DecidedKind
from domain.errors import NotAllowed
from domain.money import Money
from domain.states import StateMachine
from domain.step_up import ActionClass
from front.fields import DecisionBody
from store.read.search import Findable
from store.read.waiting import Waiting
from store.scope import Scope


@dataclass(frozen=True)
class Right:
    """A permission: its name, and the roles that have it."""

    name: str
    roles: frozenset[str]

    def refusal(self, actor: Actor) -> str:
        """Why this person may not, as a sentence; empty when they may."""
        if actor.role in self.roles:
            return ""
        return f"This needs the role {' or '.join(sorted(self.roles))}; yours is {actor.role}."

    def check(self, actor: Actor) -> None:
        """Raises NotAllowed."""
        if refusal := self.refusal(actor):
            raise NotAllowed(refusal)


@dataclass(frozen=True)
class Decision:
    """What a person decided about which item. `key` is the request's idempotency key; `seen` the digest of what the
    person read, where the subject has one."""

    verb: str
    subject_id: str
    actor: Actor
    reason: str
    key: str
    seen: str = ""


class Taken(NamedTuple):
    """The state that a decision led to, and what the API answers."""

    state: str
    answer: BaseModel


CarryOut = Callable[[AsyncSession, Decision], Awaitable[Taken]]


class BulkItem(NamedTuple):
    """An item as it is read before it is decided with others. `alone`: why it must be decided alone, as a sentence;
    empty when it need not be. `does`: what the decision does. `seen`: the digest that the decision carries. `amount`:
    what it sends."""

    alone: str
    does: str
    seen: str = ""
    amount: Money | None = None


ReadBulk = Callable[[AsyncSession, str, Actor], Awaitable[BulkItem]]
"""Reads an item by its id for this person. Raises NotFound."""


@dataclass(frozen=True)
class Verb:
    """One thing that people decide about a subject.

    `name` is kept with the decision. `label` and `style` are the button's, `done` is how a decision of the past reads
    ("Rejected"). `means` says what it does. `path` is the last part of the API's address; without one the API has a
    route of its own. `carry_out` records the decision in one transaction, and `answer` is the model of what it answers;
    without it the subject's workflow takes the decision. `body`: what the API is sent. `proof`: the class of the
    step-up that staff make before it; None: it needs none. `bulk` reads an item that is decided in bulk, with others at
    once; None: each is decided alone.
    """

    name: str
    label: str
    done: str
    right: Right
    means: str
    style: str = ""
    path: str | None = None
    carry_out: CarryOut | None = None
    answer: type[BaseModel] | None = None
    body: type[DecisionBody] = DecisionBody
    proof: ActionClass | None = None
    bulk: ReadBulk | None = None


@dataclass(frozen=True)
class Workflow:
    """Which workflow takes the decisions on a subject. `state` reads the subject's state from the record and raises
    NotFound for what the caller may not see."""

    kind: DecidedKind
    id_of: Callable[[str], str]
    machine: StateMachine
    state: Callable[[AsyncSession, Scope, str], Awaitable[str]]


@dataclass(frozen=True)
class Subject:
    """One kind of work that waits for a person.

    `name` is stable: it is in addresses, in the API and on decisions. `waits_as` is its line on the firm page.
    `read`: who may open it. `under`: the page of the left rail that it belongs to. `page`: the address of one of them,
    without the id. `list_page`: the page that lists what waits, for a subject that is not decided in the queue.
    `lock` makes two people who decide at once wait for each other, where `carry_out` does not refuse the second.
    `todo`: what a person does with one, for a subject that is not decided in the queue.
    """

    name: str
    label: str
    plural: str
    waits_as: str
    waiting: Waiting
    read: Right
    under: str
    page: str | None = None
    list_page: str = ""
    urgent: bool = False
    verbs: tuple[Verb, ...] = ()
    workflow: Workflow | None = None
    lock: Callable[[AsyncSession, str], Awaitable[object]] | None = None
    api: str | None = None
    find: Findable | None = None
    todo: str = ""

    def href(self, subject_id: str) -> str:
        """The page of one of them; the page that lists them, or that it belongs to, when it has none of its own."""
        return f"{self.page}/{subject_id}" if self.page else self.list_page or self.under

    def verb(self, name: str) -> Verb:
        """Raises KeyError."""
        return {verb.name: verb for verb in self.verbs}[name]

    @property
    def deciders(self) -> frozenset[str]:
        """The roles of the firm that decide this kind of work."""
        return frozenset(role for verb in self.verbs for role in verb.right.roles) - {"trader"}

    @property
    def rights(self) -> tuple[Right, ...]:
        return (self.read, *(verb.right for verb in self.verbs))


@dataclass(frozen=True)
class Subjects:
    """The table: every subject by its name, in the order in which people see them."""

    all: tuple[Subject, ...]
    by_name: Mapping[str, Subject] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "by_name", {subject.name: subject for subject in self.all})

    def __iter__(self) -> Iterator[Subject]:
        return iter(self.all)

    @property
    def decided(self) -> tuple[Subject, ...]:
        """What people decide in the work queue."""
        return tuple(subject for subject in self.all if subject.verbs)

    @property
    def deciders(self) -> dict[str, frozenset[str]]:
        """The roles that decide each kind of work in the queue."""
        return {subject.name: subject.deciders for subject in self.decided}

    def readable_by(self, actor: Actor) -> "Subjects":
        """What this person may open."""
        return Subjects(tuple(subject for subject in self.all if not subject.read.refusal(actor)))

    def decided_by(self, actor: Actor) -> frozenset[str]:
        """The names of what this person may decide in the work queue."""
        return frozenset(
            each.name for each in self.decided if any(not verb.right.refusal(actor) for verb in each.verbs)
        )

    def findable(self, actor: Actor) -> dict[str, Findable]:
        """What search shows to this person."""
        return {
            subject.name: subject.find
            for subject in self.all
            if subject.find is not None and actor.role in subject.read.roles
        }

    def permissions(self) -> dict[str, frozenset[str]]:
        return {right.name: right.roles for subject in self.all for right in subject.rights}


def kinds(subjects: Iterable[Subject]) -> dict[str, Waiting]:
    """How these subjects wait, by their names, as the queue is asked for them."""
    return {subject.name: subject.waiting for subject in subjects}
