"""deduct_profit of conduct rules: what an offending position makes in all, if above 0."""

import pytest

from domain.rules import history
from domain.rules.base import Consequence
from domain.rules.conduct.max_exposure import MaxExposure
from domain.rules.events import Event
from domain.rules.history import HistoryState
from tests.unit.conduct_story import CONTEXT, closed, opened

RULE = MaxExposure.model_validate({"type": "max_exposure", "limit": "2", "consequences": [{"kind": "deduct_profit"}]})
A, B = opened("2025-06-02 10:00", "a", "2"), opened("2025-06-02 11:00", "b", "1")


def deducted(*events: Event, rule: MaxExposure = RULE) -> int:
    """What does not count in the end; the state is stored between any two events."""
    state = history.start((rule,), CONTEXT)
    for event in events:
        state, _ = history.step(state, event, (rule,), CONTEXT)
        state = HistoryState.model_validate_json(state.model_dump_json())
    return history.deducted_minor(state, (rule,), CONTEXT)


@pytest.mark.parametrize(
    ("parts", "expected"),
    [
        ([50_000], 50_000),
        ([-50_000], 0),
        ([70_000, -20_000], 50_000),
        ([20_000, -70_000], 0),
        ([0], 0),
    ],
)
def test_what_the_offending_position_makes_in_all_is_deducted(parts: list[int], expected: int) -> None:
    left = [str((len(parts) - 1 - number) / 2) for number in range(len(parts))]
    closes = [closed(f"2025-06-02 12:0{number}", "b", left[number], pnl_minor=pnl) for number, pnl in enumerate(parts)]
    assert deducted(A, B, *closes) == expected


def test_other_positions_keep_their_profit_and_two_offending_ones_are_not_netted() -> None:
    c = opened("2025-06-02 11:30", "c", "1")
    ends = [
        closed("2025-06-02 12:00", "a", pnl_minor=90_000),
        closed("2025-06-02 12:01", "b", pnl_minor=30_000),
        closed("2025-06-02 12:02", "c", pnl_minor=-80_000),
    ]
    assert deducted(A, B, c, *ends) == 30_000


def test_what_a_position_made_before_its_offence_counts_with_the_rest() -> None:
    part = closed("2025-06-02 10:30", "a", "1", pnl_minor=40_000)
    more = opened("2025-06-02 11:00", "b", "2")
    again = opened("2025-06-02 11:30", "a", "1", adds=True)
    assert deducted(A, part, more, closed("2025-06-02 12:00", "b", pnl_minor=10_000)) == 10_000
    assert deducted(A, part, more, again, closed("2025-06-02 12:00", "b", pnl_minor=10_000)) == 50_000


def test_only_offences_with_that_consequence_deduct() -> None:
    kinds = ("warn", "deduct_profit")
    later = RULE.model_copy(
        update={"consequences": tuple(Consequence.model_validate({"kind": kind}) for kind in kinds)}
    )
    c = opened("2025-06-02 11:30", "c", "1")
    ends = [closed("2025-06-02 12:01", "b", pnl_minor=30_000), closed("2025-06-02 12:02", "c", pnl_minor=20_000)]
    assert deducted(A, B, c, *ends, rule=later) == 20_000
