"""The trading of a made-up firm, judged by a real shard and stored by its writers: one market day after another.

Every day three of ten accounts make two trades. They hold a position for six hours, and every ten minutes all symbols
are quoted, so that each holder has 36 bars a day instead of one a minute.
"""

from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, Final, Literal, cast

from psycopg import Connection

from cli.bench.firm import loaded
from cli.bench.market import Line, Market
from cli.bench.outside import BALANCE, VENUE
from domain.rules.state import fresh
from monitor.loaded import Loaded
from monitor.record.checkpoint_rows import checkpoint_rows
from monitor.record.rebuild import rebuild
from monitor.record.recorded_accounts import RecordedAccounts
from monitor.record.verdict_writer import Verdicts, VerdictWriter
from monitor.shard import Shard
from ports.platform import Batch, ClockMark, Deal, Event, PlatformStream, StopsChanged, SymbolSpec
from store.db import connect
from store.live import AccountSelection, claim_epoch, shard_record
from store.live_checkpoint import CheckpointWriter

FIRST_DAY: Final = datetime(2014, 5, 22, 22, 30, tzinfo=UTC)  # market time: just after a reset in Prague
HELD_HOURS: Final = 6
_SHARD: Final = 0
_SYMBOLS: Final = 5
_OPENS: Final = timedelta(hours=8)
_QUOTED: Final = timedelta(minutes=10)
_LOTS: Final = Decimal("0.1")
_CENTS: Final = 250  # of profit, one way and the other


class _Venue:
    """The stream of a venue that places every lock at once."""

    def __init__(self, market: Market) -> None:
        self._market = market

    def symbols(self) -> list[SymbolSpec]:
        return self._market.specs()

    def lock(self, login: int, key: str) -> None:
        pass

    def lock_many(self, locks: Sequence[tuple[int, str]]) -> None:
        pass


@dataclass(frozen=True, slots=True)
class _Position:
    login: int
    number: int
    line: Line
    buys: bool

    @property
    def name(self) -> str:
        return f"P{self.number}"


