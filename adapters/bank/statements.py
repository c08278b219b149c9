"""The statement source `bank`: the entries of the bank's statements that were read in."""

import asyncio
import json
from datetime import datetime
from typing import Final

from adapters.bank.config import BankSettings
from adapters.bank.link import BankLink
from ports.plugin import Plugin
from ports.statements import StatementBalance, StatementEntry, StatementSource


class BankStatements:
    """A StatementSource. Only statements (camt.053) count: notifications (camt.054) tell of the same money earlier."""

    def __init__(self, name: str, link: BankLink) -> None:
        self.name, self._link = name, link

    async def entries(self, after: str | None, limit: int = 1000) -> list[StatementEntry]:
        return await asyncio.to_thread(self._entries, after, limit)

    async def balances(self) -> list[StatementBalance]:
        """Returns the closing balance of the newest statement of each account."""
        return await asyncio.to_thread(self._balances)

    async def healthy(self) -> str:
        return await asyncio.to_thread(self._link.state)

    async def aclose(self) -> None:
        self._link.close()

    def _entries(self, after: str | None, limit: int) -> list[StatementEntry]:
        self._link.exchange()
        rows = self._link.store.page("entries", "id", after, limit)
        return [StatementEntry.model_validate(json.loads(row["body"])) for row in rows]

    def _balances(self) -> list[StatementBalance]:
        self._link.exchange()
        rows = self._link.store.rows(
            "SELECT currency, closing_minor, closing_at FROM reports WHERE number IN"
            " (SELECT max(number) FROM reports WHERE kind = 'camt.053' GROUP BY iban, currency) ORDER BY currency"
        )
        return [
            StatementBalance(
                currency=row["currency"],
                amount_minor=row["closing_minor"],
                at=datetime.fromisoformat(row["closing_at"]),
            )
            for row in rows
        ]


def _build(name: str, settings: BankSettings) -> StatementSource:
    return BankStatements(name, BankLink(settings))


PLUGIN: Final = Plugin(BankSettings, None, _build)
