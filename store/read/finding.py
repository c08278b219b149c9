"""Whom and what a text names. Lists and search read it the same way; each look-up is exact and has an index."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import ColumnElement, Select, and_, select
from sqlalchemy.ext.asyncio import AsyncSession

from domain.errors import BadInput
from store import crypto
from store.models import Account, Trader, TraderWord
from store.scope import Scope

ID: Final = re.compile(r"([a-z]{3})_[0-9a-z]{26}")
MOST: Final = 1_000  # people of one name
_NUMBER: Final = re.compile(r"(?:a-)?([0-9]{1,12})", re.IGNORECASE)
_LOGIN: Final = re.compile(r"[0-9]{1,18}")
Condition = ColumnElement[bool]


@dataclass(frozen=True)
class Named:
    """`text` as it was typed, without space around it; the ids of the traders and accounts that it names. `owned`:
    these accounts, and all accounts of these traders."""

    text: str
    traders: tuple[str, ...] = ()
    accounts: tuple[str, ...] = ()
    owned: tuple[str, ...] = ()

    def is_id(self, prefix: str) -> bool:
        return bool(ID.fullmatch(self.text)) and self.text.startswith(f"{prefix}_")

    def beside(self, trader: Any, account: Any) -> list[Condition]:
        """The conditions for rows that belong to whom or what was named."""
        found: list[Condition] = []
        for column, ids in ((trader, self.traders), (account, self.accounts)):
            if column is not None and ids:
                found.append(column.in_(ids))
        return found


async def named(session: AsyncSession, scope: Scope, text: str) -> Named:
    """Raises BadInput for a name that too many people have."""
    wanted = text.strip()
    traders, accounts = traders_of(wanted), accounts_of(wanted)
    people, numbers = list[str](), list[str]()
    if traders is not None:
        people = list((await session.scalars(traders.where(scope.own(Trader.id)).limit(MOST + 1))).all())
    if accounts is not None:
        numbers = list((await session.scalars(accounts.where(scope.own(Account.trader_id)).limit(MOST))).all())
    owned = list[str]()
    if people:
        owned = list((await session.scalars(_accounts_of(people[:MOST]).limit(MOST + 1))).all())
    if max(len(people), len(owned)) > MOST:
        raise BadInput(f"This names more than {MOST:,} people or accounts.", field="q", remedy="Add another word.")
    return Named(wanted, tuple(people), tuple(numbers), tuple({*numbers, *owned}))


def _accounts_of(traders: Sequence[str]) -> Select[tuple[str]]:
    return select(Account.id).where(Account.trader_id.in_(traders))


def account_number_in(text: str) -> int | None:
    """Reads "A-10001" or "10001"."""
    match = _NUMBER.fullmatch(text)
    return int(match.group(1)) if match else None


def login_in(text: str) -> int | None:
    return int(text) if _LOGIN.fullmatch(text) else None


def has_email(text: str) -> Condition:
    """The condition for the trader with this e-mail address."""
    return Trader.email_index.in_(crypto.keys().blind_indexes(text))


def has_name(text: str) -> Condition | None:
    """The condition for traders with all words of the text in their name, each in full; None for a text without
    words."""
    words = crypto.keys().word_lookups(text)
    if not words:
        return None
    return and_(*(Trader.id.in_(select(TraderWord.trader_id).where(TraderWord.word.in_(each))) for each in words))


def traders_of(text: str) -> Select[tuple[str]] | None:
    """Ids of the traders with this id, e-mail address or name; None when it can be none of these."""
    if ID.fullmatch(text):
        return select(Trader.id).where(Trader.id == text) if text.startswith("trd_") else None
    condition = has_email(text) if "@" in text else has_name(text)
    return None if condition is None else select(Trader.id).where(condition)


def accounts_of(text: str) -> Select[tuple[str]] | None:
    """Ids of the accounts with this id, number or login at the venue; None when it can be none of these."""
    if text.startswith("acc_"):
        return select(Account.id).where(Account.id == text)
    number, login = account_number_in(text), login_in(text)
    if number is None:
        return None if login is None else select(Account.id).where(Account.login == login)
    numbered: Condition = Account.number == number
    return select(Account.id).where(numbered if login is None else (numbered | (Account.login == login)))


def of_account(column: Any, field: str = "account") -> Any:
    """Returns what makes the condition for rows of an account that is told by its number, login or id. Raises
    BadInput."""

    def where(text: str) -> Condition:
        accounts = accounts_of(text)
        if accounts is None:
            raise BadInput("This is no account.", field=field, remedy="Write its number, like A-10001, or its id.")
        if login_in(text) is not None:  # several platforms can have the same login
            of_any: Condition = column.in_(accounts)
            return of_any
        of_one: Condition = column == accounts.scalar_subquery()
        return of_one

    return where
