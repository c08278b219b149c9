"""A shard from the record: the last checkpoint, and after a gap in the stream the platform's own snapshots."""

import gc
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from decimal import Decimal
from typing import Any, Final

from psycopg import Connection

from domain.products import Product
from domain.rules.evaluate import judge
from domain.rules.floors import Mark
from domain.rules.marking import Instrument, Position, QuoteBoard
from domain.rules.state import PhaseTerms, on_reinstatement, phase_terms
from monitor.columns.roster import Account
from monitor.columns.rule_columns import microseconds
from monitor.judging.feed_quality import FeedQuality
from monitor.record.checkpoint_rows import FEED_VERSION
from monitor.record.checkpoints import Loaded, Pending, checkpoint_from
from monitor.shard import Shard
from ports.calendars import NONE, Calendars
from ports.platform import AccountSnapshot, AccountState, GapInStream, PlatformStream
from store import live, news
from store.news import Scheduled

_NEWEST: Final = 2**63 - 1


class RecordedAccounts:
    """The record as the shard's source of accounts; product terms are read once each."""

    def __init__(self, connection: Connection[Any], which: live.Accounts, calendars: Calendars = NONE) -> None:
        self._connection, self._which, self._calendars = connection, which, calendars
        self._terms: dict[tuple[str, int, int], PhaseTerms] = {}

    def of(self, which: live.Accounts) -> "RecordedAccounts":
        """Other accounts of the same record."""
        return RecordedAccounts(self._connection, which, self._calendars)

    def news(self, last: int, since: datetime) -> list[Scheduled]:
        """Scheduled releases that became known after number `last` and happen at `since` or later."""
        return news.after(self._connection, last, since)

    def load(self, login: int) -> Loaded | None:
        record = self._which.by_login(self._connection, login)
        return self.loaded(record) if record else None

    def checkpointed(self) -> Iterator[Loaded]:
        yield from map(self.loaded, self._which.checkpointed(self._connection))

    def active(self) -> Iterator[Loaded]:
        yield from map(self.loaded, self._which.active(self._connection))

    def loaded(self, record: live.AccountRecord) -> Loaded:
        terms = self.terms(record.product, record.version, record.phase_index)
        checkpoint = None
        if record.rule_state is not None and record.balance_minor is not None and record.positions is not None:
            checkpoint = checkpoint_from(terms, record.balance_minor, record.positions, record.rule_state)
        return Loaded(
            account_id=record.account_id,
            challenge_id=record.challenge_id,
            login=record.login,
            terms=terms,
            status=record.status,
            breaches=tuple(record.breaches),
            checkpoint=checkpoint,
            pending=self._pending(record),
            ended_seq=record.ended_seq,
            marks=record.marks,
        )

    def _pending(self, record: live.AccountRecord) -> Pending | None:
        waits = record.version_move
        if waits is None:
            return None
        return Pending(waits["move_id"], self.terms(waits["product"], waits["version"], record.phase_index))

    def terms(self, product: str, version: int, phase_index: int) -> PhaseTerms:
        key = (product, version, phase_index)
        if key not in self._terms:
            terms = Product.model_validate(live.product_terms(self._connection, product, version))
            self._terms[key] = phase_terms(terms, phase_index, self._calendars)
        return self._terms[key]


def instruments_of(stream: PlatformStream) -> Mapping[str, Instrument]:
    return {s.symbol: Instrument(s.symbol, s.contract_size, s.quote_currency) for s in stream.symbols()}


def rebuild(
    accounts: RecordedAccounts,
    feed: dict[str, Any],
    stream: PlatformStream,
    beat: Callable[[], None],
    *,
    peaks: bytes = b"",
) -> Shard:
    """The shard as it was at its last checkpoint; a fresh one before the first. `peaks`: those that moved after their
    accounts' rows were stored. `beat` is called per account."""

    def instruments() -> Mapping[str, Instrument]:
        return instruments_of(stream)

    if not feed:
        return Shard(accounts, instruments, news=accounts.news)
    if feed["v"] != FEED_VERSION:
        raise ValueError(f"feed state version {feed['v']} is not known")
    board = QuoteBoard()
    for symbol, (bid, ask, seq, at) in feed["quotes"].items():
        board.put(symbol, Decimal(bid), Decimal(ask), int(seq), datetime.fromisoformat(at))
    now = datetime.fromisoformat(feed["now"])
    last_tick = feed["last_tick_at"]
    shard = Shard(
        accounts,
        instruments,
        quality=FeedQuality.from_json(feed["quality"]),
        board=board,
        now=now,
        last_tick_at=datetime.fromisoformat(last_tick) if last_tick else None,
        news=accounts.news,
    )
    with _without_pauses():
        for loaded in accounts.checkpointed():
            shard.admit(loaded, now)
            beat()
    _take_peaks(shard, peaks)
    return shard


