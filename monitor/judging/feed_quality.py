"""Which quotes may judge, and what is doubtful about those that do. A doubt never breaches an account by itself.

A quote is rejected when it is crossed or not positive, older than the last one of its symbol, or when its middle is
more than `jump` away from the last accepted one. After `confirmations` further quotes near a rejected level, that level
is the new price. An accepted quote becomes doubtful when its symbol, or the whole feed, is silent for long, and when
events were lost since.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final

from domain.rules.marking import QuoteBoard
from domain.wording import rough
from monitor.facts import ReviewKind, ReviewNote
from ports.platform import AccountState, Tick

FEED: Final = "feed"


@dataclass(frozen=True, slots=True)
class Limits:
    jump: float = 0.10
    confirmations: int = 20
    stale_after: timedelta = timedelta(minutes=90)


@dataclass(frozen=True, slots=True)
class Doubt:
    """Why an input of a verdict is doubtful. `subject`: a symbol, an account's id, or the feed. `seq` and `at`: of the
    doubtful event, or of the last good one where something is missing."""

    kind: ReviewKind
    subject: str
    seq: int
    at: datetime
    words: str

    def to_json(self) -> dict[str, Any]:
        return {
            "kind": self.kind.value,
            "subject": self.subject,
            "seq": self.seq,
            "at": self.at.isoformat(),
            "words": self.words,
        }


@dataclass(slots=True)
class _Level:
    """A doubtful price level, and how many further quotes have confirmed it."""

    tick: Tick
    mid: float
    why: str
    last_mid: float | None
    confirmations: int = 0

    @property
    def doubt(self) -> Doubt:
        off = "" if self.last_mid is None else f", the last good middle was {self.last_mid:g}"
        words = f"{self.tick.symbol} {self.tick.bid}/{self.tick.ask} is {self.why}{off}"
        return Doubt(ReviewKind.BAD_TICK, self.tick.symbol, self.tick.seq, self.tick.at, words)

    def note(self, outcome: str) -> ReviewNote:
        return ReviewNote(
            key=f"bad_tick/{self.tick.symbol}/{self.tick.seq}",
            kind=ReviewKind.BAD_TICK,
            at=self.tick.at,
            detail={
                "symbol": self.tick.symbol,
                "seq": self.tick.seq,
                "bid": str(self.tick.bid),
                "ask": str(self.tick.ask),
                "why": self.why,
                "last_mid": self.last_mid,
                "confirmed_by": self.confirmations,
                "outcome": outcome,
            },
        )


@dataclass(slots=True)
class _Symbol:
    """The last accepted quote of a symbol, and its doubts. `fit`: there is none."""

    mid: float
    seq: int
    at: datetime
    fit: bool = True
    level: _Level | None = None
    stale: bool = False
    gap: bool = False
    revoked: bool = False
    late: int = 0


@dataclass(slots=True)
class FeedQuality:
    """`notes` wait to be stored. `suspect`: the doubt about the last rejected quote, when accounts should be checked
    against that quote."""

    limits: Limits = field(default_factory=Limits)
    notes: list[ReviewNote] = field(default_factory=list)
    suspect: Doubt | None = None
    _symbols: dict[str, _Symbol] = field(default_factory=dict)
    _estimated: dict[str, Doubt] = field(default_factory=dict)
    _halted: set[str] = field(default_factory=set)
    _last: tuple[int, datetime] | None = None
    _resumed: datetime | None = None
    _silent: bool = False

    def accepts(self, tick: Tick, bid: float, ask: float) -> bool:
        """Returns whether this quote may mark and judge. A rejected one leaves a note."""
        known, mid = self._symbols.get(tick.symbol), (bid + ask) / 2
        if known is None:
            if bid <= 0 or ask < bid:
                return self._refuse(tick, _Level(tick, mid, "crossed" if ask < bid else "not positive", None))
            self._symbols[tick.symbol] = _Symbol(mid, tick.seq, tick.at)
        elif (
            known.fit
            and ask >= bid > 0
            and tick.at >= known.at
            and abs(mid - known.mid) <= self.limits.jump * known.mid
        ):
            known.mid, known.seq, known.at = mid, tick.seq, tick.at
        elif not self._passes(known, tick, bid, ask, mid):
            return False
        if self._last is not None and tick.at - self._last[1] > self.limits.stale_after:
            self._feed_resumed(tick, self._last[1])
        if self._last is None or tick.at >= self._last[1]:
            self._last = (tick.seq, tick.at)
        return True

    def _passes(self, known: _Symbol, tick: Tick, bid: float, ask: float, mid: float) -> bool:
        self.suspect = None
        if tick.at < known.at:
            return self._late(known, tick)
        if bid <= 0 or ask < bid:
            return self._refuse(tick, _Level(tick, mid, "crossed" if ask < bid else "not positive", known.mid))
        if abs(mid - known.mid) > self.limits.jump * known.mid and not self._confirmed(known, tick, mid):
            return False
        if known.stale:
            self.notes.append(_stale(tick.symbol, known, f"quoted again from sequence {tick.seq} on"))
        self._symbols[tick.symbol] = _Symbol(mid, tick.seq, tick.at)
        return True

    def _refuse(self, tick: Tick, level: _Level) -> bool:
        self.notes.append(level.note("ignored"))
        self.suspect = level.doubt if level.why != "not positive" else None
        return False

    def _late(self, known: _Symbol, tick: Tick) -> bool:
        """Rejects a quote that is older than the last one. One note for all that come late after the same quote."""
        known.late += 1
        known.fit = False  # so that the next good quote resets `late`
        detail = {
            "symbol": tick.symbol,
            "seq": tick.seq,
            "at": tick.at.isoformat(),
            "last_seq": known.seq,
            "last_at": known.at.isoformat(),
            "count": known.late,
        }
        key = f"out_of_order/{tick.symbol}/{known.seq}"
        self.notes.append(ReviewNote(key, ReviewKind.OUT_OF_ORDER, known.at, detail))
        return False

    def _confirmed(self, known: _Symbol, tick: Tick, mid: float) -> bool:
        level = known.level
        if level is None or abs(mid - level.mid) > self.limits.jump * level.mid:
            known.level, known.fit = _Level(tick, mid, "jump", known.mid), False
            return self._refuse(tick, known.level)
        level.confirmations += 1
        if level.confirmations < self.limits.confirmations:
            return False
        self.notes.append(level.note(f"accepted from sequence {tick.seq} on"))
        return True

    def _feed_resumed(self, tick: Tick, last: datetime) -> None:
        """The feed is back after a break. The break of all symbols does not count as silence of one."""
        self._resumed = tick.at
        if self._silent:
            self._silent = False
            settled = f"quoted again from sequence {tick.seq} on"
            self.notes.append(_silence(last, {"last_quote_at": last.isoformat()}, settled))

    def doubtful(self, symbol: str) -> bool:
        known = self._symbols.get(symbol)
        return known is not None and known.level is not None

    def doubts(self, account_id: str, symbols: Iterable[str], at: datetime) -> list[Doubt]:
        """Returns the doubts at market time `at` about an account whose equity depends on the quotes of `symbols`."""
        held = sorted(symbols)
        found = [doubt for symbol in held for doubt in self._of_symbol(symbol)]
        found += self._of_feed(at) if held else ()
        estimated = self._estimated.get(account_id)
        return [*found, estimated] if estimated else found

    def _of_symbol(self, symbol: str) -> Iterator[Doubt]:
        known = self._symbols.get(symbol)
        if known is None or self._last is None:
            return
        if known.level is not None:
            yield known.level.doubt
        if known.gap:
            words = f"{symbol} has not been quoted since events were lost"
            yield Doubt(ReviewKind.GAP, symbol, known.seq, known.at, words)
        if known.revoked:
            words = f"the venue has taken back the last quote of {symbol}"
            yield Doubt(ReviewKind.BAD_TICK, symbol, known.seq, known.at, words)
        silent = self._last[1] - known.at
        if silent > self.limits.stale_after:
            words = f"{symbol} has been silent for {rough(silent)} while others tick"
            yield Doubt(ReviewKind.STALE, symbol, known.seq, known.at, words)

    def _of_feed(self, at: datetime) -> Iterator[Doubt]:
        if self._last is not None and at - self._last[1] > self.limits.stale_after:
            words = f"nothing has been quoted for {rough(at - self._last[1])}"
            yield Doubt(ReviewKind.STALE_FEED, FEED, *self._last, words)

    def check_stale(self, at: datetime, held: list[str]) -> None:
        """Notes every held symbol that is silent for long while others tick, and a feed that is silent at `at`."""
        if self._last is None or not held:
            return
        for symbol in held:
            known = self._symbols.get(symbol)
            if known is None or known.stale or symbol in self._halted:
                continue
            since = max(known.at, self._resumed or known.at)
            if self._last[1] - since <= self.limits.stale_after:
                continue
            known.stale, known.fit = True, False
            self.notes.append(_stale(symbol, known))
        if not self._silent:
            for doubt in self._of_feed(at):
                self._silent = True
                detail = {"last_quote_at": doubt.at.isoformat(), "last_seq": doubt.seq, "held": held}
                self.notes.append(_silence(doubt.at, detail))

    def gap(self) -> None:
        """Events were lost: every quote is doubtful until its symbol is quoted again."""
        for known in self._symbols.values():
            known.gap, known.fit = True, False

    def halt(self, symbol: str, *, halted: bool) -> None:
        """The venue stopped or resumed trading of a symbol: a halted one is silent without a note."""
        if halted:
            self._halted.add(symbol)
        else:
            self._halted.discard(symbol)

    def revoke(self, seq: int) -> None:
        """The venue corrects or cancels event `seq`. If it is the last quote of its symbol, that quote is doubtful."""
        for known in self._symbols.values():
            if known.seq == seq:
                known.revoked, known.fit = True, False

    def states(self, account_id: str, state: AccountState) -> None:
        """Takes note whether the venue's figures of an account are uncertain."""
        if not state.estimated:
            self._estimated.pop(account_id, None)
        elif account_id not in self._estimated:
            words = f"the account's figures are uncertain at the venue (equity {state.equity_minor} minor units)"
            doubt = Doubt(ReviewKind.ESTIMATED, account_id, state.seq, state.at, words)
            self._estimated[account_id] = doubt
            key = f"estimated/{account_id}/{state.seq}"
            self.notes.append(ReviewNote(key, ReviewKind.ESTIMATED, state.at, doubt.to_json(), account_id))

    def estimated(self, account_id: str) -> bool:
        return account_id in self._estimated

    def start_from(self, board: QuoteBoard) -> None:
        """Takes the quotes of the board for the last ones of their symbols, where this object knows none: a quote that
        is older than the board's is late."""
        for symbol, (bid, ask) in board.prices.items():
            if symbol not in self._symbols:
                self._symbols[symbol] = _Symbol(float(bid + ask) / 2, *board.stamps[symbol])
        if self._last is None and board.stamps:
            self._last = max(board.stamps.values(), key=lambda stamp: stamp[1])

    def to_json(self) -> dict[str, Any]:
        return {
            "symbols": {
                name: {
                    "mid": s.mid,
                    "seq": s.seq,
                    "at": s.at.isoformat(),
                    "stale": s.stale,
                    "gap": s.gap,
                    "revoked": s.revoked,
                    "level": None if s.level is None else _level_json(s.level),
                }
                for name, s in self._symbols.items()
            },
            "halted": sorted(self._halted),
            "estimated": [doubt.to_json() for doubt in self._estimated.values()],
            "last": [self._last[0], self._last[1].isoformat()] if self._last else None,
            "resumed": self._resumed.isoformat() if self._resumed else None,
            "silent": self._silent,
        }

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> "FeedQuality":
        quality = cls()
        if "symbols" not in data:  # stored by an older version: quotes begin anew
            return quality
        for name, s in data["symbols"].items():
            level = None if s["level"] is None else _level_from(s["level"])
            fit = not (s["stale"] or s["gap"] or s["revoked"] or level)
            at = datetime.fromisoformat(s["at"])
            quality._symbols[name] = _Symbol(s["mid"], s["seq"], at, fit, level, s["stale"], s["gap"], s["revoked"])
        for d in data["estimated"]:
            at = datetime.fromisoformat(d["at"])
            quality._estimated[d["subject"]] = Doubt(ReviewKind(d["kind"]), d["subject"], d["seq"], at, d["words"])
        if data["last"]:
            quality._last = (data["last"][0], datetime.fromisoformat(data["last"][1]))
        quality._resumed = datetime.fromisoformat(data["resumed"]) if data["resumed"] else None
        quality._silent = data["silent"]
        quality._halted = set(data.get("halted", ()))  # absent in a state stored by an older version
        return quality


def _stale(symbol: str, known: _Symbol, settled: str | None = None) -> ReviewNote:
    detail = {"symbol": symbol, "last_seq": known.seq, "last_quote_at": known.at.isoformat()}
    return ReviewNote(f"stale/{symbol}/{known.at.isoformat()}", ReviewKind.STALE, known.at, detail, None, settled)


def _silence(last: datetime, detail: dict[str, Any], settled: str | None = None) -> ReviewNote:
    return ReviewNote(f"stale_feed/{last.isoformat()}", ReviewKind.STALE_FEED, last, detail, None, settled)


def _level_json(level: _Level) -> dict[str, Any]:
    return {
        "tick": level.tick.model_dump(mode="json"),
        "mid": level.mid,
        "why": level.why,
        "last_mid": level.last_mid,
        "confirmations": level.confirmations,
    }


def _level_from(d: dict[str, Any]) -> _Level:
    return _Level(Tick.model_validate(d["tick"]), d["mid"], d["why"], d["last_mid"], d["confirmations"])
