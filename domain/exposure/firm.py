"""The figures of all shards, added up: per underlying, per currency, per product, phase, platform and trader."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Final

from domain.errors import RateMissing
from domain.exposure.figures import (
    ClusterPart,
    GroupPart,
    NearestPart,
    OwedPart,
    Part,
    ShardFigures,
    SymbolPart,
    TraderPart,
)
from domain.exposure.symbols import GOLD, NO_SYNONYMS, Synonyms, Underlying, underlying
from domain.money import from_minor, to_minor
from domain.pnl import REPORTING_CURRENCY, conversion_rate

MOST_TRADERS: Final = 20
MOST_CLUSTERS: Final = 20
NEAREST: Final = 5

Quotes = Mapping[str, tuple[Decimal, Decimal]]


class SymbolLine(Part):
    """One underlying over all shards and synonyms. Lots are counted in the contract of `contract_size`."""

    symbol: str
    kind: str
    names: tuple[str, ...]
    contract_size: Decimal
    bid: Decimal
    ask: Decimal
    long_lots: Decimal
    short_lots: Decimal
    net_lots: Decimal
    gross_lots: Decimal
    long_minor: int | None
    short_minor: int | None
    net_minor: int | None
    gross_minor: int | None
    accounts: int
    floating_minor: int
    slope_minor: int


class CurrencyLine(Part):
    """A currency, metal or coin. `amount`: in its own units, the traders' net position. `value_minor`: None without a
    live rate."""

    currency: str
    amount: Decimal
    value_minor: int | None


class SideLine(Part):
    """The positions under one name: a product, a phase, a platform."""

    name: str
    accounts: int
    long_minor: int
    short_minor: int
    floating_minor: int


class ClusterLine(Part):
    """The positions of one cluster over all shards. `share_ppm`: millionths of the firm's gross position."""

    cluster: str
    trader_ids: tuple[str, ...]
    accounts: int
    long_minor: int
    short_minor: int
    net_minor: int
    gross_minor: int
    share_ppm: int


class Concentration(Part):
    """The share of the firm's gross position, in millionths, that the largest hands hold. A hand is a cluster, or a
    trader who is in none."""

    largest_ppm: int = 0
    five_ppm: int = 0
    twenty_ppm: int = 0


class FirmFigures(Part):
    """`at`: the market time of the oldest part; None before any. `basel_minor`: the larger of all long and all short
    currency positions, plus gold, the reporting currency left out."""

    currency: str
    at: datetime | None
    shards: int
    accounts: int
    open_accounts: int
    long_minor: int
    short_minor: int
    net_minor: int
    gross_minor: int
    floating_minor: int
    basel_minor: int
    symbols: tuple[SymbolLine, ...]
    currencies: tuple[CurrencyLine, ...]
    products: tuple[SideLine, ...]
    phases: tuple[SideLine, ...]
    platforms: tuple[SideLine, ...]
    traders: tuple[TraderPart, ...]
    nearest: tuple[NearestPart, ...]
    owed: OwedPart
    clusters: tuple[ClusterLine, ...]
    concentration: Concentration


def merged(shards: Sequence[ShardFigures], synonyms: Synonyms = NO_SYNONYMS) -> FirmFigures:
    """Adds up shards. Every sum is the same in any order and for any split of the accounts over shards."""
    named: dict[str, list[tuple[Underlying, SymbolPart]]] = {}
    for shard in shards:
        for part in shard.symbols:
            found = underlying(part.symbol, part.quote_currency, synonyms)
            named.setdefault(found.symbol, []).append((found, part))
    lines = [_symbol(parts) for parts in named.values()]
    lines.sort(key=lambda line: (-(line.gross_minor or 0), line.symbol))
    currencies = _currencies(named.values())
    long_minor = sum(line.long_minor or 0 for line in lines)
    short_minor = sum(line.short_minor or 0 for line in lines)
    groups = [group for shard in shards for group in shard.groups]
    clusters = _clusters(shards, long_minor + short_minor)
    return FirmFigures(
        currency=REPORTING_CURRENCY,
        at=min((shard.at for shard in shards), default=None),
        shards=len(shards),
        accounts=sum(shard.accounts for shard in shards),
        open_accounts=sum(shard.open_accounts for shard in shards),
        long_minor=long_minor,
        short_minor=short_minor,
        net_minor=long_minor - short_minor,
        gross_minor=long_minor + short_minor,
        floating_minor=sum(line.floating_minor for line in lines),
        basel_minor=basel_minor(currencies),
        symbols=tuple(lines),
        currencies=currencies,
        products=_sides((group.product, group) for group in groups),
        phases=_sides(("funded" if group.funded else f"phase {group.phase}", group) for group in groups),
        platforms=_sides((shard.platform, group) for shard in shards for group in shard.groups),
        traders=_traders(shards),
        nearest=_nearest(shards),
        owed=_owed(shards),
        clusters=clusters[:MOST_CLUSTERS],
        concentration=_concentration(shards, clusters, long_minor + short_minor),
    )


