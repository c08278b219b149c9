"""DXtrade as a feed: snapshots, what happened since the last connection, and then what its sockets push."""

from collections.abc import AsyncIterator, Iterable, Mapping

from adapters.dxtrade import decode, shapes
from adapters.dxtrade.client import Client
from adapters.dxtrade.config import DxtradeSettings
from adapters.dxtrade.decode import DxtradeDecoder
from adapters.dxtrade.figures import spec
from adapters.dxtrade.lists import Lists, own, told
from adapters.dxtrade.live import Live
from adapters.dxtrade.sockets import Sockets
from ports.platform import SymbolSpec
from ports.venue import Decoder, Message


class DxtradeFeed:
    """A VenueFeed."""

    def __init__(self, name: str, settings: DxtradeSettings) -> None:
        self.name, self._settings = name, settings
        self._client = Client(settings)

    async def messages(self, cursors: Mapping[str, str]) -> AsyncIterator[Message]:
        lists = self._lists()
        lists.since.update(cursors)
        instruments = await lists.instruments()
        symbols = [each.symbol for each in instruments.as_(shapes.Instruments).instruments]
        sockets = Sockets(self._settings, await self._client.trading_token())
        async with sockets.open(symbols):
            yield own(decode.SINCE, cursors)
            yield told(decode.INSTRUMENTS, instruments)
            accounts = await lists.accounts()
            yield told(decode.ACCOUNTS, accounts)
            async for message in lists.tradable():
                yield message
            # The snapshots are read first, so that the orders are told with the stops of their positions, and so that
            # what is newer than a snapshot is known as such.
            async for message in lists.snapshots(lists.names(accounts)):
                yield message
            async for message in lists.everything():
                yield message
            yield own(decode.CAUGHT_UP, {})
            async for message in Live(self._client, lists, sockets).messages():
                yield message

    async def fills(self, login: int, cursor: str) -> AsyncIterator[Message]:
        """`cursor`: a version of the account."""
        lists, name = self._lists(), f"{self._settings.clearing_code}:{login}"
        yield told(decode.INSTRUMENTS, await lists.instruments())
        known = False
        async for message in lists.some_accounts([name]):
            known = True
            yield message
        if known:
            async for message in lists.of_account(name, int(cursor) if cursor.isdecimal() else None):
                yield message

    async def snapshots(self, logins: Iterable[int]) -> AsyncIterator[Message]:
        """An account that the venue does not have is left out."""
        lists, names = self._lists(), [f"{self._settings.clearing_code}:{login}" for login in logins]
        yield told(decode.INSTRUMENTS, await lists.instruments())
        async for message in lists.some_accounts(names):
            yield message
        async for message in lists.snapshots(names):
            yield message

    def decoder(self) -> Decoder:
        return DxtradeDecoder(self._settings.clearing_code)

    async def symbols(self) -> list[SymbolSpec]:
        found = (await self._lists().instruments()).as_(shapes.Instruments)
        return [spec(each) for each in found.instruments]

    async def aclose(self) -> None:
        await self._client.aclose()

    def _lists(self) -> Lists:
        return Lists(self._client, self._settings.clearing_code)
