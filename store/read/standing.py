"""An account as its last checkpoint has it, with the prices of its shard: what a verdict on an order needs. One SQL
statement, without the parts of the checkpoint that grow with the account's life."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Row, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from domain.errors import NotFound
from store import chains
from store.models import Account, AccountLive, EquityBar, MarketClock, ProductVersion, Shard, Suspension
from store.scope import Scope


@dataclass(frozen=True, slots=True)
class StandingRow:
    """The columns as they are stored. Everything of the checkpoint is None before the first one, and everything of the
    shard while the account moves between two shards."""

    account: Account
    terms: dict[str, Any]
    batch: int | None
    at: datetime | None
    balance_minor: int | None
    equity_minor: int | None
    positions: list[dict[str, Any]] | None
    rules: dict[str, Any] | None
    costs: dict[str, Any] | None
    offences: dict[str, int] | None
    history: dict[str, Any] | None
    limits: dict[str, Any] | None
    paused: str | None
    resetting: str | None
    suspended: bool
    quotes: dict[str, Any] | None
    instruments: dict[str, Any] | None
    checkpoint_at: datetime | None
    watermark: datetime | None


async def one(
    session: AsyncSession,
    scope: Scope,
    *,
    account_id: str | None = None,
    platform: str | None = None,
    login: int | None = None,
) -> StandingRow:
    """Returns the account with this id, or with this login on a platform. Raises NotFound."""
    mine = Account.id == account_id
    if account_id is None:
        mine = (Account.platform == platform) & (Account.login == login)
    back = chains.back_query(select(Account.challenge_id).where(mine).correlate(None).scalar_subquery())
    suspended = select(Suspension.id).where(Suspension.challenge_id.in_(back), Suspension.ended_at.is_(None)).exists()
    state = AccountLive.rule_state
    conduct, feed = state["conduct"], Shard.feed
    statement = (
        select(
            Account,
            ProductVersion.terms,
            AccountLive.batch,
            AccountLive.at,
            AccountLive.balance_minor,
            AccountLive.equity_minor,
            AccountLive.positions,
            state["rules"].label("rules"),
            state["costs"].label("costs"),
            state["offences"].label("offences"),
            conduct["history"].label("history"),
            conduct["limits"].label("limits"),
            conduct["paused"].astext.label("paused"),
            conduct["resetting"].astext.label("resetting"),
            suspended.label("suspended"),
            feed["quotes"].label("quotes"),
            feed["instruments"].label("instruments"),
            Shard.checkpoint_at,
            MarketClock.watermark,
        )
        .join(ProductVersion, (ProductVersion.product == Account.product) & (ProductVersion.version == Account.version))
        .outerjoin(AccountLive, AccountLive.account_id == Account.id)
        .outerjoin(Shard, Shard.id == Account.shard)
        .outerjoin(MarketClock, MarketClock.feed == Account.platform)
        .where(mine, scope.own(Account.trader_id))
    )
    row: Row[Any] | None = (await session.execute(statement)).one_or_none()
    if row is None:
        raise NotFound
    return StandingRow(row[0], *row[1:])


async def highest_since(session: AsyncSession, account_id: str, at: datetime) -> int | None:
    """Returns the highest equity in the minutes that began after `at`; None without such a minute. The row of a merely
    marked account of a large shard waits, and its minutes show how far its peaks have risen."""
    highest: int | None = await session.scalar(
        select(func.max(EquityBar.high_minor)).where(EquityBar.account_id == account_id, EquityBar.minute > at)
    )
    return highest
