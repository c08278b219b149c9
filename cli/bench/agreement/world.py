"""Accounts at a random venue, judged live: a shard reads the stream, the venue acts on what it finds, and the shard is
now and then replaced by another that starts from its checkpoints."""

import json
from dataclasses import dataclass
from datetime import datetime, timedelta
from random import Random
from typing import Any, Final

from cli.bench.agreement.venue import INSTRUMENTS, Venue
from domain.products.phase_terms import PhaseTerms
from monitor.facts import GateFact, OffenceFact, VerdictFact
from monitor.judging.feed_quality import FeedQuality, Limits
from monitor.loaded import Checkpoint, Loaded, Pending
from monitor.record.checkpoint_rows import account_row
from monitor.record.checkpoints import checkpoint_from
from monitor.shard import Shard
from ports.platform import Batch, Event
from store.news import ScheduledRelease
from store.version_moves import MoveOutcome

# days pass between the quotes of a story; how silence makes a verdict doubtful is tested with the feed's quality
_LIMITS: Final = Limits(stale_after=timedelta(days=1000))


@dataclass(frozen=True, slots=True)
class Part:
    """The events of one batch, and how many releases were known when it was applied."""

    events: tuple[Event, ...]
    releases: int


class World:
    """`terms`: by login. `pending`: the terms to which an account changes at its next reset, by login; each is asked
    for after some steps."""

    def __init__(self, random: Random, terms: dict[int, PhaseTerms], pending: dict[int, PhaseTerms]) -> None:
        self.random, self.terms, self.pending = random, terms, pending
        self.venue = Venue(random, terms)
        self.parts: list[Part] = []
        self.verdicts: list[VerdictFact] = []
        self.gates: list[GateFact] = []
        self.moves: list[MoveOutcome] = []
        self.restarts = 0
        self.bound = dict(terms)  # the terms of the moment
        self.asked: set[int] = set()
        self.shard = self._shard({}, FeedQuality(_LIMITS))

    @property
    def events(self) -> list[Event]:
        """All events of the stream so far."""
        return [event for part in self.parts for event in part.events]

    @property
    def releases(self) -> list[ScheduledRelease]:
        return self.venue.releases

    def run(self, steps: int) -> None:
        """Lets `steps` things happen, and what follows from them."""
        for _ in range(steps):
            self.venue.step()
            if self.random.random() < 0.25:
                self._apply()
                self._ask_for_moves()
                if self.random.random() < 0.12:
                    self._restart()
        self._apply()

    def _apply(self) -> None:
        while events := self.venue.take():
            self.parts.append(Part(tuple(events), len(self.releases)))
            self.shard.apply(Batch(number=len(self.parts), events=tuple(events)))
            self._react()

    def _react(self) -> None:
        """The venue does what the offences ask for, and the accounts that ended trade no more."""
        facts, accounts = self.shard.state.facts, self.venue.accounts
        verdicts, resumes, gates, _points, _strays = facts.take_verdicts()
        moves, facts.version_moves = facts.version_moves, []
        for fact in verdicts:
            account = accounts[fact.login]
            if not isinstance(fact, OffenceFact):
                self.venue.end(account)
            elif fact.consequence == "close_position":
                self.venue.close_out(account, fact.position_ids)
            elif fact.consequence == "pause_until_reset":
                self.venue.pause(account)
            elif fact.consequence == "reset_balance":
                self.venue.reset_balance(account, fact.offence_id)
        for resume in resumes:
            accounts[resume.login].paused = False
        for move in moves:
            if not move.why:
                login = _login(move.account_id)
                self.bound[login] = self.pending[login]
        self.verdicts += verdicts
        self.gates += gates
        self.moves += moves

    def _ask_for_moves(self) -> None:
        for login, terms in self.pending.items():
            if login not in self.asked and self.random.random() < 0.3:
                self.asked.add(login)
                self.shard.versions.expect(_account(login), Pending(f"mov_{login}", terms))

    def _shard(self, kept: dict[int, Checkpoint], quality: FeedQuality, now: datetime | None = None) -> Shard:
        loaded = {login: self._loaded(login, kept.get(login)) for login in self.terms}
        at: dict[str, Any] = {} if now is None else {"now": now, "board": self.shard.state.board}
        return Shard(_Shelf(loaded), lambda: INSTRUMENTS, quality=quality, news=self._news, **at)

    def _loaded(self, login: int, kept: Checkpoint | None) -> Loaded:
        waits = login in self.asked and not any(move.account_id == _account(login) for move in self.moves)
        pending = Pending(f"mov_{login}", self.pending[login]) if waits else None
        terms = self.bound[login]
        return Loaded(_account(login), f"chl_{login}", login, terms, "active", (), kept, pending)

    def _news(self, last: int, since: datetime) -> list[ScheduledRelease]:
        return [release for release in self.releases if release.id > last and release.released_at >= since]

    def _restart(self) -> None:
        """Another shard goes on from the checkpoints, which are stored as JSON."""
        shard, kept = self.shard, {}
        if not self.parts:
            return
        for account in shard.state.accounts.present():
            row = account_row(shard, account, self.parts[-1].events[-1].seq)
            state, positions = json.loads(row[-1]), json.loads(row[-3])
            kept[account.login] = checkpoint_from(account.terms, row[3], positions, state)
        quality = FeedQuality(_LIMITS)
        if self.random.random() < 0.5:
            quality = FeedQuality.from_json(json.loads(json.dumps(shard.quality.to_json())))
            quality.limits = _LIMITS
        fresh = self._shard(kept, quality, shard.state.now)
        for login in kept:
            loaded = fresh.admission.load(login)
            assert loaded is not None
            fresh.admission.admit(loaded, shard.state.now)
        self.shard = fresh
        self.restarts += 1


class _Shelf:
    """Accounts by login, all active."""

    def __init__(self, accounts: dict[int, Loaded]) -> None:
        self._accounts = accounts

    def load(self, login: int) -> Loaded | None:
        return self._accounts.get(login)


def _account(login: int) -> str:
    return f"acc_{login}"


def _login(account_id: str) -> int:
    return int(account_id.removeprefix("acc_"))
