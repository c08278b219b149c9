"""Hosted simulated traders: which account each one trades, and when it gets its turns.

A trader's random numbers depend on (seed, phase, time slot) only, not on wall time, logins or the order of accounts.
So a trader behaves the same in every run of a seed, and after a restart.
"""

import heapq
import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any, Final

from pydantic_core import to_json

from domain.errors import BadInput, Conflict
from sandbox.books import VenueAccount
from sandbox.instants import MINUTE, SECOND
from sandbox.journal import Row
from sandbox.tape import Tape
from sandbox.tempers import TEMPERS, TradedVenue, Turn

_FLAT_BEFORE_END_US: Final = 30 * MINUTE


@dataclass(frozen=True, slots=True)
class Binding:
    """Trades the accounts of `reference` with this temper. `leader` is the reference that a copier copies."""

    reference: str
    temper: str
    seed: int
    leader: str | None = None


@dataclass(slots=True)
class SimulatedTrader:
    """One trader on one account. `memo` is its memory between turns (JSON values only), `kept` what the journal has of
    it."""

    binding: Binding
    phase: str
    account: VenueAccount
    period_us: int
    base: int = field(init=False)
    memo: dict[str, Any] = field(default_factory=dict)
    kept: str = "{}"

    def __post_init__(self) -> None:
        self.base = int.from_bytes(sha256(f"{self.binding.seed}/{self.phase}".encode()).digest()[:8])

    @property
    def rank(self) -> tuple[int, str, str]:
        return self.binding.seed, self.phase, self.binding.reference

    def slot(self, us: int) -> int:
        return (us - self.base % self.period_us) // self.period_us

    def wakes_after(self, us: int) -> int:
        return (self.slot(us) + 1) * self.period_us + self.base % self.period_us


class TraderDesk:
    """All hosted traders of one venue."""

    def __init__(self, venue: TradedVenue, tape: Tape) -> None:
        self._venue, self._tape = venue, tape
        self._bindings: dict[str, Binding] = {}
        self._traders: dict[int, SimulatedTrader] = {}
        self._by_reference: dict[str, list[SimulatedTrader]] = {}
        self._wakes: list[tuple[int, int]] = []
        self._changed: list[Row] = []
        self.acted_us = 0

    def bind(self, reference: str, temper: str, seed: int, leader: str | None) -> None:
        """Let hosted traders trade the accounts of `reference`. The same binding again changes nothing.

        Raises BadInput for an unknown temper or a wrong leader, Conflict for another binding of `reference`.
        """
        if temper not in TEMPERS:
            raise BadInput(
                f"There is no temper {temper!r}.", field="temper", remedy=f"Choose among {', '.join(TEMPERS)}."
            )
        if (temper == "copier") != (leader is not None):
            raise BadInput("A copier needs a leader, and only a copier has one.", field="leader")
        binding = Binding(reference, temper, seed, leader)
        known = self._bindings.setdefault(reference, binding)
        if known != binding:
            raise Conflict(f"The accounts of {reference} are already traded by another hosted trader.")
        value = {"temper": temper, "seed": seed, "leader": leader}
        self._changed.append(Row("binding", reference, json.dumps(value)))
        for account in self._venue.accounts.values():
            self.adopt(account)

    def adopt(self, account: VenueAccount) -> None:
        """Start the trader bound to the account's reference, if any (the part of its key before the first /)."""
        reference, _, phase = account.key.partition("/")
        binding = self._bindings.get(reference)
        if binding is None or account.login in self._traders:
            return
        trader = SimulatedTrader(binding, phase, account, TEMPERS[binding.temper].period_seconds * SECOND)
        self._traders[account.login] = trader
        self._by_reference.setdefault(reference, []).append(trader)
        heapq.heappush(self._wakes, (trader.wakes_after(self.acted_us), account.login))

    def act(self, now_us: int, ends_at: int | None) -> None:
        """Give a turn to every trader that is due. `ends_at` is the end of the recording, None for endless prices."""
        self.acted_us, due = now_us, list[SimulatedTrader]()
        while self._wakes and self._wakes[0][0] <= now_us:
            due.append(self._traders[heapq.heappop(self._wakes)[1]])
        for trader in due:
            heapq.heappush(self._wakes, (trader.wakes_after(now_us), trader.account.login))
        if ends_at is not None and now_us >= ends_at:
            return  # prices do not move after the recording, so open positions stay open
        closing = ends_at is not None and now_us >= ends_at - _FLAT_BEFORE_END_US
        for trader in sorted(due, key=lambda t: t.rank):
            if trader.account.enabled and self._venue.quotes:
                self._look(trader, now_us, closing, recorded=ends_at is not None)

    def _look(self, trader: SimulatedTrader, now_us: int, closing: bool, recorded: bool) -> None:
        turn = Turn(
            venue=self._venue,
            tape=self._tape,
            account=trader.account,
            memo=trader.memo,
            base=trader.base,
            slot=trader.slot(now_us),
            now_us=now_us,
            period_seconds=trader.period_us // SECOND,
            recorded=recorded,
            closing=closing,
            led_by=self._leading(trader.binding.leader),
        )
        TEMPERS[trader.binding.temper].look(turn)
        after = to_json(trader.memo).decode()
        if after != trader.kept:
            trader.kept = after
            self._changed.append(Row("trader", str(trader.account.login), after))

    def _leading(self, leader: str | None) -> list[VenueAccount]:
        traders = self._by_reference.get(leader, []) if leader is not None else []
        return [trader.account for trader in sorted(traders, key=lambda t: t.rank)]

    def drain(self) -> Iterable[Row]:
        """Rows changed since the last call."""
        rows, self._changed = self._changed, []
        return rows

    def restore(self, bindings: Iterable[tuple[str, Any]], memos: dict[str, Any], acted_us: int) -> None:
        self.acted_us = acted_us
        self._bindings = {reference: Binding(reference, **data) for reference, data in bindings}
        for account in self._venue.accounts.values():
            self.adopt(account)
        for trader in self._traders.values():
            trader.memo = memos.get(str(trader.account.login), {})
            trader.kept = to_json(trader.memo).decode()
