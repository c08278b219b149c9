"""The sums of a shard are the plain exact sums of its positions, however the accounts are spread over shards."""

from collections import defaultdict
from decimal import Decimal
from random import Random

from domain.exposure.firm import FirmFigures, merged
from domain.exposure.owed import NOTHING_PAID, Paid, curve_of, exact_minor
from domain.exposure.symbols import Synonyms
from domain.pnl import REPORTING_CURRENCY, conversion_rate, position_profit_minor, reported_minor
from monitor.columns.roster import AccountRow
from monitor.exposure.debts import debts_of
from monitor.exposure.frozen import freeze
from monitor.exposure.measure import measure
from monitor.shard import Shard
from tests.unit.exposure.shelf_shard import shelf_shard, terms_of_shelf


def figures_of(shard: Shard, paid: dict[str, Paid] | None = None) -> FirmFigures:
    frozen = freeze(shard.state, 1)
    return merged([measure(frozen, debts_of(frozen, paid or {}), "sandbox")])


def gross_of(account: AccountRow, shard: Shard) -> Decimal:
    """The gross position of an account in minor units of the reporting currency, position by position."""
    prices, total = shard.state.board.prices, Decimal(0)
    for p in account.positions():
        instrument = shard.state.instruments[p.symbol]
        rate = conversion_rate(instrument.quote_currency, REPORTING_CURRENCY, prices)
        total += p.lots * instrument.contract_size * (prices[p.symbol][0] + prices[p.symbol][1]) / 2 * rate * 100
    return total


def test_every_sum_is_the_exact_sum_of_the_positions_and_ended_accounts_are_nothing() -> None:
    _, shard = shelf_shard(300, 4)
    for row in range(0, 300, 7):
        shard.state.accounts[row].ended = True
    found, state = figures_of(shard), shard.state
    lots: dict[tuple[str, str], Decimal] = defaultdict(Decimal)
    holders: dict[str, set[int]] = defaultdict(set)
    floating: dict[str, Decimal] = defaultdict(Decimal)
    traders: dict[str, Decimal] = defaultdict(Decimal)
    alive = [account for account in state.accounts if not account.ended]
    for account in alive:
        traders[account.trader_id] += gross_of(account, shard)
        for p in account.positions():
            instrument, currency = state.instruments[p.symbol], account.terms.product.currency
            lots[p.symbol, p.side] += p.lots
            holders[p.symbol].add(account.row)
            rate = conversion_rate(instrument.quote_currency, currency, state.board.prices)
            close = state.board.closing_price(p.symbol, p.side)
            profit = position_profit_minor(
                p.side, p.lots, instrument.contract_size, p.open_price, close, rate, currency
            )
            floating[p.symbol] += reported_minor(profit * 1000, currency, state.board.prices) / Decimal(1000)
    for line in found.symbols:
        assert (line.long_lots, line.short_lots) == (lots[line.symbol, "buy"], lots[line.symbol, "sell"]), line.symbol
        assert line.accounts == len(holders[line.symbol])
        assert abs(line.floating_minor - floating[line.symbol]) <= 1
    assert found.accounts == len(alive)
    assert found.gross_minor == sum(line.gross_minor or 0 for line in found.symbols)
    gross = sum((gross_of(account, shard) for account in alive), Decimal(0))
    assert abs(found.gross_minor - gross) <= len(found.symbols)
    largest = sorted(traders.items(), key=lambda each: -each[1])[:20]
    assert [each.trader_id for each in found.traders] == [trader for trader, _ in largest]
    assert all(abs(each.gross_minor - minor) <= 2 for each, (_, minor) in zip(found.traders, largest, strict=True))


def test_two_shards_are_what_one_shard_is() -> None:
    """Each half of the accounts counts in one of two shards."""
    parts = []
    for left_out in (0, 1, 2):
        _, shard = shelf_shard(200, 6)
        for row in range(200):
            if row % 2 == left_out:
                shard.state.accounts[row].ended = True
        frozen = freeze(shard.state, 1)
        parts.append(measure(frozen, debts_of(frozen, {}), "sandbox"))
    two, one = merged(parts[:2]), merged(parts[2:])
    assert [(s.symbol, s.long_lots, s.short_lots, s.accounts) for s in two.symbols] == [
        (s.symbol, s.long_lots, s.short_lots, s.accounts) for s in one.symbols
    ]
    assert abs(two.gross_minor - one.gross_minor) <= 2 * len(one.symbols)
    assert [(n.rule, n.account_id) for n in two.nearest] == [(n.rule, n.account_id) for n in one.nearest]
    assert (two.owed.accounts, two.owed.owing) == (one.owed.accounts, one.owed.owing)
    assert abs(two.owed.closed_minor - one.owed.closed_minor) <= 2
    assert merged(list(reversed(parts[:2]))) == two, "the order of the shards does not matter"


