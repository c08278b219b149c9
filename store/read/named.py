"""The accounts and traders that a text names by their ids, as people know them: by number and by name."""

import re
from collections.abc import Iterable, Mapping
from typing import Final

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from store.models import Account, Trader
from store.read.pages import account_number

_IDS: Final = re.compile(r"\b(?:acc|trd)_[0-9a-z]+")


async def in_texts(session: AsyncSession, texts: Iterable[str]) -> dict[str, str]:
    """Returns id -> account number or trader's name, of all ids that the texts hold."""
    found = {each for text in texts for each in _IDS.findall(text)}
    if not found:
        return {}
    accounts = await session.execute(select(Account.id, Account.number).where(Account.id.in_(found)))
    traders = await session.execute(select(Trader.id, Trader.name).where(Trader.id.in_(found)))
    numbers = {account_id: account_number(number) for account_id, number in accounts}
    return numbers | {row.id: row.name for row in traders}


def written(text: str, names: Mapping[str, str]) -> str:
    """Returns the text with numbers and names in place of ids. An id that nobody has stays."""
    return _IDS.sub(lambda found: names.get(found[0], found[0]), text)
