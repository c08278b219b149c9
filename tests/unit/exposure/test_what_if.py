"""A what-if finds exactly the accounts that the live judge ends at the same prices, and owes what payouts would pay."""

from decimal import Decimal

from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from cli.bench.firm import START
from domain.exposure.owed import NOTHING_PAID, exact_minor
from domain.exposure.shocks import Shock, shocked
from domain.exposure.what_if import MOST_NAMED
from domain.pnl import conversion_rate, position_profit_minor, reported_minor
from domain.products.target import target_reached
from domain.rules.evaluate import judge
from domain.rules.events import Moment
from domain.rules.floors import Mark
from monitor.columns.roster import AccountRow
from monitor.exposure.debts import debts_of
from monitor.exposure.exact import judged_exactly
from monitor.exposure.frozen import freeze
from monitor.exposure.shocked import ShockedShard, exit_price
from monitor.facts import BreachFact
from monitor.judging.evidence import Trigger
from monitor.shard import Shard
from tests.unit.exposure.shelf_shard import shelf_shard, still_shard

MOVES = st.dictionaries(
    st.sampled_from(["XAUUSD", "EURUSD", "GBPUSD", "US500", "USDJPY", "BTCUSD", "GER40"]),
    st.integers(-800, 800).map(lambda tenths: Decimal(tenths) / 100),
    max_size=4,
)
SHOCKS = st.builds(
    Shock,
    moves=MOVES,
    crosses=st.sampled_from(["implied", "named"]),
    spread=st.sampled_from([Decimal(1), Decimal(3)]),
    stops=st.sampled_from(["none", "gap", "walk"]),
    passes=st.sampled_from(["closing", "flat"]),
)
NO_SHRINKING = (Phase.explicit, Phase.generate)
Quotes = dict[str, tuple[Decimal, Decimal]]


def quotes_after(shard: Shard, shock: Shock) -> Quotes:
    quoted_in = {name: each.quote_currency for name, each in shard.state.instruments.items()}
    return shocked(shard.state.board.prices, quoted_in, shock)


def money(shard: Shard, account: AccountRow, quotes: Quotes, stops: str) -> tuple[int, int, int]:
    """(balance, equity, open positions) of an account, position by position, as the exact evaluator values them."""
    currency, balance, floating, left = account.terms.product.currency, account.balance_minor, 0, 0
    exits = shard.state.marks.exits(account)
    for p in account.positions():
        instrument = shard.state.instruments[p.symbol]
        bid, ask = quotes[p.symbol]
        stop, target = exits.get(p.position_id, (0.0, 0.0))
        price, closes = exit_price(p.side, bid if p.side == "buy" else ask, stop, target, stops)
        rate = conversion_rate(instrument.quote_currency, currency, quotes)
        profit = position_profit_minor(p.side, p.lots, instrument.contract_size, p.open_price, price, rate, currency)
        balance, floating, left = balance + profit * closes, floating + profit * (not closes), left + (not closes)
    return balance, balance + floating, left


def status(account: AccountRow, shock: Shock, balance: int, equity: int, left: int) -> str:
    """What the exact functions say of an account whose rules are only levels that end the phase."""
    _, found = judge(account.rules, Mark(balance, equity, 0, START, account.costs))
    if found:
        return found[0].spec.rule_id
    worth = equity if shock.passes == "closing" else balance
    now = Moment(seq=0, at=START, balance_minor=worth, equity_minor=worth)
    flat = shock.passes == "closing" or not left
    return "pass" if flat and target_reached(account.terms, now, 0, len(account.trading_days)) else ""


