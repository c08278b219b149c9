"""Judges the same random lives in several ways, and says where they differ."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from decimal import Decimal
from random import Random
from typing import Any

from cli.bench.agreement.statement import judged_as_statement, offences_by_time, statement_offences
from cli.bench.agreement.terms import next_version
from cli.bench.agreement.told import EventTeller, Found, live_offences, replayed_offences, take
from cli.bench.agreement.venue import INSTRUMENTS
from cli.bench.agreement.world import World
from domain.errors import RateMissing
from domain.histories.replay import Fold
from domain.products.phase_terms import PhaseTerms
from domain.proofs.check import check
from domain.rules import history
from domain.rules.base import BindingRule
from domain.rules.days import ends_day
from domain.rules.events import Event as Told
from domain.rules.events import Marked
from monitor.facts import OffenceFact, PassFact
from store.news import ScheduledRelease

STEPS = 14  # things that happen to each account of a world, and to its market
PER_WORLD = 2
_FIELDS = ("offences", "passed_at", "required_minor", "gates", "split_pct", "deducted_minor", "target_minor")


@dataclass(slots=True)
class Judged:
    """What one way of judging found in a life. `gates`: each outcome that differs from the one before, with the reset.
    `split_pct`, `deducted_minor`, `target_minor`: at the end of a life that goes on. `unpriced`: the rules that could
    not be judged at every event, because the equity was unknown. `other_terms_from`: where a shard changed the account
    to another version: a replay judges under the first one only."""

    offences: Found
    passed_at: int | None = None
    passed_on: datetime | None = None
    required_minor: int | None = None
    gates: list[tuple[datetime, str, str]] = field(default_factory=list)
    split_pct: Decimal | None = None
    deducted_minor: int | None = None
    target_minor: int | None = None
    unpriced: frozenset[str] = frozenset()
    other_terms_from: datetime | None = None

    @property
    def ended(self) -> bool:
        return self.passed_at is not None or any(kind == "fail" for kind, *_ in self.offences)

    @property
    def end(self) -> datetime:
        """The instant of the verdict that ended the life; the last possible one of a life that goes on."""
        ends = [at for kind, _, _, _, at in self.offences if kind == "fail"]
        ends += [self.passed_on] if self.passed_on is not None else []
        return min(ends, default=datetime.max.replace(tzinfo=UTC))

    @property
    def verdicts(self) -> int:
        """The number of verdicts: offences, a pass, outcomes of gates, and the figures at the end."""
        return len(self.offences) + len(self.gates) + (self.passed_at is not None) + 1


@dataclass(frozen=True, slots=True)
class Disagreement:
    """`what`: the field that differs, or the sheet that does not hold."""

    seed: int
    login: int
    what: str
    one: str
    other: str


@dataclass(slots=True)
class Compared:
    """`by_way`: how many verdicts were compared, by the ways. `kinds`: how often each kind of verdict occurred."""

    verdicts: int = 0
    by_way: dict[str, int] = field(default_factory=dict)
    kinds: dict[str, int] = field(default_factory=dict)
    disagreements: list[Disagreement] = field(default_factory=list)

    def add(self, ways: str, seed: int, login: int, one: Judged, other: Judged) -> None:
        if other.unpriced or other.other_terms_from is not None:
            until = min(one.end, other.end, other.other_terms_from or one.end)
            one, other = (_certain(each, until, other.unpriced) for each in (one, other))
        self._compared(ways, one.verdicts)
        for name in _FIELDS:
            mine, its = getattr(one, name), getattr(other, name)
            if mine != its:
                only = (
                    [[each for each in a if each not in b] for a, b in ((mine, its), (its, mine))]
                    if (isinstance(mine, list))
                    else [mine, its]
                )
                self.disagreements.append(Disagreement(seed, login, f"{ways}: {name}", *map(str, only)))

    def same(self, ways: str, seed: int, login: int, one: tuple[Any, ...], other: tuple[Any, ...]) -> None:
        """Compares the offences, the pass and the deducted profit of two ways."""
        self._compared(ways, len(one[0]) + 2)
        if one != other:
            self.disagreements.append(Disagreement(seed, login, ways, str(one), str(other)))

    def sheet(self, seed: int, login: int, proof: Mapping[str, Any]) -> None:
        """Checks a sheet from its JSON alone."""
        self._compared("proof sheets", 1)
        wrong = check(json.loads(json.dumps(proof)))
        if wrong:
            name = f"sheet {proof['kind']} {proof['verdict']}"
            self.disagreements.append(Disagreement(seed, login, name, str(wrong[0]), ""))

    def count(self, kind: str) -> None:
        self.kinds[kind] = self.kinds.get(kind, 0) + 1

    def _compared(self, ways: str, verdicts: int) -> None:
        self.verdicts += verdicts
        self.by_way[ways] = self.by_way.get(ways, 0) + verdicts


def _certain(judged: Judged, until: datetime, unpriced: frozenset[str]) -> Judged:
    """Returns what is comparable where the equity was unknown for a while, or the terms changed: of the other rules,
    until then, or until the life ended."""
    offences = [found for found in judged.offences if found[1] not in unpriced and found[4] < until]
    gates = [found for found in judged.gates if found[1] not in unpriced and found[0] < until]
    return Judged(offences, gates=gates)


def random_world(seed: int | str, terms: list[PhaseTerms]) -> World:
    """Returns a world that has run. `terms`: those that its accounts may have. Some accounts change to another version
    of their product at a reset."""
    random = Random(seed)
    chosen = {101 + number: random.choice(terms) for number in range(PER_WORLD)}
    moves = {login: next_version(random, each) for login, each in chosen.items() if random.random() < 0.05}
    world = World(random, chosen, moves)
    world.run(STEPS * PER_WORLD)
    return world


def live(world: World, login: int) -> Judged:
    """Returns what the shard found."""
    mine = [fact for fact in world.verdicts if fact.login == login]
    passes = [fact for fact in mine if isinstance(fact, PassFact)]
    judged = Judged(live_offences(mine))
    judged.gates = [(gate.at, gate.rule_id, gate.outcome) for gate in world.gates if gate.account_id == f"acc_{login}"]
    if passes:
        target: Any = passes[0].proof["target"]
        judged.passed_at, judged.passed_on = passes[0].seq, passes[0].at
        judged.required_minor = target["required_balance_minor"]
    if not judged.ended:
        judged.deducted_minor = sum(fact.deducted_minor for fact in mine if isinstance(fact, OffenceFact))
        judged.target_minor = world.bound[login].target_minor
        _with_history(world, login, judged)
        judged.split_pct = _lowered_split(world, login, [fact for fact in mine if isinstance(fact, OffenceFact)])
    return judged


def _lowered_split(world: World, login: int, offences: list[OffenceFact]) -> Decimal | None:
    """Returns the share after the last offence that lowered it; at one event, the last rule of the product decides."""
    lowered = list[tuple[int, datetime, int, Decimal | None]]()
    for fact in offences:
        if fact.consequence == "lower_split":
            terms = _terms_at(world, login, fact.at)
            place, rule = next((n, rule) for n, rule in enumerate(terms.phase.rules) if rule.id == fact.rule_id)
            assert isinstance(rule, BindingRule)
            lowered.append((fact.seq, fact.at, place, rule.consequence(fact.offence).split_pct))
    return max(lowered, key=lambda each: each[:3])[3] if lowered else None


def _terms_at(world: World, login: int, at: datetime) -> PhaseTerms:
    moved = any(move.account_id == f"acc_{login}" and not move.why and move.at < at for move in world.moves)
    return world.bound[login] if moved else world.terms[login]


def _with_history(world: World, login: int, judged: Judged) -> None:
    """Adds what conduct rules and gates say at the end of a life."""
    state, account = world.shard.state, world.shard.state.accounts.by_login(login)
    if account.conduct is None or judged.deducted_minor is None:
        return
    terms, kept, last = account.terms, account.conduct.history, world.parts[-1].events[-1]
    try:
        equity = state.exact_equity(account)
    except RateMissing:
        equity = None
    now = Marked(seq=last.seq, at=last.at, balance_minor=account.balance_minor, equity_minor=equity)
    rules, context = terms.history_rules, terms.context
    judged.deducted_minor += history.deducted_minor(kept, rules, context, now)
    if terms.target_minor is not None:
        judged.target_minor = history.effective_target(kept, rules, context, terms.target_minor, now)


def replayed(world: World, login: int) -> Judged:
    """Returns what the replay of the account's events found, up to its end."""
    terms, gates = world.terms[login], list[tuple[datetime, str, str]]()
    fold, outcomes = Fold(terms, terms.context, None), dict[str, str]()
    for told in told_to(world, login):
        take(fold, told)
        over = any(at < told.at for at, *_ in fold.endings)
        if ends_day(told) and not over:
            for gate, status in history.gates(fold.history, terms.history_rules, terms.context, told):
                if outcomes.get(gate.id) != status.outcome:
                    outcomes[gate.id] = status.outcome
                    gates.append((told.at, gate.id, status.outcome))
        if fold.endings:
            break
    result = fold.result()
    judged = Judged(replayed_offences(result), gates=gates)
    if result.outcome == "pass" and result.passed is not None:
        judged.passed_at, judged.passed_on = result.passed.seq, result.passed.at
        judged.required_minor = result.passed.required_minor
    judged.unpriced = frozenset(need.rule_id for need in result.unpriced)
    if not judged.ended:
        judged.deducted_minor, judged.target_minor = result.deducted_minor, result.target_minor
        judged.split_pct = result.lowered_split_pct
    return judged


