"""The rows of a checkpoint: taken out of a shard at one batch, and made into rows while the shard judges on.

`take_checkpoint` copies what judging changes. All the rest is immutable, so that another thread may make the rows.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from domain.errors import RateMissing
from domain.keys import new_id
from domain.pnl import reported_minor
from domain.proofs.departure import Place
from domain.rules.evaluate import has_level
from domain.rules.floors import Mark, room_minor
from domain.rules.marking import Instrument, Position
from domain.rules.state import AccountRules
from monitor.columns.account_columns import Ints
from monitor.columns.books import Lots
from monitor.columns.conduct_state import ConductState
from monitor.columns.minute_bars import Bars
from monitor.columns.roster import AccountRow
from monitor.facts import ReviewNote, UnstoredFacts
from monitor.record.checkpoints import AccountExtras, Exits, extras_of, positions_json, rule_state
from monitor.record.minute_rows import MinuteRows, binary_bars
from monitor.shard import Shard
from monitor.state import ShardState
from ports.platform import AccountState
from store.live_checkpoint import CheckpointRows
from store.live_tables import Row

FEED_VERSION: Final = 1
FEW: Final = 500  # a shard with at most so many accounts stores all changed ones in every checkpoint
AT_ONCE: Final = 20  # only marked accounts that one checkpoint of a larger shard stores while others are to be judged

_Quotes = Mapping[str, tuple[Decimal, Decimal]]
_Stamps = Mapping[str, tuple[int, datetime]]


@dataclass(frozen=True, slots=True)
class _StoredAccount:
    """One account at the batch of its checkpoint."""

    extras: AccountExtras
    rules: AccountRules
    positions: list[tuple[Position, Decimal | None, int | None]]
    exits: Exits
    balance_minor: int
    equity_minor: int
    opening: tuple[int, datetime | None, int]
    judged: bool
    synced: int
    stated: dict[str, Any] | None

    def row(self, batch: int, at: datetime) -> Row:
        days = self.extras.trading_days
        state = rule_state(self.extras, self.rules, self.opening, self.judged, self.synced)
        if self.stated is not None:
            state["stated"] = self.stated
        mark = Mark(self.balance_minor, self.equity_minor, batch, at, self.extras.costs)
        return (
            self.extras.account_id,
            batch,
            at,
            self.balance_minor,
            self.equity_minor,
            len(days),
            days[-1] if days else None,
            json.dumps(positions_json(self.positions, self.exits)),
            json.dumps(_floors(self.rules, mark)),
            json.dumps(state),
        )


@dataclass(frozen=True, slots=True)
class CheckpointData:
    """Everything of shard `number` as of `batch` that was not stored yet. Immutable: another thread may read it."""

    number: int
    batch: int
    feed_name: str
    now: datetime
    last_tick_at: datetime | None
    accounts: list[_StoredAccount]
    facts: UnstoredFacts
    bars: list[Bars]
    account_ids: npt.NDArray[np.bytes_]
    quotes: _Quotes
    stamps: _Stamps
    instruments: Mapping[str, Instrument]
    quality: dict[str, Any]
    peaks: bytes
    lots: Lots

    def rows(self) -> CheckpointRows:
        """Makes the rows, which takes most of the work of a checkpoint."""
        feed, facts = self.feed_name, self.facts
        return CheckpointRows(
            batch=self.batch,
            feed_name=feed,
            feed=self._feed(),
            peaks=self.peaks,
            watermark=self.now,
            last_tick_at=self.last_tick_at,
            live=[account.row(self.batch, self.now) for account in self.accounts],
            deals=[
                (
                    *(account_id, d.deal_id, d.seq, d.at, d.position_id, d.symbol, d.side, d.entry, d.lots, d.price),
                    *(d.profit_minor, d.commission_minor, d.swap_minor, d.balance_minor, d.reason, d.fee_minor),
                    *(d.stop_loss, d.take_profit, d.bid, d.ask, d.late, _text(d.expert_id), _text(d.comment)),
                )
                for account_id, d in facts.deals
            ],
            order_events=[
                (account_id, o.seq, o.at, o.order_id, o.symbol, o.side, o.lots, o.change, o.type, o.price)
                for account_id, o in facts.order_events
            ],
            stop_changes=[
                (account_id, s.seq, s.at, s.position_id, s.stop_loss, s.take_profit)
                for account_id, s in facts.stop_changes
            ],
            operations=[
                (account_id, o.key, o.operation, o.seq, o.at, o.amount_minor, o.balance_minor)
                for account_id, o in facts.operations
            ],
            snapshots=[
                (s.account_id, s.day, s.reset_at, s.balance_minor, s.equity_minor, json.dumps(s.floors))
                for s in facts.snapshots
            ],
            bars=binary_bars(_minute(self.account_ids, bars) for bars in self.bars),
            exposures=list(_exposures(self.number, self.quotes, self.stamps, self.lots)),
            reviews=[
                (
                    *(new_id("rev"), key, note.kind.value, note.account_id, json.dumps(note.detail)),
                    *("closed" if note.settled else "open", note.at, note.settled),
                )
                for key, note in {_review_key(feed, note): note for note in facts.reviews}.items()
            ],
            warnings=[(w.account_id, w.kind, w.rule_id, w.period, w.at, json.dumps(w.figures)) for w in facts.warnings],
            corrections=[(feed, c.seq, c.corrects_seq, c.at, c.model_dump_json()) for c in facts.corrections],
            version_moves=facts.version_moves,
        )

    def _feed(self) -> dict[str, Any]:
        """Market time, last quotes and doubts: what a rebuild needs besides the accounts. The instruments are for those
        who value an account without asking the venue."""
        return {
            "v": FEED_VERSION,
            "now": self.now.isoformat(),
            "last_tick_at": self.last_tick_at.isoformat() if self.last_tick_at else None,
            "quotes": {
                symbol: [str(bid), str(ask), self.stamps[symbol][0], self.stamps[symbol][1].isoformat()]
                for symbol, (bid, ask) in self.quotes.items()
            },
            "instruments": {
                name: [str(each.contract_size), each.quote_currency] for name, each in self.instruments.items()
            },
            "quality": self.quality,
        }


def _text(told: str) -> str:
    """Returns what PostgreSQL can store of a venue's text."""
    return told.replace("\0", "")