def test_linked_traders_are_one_hand_also_over_two_shards() -> None:
    """Traders 0 to 4 are one cluster. A shard tells of it whatever its largest traders are."""
    shards = [shelf_shard(300, seed)[1] for seed in (4, 5)]
    clusters = {f"trd_{n}": "trd_0" for n in range(5)} | {"trd_never": "trd_never"}
    parts = []
    for shard in shards:
        frozen = freeze(shard.state, 1)
        parts.append(measure(frozen, debts_of(frozen, {}), "sandbox", clusters))
    found = merged(parts)
    mine = [(each, shard) for shard in shards for each in shard.state.accounts if each.trader_id in clusters]
    gross = sum((gross_of(account, shard) for account, shard in mine), Decimal(0))
    (line,) = found.clusters
    assert line.trader_ids == tuple(sorted({account.trader_id for account, _ in mine}))
    assert line.accounts == len(mine) > 5
    assert abs(line.gross_minor - gross) <= 5 * len(shards)
    assert line.share_ppm == line.gross_minor * 1_000_000 // found.gross_minor
    alone = [part.gross_minor for part in found.traders if part.trader_id not in clusters]
    largest = max(line.gross_minor, *alone)
    assert found.concentration.largest_ppm == largest * 1_000_000 // found.gross_minor
    assert found.concentration.largest_ppm < found.concentration.five_ppm < found.concentration.twenty_ppm


def test_the_accounts_nearest_to_a_floor_are_those_with_the_least_room() -> None:
    _, shard = shelf_shard(200, 8)
    rooms = []
    for account in shard.state.accounts:
        for spec, state in zip(account.rules.specs, account.rules.states, strict=True):
            if spec.key == "max_loss" and account.open_positions and spec.counts_everything and not spec.is_ceiling:
                room = account.equity_minor - state.floor_minor
                rooms.append((room * 1_000_000 // account.terms.initial_minor, account.account_id))
    nearest = [each for each in figures_of(shard).nearest if each.rule == "max_loss"]
    assert [each.room_ppm for each in nearest] == [ppm for ppm, _ in sorted(rooms)[:5]]


def test_the_debt_is_the_sum_of_the_payouts_and_never_below_zero() -> None:
    _, shard = shelf_shard(250, 9)
    funded = [a for a in shard.state.accounts if a.terms.phase_index == a.terms.product.funded_index]
    paid = {a.account_id: Paid(payouts=1, gross_minor=100_000, trader_minor=80_000) for a in funded[::3]}
    found = figures_of(shard, paid).owed
    totals: dict[str, int] = defaultdict(int)
    for account in funded:
        terms = account.terms
        before = paid.get(account.account_id, NOTHING_PAID)
        currency = terms.product.currency
        totals[currency] += exact_minor(
            terms.product.payout, currency, account.equity_minor, terms.initial_minor, before
        )
    assert len(funded) > 50 and found.owing > 5
    assert found.accounts == len(funded)
    assert found.closed_minor == sum(
        reported_minor(minor, currency, shard.state.board.prices) for currency, minor in totals.items()
    )


def test_a_curve_is_what_a_payout_would_be_at_every_worth() -> None:
    random, plain = Random(1), 0
    for terms in {each.product.product: each for each in terms_of_shelf()}.values():
        product, initial = terms.product, terms.initial_minor
        for _ in range(60):
            count = random.randint(0, 4)
            paid = Paid(count, random.randint(0, initial // 5) * bool(count), 0, random.choice([0, 5_000]))
            curve = curve_of(product.payout, product.currency, initial, paid)
            worth = initial + random.randint(-initial // 5, initial // 2)
            if curve is not None:
                plain += 1
                assert curve.owed_minor(worth) == exact_minor(product.payout, product.currency, worth, initial, paid)
    assert plain > 300


def test_names_that_mean_one_symbol_are_merged() -> None:
    names = Synonyms({"XAUUSD": ("GOLD",), "ES": ("MES",)}, (".m", "m"))
    assert [names.main(each) for each in ("GOLD", "GOLD.m", "XAUUSD.m", "EURUSDm", "MESZ6", "ESH27", "US500")] == [
        *("XAUUSD", "XAUUSD", "XAUUSD", "EURUSD", "ES", "ES", "US500")
    ]
    assert names.main("m") == "m"