def told_to(world: World, login: int) -> Iterator[Told]:
    """Yields the events of an account as its rules take them."""
    known = list[ScheduledRelease]()
    teller = EventTeller(world.terms[login], login, INSTRUMENTS, known)
    for part in world.parts:
        known += world.releases[len(known) : part.releases]
        for event in part.events:
            yield from teller.tell(event)


def _with_statement(found: Compared, seed: int, world: World, login: int, one: Judged) -> None:
    """Compares a life with its statement, where there is one."""
    result = judged_as_statement(world, login, world.terms[login], one.offences)
    if result is None:
        return
    passed = result.passed.at if result.outcome == "pass" and result.passed is not None else None
    mine = offences_by_time(one.offences), one.passed_on, one.deducted_minor
    deducted = None if one.ended else result.deducted_minor
    found.same("live and statement", seed, login, mine, (statement_offences(result), passed, deducted))
    for breach in result.breaches:
        if breach.proof is not None:
            found.sheet(seed, login, breach.proof)


def compared(seed: int, world: World) -> Compared:
    """Compares the ways of judging every life of a world, and checks all sheets."""
    found = Compared()
    for login in world.terms:
        one = live(world, login)
        other = replayed(world, login)
        moved = next((move.at for move in world.moves if move.account_id == f"acc_{login}" and not move.why), None)
        if moved is not None:
            other = replace(other, other_terms_from=moved)
            found.count("move of version")
        found.add("live and replay", seed, login, one, other)
        if not other.unpriced and moved is None:
            _with_statement(found, seed, world, login, one)
        for kind, *_ in one.offences:
            found.count(kind)
        found.count("pass" if one.passed_at is not None else "end" if one.ended else "goes on")
    for fact in (*world.verdicts, *world.gates):
        found.sheet(seed, int(fact.account_id.removeprefix("acc_")), fact.proof)
    found.kinds["restart"] = found.kinds.get("restart", 0) + world.restarts
    return found
