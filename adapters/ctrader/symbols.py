"""What the venue says of its symbols: names, lot sizes, currencies and whether they can be traded."""

from collections.abc import Iterator
from contextlib import suppress
from typing import Final

from google.protobuf.message import Message

from adapters.ctrader.values import units
from ports.platform import SymbolSpec
from ports.venue import Halt, Unreadable
from wire.ctrader.OpenApiMessages_pb2 import (
    ProtoOAAssetListReq,
    ProtoOAAssetListRes,
    ProtoOASymbolByIdReq,
    ProtoOASymbolByIdRes,
    ProtoOASymbolsListReq,
    ProtoOASymbolsListRes,
)
from wire.ctrader.OpenApiModelMessages_pb2 import ENABLED, ProtoOALightSymbol, ProtoOASymbol

_AT_ONCE: Final = 100  # symbols in one request


class Symbols:
    """Learns from the lists of assets and symbols, in this order."""

    def __init__(self) -> None:
        self._assets: dict[int, str] = {}
        self._listed: dict[int, ProtoOALightSymbol] = {}
        self._whole: dict[int, ProtoOASymbol] = {}
        self.halted: set[str] = set()  # what was told

    def learn(self, message: Message) -> Iterator[Halt]:
        """Yields what changed of the halts that were told before."""
        if isinstance(message, ProtoOAAssetListRes):
            self._assets.update({asset.assetId: asset.name for asset in message.asset})
        elif isinstance(message, ProtoOASymbolsListRes):
            self._listed.update({symbol.symbolId: symbol for symbol in message.symbol})
        elif isinstance(message, ProtoOASymbolByIdRes):
            for symbol in message.symbol:
                self._whole[symbol.symbolId] = symbol
                if symbol.symbolId in self._listed:
                    yield from self._halt(self.name(symbol.symbolId), halted=symbol.tradingMode != ENABLED)

    def _halt(self, name: str, *, halted: bool) -> Iterator[Halt]:
        if halted != (name in self.halted):
            self.halted ^= {name}
            yield Halt(name, halted, None)

    def learn_all(self, message: Message) -> None:
        for _ in self.learn(message):
            pass

    def currency(self, asset: int) -> str:
        """Returns the name of an asset. Raises Unreadable."""
        if asset not in self._assets:
            raise Unreadable(f"asset {asset} is unknown")
        return self._assets[asset]

    def name(self, symbol: int) -> str:
        """Raises Unreadable."""
        listed = self._listed.get(symbol)
        if listed is None or not listed.symbolName:
            raise Unreadable(f"symbol {symbol} is unknown")
        return listed.symbolName

    def lot_size(self, symbol: int) -> int:
        """Returns hundredths of a unit. Raises Unreadable."""
        whole = self._whole.get(symbol)
        if whole is None or whole.lotSize <= 0:
            raise Unreadable(f"the lot size of symbol {symbol} is unknown")
        return whole.lotSize

    def all(self) -> list[int]:
        """Returns the ids of all listed symbols: positions may be open in those that are no longer traded."""
        return list(self._listed)

    def wanted(self, names: frozenset[str]) -> list[int]:
        """Returns the ids of the symbols with these names that traders see; of all of them when there are no names."""
        return [
            number
            for number, listed in self._listed.items()
            if listed.enabled and (not names or listed.symbolName in names)
        ]

    def specs(self) -> list[SymbolSpec]:
        """Returns every symbol of which everything is known."""
        found = []
        for symbol in self._listed:
            with suppress(Unreadable):
                found.append(self._spec(symbol))
        return found

    def _spec(self, symbol: int) -> SymbolSpec:
        return SymbolSpec(
            symbol=self.name(symbol),
            contract_size=units(self.lot_size(symbol)),
            quote_currency=self.currency(self._listed[symbol].quoteAssetId),
            digits=self._whole[symbol].digits,
        )


def lists(account: int) -> list[Message]:
    """The requests for all assets and all symbols of the broker."""
    return [
        ProtoOAAssetListReq(ctidTraderAccountId=account),
        ProtoOASymbolsListReq(ctidTraderAccountId=account),
    ]


def details(account: int, symbols: list[int]) -> list[ProtoOASymbolByIdReq]:
    """The requests for these symbols whole."""
    return [
        ProtoOASymbolByIdReq(ctidTraderAccountId=account, symbolId=symbols[start : start + _AT_ONCE])
        for start in range(0, len(symbols), _AT_ONCE)
    ]
