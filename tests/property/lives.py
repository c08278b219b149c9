"""Random lives of accounts under random products, judged by a live shard and by the replay.

To widen it: draw more of the product in `terms_of`, tell more events in `EventTeller`, compare more in `Judged`.
"""

import json
from dataclasses import dataclass
from datetime import timedelta
from random import Random
from typing import Any

from domain.histories.replay import replay
from domain.products.phase_terms import PhaseTerms, phase_terms
from domain.products.product import Product
from domain.proofs.check import check
from monitor.facts import BreachFact, PassFact
from monitor.judging.feed_quality import FeedQuality, Limits
from monitor.loaded import Checkpoint, Loaded
from monitor.record.checkpoint_rows import account_row
from monitor.record.checkpoints import checkpoint_from
from monitor.shard import Shard
from ports.platform import Batch
from tests.unit.market_story import Shelf, batches, instruments
from tests.unit.told_events import EventTeller, Found, live_offences, replayed_offences
from tests.unit.venue_story import Story, product

_LESSER = ("warn", "review", "close_position", "pause_until_reset", "deduct_profit")
# days pass between the quotes of a story; how silence makes a verdict doubtful is tested with the feed's quality
_LIMITS = Limits(stale_after=timedelta(days=1000))


@dataclass(frozen=True, slots=True)
class Judged:
    """What one way of judging found: the offences, and whether the account passed at which event."""

    offences: Found
    passed_at: int | None


def terms_of(random: Random, login: int) -> PhaseTerms:
    """A random phase: floors and ceilings with random consequences and cures."""
    data = product(random, login).model_dump(mode="json")
    for phase in (*data["phases"], data["funded"]):
        phase["rules"] = [rule | _offences(random, rule.get("judged_at") == "eod") for rule in phase["rules"]]
    return phase_terms(Product.model_validate(data), random.choice([1, 1, 2]))


def _offences(random: Random, at_resets: bool) -> dict[str, Any]:
    """`at_resets`: the rule is compared at resets only, so that it has no cure."""
    kinds = [random.choice(_LESSER) for _ in range(random.choice([0, 1, 1, 2, 3]))]
    kinds += ["fail"] if not kinds or random.random() < 0.5 else []
    cure = {"minutes": random.choice([1, 30, 600, 1440]), "times": random.choice([1, 1, 2, 9])}
    return {
        "consequences": [{"kind": kind} for kind in kinds],
        "cure": cure if random.random() < 0.5 and not at_resets else None,
    }


class Lives:
    """A story of accounts that trade at one venue, each under its own terms."""

    def __init__(self, random: Random, accounts: int, length: int) -> None:
        self.random = random
        self.terms = {101 + number: terms_of(random, 101 + number) for number in range(accounts)}
        story = Story(random, list(self.terms))
        for _ in range(length * accounts):
            story.step()
        self.batches = batches(story.events, random)

    def live(self) -> dict[int, Judged]:
        """Judged by a shard, which is now and then replaced by another that starts from its checkpoints."""
        shard, verdicts = self._shard({}, FeedQuality(_LIMITS)), []
        for batch in self.batches:
            shard.apply(batch)
            verdicts += shard.state.facts.verdicts
            shard.state.facts.verdicts.clear()
            if self.random.random() < 0.1:
                shard = self._restarted(shard, batch)
        found: dict[int, Judged] = {}
        for login in self.terms:
            mine = [fact for fact in verdicts if fact.login == login]
            for fact in mine:
                assert check(json.loads(json.dumps(fact.proof))) == [], fact
            passes = [fact.seq for fact in mine if isinstance(fact, PassFact)]
            ends = [fact for fact in mine if isinstance(fact, PassFact | BreachFact)]
            assert len({(fact.seq, fact.at) for fact in ends}) <= 1, "an account ends once"
            found[login] = Judged(live_offences(mine), passes[0] if passes else None)
        return found

    def replayed(self) -> dict[int, Judged]:
        """Judged by the replay of each account."""
        found: dict[int, Judged] = {}
        for login, terms in self.terms.items():
            teller = EventTeller(terms, login, instruments())
            told = [each for batch in self.batches for event in batch.events for each in teller.tell(event)]
            result = replay(told, terms, terms.context)
            passed = result.passed.seq if result.outcome == "pass" and result.passed else None
            found[login] = Judged(replayed_offences(result), passed)
        return found

    def _shard(self, kept: dict[int, Checkpoint], quality: FeedQuality) -> Shard:
        loaded = {
            login: Loaded(f"acc_{login}", f"chl_{login}", login, terms, "active", (), kept.get(login))
            for login, terms in self.terms.items()
        }
        return Shard(Shelf(loaded), instruments, quality=quality)

    def _restarted(self, shard: Shard, batch: Batch) -> Shard:
        kept = {}
        for account in shard.state.accounts.present():
            row = account_row(shard, account, batch.events[-1].seq)
            state, positions = json.loads(row[-1]), json.loads(row[-3])
            kept[account.login] = checkpoint_from(account.terms, row[3], positions, state)
        fresh = self._shard(kept, shard.quality)  # which knows the last quotes
        fresh.state.board.prices.update(shard.state.board.prices)
        fresh.state.board.stamps.update(shard.state.board.stamps)
        fresh.state.now = shard.state.now
        for login in kept:
            loaded = fresh.admission.load(login)
            assert loaded is not None
            fresh.admission.admit(loaded, shard.state.now)
        return fresh