def quotes_of(parts: Iterable[tuple[str, SymbolPart]]) -> dict[str, tuple[Decimal, Decimal]]:
    """Returns the quotes of symbols under their merged names."""
    return {name: (part.bid, part.ask) for name, part in parts}


def _symbol(parts: Sequence[tuple[Underlying, SymbolPart]]) -> SymbolLine:
    first = parts[0][0]
    each = [part for _, part in parts]
    contract = max(part.contract_size for part in each)
    long_lots = sum((part.long_lots * part.contract_size / contract for part in each), Decimal(0))
    short_lots = sum((part.short_lots * part.contract_size / contract for part in each), Decimal(0))
    valued = all(part.long_minor is not None and part.short_minor is not None for part in each)
    long_minor = sum(part.long_minor or 0 for part in each) if valued else None
    short_minor = sum(part.short_minor or 0 for part in each) if valued else None
    known = long_minor is not None and short_minor is not None
    quoted = next((part for part in each if part.symbol == first.symbol), each[0])
    return SymbolLine(
        symbol=first.symbol,
        kind=first.kind,
        names=tuple(sorted({part.symbol for part in each})),
        contract_size=contract,
        bid=quoted.bid,
        ask=quoted.ask,
        long_lots=_tidy(long_lots),
        short_lots=_tidy(short_lots),
        net_lots=_tidy(long_lots - short_lots),
        gross_lots=_tidy(long_lots + short_lots),
        long_minor=long_minor,
        short_minor=short_minor,
        net_minor=(long_minor or 0) - (short_minor or 0) if known else None,
        gross_minor=(long_minor or 0) + (short_minor or 0) if known else None,
        accounts=sum(part.accounts for part in each),
        floating_minor=sum(part.floating_minor for part in each),
        slope_minor=sum(part.slope_minor for part in each),
    )


def _tidy(value: Decimal) -> Decimal:
    return Decimal(f"{value.quantize(Decimal('1e-8')).normalize():f}") + 0


def _currencies(symbols: Iterable[Sequence[tuple[Underlying, SymbolPart]]]) -> tuple[CurrencyLine, ...]:
    """Decomposes every position. A pair, metal or coin is its units long and their price short in the quote currency;
    a bucket carries only its open profit and loss there."""
    every = [pair for parts in symbols for pair in parts]
    quotes = quotes_of((found.symbol, part) for found, part in every)
    amounts: dict[str, Decimal] = {}
    for found, part in every:
        units = (part.long_lots - part.short_lots) * part.contract_size
        if found.base is not None:
            price = (part.bid + part.ask) / 2
            amounts[found.base] = amounts.get(found.base, Decimal(0)) + units
            quoted = -units * price
        else:
            quoted = _in_quote(part, quotes)
        amounts[found.quote_currency] = amounts.get(found.quote_currency, Decimal(0)) + quoted
    lines = [
        CurrencyLine(currency=name, amount=_tidy(each), value_minor=_value(name, each, quotes))
        for name, each in amounts.items()
    ]
    return tuple(sorted(lines, key=lambda line: (-abs(line.value_minor or 0), line.currency)))


def _in_quote(part: SymbolPart, quotes: Quotes) -> Decimal:
    """Returns the open profit of a bucket in its own currency; zero while no rate is known."""
    try:
        rate = conversion_rate(part.quote_currency, REPORTING_CURRENCY, quotes)
    except RateMissing:
        return Decimal(0)
    return from_minor(part.floating_minor, REPORTING_CURRENCY) / rate


def _value(currency: str, amount: Decimal, quotes: Quotes) -> int | None:
    try:
        return to_minor(amount * conversion_rate(currency, REPORTING_CURRENCY, quotes), REPORTING_CURRENCY)
    except RateMissing:
        return None


