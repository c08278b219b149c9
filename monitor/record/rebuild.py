"""A shard from its last checkpoint."""

import gc
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from decimal import Decimal
from typing import Any

from domain.rules.marking import Instrument, QuoteBoard
from monitor.judging.feed_quality import FeedQuality
from monitor.record.checkpoint_rows import FEED_VERSION
from monitor.record.recorded_accounts import RecordedAccounts
from monitor.shard import Shard
from ports.platform import PlatformStream


def instruments_of(stream: PlatformStream, accounts: RecordedAccounts) -> Mapping[str, Instrument]:
    """Returns what the platform says of its symbols, and puts it on the record."""
    specs = stream.symbols()
    accounts.record_symbols(specs)
    return {s.symbol: Instrument(s.symbol, s.contract_size, s.quote_currency) for s in specs}


def rebuild(
    accounts: RecordedAccounts,
    feed: dict[str, Any],
    stream: PlatformStream,
    beat: Callable[[], None],
    *,
    peaks: bytes = b"",
) -> Shard:
    """Returns the shard as it was at its last checkpoint; a fresh one before the first. `peaks`: those that moved after
    their accounts' rows were stored. `beat` is called per account."""

    def instruments() -> Mapping[str, Instrument]:
        return instruments_of(stream, accounts)

    if not feed:
        return Shard(accounts, instruments, news=accounts.news, left=accounts.left)
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
        left=accounts.left,
    )
    with _without_collections():
        for loaded in accounts.checkpointed():
            shard.admission.admit(loaded, now)
            beat()
    shard.state.take_peaks(peaks)
    return shard


@contextmanager
def _without_collections() -> Iterator[None]:
    """Pauses garbage collection while many objects are made and none is thrown away. Afterwards these objects are
    frozen: collections while the shard judges do not look at them."""
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()
