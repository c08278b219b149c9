"""Parts that the view of every subject has: the decisions made so far, its steps, the buttons of its form."""

from console.formats import words
from console.present import closed
from console.views.decision import Choice, DecisionRow
from console.views.parts import Entry
from domain.steps import sentence
from front.subjects.subject import Verb
from store.read.history import DecisionView as Decided
from store.read.history import TransitionView


def decision_rows(rows: tuple[Decided, ...]) -> list[DecisionRow]:
    return [
        DecisionRow(
            row.decision,
            closed.done(row.decision),
            row.name or row.role,
            row.role,
            row.reason,
            row.occurred_at,
            row.message,
        )
        for row in rows
    ]


def step_entries(rows: tuple[TransitionView, ...]) -> list[Entry]:
    """Newest first."""
    return [Entry(at=row.occurred_at, kind=words(row.to_state), text=sentence(row.trigger)) for row in reversed(rows)]


def choice(verb: Verb, label: str = "") -> Choice:
    """The button of a verb; `label` takes the place of its usual one."""
    return Choice(verb.name, label or verb.label, verb.style)
