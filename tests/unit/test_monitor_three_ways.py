"""The columns, the exact evaluator and a naive oracle agree: same verdict, same event, same floors to the cent."""

from collections import Counter
from collections.abc import Mapping
from datetime import timedelta
from decimal import Decimal
from random import Random

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from domain.money import to_minor
from domain.products.phase_terms import PhaseTerms, phase_terms
from domain.proofs.check import check
from domain.rules.evaluate import has_level
from domain.rules.state import AccountRules
from monitor.facts import BreachFact
from monitor.judging.feed_quality import FeedQuality, Limits
from monitor.loaded import Loaded
from monitor.shard import Shard
from tests.unit.exact_path import ExactPath
from tests.unit.market_story import Shelf, batches, instruments
from tests.unit.oracle import Oracle
from tests.unit.venue_story import SPECS, Story, product


def by_vectors(story: Story, terms: dict[int, PhaseTerms], random: Random) -> Shard:
    source = Shelf({n: Loaded(f"acc_{n}", f"chl_{n}", n, terms[n], "active", (), None) for n in terms})
    # days pass between the quotes of a story; how silence makes a verdict doubtful is tested with the feed's quality
    shard = Shard(source, instruments, quality=FeedQuality(Limits(stale_after=timedelta(days=1000))))
    for batch in batches(story.events, random):
        shard.apply(batch)
    return shard


def minor(levels: Mapping[str, Decimal | None]) -> dict[str, int | None]:
    return {key: None if level is None else to_minor(level, "USD") for key, level in levels.items()}


def floors(rules: AccountRules) -> dict[str, int | None]:
    """The levels of an account by key; None where there is no limit."""
    pairs = zip(rules.specs, rules.states, strict=True)
    return {spec.key: state.floor_minor if has_level(spec, state) else None for spec, state in pairs}


def said_by_vectors(shard: Shard, login: int) -> tuple[str, int, list[tuple[str, int | None]]] | None:
    """(kind, sequence number, (rule, level) of everything that broke) of the account's verdict, whose sheet holds."""
    facts = [fact for fact in shard.state.facts.verdicts if fact.login == login]
    for fact in facts:
        assert check(fact.proof) == []
    if not facts:
        return None
    (seq,) = {fact.seq for fact in facts}
    broken = [(fact.rule_id, fact.floor_minor) for fact in facts if isinstance(fact, BreachFact)]
    return "breach" if broken else "pass", seq, broken


@settings(max_examples=2000, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(seed=st.integers(0, 2**32), length=st.integers(5, 60), accounts=st.sampled_from([1, 1, 1, 2]))
def test_the_three_ways_agree(seed: int, length: int, accounts: int) -> None:
    random = Random(seed)
    logins = list(range(101, 101 + accounts))
    terms = {login: phase_terms(product(random, login), random.choice([1, 1, 2])) for login in logins}
    story = Story(random, logins)
    for _ in range(length * accounts):
        story.step()
    shard = by_vectors(story, terms, random)

    for login in logins:
        oracle = Oracle(terms[login].product, terms[login].phase_index, login, SPECS)
        exact = ExactPath(terms[login], login, instruments())
        for event in story.events:
            oracle.event(event)
            exact.event(event)
        vectors = said_by_vectors(shard, login)
        if oracle.finding is None:
            assert vectors is None and exact.finding is None
            levels = minor(oracle.floors())
            row = shard.state.accounts.by_login(login).row
            for rules in (exact.rules, shard.state.rules.get(row)):
                assert floors(rules) == levels
        else:
            kind, seq, broken = oracle.finding.kind, oracle.finding.seq, minor(oracle.finding.floors)
            assert exact.finding == (kind, seq, broken)
            assert vectors == (kind, seq, [(key.removesuffix(".up"), level) for key, level in broken.items()])


def test_the_stories_are_about_what_can_go_wrong() -> None:
    """Every axis and every kind of event decides something in a run's worth of stories."""
    ended, broken, settings_seen = Counter[str](), Counter[str](), Counter[str]()
    for seed in range(700):
        random = Random(seed)
        terms = phase_terms(product(random), random.choice([1, 1, 2]))
        story = Story(random, [1])
        for _ in range(random.randint(5, 60)):
            story.step()
        oracle = Oracle(terms.product, terms.phase_index, 1, SPECS)
        for event in story.events:
            oracle.event(event)
        found = oracle.finding
        ended[found.event if found else "none"] += 1
        for key in found.floors if found and found.kind == "breach" else ():
            spec = next(spec for spec in terms.specs if spec.key == key)
            broken[spec.rule_type] += 1
            settings_seen.update(
                name
                for name, seen in (
                    ("ceiling", spec.direction == "ceiling"),
                    ("inclusive", spec.inclusive),
                    ("costs left out", not (spec.holds.commissions and spec.holds.swaps)),
                    ("floating left out", not spec.holds.floating),
                    ("percent of a basis that moves", spec.allowance_minor is None),
                    ("lock", spec.ceiling_minor is not None),
                    ("falls by a payout", spec.payout_falls),
                    ("own loss clock", terms.product.loss_clock is not None),
                    ("size of further figures", spec.allowance_size is not None),
                    ("steps", bool(spec.steps)),
                    ("judged at resets", spec.judged_at == "eod"),
                    (f"per {spec.per}", True),
                    (f"each {spec.period}", True),
                    *((f"settles: {spec.settles}", True), (f"{spec.moves} of {spec.source}", True)),
                )
                if seen
            )
    assert {"tick", "deal", "rollover", "payout_hold", "payout_settled", "pass", "none"} <= set(ended)
    assert min(ended["rollover"], ended["pass"], ended["payout_settled"]) >= 5, ended
    assert set(broken) == {"daily_loss", "max_loss_static", "max_loss_trailing", "daily_move_cap", "floating_loss"}
    assert len(settings_seen) >= 20 and min(settings_seen.values()) >= 3, settings_seen