@settings(max_examples=40, deadline=None, phases=NO_SHRINKING)
@given(shock=SHOCKS, seed=st.integers(1, 3))
def test_every_account_whose_state_changes_is_the_one_of_the_exact_evaluator(shock: Shock, seed: int) -> None:
    shard = still_shard(150, seed)
    frozen = freeze(shard.state, 1)
    outcome = ShockedShard(frozen, debts_of(frozen, {})).outcome(shock)
    before, after = shard.state.board.prices, quotes_after(shard, shock)
    expected: dict[str, str] = {}
    plain = [account for account in shard.state.accounts if account.conduct is None]
    assert len(plain) > 40
    for account in plain:
        was = status(account, shock, *money(shard, account, before, "none"))
        now = status(account, shock, *money(shard, account, after, shock.stops))
        if (now and (now == "pass") is not (was == "pass" and bool(was))) or (now and not was):
            expected[account.account_id] = now
    found = {each.account_id: each.rule for each in outcome.breached}
    found |= {each.account_id: "pass" for each in outcome.passing}
    ids = {account.account_id for account in plain}
    assert {key: rule for key, rule in found.items() if key in ids} == expected


def judged(shard: Shard, quotes: Quotes) -> tuple[set[str], set[str]]:
    """(accounts that the shard ends, those with a lesser offence) at these quotes."""
    for symbol, (bid, ask) in quotes.items():
        shard.state.board.put(symbol, bid, ask, 1, START)
        shard.state.marks.tick(symbol)
    for account in list(shard.state.accounts):
        shard._judge.mark(account, Trigger("tick", 1, START, "EURUSD"))
    facts = shard.state.facts.verdicts
    ends = {fact.account_id for fact in facts if isinstance(fact, BreachFact)}
    return ends, {fact.account_id for fact in facts} - ends


def test_the_live_judge_ends_the_same_accounts_of_every_product() -> None:
    """The oracle is the shard itself: the shocked quotes are put on its board, and it judges every account."""
    moves = {"EURUSD": "-14", "XAUUSD": "18", "US500": "-22", "USDJPY": "12"}
    shock = Shock(moves={symbol: Decimal(percent) for symbol, percent in moves.items()}, stops="none")
    _, shard = shelf_shard(700, 5)
    frozen = freeze(shard.state, 1)
    outcome = ShockedShard(frozen, debts_of(frozen, {})).outcome(shock)
    assert outcome.breaches <= MOST_NAMED, "all are named, so that all are compared"
    after = quotes_after(shard, shock)
    ended_now, lesser_now = judged(shelf_shard(700, 5)[1], dict(shard.state.board.prices))
    ended, lesser = judged(shard, after)
    assert len(ended) > 20 and len(lesser) > 3 and outcome.confirmed > 20
    assert {each.account_id for each in outcome.breached} == ended - ended_now
    assert {each.account_id for each in outcome.offending} == lesser - lesser_now


@settings(max_examples=15, deadline=None, phases=NO_SHRINKING)
@given(shock=SHOCKS)
def test_what_the_firm_would_owe_is_the_sum_of_the_payouts(shock: Shock) -> None:
    shard = still_shard(200, 2)
    frozen = freeze(shard.state, 1)
    shocked_shard = ShockedShard(frozen, debts_of(frozen, {}))
    outcome, after = shocked_shard.outcome(shock), quotes_after(shard, shock)
    ended = {each.account_id for each in outcome.breached}
    totals, people = {"USD": 0, "EUR": 0}, 0
    for account in shard.state.accounts:
        terms = account.terms
        if terms.phase_index != terms.product.funded_index or account.account_id in ended:
            continue
        if judged_exactly(frozen, account.row, account.balance_minor, account.equity_minor, None).kind == "breach":
            continue  # it is beyond a limit already
        _, equity, _ = money(shard, account, after, shock.stops)
        currency = terms.product.currency
        owed = exact_minor(terms.product.payout, currency, equity, terms.initial_minor, NOTHING_PAID)
        totals[currency], people = totals[currency] + owed, people + (owed > 0)
    assert people > 5
    assert outcome.owed_minor == sum(reported_minor(minor, each, after) for each, minor in totals.items())
