"""A made-up firm: owners, accounts, trades, orders, identity facts, and what was planted, as rows to be written."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Literal

import numpy as np
import numpy.typing as npt

from sandbox.injection.market import Fills, Floats, Ints, Market
from sandbox.instants import DAY, SECOND

NEVER: Final = int(np.iinfo(np.int64).max)
ORDINARY: Final = -1  # the story of what nobody planted
_REASONS: Final = np.array(["client", "stop", "target"], dtype=object)
_SIZES: Final = (10_000, 25_000, 50_000, 100_000, 200_000)
Grade = Literal["easy", "medium", "hard"]


@dataclass
class Account:
    """One phase of a challenge. Amounts in whole units of the currency; None: the phase has none."""

    id: str
    owner: str
    challenge: str
    phase: str
    product: str
    size: int
    opened: int
    ended: int = NEVER
    outcome: str = "open"
    currency: str = "USD"
    daily_loss: int = 0
    max_loss: int = 0
    target: int | None = None
    min_days: int | None = None
    zone: str = "Europe/Prague"


@dataclass
class Story:
    """What was planted. `patterns`: the alerts that are right for it, the one that it was written for first; none for
    a decoy, whose `decoy_of` names the pattern that must not speak. `roles`: account id -> role."""

    id: int
    patterns: tuple[str, ...]
    grade: Grade
    kind: str
    decoy_of: str = ""
    roles: dict[str, str] = field(default_factory=dict)


@dataclass
class Firm:
    """Collects rows. Trades and orders are kept in blocks of columns, one block for each call. `prefix`: of
    every id, so that none is that of a row that was there before."""

    market: Market
    rng: np.random.Generator
    prefix: str = ""
    accounts: list[Account] = field(default_factory=list)
    blocks: list[dict[str, Any]] = field(default_factory=list)
    order_blocks: list[dict[str, Any]] = field(default_factory=list)
    identities: list[tuple[str, str, str, int]] = field(default_factory=list)
    stories: list[Story] = field(default_factory=list)
    positions: int = 0
    owners: int = 0
    challenges: int = 0
    told: int = 0  # stories, also those that could not be planted

    def owner(self) -> str:
        """Returns a new owner, who has an address, a device and a card of his own."""
        self.owners += 1
        owner = f"{self.prefix}O{self.owners:06d}"
        for kind in ("ip", "device", "card", "address"):
            self.identity(owner, kind, f"{kind}-{owner}")
        return owner

    def identity(self, owner: str, kind: str, value: str) -> None:
        self.identities.append((owner, kind, value, self.market.start + int(self.rng.integers(0, DAY))))

    def account(self, owner: str = "", phase: str = "", **told: Any) -> int:
        """Adds an account and returns its number. `told`: size, opened, product, challenge, min_days."""
        phase = phase or str(self.rng.choice(["phase 1", "phase 2", "funded"], p=[0.6, 0.15, 0.25]))
        size = int(told.pop("size", 0)) or int(self.rng.choice(_SIZES))
        self.challenges += 1
        share = {"phase 1": 0.08, "phase 2": 0.05}.get(phase)
        account = Account(
            id=f"{self.prefix}{800_000_000 + 17 * len(self.accounts) + int(self.rng.integers(0, 17))}",
            owner=owner or self.owner(),
            challenge=told.pop("challenge", f"{self.prefix}C{self.challenges:06d}"),
            phase=phase,
            product=told.pop("product", "two-step"),
            size=size,
            opened=told.pop("opened", self.market.start),
            daily_loss=size // 20,
            max_loss=size // 10,
            target=round(size * share) if share else None,
            min_days=told.pop("min_days", 4 if share else None),
            **told,
        )
        self.accounts.append(account)
        return len(self.accounts) - 1

    def trade(
        self,
        account: int,
        symbol: str,
        side: npt.ArrayLike,
        lots: npt.ArrayLike,
        at: npt.ArrayLike,
        until: npt.ArrayLike,
        *,
        stop: npt.ArrayLike = np.inf,
        target: npt.ArrayLike = np.inf,
        story: int = ORDINARY,
        open_price: Floats | None = None,
        order: str = "market",
        placed: Ints | None = None,
        show_stops: bool = True,
        **told: Any,
    ) -> Fills:
        """Trades and keeps the rows; returns what became of them. Times in microseconds, `stop`, `target`: distances.
        `order`, `placed`: the order that opened each trade. `told`: reason, expert, comment."""
        opened = np.atleast_1d(np.asarray(at, dtype=np.int64))
        fills = self.market.fills(
            symbol,
            side,
            opened,
            np.broadcast_to(np.asarray(until, dtype=np.int64), opened.shape),
            stop,
            target,
            open_price=open_price,
        )
        stops = (np.broadcast_to(np.asarray(each, dtype=np.float64), opened.shape) for each in (stop, target))
        self.keep(account, symbol, side, lots, opened, fills, *stops, story=story, show_stops=show_stops, **told)
        self.order(account, symbol, side, lots, opened, fills.open_price, order=order, placed=placed)
        return fills

    def keep(
        self,
        account: int | Ints,
        symbol: str,
        side: npt.ArrayLike,
        lots: npt.ArrayLike,
        opened: Ints,
        fills: Fills,
        stop: Floats,
        target: Floats,
        *,
        story: int = ORDINARY,
        show_stops: bool = True,
        positions: Ints | None = None,
        reason: str = "client",
        expert: str = "",
        comment: str = "",
    ) -> None:
        """Keeps trades that were made. A trade whose end is after the market's is open still."""
        count = len(opened)
        sides = np.broadcast_to(np.asarray(side, dtype=np.int64), opened.shape)
        sizes = np.broadcast_to(np.asarray(lots, dtype=np.float64), opened.shape)
        sizes = np.maximum(np.round(sizes, 2), 0.01)
        with np.errstate(invalid="ignore"):
            levels = [fills.open_price - sides * stop, fills.open_price + sides * target]
        digits = self.market.instruments[symbol].digits
        shown = [np.where(np.isfinite(each) & show_stops, np.round(each, digits), np.nan) for each in levels]
        if positions is None:
            positions = self.positions + np.arange(count)
            self.positions += count
        why = _REASONS[fills.why].copy()
        why[fills.why == 0] = reason
        done = fills.closed < self.market.end
        self.blocks.append(
            {
                "account": np.broadcast_to(np.asarray(account, dtype=np.int64), opened.shape),
                "symbol": np.full(count, symbol, dtype=object),
                "side": sides,
                "lots": sizes,
                "opened": opened,
                "open_price": fills.open_price,
                "closed": np.where(done, fills.closed, NEVER),
                "close_price": np.where(done, fills.close_price, np.nan),
                "profit": np.where(done, np.round(fills.profit * sizes, 2), 0.0),
                "stop": shown[0],
                "target": shown[1],
                "reason": np.where(done, why, "").astype(object),
                "expert": np.full(count, expert, dtype=object),
                "comment": np.full(count, comment, dtype=object),
                "position": positions,
                "story": np.full(count, story),
            }
        )

    def order(
        self,
        account: int,
        symbol: str,
        side: npt.ArrayLike,
        lots: npt.ArrayLike,
        done: Ints,
        price: Floats,
        *,
        order: str = "market",
        placed: Ints | None = None,
        state: str = "filled",
    ) -> None:
        """Keeps orders; a filled one belongs to the positions that were kept last."""
        count = len(done)
        if placed is None:
            placed = done - self.rng.integers(40_000, SECOND // 2, count)
        sizes = np.maximum(np.round(np.broadcast_to(np.asarray(lots, dtype=np.float64), done.shape), 2), 0.01)
        filled = state == "filled"
        self.order_blocks.append(
            {
                "account": np.full(count, account),
                "symbol": np.full(count, symbol, dtype=object),
                "side": np.broadcast_to(np.asarray(side, dtype=np.int64), done.shape),
                "type": np.full(count, order, dtype=object),
                "lots": sizes,
                "price": np.full(count, np.nan) if order == "market" else np.broadcast_to(price, done.shape),
                "placed": placed,
                "done": done,
                "state": np.full(count, state, dtype=object),
                "position": self.blocks[-1]["position"] if filled else np.full(count, -1),
            }
        )

    def story(self, patterns: Sequence[str], grade: Grade, kind: str, decoy_of: str = "") -> Story:
        self.told += 1
        story = Story(self.told, tuple(patterns), grade, kind, decoy_of)
        self.stories.append(story)
        return story

    def names(self, story: Story, account: int, role: str) -> int:
        """Writes the account's role into the story and returns its number."""
        story.roles[self.accounts[account].id] = role
        return account


def columns(blocks: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Returns the blocks put together, column by column."""
    return {name: np.concatenate([block[name] for block in blocks]) for name in blocks[0]} if blocks else {}