def basel_minor(currencies: Iterable[CurrencyLine]) -> int:
    """Returns the shorthand measure: the larger of the sum of long and the sum of short positions, plus the size of
    the gold position. The reporting currency is no risk in itself; other metals and coins count as currencies."""
    others = [line for line in currencies if line.currency not in (REPORTING_CURRENCY, GOLD)]
    long = sum(max(line.value_minor or 0, 0) for line in others)
    short = sum(max(-(line.value_minor or 0), 0) for line in others)
    gold = sum(abs(line.value_minor or 0) for line in currencies if line.currency == GOLD)
    return max(long, short) + gold


def _sides(groups: Iterable[tuple[str, GroupPart]]) -> tuple[SideLine, ...]:
    found: dict[str, list[GroupPart]] = {}
    for name, group in groups:
        found.setdefault(name, []).append(group)
    lines = (
        SideLine(
            name=name,
            accounts=sum(group.accounts for group in each),
            long_minor=sum(group.long_minor for group in each),
            short_minor=sum(group.short_minor for group in each),
            floating_minor=sum(group.floating_minor for group in each),
        )
        for name, each in found.items()
    )
    return tuple(sorted(lines, key=lambda line: (-(line.long_minor + line.short_minor), line.name)))


def _traders(shards: Iterable[ShardFigures]) -> tuple[TraderPart, ...]:
    return tuple(sorted(_all_traders(shards), key=lambda line: (-line.gross_minor, line.trader_id))[:MOST_TRADERS])


def _all_traders(shards: Iterable[ShardFigures]) -> list[TraderPart]:
    """Returns every trader whom a shard tells of."""
    found: dict[str, list[TraderPart]] = {}
    for shard in shards:
        for part in shard.traders:
            found.setdefault(part.trader_id, []).append(part)
    return [
        TraderPart(
            trader_id=trader_id,
            accounts=sum(part.accounts for part in parts),
            long_minor=sum(part.long_minor for part in parts),
            short_minor=sum(part.short_minor for part in parts),
        )
        for trader_id, parts in found.items()
    ]


def _clusters(shards: Iterable[ShardFigures], firm_minor: int) -> tuple[ClusterLine, ...]:
    """The largest first."""
    found: dict[str, list[ClusterPart]] = {}
    for shard in shards:
        for part in shard.clusters:
            found.setdefault(part.cluster, []).append(part)
    lines = []
    for cluster, parts in found.items():
        long, short = sum(part.long_minor for part in parts), sum(part.short_minor for part in parts)
        lines.append(
            ClusterLine(
                cluster=cluster,
                trader_ids=tuple(sorted({trader for part in parts for trader in part.trader_ids})),
                accounts=sum(part.accounts for part in parts),
                long_minor=long,
                short_minor=short,
                net_minor=long - short,
                gross_minor=long + short,
                share_ppm=_ppm(long + short, firm_minor),
            )
        )
    return tuple(sorted(lines, key=lambda line: (-line.gross_minor, line.cluster)))


def _concentration(shards: Sequence[ShardFigures], clusters: Sequence[ClusterLine], firm_minor: int) -> Concentration:
    inside = {trader for line in clusters for trader in line.trader_ids}
    alone = [part.gross_minor for part in _all_traders(shards) if part.trader_id not in inside]
    hands = sorted([*alone, *(line.gross_minor for line in clusters)], reverse=True)
    return Concentration(
        largest_ppm=_ppm(sum(hands[:1]), firm_minor),
        five_ppm=_ppm(sum(hands[:5]), firm_minor),
        twenty_ppm=_ppm(sum(hands[:20]), firm_minor),
    )


def _ppm(part_minor: int, whole_minor: int) -> int:
    return min(part_minor * 1_000_000 // whole_minor, 1_000_000) if whole_minor > 0 else 0


def _nearest(shards: Iterable[ShardFigures]) -> tuple[NearestPart, ...]:
    by_rule: dict[str, list[NearestPart]] = {}
    for shard in shards:
        for part in shard.nearest:
            by_rule.setdefault(part.rule, []).append(part)
    return tuple(
        part
        for rule in sorted(by_rule)
        for part in sorted(by_rule[rule], key=lambda each: (each.room_ppm, each.account_id))[:NEAREST]
    )


def _owed(shards: Iterable[ShardFigures]) -> OwedPart:
    parts = [shard.owed for shard in shards]
    return OwedPart(**{name: sum(getattr(part, name) for part in parts) for name in OwedPart.model_fields})
