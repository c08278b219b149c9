"""Facts of well-known symbols: what one lot is, what moves together, and under which names brokers list them.

Facts that a firm tells itself win over these (`surveillance/symbols.py`). A name stands here without the suffix of a
broker. Contract sizes of CFDs differ from broker to broker: those of indices are the common 1.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from math import nan
from typing import Final

from domain.currencies import DIGITS

# name: asset, base, quote, contract size, digits of the price, group, other names
_CFDS: Final = """
XAUUSD  metal  XAU USD 100    2 gold        GOLD XAU GOLDUSD
XAUEUR  metal  XAU EUR 100    2 gold        GOLDEUR
XAUGBP  metal  XAU GBP 100    2 gold        -
XAUAUD  metal  XAU AUD 100    2 gold        -
XAGUSD  metal  XAG USD 5000   3 silver      SILVER XAG SILVERUSD
XAGEUR  metal  XAG EUR 5000   3 silver      -
XPTUSD  metal  XPT USD 100    2 -           PLATINUM
XPDUSD  metal  XPD USD 100    2 -           PALLADIUM
US500   index  -   USD 1      2 stock_index SPX500 SP500 SPX USA500 US500USD SPX500USD SPY500
US30    index  -   USD 1      2 stock_index DJ30 DJI30 WS30 DOW30 DJI DJIA USA30 WALLSTREET30 US30USD
NAS100  index  -   USD 1      2 stock_index US100 USTEC USTECH USTECH100 NDX NDX100 NASDAQ NASDAQ100 USA100 NAS100USD
US2000  index  -   USD 1      2 stock_index RUSSELL2000 RUS2000 RUT US2000USD SMALLCAP2000
DE40    index  -   EUR 1      2 stock_index GER40 GER30 DE30 DAX DAX40 DAX30 DEU40 GERMANY40 GDAXI DE40EUR
EU50    index  -   EUR 1      2 stock_index STOXX50 EUSTX50 ESTX50 STX50 EUR50 EU50EUR SX5E
UK100   index  -   GBP 1      2 stock_index FTSE100 FTSE UKX GBR100 UK100GBP
FR40    index  -   EUR 1      2 stock_index FRA40 CAC40 F40 FR40EUR
ES35    index  -   EUR 1      2 stock_index SPA35 IBEX35 ESP35 SPAIN35
IT40    index  -   EUR 1      2 stock_index ITA40 MIB40
CH20    index  -   CHF 1      2 stock_index SWI20 SMI20
JP225   index  -   JPY 1      2 -           JPN225 NIKKEI225 NI225 NIKKEI JP225USD
HK50    index  -   HKD 1      2 -           HSI HKG50 HKIND
AU200   index  -   AUD 1      2 -           AUS200 ASX200
USOIL   energy -   USD 1000   2 oil         WTI XTIUSD WTIUSD USCRUDE CRUDEOIL SPOTCRUDE OILUSD USOUSD
UKOIL   energy -   USD 1000   2 oil         BRENT XBRUSD BRENTUSD UKCRUDE SPOTBRENT UKOUSD
NATGAS  energy -   USD 10000  3 natural_gas XNGUSD NGAS NATURALGAS
"""
# root: asset, base, quote, contract size, step of the price, group, its minis and micros with their part of one lot
_FUTURES: Final = """
ES  index  -   USD 50       0.25      stock_index MES:0.1
NQ  index  -   USD 20       0.25      stock_index MNQ:0.1
YM  index  -   USD 5        1         stock_index MYM:0.1
RTY index  -   USD 50       0.1       stock_index M2K:0.1
GC  metal  XAU USD 100      0.1       gold        MGC:0.1 QO:0.5
SI  metal  XAG USD 5000     0.005     silver      SIL:0.2 QI:0.5
HG  metal  -   USD 25000    0.0005    -           MHG:0.1
CL  energy -   USD 1000     0.01      oil         MCL:0.1 QM:0.5
NG  energy -   USD 10000    0.001     natural_gas MNG:0.1 QG:0.25
6E  forex  EUR USD 125000   0.00005   -           M6E:0.1
6B  forex  GBP USD 62500    0.0001    -           M6B:0.1
6A  forex  AUD USD 100000   0.00005   -           M6A:0.1
6J  forex  JPY USD 12500000 0.0000005 -           -
6C  forex  CAD USD 100000   0.00005   -           MCD:0.1
6S  forex  CHF USD 125000   0.00005   -           MSF:0.1
6N  forex  NZD USD 100000   0.00005   -           -
FDAX index -   EUR 25       1         stock_index FDXM:0.2 FDXS:0.04
ZB  rate   -   USD 1000     0.03125   -           -
ZN  rate   -   USD 1000     0.015625  -           -
"""
_COINS: Final = (
    "BTC ETH LTC XRP BCH ADA SOL DOGE DOT BNB LINK AVAX XLM UNI MATIC TRX EOS ETC XMR DASH NEO ATOM FIL SHIB XTZ"
)
_COIN_QUOTES: Final = "USD USDT USDC EUR GBP JPY"
_OTHER_COIN_NAMES: Final = {"XBTUSD": "BTCUSD", "BITCOIN": "BTCUSD", "ETHEREUM": "ETHUSD", "RIPPLE": "XRPUSD"}
# The months of futures; a year follows them: ESZ5, ESZ25, ESZ2025.
MONTHS: Final = "FGHJKMNQUVXZ"
# What brokers write after the name of a symbol to tell their kinds of account apart.
_ENDINGS: Final = """
A B C E G I K M N P Q R S T U X Z CASH CFD ECN EU FIX FP FT FUT FX H INT LIVE LMAX LP MINI MICRO NDD O PRIME PRM
PRO RAW RFD SB SPOT STD STP SWAP TE V VAR VIP ZERO DAILY DEMO CONT F PLUS
"""
SUFFIXES: Final = frozenset(_ENDINGS.split())
# A suffix that says that a lot of a currency pair is smaller.
SMALL_LOTS: Final = {"MINI": 0.1, "MICRO": 0.01}


@dataclass(frozen=True, slots=True)
class SymbolFacts:
    """What is told of one symbol; "" and NaN: not told. `part`: one lot of this symbol in lots of `synonym_of`, NaN:
    to be computed from both contract sizes. `point`: the smallest step of the price."""

    name: str
    asset: str = ""
    base: str = ""
    quote: str = ""
    contract_size: float = nan
    point: float = nan
    group: str = ""
    synonym_of: str = ""
    part: float = nan


@cache
def known_symbols() -> dict[str, SymbolFacts]:
    """Returns the well-known symbols by name, their other names included as synonyms. Currency pairs are not listed:
    `currency_pair` knows them all."""
    return {each.name: each for each in (*_cfds(), *_futures(), *_coins())}


def currency_pair(name: str) -> SymbolFacts | None:
    """Returns the facts of a pair of currencies such as EURUSD, or None."""
    base, quote = name[:3], name[3:]
    if len(name) != 6 or base == quote or base not in DIGITS or quote not in DIGITS:
        return None
    return SymbolFacts(name, "forex", base, quote, 100_000.0, 0.001 if quote in {"JPY", "HUF"} else 0.00001)


def _cfds() -> Iterator[SymbolFacts]:
    for line in _CFDS.strip().splitlines():
        name, asset, base, quote, size, digits, group, *others = (_told(word) for word in line.split())
        point = float(f"1e-{digits}")
        yield SymbolFacts(name, asset, base, quote, float(size), point, group)
        for other in filter(None, others):
            yield SymbolFacts(other, asset, base, quote, float(size), point, synonym_of=name, part=1.0)


def _futures() -> Iterator[SymbolFacts]:
    for line in _FUTURES.strip().splitlines():
        name, asset, base, quote, size, step, group, *small = (_told(word) for word in line.split())
        yield SymbolFacts(name, asset, base, quote, float(size), float(step), group)
        for root, part in (each.split(":") for each in filter(None, small)):
            lot = float(size) * float(part)
            yield SymbolFacts(root, asset, base, quote, lot, float(step), synonym_of=name, part=float(part))


def _coins() -> Iterator[SymbolFacts]:
    for coin in _COINS.split():
        for quote in _COIN_QUOTES.split():
            # A dollar coin is a dollar here: BTCUSDT and BTCUSD are one market.
            main = f"{coin}USD" if quote in {"USDT", "USDC"} else ""
            yield SymbolFacts(
                f"{coin}{quote}", "crypto", coin, quote, 1.0, 0.01, synonym_of=main, part=1.0 if main else nan
            )
        yield SymbolFacts(coin, "crypto", coin, "USD", 1.0, 0.01, synonym_of=f"{coin}USD", part=1.0)
    for other, main in _OTHER_COIN_NAMES.items():
        yield SymbolFacts(other, "crypto", main[:3], "USD", 1.0, 0.01, synonym_of=main, part=1.0)


def _told(word: str) -> str:
    return "" if word == "-" else word
