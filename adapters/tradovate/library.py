"""What the venue's contracts are worth: contract -> maturity -> product -> currency."""

from collections.abc import Iterable, Sequence
from decimal import Decimal
from typing import NamedTuple

from adapters.tradovate.client import WHO, Api, joined
from adapters.tradovate.wire import Contract, CurrencyRow, Maturity, Product, digits_of
from domain.errors import BadInput, NotFound, Unavailable
from ports.platform import SymbolSpec


class Listed(NamedTuple):
    """A contract. `point`: value of one point of one contract, in `currency`."""

    contract_id: int
    symbol: str
    point: Decimal
    currency: str
    tick: Decimal

    def spec(self) -> SymbolSpec:
        """The price of a contract is its symbol's; `contract_size` is the value of a point."""
        return SymbolSpec(
            symbol=self.symbol, contract_size=self.point, quote_currency=self.currency, digits=digits_of(self.tick)
        )


def listed(
    contracts: Iterable[Contract],
    maturities: Iterable[Maturity],
    products: Iterable[Product],
    currencies: Iterable[CurrencyRow],
) -> list[Listed]:
    """Joins the four lists. A contract whose maturity, product or currency is missing is left out."""
    product_of = {each.id: each.productId for each in maturities}
    product_by = {each.id: each for each in products}
    currency_by = {each.id: each.name for each in currencies}
    found = []
    for contract in contracts:
        product = product_by.get(product_of.get(contract.contractMaturityId, 0))
        if product is not None and product.currencyId in currency_by:
            name = currency_by[product.currencyId]
            found.append(Listed(contract.id, contract.name, product.valuePerPoint, name, product.tickSize))
    return found


class Library:
    """Contracts by id, read from the venue when they are first needed."""

    def __init__(self, api: Api) -> None:
        self._api = api
        self._by_id: dict[int, Listed] = {}
        self._currencies: list[CurrencyRow] = []

    async def contracts(self, ids: Iterable[int]) -> dict[int, Listed]:
        """Raises Unavailable when one of them cannot be read."""
        wanted = set(ids)
        missing = sorted(wanted - self._by_id.keys())
        if missing:
            rows = await self._api.rows(Contract, "contract/items", ids=joined(missing))
            self._by_id |= {each.contract_id: each for each in await self._joined(rows)}
        unknown = wanted - self._by_id.keys()
        if unknown:
            raise Unavailable(f"{WHO} does not describe the contracts {sorted(unknown)[:5]}.")
        return {id: self._by_id[id] for id in wanted}

    async def named(self, names: Sequence[str]) -> list[Listed]:
        """Raises BadInput for a name that the venue does not list."""
        rows = []
        for name in names:
            try:
                rows.append(await self._api.row(Contract, "contract/find", name=name))
            except NotFound:
                raise BadInput(
                    f"{WHO} lists no contract {name[:20]!r}.",
                    field="symbols",
                    remedy="Correct the symbols in the settings: contracts expire, and the next has another name.",
                ) from None
        found = await self.contracts(row.id for row in rows)
        return [found[row.id] for row in rows]

    async def currencies(self) -> list[CurrencyRow]:
        if not self._currencies:
            self._currencies = await self._api.rows(CurrencyRow, "currency/list")
        return self._currencies

    async def _joined(self, contracts: list[Contract]) -> list[Listed]:
        if not contracts:
            return []
        ids = joined(sorted({each.contractMaturityId for each in contracts}))
        maturities = await self._api.rows(Maturity, "contractMaturity/items", ids=ids)
        product_ids = joined(sorted({each.productId for each in maturities}))
        products = await self._api.rows(Product, "product/items", ids=product_ids) if product_ids else []
        return listed(contracts, maturities, products, await self.currencies())
