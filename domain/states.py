"""State machines as tables: (state, trigger) -> next state. Everything else is refused."""

from collections.abc import Mapping
from dataclasses import dataclass

from domain.errors import IllegalTransition


@dataclass(frozen=True)
class StateMachine:
    """`transient` states end by themselves. All others wait until a person, the market or a provider acts.

    `reopens`: states in which nothing is left to do, and which a later fact can still change.
    """

    noun: str
    initial: str
    table: Mapping[tuple[str, str], str]
    transient: frozenset[str]
    reopens: frozenset[str] = frozenset()

    @property
    def states(self) -> frozenset[str]:
        return frozenset({self.initial, *self.table.values(), *(state for state, _ in self.table)})

    @property
    def triggers(self) -> frozenset[str]:
        return frozenset(trigger for _, trigger in self.table)

    @property
    def terminal(self) -> frozenset[str]:
        """Returns the states in which the subject has ended."""
        return self.states - {state for state, _ in self.table} | self.reopens

    def allows(self, state: str, trigger: str) -> bool:
        return (state, trigger) in self.table

    def next(self, state: str, trigger: str) -> str:
        """Returns the state after `trigger`. Raises IllegalTransition."""
        try:
            return self.table[state, trigger]
        except KeyError:
            raise IllegalTransition(self.noun, state, trigger) from None
