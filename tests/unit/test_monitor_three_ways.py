"""The columns, the exact evaluator and a naive oracle agree: same verdict, same event, same floors to the cent."""

from decimal import Decimal
from random import Random

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from domain.money import to_minor
from domain.rules.check import check
from domain.rules.marking import Instrument
from domain.rules.state import phase_terms
from monitor.accounts import Loaded
from monitor.facts import BreachFact, PassFact
from monitor.shard import Shard
from ports.platform import Batch, ClockMark, Event
from tests.unit.exact_path import ExactPath
from tests.unit.oracle import Oracle
from tests.unit.venue_story import SPECS, Story, product


class Shelf:
    """Accounts by login, all active, without any history."""

    def __init__(self, accounts: dict[int, Loaded]) -> None:
        self._accounts = accounts

    def load(self, login: int) -> Loaded | None:
        return self._accounts.get(login)


def instruments() -> dict[str, Instrument]:
    return {s.symbol: Instrument(s.symbol, s.contract_size, s.quote_currency) for s in SPECS}


def batches(events: list[Event], random: Random) -> list[Batch]:
    """The events cut at random places, each part closed by a clock mark that adds no time."""
    cut, parts = [], []
    for event in events:
        cut.append(event)
        if random.random() < 0.1:
            parts.append(cut)
            cut = []
    parts.append(cut)
    return [
        Batch(number=n, events=(*part, ClockMark(seq=part[-1].seq, at=part[-1].at)))
        for n, part in enumerate(parts, 1)
        if part
    ]


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(seed=st.integers(0, 2**32), length=st.integers(5, 140))
def test_the_three_ways_agree(seed: int, length: int) -> None:
    random = Random(seed)
    logins = [101, 102, 103]
    terms = {login: phase_terms(product(random, login), random.choice([1, 2])) for login in logins}
    story = Story(random, logins)
    for _ in range(length):
        story.step()

    source = Shelf({n: Loaded(f"acc_{n}", f"chl_{n}", n, terms[n], "active", (), None) for n in logins})
    shard = Shard(source, instruments)
    for batch in batches(story.events, random):
        shard.apply(batch)

    for login in logins:
        oracle = Oracle(terms[login].product, terms[login].phase_index, login, SPECS)
        exact = ExactPath(terms[login], login, instruments())
        for event in story.events:
            oracle.event(event)
            exact.event(event)
        facts = [fact for fact in shard.harvest.verdicts if fact.login == login]
        for fact in facts:
            assert check(fact.proof) == []
        account = shard.by_login[login]
        if oracle.finding is None:
            assert facts == [] and exact.finding is None
            floors = shard.rules.floor[: len(account.terms.specs), account.row].tolist()
            assert floors == [state.floor_minor for state in exact.rules.states]
            expected = oracle.floors()
            names = [spec.rule_id for spec in account.terms.specs]
            assert floors == [to_minor(expected[name], "USD") for name in names]
        elif oracle.finding.kind == "breach":
            expected = oracle.finding.floors
            broken = [(f.rule_id, Decimal(f.floor_minor) / 100) for f in facts if isinstance(f, BreachFact)]
            assert broken == list(expected.items())
            assert {f.seq for f in facts} == {oracle.finding.seq}
            assert exact.finding == ("breach", oracle.finding.seq, {r: to_minor(v, "USD") for r, v in expected.items()})
        else:
            assert [(type(f), f.seq) for f in facts] == [(PassFact, oracle.finding.seq)]
            assert exact.finding == ("pass", oracle.finding.seq, {})
