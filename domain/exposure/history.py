"""One minute of exposure as it is kept: the sums, and the net position per symbol. In the reporting currency."""

from collections.abc import Iterable
from datetime import datetime

from domain.exposure.figures import Part, ShardFigures
from domain.exposure.symbols import NO_SYNONYMS, Synonyms, underlying


class MinuteFigures(Part):
    """The last figures of one shard in a minute. `net`: by symbol of the venue."""

    long_minor: int
    short_minor: int
    floating_minor: int
    owed_minor: int
    closed_minor: int
    net: dict[str, int]
    quoted_in: dict[str, str]


class HistoryPoint(Part):
    """The firm in one minute. `closed_minor`: what it would owe if every position were closed. `net`: by underlying."""

    minute: datetime
    long_minor: int
    short_minor: int
    net_minor: int
    gross_minor: int
    floating_minor: int
    owed_minor: int
    closed_minor: int
    net: dict[str, int]


def minute_of(figures: ShardFigures) -> MinuteFigures:
    """Returns what is kept of a shard's figures."""
    valued = [part for part in figures.symbols if part.long_minor is not None and part.short_minor is not None]
    held = {part.symbol: (part.long_minor or 0) - (part.short_minor or 0) for part in valued}
    return MinuteFigures(
        long_minor=sum(part.long_minor or 0 for part in valued),
        short_minor=sum(part.short_minor or 0 for part in valued),
        floating_minor=sum(part.floating_minor for part in figures.symbols),
        owed_minor=figures.owed.now_minor,
        closed_minor=figures.owed.closed_minor,
        net={name: net for name, net in held.items() if net},
        quoted_in={part.symbol: part.quote_currency for part in valued if held[part.symbol]},
    )


def point_of(minute: datetime, shards: Iterable[MinuteFigures], synonyms: Synonyms = NO_SYNONYMS) -> HistoryPoint:
    """Adds up the shards of one minute."""
    parts, net = tuple(shards), dict[str, int]()
    for part in parts:
        for name, minor in part.net.items():
            main = underlying(name, part.quoted_in[name], synonyms).symbol
            net[main] = net.get(main, 0) + minor
    long, short = sum(part.long_minor for part in parts), sum(part.short_minor for part in parts)
    return HistoryPoint(
        minute=minute,
        long_minor=long,
        short_minor=short,
        net_minor=long - short,
        gross_minor=long + short,
        floating_minor=sum(part.floating_minor for part in parts),
        owed_minor=sum(part.owed_minor for part in parts),
        closed_minor=sum(part.closed_minor for part in parts),
        net=net,
    )
