"""A shard with accounts of every phase of every product on the shelf, many of them near a limit."""

from dataclasses import replace
from decimal import Decimal
from functools import cache
from pathlib import Path
from random import Random

from cli.bench.firm import START, Firm, shard_of
from cli.bench.market import Market
from domain.products.phase_terms import PhaseTerms, phase_terms
from domain.rules.marking import QuoteBoard
from firm.products.shelf import SHELF, load_product
from monitor.loaded import Loaded
from monitor.shard import Shard

SYMBOLS = 24
_CONVERTIBLE = ("USD", "EUR", "GBP", "JPY")  # into the currency of every product


def terms_of_shelf() -> list[PhaseTerms]:
    found = []
    for path in sorted(Path(SHELF).glob("*.yaml")):
        product = load_product(path)
        found += [phase_terms(product, index) for index in range(1, product.funded_index + 1)]
    return found


class ShelfFirm(Firm):
    """Every third account has profit, every fifth has stops and take profits. Traders have about four accounts."""

    def __init__(self, accounts: int, seed: int) -> None:
        super().__init__(Market(SYMBOLS, seed, START), accounts, 3, seed)
        self.terms += terms_of_shelf()
        self.market.lines = [line for line in self.market.lines if line.spec.quote_currency in _CONVERTIBLE]

    def account(self, index: int, random: Random) -> Loaded:
        loaded = super().account(index, random)
        checkpoint = loaded.checkpoint
        assert checkpoint is not None
        gain = random.randint(0, loaded.terms.initial_minor // 8) if index % 3 == 0 else 0
        exits = {}
        if index % 5 == 0:
            for position in checkpoint.positions:
                bid, _ = self.board.prices[position.symbol]
                sign = 1 if position.side == "buy" else -1
                stop, target = (bid * (1 - sign * side * Decimal(random.randint(2, 30)) / 1000) for side in (1, -1))
                grain = Decimal(1).scaleb(bid.as_tuple().exponent)  # type: ignore[arg-type]
                exits[position.position_id] = (float(stop.quantize(grain)), float(target.quantize(grain)))
        kept = replace(checkpoint, balance_minor=checkpoint.balance_minor + gain, exits=exits)
        return replace(loaded, checkpoint=kept, trader_id=f"trd_{random.randint(0, self.accounts // 4)}")


@cache
def still_shard(accounts: int, seed: int) -> Shard:
    """A shard for tests that change nothing of it."""
    return shelf_shard(accounts, seed)[1]


def shelf_shard(accounts: int = 600, seed: int = 7) -> tuple[ShelfFirm, Shard]:
    firm = ShelfFirm(accounts, seed)
    return firm, shard_of(firm, firm.loaded())


def board_of(quotes: dict[str, tuple[Decimal, Decimal]]) -> QuoteBoard:
    board = QuoteBoard()
    for symbol, (bid, ask) in quotes.items():
        board.put(symbol, bid, ask, 1, START)
    return board