def _take_peaks(shard: Shard, peaks: bytes) -> None:

    def row_of(login: int) -> int | None:
        account = shard.by_login.get(login)
        return account.row if account else None

    for row in shard.rules.take_peaks(peaks, row_of):
        account = shard.accounts[row]
        shard.columns.peaked[row] = True
        shard.judge.set_alarms(account, shard.rules.get(row, account.terms.specs))


@contextmanager
def _without_pauses() -> Iterator[None]:
    """No collection of garbage while much is made and nothing is thrown away: it would look at all of it many times
    over, and goes on doing so while the shard judges unless it is told that this is here to stay."""
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()


def resync(
    shard: Shard,
    accounts: RecordedAccounts,
    gap: GapInStream,
    stream: PlatformStream,
    number: int,
    at: datetime,
    beat: Callable[[], None],
) -> None:
    """The venue no longer has what we missed: take its word for money and positions, and put the gap on record.

    `at`: the market time at which the stream goes on; `beat` is called per account. What happened in between cannot be
    judged, and events up to an account's snapshot are not judged on it either: an account that the snapshot shows
    broken gets a review, and a verdict only from the next event that touches it.
    """
    active, back = set(), set()
    for loaded in accounts.active():
        beat()
        account = shard.by_login.get(loaded.login) or shard.admit(loaded, at)
        active.add(account.row)
        if not shard.columns.judged[account.row]:  # the event that enabled it may be among those that are gone
            shard.columns.judged[account.row] = True
            account.ended, account.offences = False, loaded.offences_before(_NEWEST)
            if account.offences:
                back.add(account.row)
    shard.quality.gap()
    present = list(shard.by_login.values())
    detail = {"shard": number, "asked": gap.asked, "first": gap.first, "accounts": len(present)}
    shard.note("gap", f"{number}/{gap.asked}-{gap.first}", at, detail)
    for account in present:
        beat()
        if account.row not in active:  # nor is the event that disabled it to be seen any more
            _silence(shard, account)
        if account.row in active or account.holdings:
            _take_over(shard, account, stream.snapshot(account.login), at, reinstated=account.row in back)


def _silence(shard: Shard, account: Account) -> None:
    if shard.columns.judged[account.row]:
        shard.columns.judged[account.row] = False
        shard.columns.dirty[account.row] = True
        shard.judge.set_alarms(account, shard.rules.get(account.row, account.terms.specs))


def _take_over(shard: Shard, account: Account, snapshot: AccountSnapshot, at: datetime, *, reinstated: bool) -> None:
    columns, row = shard.columns, account.row
    before = int(columns.balance[row])
    columns.balance[row] = columns.opening[row] = snapshot.balance_minor
    columns.opening_seq[row] = columns.synced[row] = snapshot.seq
    columns.opening_at[row] = microseconds(at)
    columns.dirty[row] = True
    account.forget_movements()
    for position_id in list(account.holdings):
        shard.marks.drop(account, position_id)
    for p in snapshot.positions:
        if shard.knows(p.symbol, at):
            shard.marks.put(account, Position(p.position_id, p.symbol, p.side, p.lots, p.open_price, p.opened_at))
    shard.marks.resync(account)
    if shard.marks.stated(row):
        shard.marks.take(account, _state_of(snapshot, at))
    shard.bars.restart(row)
    seen = _judged_at(shard, account, snapshot, at, reinstated=reinstated)
    if snapshot.balance_minor != before:
        seen |= {"ours_minor": before, "venue_minor": snapshot.balance_minor}
    if seen:
        seen |= {"seq": snapshot.seq}
        shard.note("gap", f"{account.account_id}/{snapshot.seq}", at, seen, account.account_id)
    shard.judge.set_alarms(account, shard.rules.get(row, account.terms.specs))


def _state_of(snapshot: AccountSnapshot, at: datetime) -> AccountState:
    return AccountState(
        seq=snapshot.seq,
        at=at,
        login=snapshot.login,
        balance_minor=snapshot.balance_minor,
        equity_minor=snapshot.equity_minor,
    )


def _judged_at(
    shard: Shard, account: Account, snapshot: AccountSnapshot, at: datetime, *, reinstated: bool
) -> dict[str, Any]:
    """What a review has to say of the rules at the snapshot: the first that is broken, or nothing.

    The equity is the venue's own: our quotes are of before the gap.
    """
    if not shard.columns.judged[account.row]:
        return {}
    rules = shard.rules.get(account.row, account.terms.specs)
    mark = Mark(snapshot.balance_minor, snapshot.equity_minor, snapshot.seq, at)
    after, found = judge(on_reinstatement(rules, mark) if reinstated else rules, mark)
    shard.rules.put(account.row, after)
    if not found:
        return {}
    return {
        "why": "broken at the first sight after the gap; no verdict was given",
        "rule_id": found[0].spec.rule_id,
        "operator": found[0].spec.operator,
        "floor_minor": found[0].floor_minor,
        "equity_minor": snapshot.equity_minor,
    }
