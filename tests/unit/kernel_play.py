"""A shard that plays a short story, for tests of its columns."""

from cli.bench.firm import START, Firm, harmless, shard_of
from cli.bench.market import Market
from monitor.record.checkpoint_rows import FEW
from monitor.shard import Shard
from ports.platform import Batch, ClockMark

ACCOUNTS = FEW + 100


def a_shard() -> tuple[Firm, Shard]:
    firm = Firm(Market(12, 7, START), ACCOUNTS, 3, 7)
    return firm, shard_of(firm, (harmless(account) for account in firm.loaded()))


def play(firm: Firm, shard: Shard, ticks: int) -> None:
    for number in range(ticks):
        tick = firm.market.any_tick(0.001)
        shard.apply(Batch(number=number + 1, events=(tick, ClockMark(seq=tick.seq, at=tick.at))))
