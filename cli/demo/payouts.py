"""Which funded accounts may have something to pay out: one query for all, before each is looked at closely."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final, NamedTuple

from sqlalchemy import Text, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from store.models import Account, AccountLive, Payout

_SETTLES_WITHIN: Final = timedelta(days=2)  # each daily limit has begun anew since the last trade


class Figures(NamedTuple):
    """What the payable amount of an account depends on. `rules`: a digest of the state of its rules, which changes at
    each reset of a daily limit too."""

    money: tuple[object, ...]
    rules: str


class _Known(NamedTuple):
    """`begun`: when the account's money was first seen like this. `since`: from when on it may be paid out; None: it is
    too little."""

    figures: Figures
    begun: datetime
    looked: datetime
    since: datetime | None


class TooLittle:
    """The accounts of which nothing could be paid out when they were looked at."""

    def __init__(self) -> None:
        self._known: dict[str, _Known] = {}

    def is_known(self, account_id: str, figures: Figures, now: datetime) -> bool:
        """Returns whether a look now would find the same as the last one. While an account's money stays, a reset of a
        daily limit gives it room once at most."""
        known = self._known.get(account_id)
        if known is None or known.figures.money != figures.money:
            return False
        if known.since is not None and now >= known.since:
            return False
        return known.figures.rules == figures.rules or known.looked >= known.begun + _SETTLES_WITHIN

    def note(self, account_id: str, figures: Figures, now: datetime, since: datetime | None) -> None:
        before = self._known.get(account_id)
        same = before is not None and before.figures.money == figures.money
        begun = before.begun if before is not None and same else now
        self._known[account_id] = _Known(figures, begun, now, since)

    def payable(self) -> dict[str, datetime]:
        """Returns from when on each account that has enough may be paid."""
        return {account_id: each.since for account_id, each in self._known.items() if each.since is not None}


async def payout_figures(session: AsyncSession, account_ids: Sequence[str | None]) -> dict[str, Figures]:
    """Returns what the payable amount depends on, of the accounts without open positions and without an open payout."""
    waiting = select(Payout.account_id).where(Payout.closed_at.is_(None))
    states = (
        select(func.string_agg(Payout.id + Payout.state, ","))
        .where(Payout.account_id == AccountLive.account_id)
        .scalar_subquery()
    )
    rows = await session.execute(
        select(
            AccountLive.account_id,
            AccountLive.balance_minor,
            AccountLive.equity_minor,
            AccountLive.trading_days,
            Account.version,
            states,
            func.md5(AccountLive.rule_state.cast(Text)),
        )
        .join(Account, Account.id == AccountLive.account_id)
        .where(
            AccountLive.account_id.in_([each for each in account_ids if each]),
            func.jsonb_array_length(AccountLive.positions) == 0,
            AccountLive.account_id.not_in(waiting),
        )
    )
    return {row[0]: Figures(tuple(row[1:-1]), row[-1]) for row in rows}
