"""Which quotes may judge. A doubtful one is set aside and named in a review; it never breaches an account.

A quote is doubtful when it is crossed or not positive, or when its middle lies more than `JUMP` off the last accepted
one. A level that `CONFIRMATIONS` further quotes confirm is the new price: the review then says so.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from ports.platform import Tick

JUMP: Final = 0.10
CONFIRMATIONS: Final = 20
STALE_AFTER: Final = timedelta(minutes=90)


@dataclass(frozen=True, slots=True)
class ReviewNote:
    """A row for table `reviews`; the same key again updates its detail while nobody has closed it."""

    key: str
    kind: str
    at: datetime
    detail: dict[str, Any]
    account_id: str | None = None


@dataclass(slots=True)
class _Doubt:
    tick: Tick
    mid: float
    why: str
    last_mid: float | None
    confirmations: int = 0

    def note(self, outcome: str) -> ReviewNote:
        return ReviewNote(
            key=f"bad_tick/{self.tick.symbol}/{self.tick.seq}",
            kind="bad_tick",
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


class FeedQuality:
    def __init__(self) -> None:
        self._mid: dict[str, float] = {}
        self._seen: dict[str, datetime] = {}
        self._doubts: dict[str, _Doubt] = {}
        self._stale: set[str] = set()
        self.notes: list[ReviewNote] = []

    def accepts(self, tick: Tick, bid: float, ask: float) -> bool:
        """Whether this quote may mark and judge; a doubtful one leaves a note."""
        symbol, last = tick.symbol, self._mid.get(tick.symbol)
        mid = (bid + ask) / 2
        if bid <= 0 or ask < bid:
            self._doubt(tick, mid, "crossed" if ask < bid else "not positive", last)
            return False
        if last is not None and abs(mid - last) > JUMP * last:
            return self._confirmed(tick, mid, last)
        self._accept(tick, mid)
        if symbol in self._doubts:
            del self._doubts[symbol]  # the feed came back to the old level by itself
        return True

    def _accept(self, tick: Tick, mid: float) -> None:
        self._mid[tick.symbol] = mid
        self._seen[tick.symbol] = tick.at
        self._stale.discard(tick.symbol)

    def _doubt(self, tick: Tick, mid: float, why: str, last: float | None) -> None:
        doubt = _Doubt(tick, mid, why, last)
        self.notes.append(doubt.note("set aside"))
        if why == "jump":
            self._doubts[tick.symbol] = doubt

    def _confirmed(self, tick: Tick, mid: float, last: float) -> bool:
        doubt = self._doubts.get(tick.symbol)
        if doubt is None or abs(mid - doubt.mid) > JUMP * doubt.mid:
            self._doubt(tick, mid, "jump", last)
            return False
        doubt.confirmations += 1
        if doubt.confirmations < CONFIRMATIONS:
            return False
        self.notes.append(doubt.note(f"accepted from sequence {tick.seq} on"))
        del self._doubts[tick.symbol]
        self._accept(tick, mid)
        return True

    def doubtful(self, symbol: str) -> bool:
        return symbol in self._doubts

    def check_stale(self, at: datetime, held: list[str]) -> None:
        """Note every held symbol that has been silent for long while another one ticks at `at`."""
        for symbol in held:
            seen = self._seen.get(symbol)
            if seen is not None and symbol not in self._stale and at - seen > STALE_AFTER:
                self._stale.add(symbol)
                detail = {"symbol": symbol, "last_quote_at": seen.isoformat()}
                self.notes.append(ReviewNote(f"stale/{symbol}/{seen.isoformat()}", "stale", at, detail))

    def to_json(self) -> dict[str, Any]:
        return {
            "mid": self._mid,
            "seen": {symbol: at.isoformat() for symbol, at in self._seen.items()},
            "stale": sorted(self._stale),
            "doubts": {
                symbol: {
                    "tick": d.tick.model_dump(mode="json"),
                    "mid": d.mid,
                    "why": d.why,
                    "last_mid": d.last_mid,
                    "confirmations": d.confirmations,
                }
                for symbol, d in self._doubts.items()
            },
        }

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> "FeedQuality":
        quality = cls()
        quality._mid = dict(data["mid"])
        quality._seen = {symbol: datetime.fromisoformat(at) for symbol, at in data["seen"].items()}
        quality._stale = set(data["stale"])
        for symbol, d in data["doubts"].items():
            tick = Tick.model_validate(d["tick"])
            quality._doubts[symbol] = _Doubt(tick, d["mid"], d["why"], d["last_mid"], d["confirmations"])
        return quality
