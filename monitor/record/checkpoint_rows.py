"""What a shard holds as rows of the record: taken out of it at one batch, and made rows of while it judges on.

Taking copies what judging changes; all that is left is immutable, so that another thread may make the rows of it.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from domain.ids import new_id
from domain.pnl import RateMissing, conversion_rate
from domain.rules.marking import Position
from domain.rules.state import AccountRules
from monitor.columns.account_columns import Ints
from monitor.columns.books import Lots
from monitor.columns.minute_bars import Bars
from monitor.columns.roster import Account
from monitor.columns.rule_columns import instant
from monitor.facts import Harvest
from monitor.record.checkpoints import Aside, aside, positions_json, rule_state
from monitor.record.minute_rows import MinuteRows, binary_bars
from monitor.shard import Shard
from store.live_checkpoint import CheckpointRows
from store.live_tables import Row

# What a position floats is summed per symbol over accounts of any currency, so it needs one to be said in.
REPORTING_CURRENCY: Final = "USD"
FEED_VERSION: Final = 1
FEW: Final = 500  # accounts of which every checkpoint may store all
AT_ONCE: Final = 20  # merely marked ones that it stores of more, while there are others to judge

_Quotes = Mapping[str, tuple[Decimal, Decimal]]
_Stamps = Mapping[str, tuple[int, datetime]]


@dataclass(frozen=True, slots=True)
class _Kept:
    """One account at that batch."""

    aside: Aside
    rules: AccountRules
    positions: list[tuple[Position, Decimal | None, int | None]]
    balance_minor: int
    equity_minor: int
    opening: tuple[int, datetime | None, int]
    judged: bool
    synced: int
    stated: dict[str, Any] | None

    def row(self, batch: int, at: datetime) -> Row:
        days = self.aside.trading_days
        state = rule_state(self.aside, self.rules, self.opening, self.judged, self.synced)
        if self.stated is not None:
            state["stated"] = self.stated
        return (
            self.aside.account_id,
            batch,
            at,
            self.balance_minor,
            self.equity_minor,
            len(days),
            days[-1] if days else None,
            json.dumps(positions_json(self.positions)),
            json.dumps(_floors(self.rules, self.equity_minor)),
            json.dumps(state),
        )


@dataclass(frozen=True, slots=True)
class Taken:
    """Everything shard `number` held as of `batch` that was not stored yet."""

    number: int
    batch: int
    feed_name: str
    now: datetime
    last_tick_at: datetime | None
    kept: list[_Kept]
    harvest: Harvest
    bars: list[Bars]
    account_ids: npt.NDArray[np.bytes_]
    quotes: _Quotes
    stamps: _Stamps
    quality: dict[str, Any]
    peaks: bytes
    lots: Lots

    def rows(self) -> CheckpointRows:
        feed, harvest = self.feed_name, self.harvest
        return CheckpointRows(
            batch=self.batch,
            feed_name=feed,
            feed=self._feed(),
            peaks=self.peaks,
            watermark=self.now,
            last_tick_at=self.last_tick_at,
            live=[kept.row(self.batch, self.now) for kept in self.kept],
            deals=[
                (
                    *(account_id, d.deal_id, d.seq, d.at, d.position_id, d.symbol, d.side, d.entry, d.lots, d.price),
                    *(d.profit_minor, d.commission_minor, d.swap_minor, d.balance_minor, d.reason),
                )
                for account_id, d in harvest.deals
            ],
            operations=[
                (account_id, o.key, o.operation, o.seq, o.at, o.amount_minor, o.balance_minor)
                for account_id, o in harvest.operations
            ],
            snapshots=[
                (s.account_id, s.day, s.reset_at, s.balance_minor, s.equity_minor, json.dumps(s.floors))
                for s in harvest.snapshots
            ],
            bars=binary_bars(_minute(self.account_ids, bars) for bars in self.bars),
            exposures=list(_exposures(self.number, self.quotes, self.stamps, self.lots)),
            reviews=[
                (
                    *(new_id("rev"), key, note.kind, note.account_id, json.dumps(note.detail)),
                    *("closed" if note.settled else "open", note.at, note.settled),
                )
                for key, note in {note.key: note for note in harvest.reviews}.items()
            ],
            warnings=[
                (w.account_id, w.kind, w.rule_id, w.period, w.at, json.dumps(w.figures)) for w in harvest.warnings
            ],
            corrections=[(feed, c.seq, c.corrects_seq, c.at, c.model_dump_json()) for c in harvest.corrections],
            version_moves=harvest.version_moves,
        )

    def _feed(self) -> dict[str, Any]:
        """Market time, last quotes and doubts: what a rebuild needs beside the accounts."""
        return {
            "v": FEED_VERSION,
            "now": self.now.isoformat(),
            "last_tick_at": self.last_tick_at.isoformat() if self.last_tick_at else None,
            "quotes": {
                symbol: [str(bid), str(ask), self.stamps[symbol][0], self.stamps[symbol][1].isoformat()]
                for symbol, (bid, ask) in self.quotes.items()
            },
            "quality": self.quality,
        }


def checkpoint_rows(shard: Shard, number: int, batch: int, feed_name: str, *, whole: bool = True) -> CheckpointRows:
    """The rows of `take`, made at once."""
    return take(shard, number, batch, feed_name, whole=whole).rows()


def take(shard: Shard, number: int, batch: int, feed_name: str, *, whole: bool = True, at_once: int = AT_ONCE) -> Taken:
    """Everything shard `number` holds as of `batch`, taken out of its buffers.

    Not `whole`, of many accounts: of those that were merely marked, with nothing to lose but what a page shows,
    `at_once` are stored and the others left to later checkpoints in turn, and so are the bars of the running minute;
    peaks that moved are in `peaks` until then. Verdicts must not wait for them.
    """
    held = shard.harvest.take_rest()
    changed = _changed(shard, whole=whole, at_once=at_once)
    running = shard.bars.so_far() if whole or shard.columns.size <= FEW else None
    peaked = np.flatnonzero(shard.columns.peaked[: shard.columns.size])
    return Taken(
        number=number,
        batch=batch,
        feed_name=feed_name,
        now=shard.now,
        last_tick_at=shard.last_tick_at,
        kept=[_kept(shard, account) for account in changed],
        harvest=held,
        bars=[*held.bars, running] if running else held.bars,
        account_ids=shard.accounts.account_ids,  # a row's id never changes; a column that grows is another one
        quotes=dict(shard.board.prices),
        stamps=dict(shard.board.stamps),
        quality=shard.quality.to_json(),
        peaks=shard.rules.peaks(shard.columns, peaked, shard.accounts.logins) if peaked.size else b"",
        lots=shard.marks.lots(),
    )


def waiting(shard: Shard) -> bool:
    """Whether accounts that were merely marked still wait for their turn."""
    columns, size = shard.columns, shard.columns.size
    return bool(columns.stale[:size].any() or columns.peaked[:size].any() or shard.bars.touched[:size].any())


def _changed(shard: Shard, *, whole: bool, at_once: int) -> list[Account]:
    """Accounts to store now; they count as clean from here on."""
    columns, size = shard.columns, shard.columns.size
    marked = columns.stale[:size] | columns.peaked[:size] | (shard.bars.touched[:size] != 0)
    if whole or size <= FEW:
        rows = np.flatnonzero(columns.dirty[:size] | marked)
    else:
        waiting = np.flatnonzero(marked & ~columns.dirty[:size])
        turn = int(np.searchsorted(waiting, shard.refreshed, side="right"))
        turns = np.concatenate([waiting[turn:], waiting[:turn]])[:at_once]
        shard.refreshed = int(turns[-1]) if turns.size else -1
        rows = np.concatenate([np.flatnonzero(columns.dirty[:size]), turns])
    columns.dirty[rows] = columns.stale[rows] = columns.peaked[rows] = False
    return [shard.accounts[row] for row in rows.tolist()]


def _kept(shard: Shard, account: Account) -> _Kept:
    columns, row = shard.columns, account.row
    stated = shard.marks.last(account)
    return _Kept(
        aside=aside(account),
        rules=shard.rules.get(row, account.terms.specs),
        positions=list(shard.marks.valued(account)),
        balance_minor=int(columns.balance[row]),
        equity_minor=int(columns.equity[row]),
        opening=(int(columns.opening[row]), instant(int(columns.opening_at[row])), int(columns.opening_seq[row])),
        judged=bool(columns.judged[row]),
        synced=int(columns.synced[row]),
        stated=stated.model_dump(mode="json") if stated is not None else None,
    )


def _live(shard: Shard, account: Account, batch: int) -> Row:
    return _kept(shard, account).row(batch, shard.now)


def _floors(rules: AccountRules, equity: int) -> dict[str, dict[str, Any]]:
    return {
        spec.key: {
            "floor_minor": state.floor_minor,
            "operator": spec.operator,
            "room_minor": equity - state.floor_minor,
        }
        for spec, state in zip(rules.specs, rules.states, strict=True)
    }


def _minute(account_ids: npt.NDArray[np.bytes_], bars: Bars) -> MinuteRows:
    figures: Sequence[Ints] = (bars.open, bars.high, bars.low, bars.close, bars.balance)
    return MinuteRows(bars.minute, account_ids[bars.rows], np.stack(figures, axis=1))


def _exposures(number: int, quotes: _Quotes, stamps: _Stamps, lots: Lots) -> Iterator[Row]:
    """Long and short lots, holders and floating profit of every quoted symbol, from the books."""
    found: dict[str, list[Decimal]] = {symbol: [Decimal(0), Decimal(0), Decimal(0)] for symbol in quotes}
    holders: dict[str, npt.NDArray[np.bool_]] = {}
    for book, rows, units, profits in lots.books():
        figures = found.get(book.instrument.symbol)
        if figures is None:
            continue
        figures[0] += book.lots_of(units[units > 0])
        figures[1] += book.lots_of(units[units < 0])
        holds = holders.setdefault(book.instrument.symbol, np.zeros(lots.accounts, np.bool_))
        holds[rows] = True
        try:
            rate = conversion_rate(book.currency, REPORTING_CURRENCY, quotes)
        except RateMissing:
            continue
        figures[2] += Decimal(round(float(profits.sum()))) * rate
    for symbol, (long, short, floating) in found.items():
        (bid, ask), (_, at) = quotes[symbol], stamps[symbol]
        yield (number, symbol, long, short, int(np.count_nonzero(holders.get(symbol, ()))), int(floating), bid, ask, at)
