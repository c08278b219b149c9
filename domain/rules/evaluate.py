"""The exact judgement of the levels of one account at one event."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from domain.clocks import ONLY_A_DAY, Begins
from domain.rules.base import Consequence
from domain.rules.floors import FloorSpec, Mark, RuleState, breached
from domain.rules.state import AccountRules, on_mark, on_rollover
from domain.rules.terms import NO_LIMIT


@dataclass(frozen=True, slots=True)
class LevelBreach:
    """A broken level, and the worth as its rule counts it: of the account, or of the symbol or position `subject`."""

    spec: FloorSpec
    state: RuleState
    equity_minor: int
    subject: str | None = None

    @property
    def key(self) -> str:
        """The key of the limit: of the level, and of the symbol or position where each is a limit of its own."""
        return self.spec.key if self.subject is None else f"{self.spec.key}/{self.subject}"

    @property
    def floor_minor(self) -> int:
        return self.state.floor_minor


def deducted_minor(spec: FloorSpec, consequence: Consequence, worth_minor: int, level_minor: int) -> int:
    """Returns the profit that does not count because of a broken level: what is above a ceiling."""
    if consequence.kind != "deduct_profit" or spec.direction == "floor":
        return 0
    return max(0, worth_minor - level_minor)


def judge(rules: AccountRules, mark: Mark) -> tuple[AccountRules, list[LevelBreach]]:
    """Raises the peaks to `mark`, then compares. Returns the new state and the broken levels in the order of the
    product's rules; the first one is the reason that the phase ends."""
    rules = on_mark(rules, mark)
    return rules, level_breaches(rules, mark)


def balance_levels(rules: AccountRules) -> AccountRules:
    """Returns the levels that leave open profit and loss out: they move and are compared while the equity is unknown,
    at a mark with the balance in its place."""
    pairs = zip(rules.specs, rules.states, strict=True)
    certain = [(spec, state) for spec, state in pairs if not spec.holds.floating]
    return AccountRules(tuple(spec for spec, _ in certain), tuple(state for _, state in certain))


def with_levels(rules: AccountRules, moved: AccountRules) -> AccountRules:
    """Returns `rules` with the states of `moved`, which has some of their levels. Returns `rules` itself when no state
    differs."""
    after = {spec.key: state for spec, state in zip(moved.specs, moved.states, strict=True)}
    pairs = zip(rules.specs, rules.states, strict=True)
    states = tuple(after.get(spec.key, state) for spec, state in pairs)
    return rules if states == rules.states else AccountRules(rules.specs, states)


def judge_rollover(
    rules: AccountRules, mark: Mark, begins: Begins = ONLY_A_DAY
) -> tuple[AccountRules, list[LevelBreach]]:
    """Does the daily reset, then compares; levels that are judged at resets are compared as they were before it."""
    closing = closing_breaches(rules, mark)
    rules = on_rollover(rules, mark, begins)
    return rules, in_order(rules, [*closing, *level_breaches(rules, mark)])


def level_breaches(rules: AccountRules, mark: Mark) -> list[LevelBreach]:
    """Returns the levels that the account breaks at `mark`, with the state as it is."""
    found = []
    for spec, state in zip(rules.specs, rules.states, strict=True):
        if not spec.compares_always:
            found += [] if spec.judged_at == "eod" else _broken(spec, state, mark)
            continue
        worth = mark.equity_minor if spec.counts_everything else spec.counted(mark).equity_minor
        if breached(spec, state.floor_minor, worth):
            found.append(LevelBreach(spec, state, worth))
    return found


def compared(
    specs: Sequence[FloorSpec], found: Iterable[LevelBreach], *, at_reset: bool = False
) -> dict[str, dict[str, bool]]:
    """Returns, for every rule, its levels that were compared, by key, and whether each is broken: what
    `limits.step` takes. `found`: the broken ones. `at_reset`: all levels were compared."""
    broken = {breach.key: breach for breach in found}
    levels: dict[str, dict[str, bool]] = {}
    for spec in specs:
        mine = levels.setdefault(spec.rule_id, {})
        if spec.per == "account" and (at_reset or spec.judged_at == "every_event"):
            mine[spec.key] = spec.key in broken
    for breach in broken.values():
        levels[breach.spec.rule_id][breach.key] = True
    return levels


def closing_breaches(rules: AccountRules, mark: Mark) -> list[LevelBreach]:
    """Returns those of the levels that are judged at resets only, which the account breaks at the reset `mark`. Called
    before the reset moves them."""
    return [
        breach
        for spec, state in zip(rules.specs, rules.states, strict=True)
        if spec.judged_at == "eod"
        for breach in _broken(spec, state, mark)
    ]


def in_order(rules: AccountRules, found: list[LevelBreach]) -> list[LevelBreach]:
    """Returns broken levels in the order of the product's rules."""
    return sorted(found, key=lambda breach: rules.specs.index(breach.spec)) if len(found) > 1 else found


def _broken(spec: FloorSpec, state: RuleState, mark: Mark) -> list[LevelBreach]:
    """Returns the breach of the account, or of each symbol or position."""
    return [
        LevelBreach(spec, state, worth, subject)
        for subject, worth in worths(spec, mark).items()
        if breached(spec, state.floor_minor, worth)
    ]


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
