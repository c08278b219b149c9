"""The contracts of a statement's symbols: from a mapping, or the standard one for currency pairs."""

from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Final

from adapters.statements.csv_mapping import Contract
from domain.errors import BadInput
from domain.rules.marking import Instrument

_CURRENCIES: Final = frozenset(
    [
        "AUD",
        "CAD",
        "CHF",
        "CNH",
        "CZK",
        "DKK",
        "EUR",
        "GBP",
        "HKD",
        "HUF",
        "ILS",
        "JPY",
        "MXN",
        "NOK",
        "NZD",
        "PLN",
        "RON",
        "SEK",
        "SGD",
        "THB",
        "TRY",
        "USD",
        "ZAR",
    ]
)
_PAIR_LOT: Final = Decimal(100_000)


def find_instruments(
    symbols: Iterable[str], contracts: Mapping[str, Contract], quoted: frozenset[str], currency: str
) -> tuple[dict[str, Instrument], dict[str, str], frozenset[str]]:
    """Returns (instruments by market symbol, market symbol by statement symbol, market symbols to read quotes of).

    Raises one BadInput for all symbols without a contract size, quotes, or a conversion into `currency`.
    """
    given = {name.upper(): contract for name, contract in contracts.items()}
    names, instruments, needed = dict[str, str](), dict[str, Instrument](), set[str]()
    sizeless, unquoted, unconverted = list[str](), list[str](), list[str]()
    for symbol in sorted(set(symbols)):
        contract = given.get(symbol.upper()) or _pair(symbol.upper())
        name = ((contract.market if contract else None) or symbol).upper()
        names[symbol] = name
        if name not in quoted:
            unquoted.append(symbol)
        if contract is None:
            sizeless.append(symbol)
            continue
        instruments[name] = Instrument(name, contract.contract_size, contract.quote_currency)
        needed.add(name)
        if contract.quote_currency != currency:
            ways = (contract.quote_currency + currency, currency + contract.quote_currency)
            rate = next((way for way in ways if way in quoted), None)
            if rate is None:
                unconverted.append(f"{symbol} ({ways[0]} or {ways[1]})")
            else:
                needed.add(rate)
    problems = (
        ("has no quotes for", unquoted),
        ("cannot convert the profit of", unconverted),
        ("has no contract size for", sizeless),
    )
    lists = [f"{what} {', '.join(which)}" for what, which in problems if which]
    if lists:
        raise BadInput(
            f"The floating equity cannot be computed: the market {'; it '.join(lists)}.",
            field="market",
            remedy="Add the quote files, and say contract_size, quote_currency (and `market`, the name the quotes have)"
            " under `symbols` in a mapping; or leave --market out.",
        )
    return instruments, names, frozenset(needed)


def _pair(symbol: str) -> Contract | None:
    """Returns the contract of a currency pair, 100,000 units a lot, or None. A broker's suffix is ignored."""
    base, quote = symbol[:3], symbol[3:6]
    if base not in _CURRENCIES or quote not in _CURRENCIES:
        return None
    return Contract(contract_size=_PAIR_LOT, quote_currency=quote, market=base + quote)
