"""State machines as tables: (state, trigger) -> next state. Everything else is refused."""

from collections.abc import Mapping
from dataclasses import dataclass

from domain.errors import IllegalTransition


@dataclass(frozen=True)
class StateMachine:
    """`transient` states end by themselves. All others wait until a person, the market or a provider acts."""

    noun: str
    initial: str
    table: Mapping[tuple[str, str], str]
    transient: frozenset[str]

    @property
    def states(self) -> frozenset[str]:
        return frozenset({self.initial, *self.table.values(), *(state for state, _ in self.table)})

    @property
    def triggers(self) -> frozenset[str]:
        return frozenset(trigger for _, trigger in self.table)

    @property
    def terminal(self) -> frozenset[str]:
        return self.states - {state for state, _ in self.table}

    def allows(self, state: str, trigger: str) -> bool:
        return (state, trigger) in self.table

    def next(self, state: str, trigger: str) -> str:
        """Returns the state after `trigger`. Raises IllegalTransition."""
        try:
            return self.table[state, trigger]
        except KeyError:
            raise IllegalTransition(self.noun, state, trigger) from None