def _review_key(feed: str, note: ReviewNote) -> str:
    """Two platforms may have the same symbols and sequence numbers: what concerns no account names the feed."""
    return note.key if note.account_id is not None else f"{feed}/{note.key}"


def checkpoint_rows(shard: Shard, number: int, batch: int, feed_name: str, *, whole: bool = True) -> CheckpointRows:
    """The rows of `take_checkpoint`, made at once."""
    return take_checkpoint(shard, number, batch, feed_name, whole=whole).rows()


def take_checkpoint(
    shard: Shard, number: int, batch: int, feed_name: str, *, whole: bool = True, at_once: int = AT_ONCE
) -> CheckpointData:
    """Takes everything of shard `number` as of `batch` that is not stored yet.

    Not `whole`, of many accounts: of those that were only marked, which lose nothing but what a page shows, `at_once`
    are stored and the others wait for later checkpoints, as do the bars of the running minute; until then peaks that
    moved are in `peaks`. Verdicts must not wait for them.
    """
    state = shard.state
    facts = state.facts.take_for_checkpoint()
    everything = whole or len(state.accounts) <= FEW
    rows = state.columns.take_changed(None if everything else at_once)
    running = state.bars.so_far() if everything else None
    peaked = state.columns.peaked_rows()
    return CheckpointData(
        number=number,
        batch=batch,
        feed_name=feed_name,
        now=state.now,
        last_tick_at=state.last_tick_at,
        accounts=[_stored(state, state.accounts[row]) for row in rows.tolist()],
        facts=facts,
        bars=[*facts.bars, running] if running else facts.bars,
        account_ids=state.accounts.account_ids,  # an id in a row never changes; a column that grows is a new array
        quotes=dict(state.board.prices),
        stamps=dict(state.board.stamps),
        instruments=dict(state.instruments),
        quality=shard.quality.to_json(),
        peaks=state.rules.peaks(peaked, state.accounts.logins) if peaked.size else b"",
        lots=state.marks.lots(),
    )


def accounts_waiting(shard: Shard) -> bool:
    """Returns whether accounts that were only marked wait to be stored."""
    return bool(shard.state.columns.marked().any())


def _stored(state: ShardState, account: AccountRow) -> _StoredAccount:
    stated = state.marks.last(account)
    return _StoredAccount(
        extras=extras_of(account),
        rules=account.rules,
        positions=list(state.marks.valued(account)),
        exits=state.marks.exits(account),
        balance_minor=account.balance_minor,
        equity_minor=account.equity_minor,
        opening=account.opening,
        judged=account.judged,
        synced=account.synced,
        stated=stated.model_dump(mode="json") if stated is not None else None,
    )


def state_for_next_place(
    account: AccountRow,
    rules: AccountRules,
    conduct: ConductState | None,
    place: Place,
    *,
    synced: int,
    at: datetime,
    stated: AccountState | None,
) -> dict[str, Any]:
    """Returns the stored state with which an account goes on at another platform. Its trading day goes on: only the
    proofs count from the departure, `at`, on. `synced`: number at that platform up to which nothing is news."""
    extras = replace(
        extras_of(account), movements=(), conduct=conduct.model_dump(mode="json") if conduct else None, place=place
    )
    state = rule_state(extras, rules, (account.balance_minor, at, 0), account.judged, synced)
    if stated is not None:
        state["stated"] = stated.model_dump(mode="json")
    return state


def account_row(shard: Shard, account: AccountRow, batch: int) -> Row:
    """The row of one account."""
    return _stored(shard.state, account).row(batch, shard.state.now)


def _floors(rules: AccountRules, mark: Mark) -> dict[str, dict[str, Any]]:
    """Returns the limits of the account as a whole, by key, with the room that the exact judge sees."""
    return {
        spec.key: {
            "floor_minor": state.floor_minor,
            "operator": spec.operator,
            "room_minor": room_minor(spec, state.floor_minor, spec.counted(mark).equity_minor),
        }
        for spec, state in zip(rules.specs, rules.states, strict=True)
        if spec.per == "account" and has_level(spec, state)
    }


def _minute(account_ids: npt.NDArray[np.bytes_], bars: Bars) -> MinuteRows:
    figures: Sequence[Ints] = (bars.open, bars.high, bars.low, bars.close, bars.balance)
    return MinuteRows(bars.minute, account_ids[bars.rows], np.stack(figures, axis=1))


def _exposures(number: int, quotes: _Quotes, stamps: _Stamps, lots: Lots) -> Iterator[Row]:
    """Yields long and short lots, number of holders and floating profit (in the reporting currency) of every quoted
    symbol. A profit in a currency without a live rate is left out."""
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
            figures[2] += reported_minor(round(float(profits.sum())), book.currency, quotes)
        except RateMissing:
            continue
    for symbol, (long, short, floating) in found.items():
        (bid, ask), (_, at) = quotes[symbol], stamps[symbol]
        yield (number, symbol, long, short, int(np.count_nonzero(holders.get(symbol, ()))), int(floating), bid, ask, at)
