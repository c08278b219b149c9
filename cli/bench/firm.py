"""The accounts of a benchmark, admitted to a live shard as a rebuild admits them.

Two thirds have a daily loss and a static maximum loss, one third a trailing maximum loss on intraday equity. A share of
them is one minor unit short of a breach, as many are one minor unit beyond, and some have more positions than a row has
slots.
"""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from random import Random
from typing import Any, Final

from cli.bench.market import Line, Market
from domain.keys import derived_id
from domain.products.phase_terms import PhaseTerms, phase_terms
from domain.products.product import Product
from domain.rules.floors import breached
from domain.rules.marking import Position, QuoteBoard, equity_minor
from domain.rules.state import AccountRules, fresh
from firm.products.shelf import SHELF, load_product
from monitor.loaded import Checkpoint, Loaded
from monitor.shard import Shard

START: Final = datetime(2026, 3, 6, 9, tzinfo=UTC)
FIRST_LOGIN: Final = 100_001
_NOTIONAL: Final = 20_000  # dollars per position, about a fifth of the account
_EDGE: Final = 0.004  # share of accounts at the edge of a breach, and as large a share just beyond
_MANY: Final = 0.02  # share of accounts with more positions than slots


def terms_of_firm() -> list[PhaseTerms]:
    """Returns the static and daily limits of the two-step product, and a trailing limit on open profit."""
    two_step = load_product(Path(SHELF) / "two-step.v1.yaml")
    trailing: dict[str, Any] = {
        "type": "max_loss_trailing",
        "id": "max_loss",
        "peak_basis": "intraday_equity_peak",
        "allowance": {"type": "pct_of_peak", "value": "6"},
        "lock": {"offset": "0"},
        "breach_when": "equity <= floor",
    }
    data = two_step.model_dump(mode="json")
    data |= {"product": "trailing", "name": "Trailing 100k"}
    for phase in (*data["phases"], data["funded"]):
        phase["rules"] = [trailing]
    return [phase_terms(two_step, 1), phase_terms(two_step, 2), phase_terms(Product.model_validate(data), 1)]


class Firm:
    """Generates accounts from a seed. `kinds` counts them by kind."""

    def __init__(self, market: Market, accounts: int, positions: int, seed: int) -> None:
        self.market, self.accounts, self.positions = market, accounts, positions
        self.terms = terms_of_firm()
        self.kinds = {"breaches": 0, "near_misses": 0, "more_than_three_positions": 0}
        self.instruments = market.instruments()
        self.board = QuoteBoard()
        for line in market.lines:
            tick = market.tick(line, 0)
            self.board.put(tick.symbol, tick.bid, tick.ask, tick.seq, tick.at)
        self._seed = seed

    def loaded(self) -> Iterator[Loaded]:
        random = Random(self._seed)
        for index in range(self.accounts):
            yield self.account(index, random)

    def account(self, index: int, random: Random) -> Loaded:
        terms, login = self.terms[index % len(self.terms)], FIRST_LOGIN + index
        many = random.random() < _MANY
        count = self.positions + (3 if many else 0)
        self.kinds["more_than_three_positions"] += count > 3
        positions = tuple(self._position(login, n, random) for n in range(count))
        rules, initial = fresh(terms.specs), terms.product.initial_minor
        floating = equity_minor(0, positions, self.board, self.instruments, terms.product.currency)
        equity = initial + random.randint(-initial // 100, initial // 100)
        edge = random.random()
        if edge < 2 * _EDGE:
            equity = self.at_the_edge(rules) - (edge < _EDGE)
            self.kinds["breaches" if edge < _EDGE else "near_misses"] += 1
        return loaded(login, terms, rules, equity - floating, positions)

    @staticmethod
    def at_the_edge(rules: AccountRules) -> int:
        """Returns the lowest equity that breaks no level."""
        levels = zip(rules.specs, rules.states, strict=True)
        return max(s.floor_minor + breached(spec, s.floor_minor, s.floor_minor) for spec, s in levels)

    def _position(self, login: int, number: int, random: Random) -> Position:
        line = random.choice(self.market.lines)
        size = self.size(line, random.uniform(0.2, 1.0))
        points = line.points + round(line.step * random.gauss(0, 8))
        price = points * Decimal(1).scaleb(-line.spec.digits)
        opened = START - timedelta(minutes=random.randint(1, 5_000))
        return Position(f"{login}-{number + 1}", line.spec.symbol, random.choice(("buy", "sell")), size, price, opened)

    @staticmethod
    def size(line: Line, share: float) -> Decimal:
        """Returns lots, in steps of 0.01, of about this share of the usual position."""
        rate = {"JPY": 155}.get(line.spec.quote_currency, 1)
        lot = float(line.spec.contract_size) * line.points / 10**line.spec.digits / rate
        return max(Decimal("0.01"), Decimal(_NOTIONAL * share / lot).quantize(Decimal("0.01")))


def loaded(login: int, terms: PhaseTerms, rules: AccountRules, balance: int, positions: tuple[Position, ...]) -> Loaded:
    """Returns a running account that has been judged up to now."""
    checkpoint = Checkpoint(
        balance_minor=balance,
        positions=positions,
        rules=rules,
        opening_minor=balance,
        opening_at=START - timedelta(hours=10),
        opening_seq=0,
        movements=(),
        trading_days=((START - timedelta(days=1)).date(),),
        offences={},
        judged=True,
        ended=False,
        synced=0,
    )
    account_id = derived_id("acc", login)
    return Loaded(account_id, derived_id("chl", login), login, terms, "active", (), checkpoint)


def harmless(account: Loaded) -> Loaded:
    """Returns the account with so much money that nothing breaks."""
    assert account.checkpoint is not None
    plenty = account.terms.product.initial_minor
    return replace(account, checkpoint=replace(account.checkpoint, balance_minor=plenty))


class NoRecord:
    """The record of a shard that already has all its accounts."""

    def load(self, login: int) -> Loaded | None:
        return None


def shard_of(firm: Firm, accounts: Iterator[Loaded]) -> Shard:
    """Returns a live shard with these accounts at the firm's quotes."""
    shard = Shard(NoRecord(), lambda: firm.instruments, board=firm.board, now=START, last_tick_at=START)
    shard.state.reserve(firm.accounts)
    for account in accounts:
        shard.admission.admit(account, START)
    shard.state.marks.arena.pack()
    return shard
