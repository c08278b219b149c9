"""Which worth a level is compared with, and where a price alone changes a level."""

from domain.rules.floors import FloorSpec, Mark, RuleState
from domain.rules.terms import NO_LIMIT


def has_level(spec: FloorSpec, state: RuleState) -> bool:
    """Whether there is a limit now: a size may be unlimited up to, or from, some profit."""
    return spec.allowance_of(state) < NO_LIMIT or state.locked


def worths(spec: FloorSpec, mark: Mark) -> dict[str | None, int]:
    """Returns the worth that the level is compared with: of the account under None, else what each symbol or position
    makes, by its name; empty where that is not known."""
    if spec.per == "account":
        return {None: spec.counted(mark).equity_minor}
    found: dict[str | None, int] = {}
    for each in mark.positions or ():
        subject = each.symbol if spec.per == "symbol" else each.position_id
        found[subject] = found.get(subject, 0) + each.pnl_minor
    return found


def worth_of(spec: FloorSpec, mark: Mark) -> int:
    """Returns the worth nearest to the level: of the account, or of the symbol or position that loses most."""
    return min(worths(spec, mark).values(), default=0)


def next_step_minor(spec: FloorSpec, state: RuleState) -> int | None:
    """Returns the least equity at which a price alone reaches a step; None when there is none. As the rule counts
    it."""
    if state.figures is None or not spec.holds.floating:
        return None
    steps = (step.reaches_minor for step in spec.steps[state.figures.step :] if step.when == "equity")
    return min(steps, default=None)