@dataclass(slots=True)
class Trading:
    """`traded`: deals so far; each has its number. Logins are numbers from 1 on."""

    connection: Connection[Any]
    accounts: int
    market: Market
    epoch: int
    shard: Shard
    checkpoints: CheckpointWriter
    verdicts: VerdictWriter
    venue: PlatformStream
    batch: int = 1
    traded: int = 0
    _balances: dict[int, int] = field(default_factory=dict)
    _open: list[_Position] = field(default_factory=list)

    def open_positions(self, day: int) -> None:
        """Lets the day's traders trade once and open a position each. They hold it afterwards."""
        self.market.at = FIRST_DAY + timedelta(days=day) + _OPENS
        self._quote()
        traders = [login for login in range(1, self.accounts + 1) if (login * 7919 + day * 131) % 10 < 3]
        for minute in (0, 10, 20):
            self._pass(timedelta(minutes=minute + 1))
            events = list[Event]()
            for login in traders:
                if minute == 10:
                    events += self._close(self._open.pop(0))
                else:
                    events += self._enter(login)
            self._apply(events)

    def quotes(self) -> None:
        """Quotes all symbols every ten minutes while the positions are held."""
        for _ in range(HELD_HOURS * 60 // 10):
            self._pass(_QUOTED)
            self._quote()

    def tick(self) -> None:
        """Judges one quote of one symbol."""
        self._apply([self.market.any_tick(0.01)])

    def close_positions(self) -> None:
        closing_now, self._open = self._open, []
        self._apply([event for position in closing_now for event in self._close(position)])

    def reset(self, day: int) -> None:
        """Passes the reset at the end of the day, and stores the whole shard."""
        self.market.at = FIRST_DAY + timedelta(days=day + 1)
        self._apply([])
        self.checkpoints.write(checkpoint_rows(self.shard, _SHARD, self.batch, VENUE))

    def restart(self) -> None:
        """Builds the shard from the record, as after a kill."""
        record = shard_record(self.connection, _SHARD)
        accounts = RecordedAccounts(self.connection, AccountSelection(VENUE, _SHARD))
        self.shard = rebuild(accounts, record.feed, self.venue, lambda: None, peaks=record.peaks)

    def _pass(self, time: timedelta) -> None:
        self.market.at += time

    def _quote(self) -> None:
        self._apply([self.market.tick(line, seconds=0.1) for line in self.market.lines])

    def _apply(self, events: list[Event]) -> None:
        self.batch += 1
        self.market.seq += 1
        mark = ClockMark.model_construct(kind="clock", seq=self.market.seq, at=self.market.at, flush=False)
        self.shard.apply(Batch.model_construct(number=self.batch, events=(*events, mark)))
        found = self.shard.state.facts.take_verdicts()
        if any(found):
            self.verdicts.write(Verdicts(datetime.now(UTC), *found))

    def _enter(self, login: int) -> Iterator[Event]:
        number = self.traded + 1
        position = _Position(login, number, self.market.lines[number % len(self.market.lines)], number % 2 == 0)
        self._open.append(position)
        yield self._deal(position, "in", 0)
        self.market.seq += 1
        stop = position.line.quote()[0] * (Decimal("0.9") if position.buys else Decimal("1.1"))
        yield StopsChanged.model_construct(
            kind="stops",
            seq=self.market.seq,
            at=self.market.at,
            login=login,
            position_id=position.name,
            stop_loss=stop,
            take_profit=None,
        )

    def _close(self, position: _Position) -> Iterator[Event]:
        yield self._deal(position, "out", _CENTS if position.number % 3 else -_CENTS)

    def _deal(self, position: _Position, entry: Literal["in", "out"], profit: int) -> Deal:
        self.traded += 1
        self.market.seq += 1
        balance = self._balances.get(position.login, BALANCE) + profit
        self._balances[position.login] = balance
        bid, ask = position.line.quote()
        buys = position.buys == (entry == "in")
        return Deal.model_construct(
            kind="deal",
            seq=self.market.seq,
            at=self.market.at,
            deal_id=f"D{self.traded}",
            login=position.login,
            position_id=position.name,
            symbol=position.line.spec.symbol,
            side="buy" if buys else "sell",
            lots=_LOTS,
            price=ask if buys else bid,
            entry=entry,
            profit_minor=profit,
            commission_minor=0,
            swap_minor=0,
            balance_minor=balance,
            reason="client",
            bid=bid,
            ask=ask,
        )


def _begun(account: Loaded) -> Loaded:
    """Returns the account as of its first day, with the profit that payouts are asked of."""
    begun = loaded(account.login, account.terms, fresh(account.terms.specs), BALANCE, ()).checkpoint
    assert begun is not None
    return replace(account, checkpoint=replace(begun, opening_at=FIRST_DAY, trading_days=()))


@contextmanager
def trading(database_url: str, accounts: int) -> Iterator[Trading]:
    """Yields the trading of accounts that are on the record and have never traded."""
    market = Market(_SYMBOLS, 7, FIRST_DAY)
    venue = cast("PlatformStream", _Venue(market))
    epoch = claim_epoch(database_url, _SHARD)
    with (
        connect(database_url, autocommit=True) as connection,
        closing(VerdictWriter(database_url, _SHARD, epoch, venue)) as verdicts,
    ):
        record = RecordedAccounts(connection, AccountSelection(VENUE, _SHARD))
        shard = Shard(record, market.instruments, now=FIRST_DAY)
        for account in record.active():
            shard.admission.admit(_begun(account), FIRST_DAY)
        writer = CheckpointWriter(connection, _SHARD, epoch)
        yield Trading(connection, accounts, market, epoch, shard, writer, verdicts, venue)
