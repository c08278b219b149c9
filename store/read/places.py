"""Changes of platform, and the places that accounts have had."""

from datetime import datetime
from typing import Any

from sqlalchemy import Row, Select, select
from sqlalchemy.ext.asyncio import AsyncSession

from domain.errors import NotFound
from domain.platform_changes import UNFINISHED
from store.models import Account, AccountLive, AccountPlace, PlatformChange, Trader, User
from store.read import history
from store.read.pages import Page, View, Window, account_number, keyset
from store.reading import read_once
from store.scope import FIRM


class PlatformChangeRow(View):
    """A change of platform. `why`: it was abandoned. `switched_at`: market time at which the account left. The login at
    the new platform and the balance are None until they are known."""

    id: str
    state: str
    account_id: str
    account_number: str
    trader_id: str
    trader_name: str
    from_platform: str
    from_login: int
    to_platform: str
    to_login: int | None
    close_positions: bool
    reason: str
    why: str
    currency: str
    balance_minor: int | None
    proposed_by: str
    proposed_by_name: str
    proposed_at: datetime
    switched_at: datetime | None
    proof_id: str | None
    closed_at: datetime | None


class PlatformChangeView(PlatformChangeRow):
    """With what the change carries over, as the record has it now; an approval carries its `seen`."""

    proposer_person: str
    seen: str
    trading_days: int
    last_trading_day: str | None
    open_positions: int
    live_balance_minor: int | None
    live_equity_minor: int | None
    floors: dict[str, int]
    decisions: tuple[history.DecisionView, ...]
    transitions: tuple[history.TransitionView, ...]


class PlaceView(View):
    """Where an account was, or is: `until` is None at its present place. Market times."""

    number: int
    platform: str
    login: int
    since: datetime | None
    until: datetime | None
    proof_id: str | None


def _statement() -> Select[Any]:
    return (
        select(PlatformChange, Account, Trader.name.label("trader"), User.name.label("proposer"), User.person_id)
        .join(Account, Account.id == PlatformChange.account_id)
        .join(Trader, Trader.id == Account.trader_id)
        .join(User, User.id == PlatformChange.proposed_by)
    )


def _fields(row: Row[Any]) -> dict[str, Any]:
    change, account = row[0], row[1]
    names = set(PlatformChangeRow.model_fields) & set(PlatformChange.__table__.columns.keys())
    return {
        **{name: getattr(change, name) for name in names},
        "account_number": account_number(account.number),
        "trader_id": account.trader_id,
        "trader_name": row.trader,
        "currency": account.currency,
        "proposed_by_name": row.proposer,
    }


async def page(session: AsyncSession, window: Window, *, state: str | None = None) -> Page[PlatformChangeRow]:
    """Newest first."""
    statement = _statement()
    if state is not None:
        statement = statement.where(PlatformChange.state == state)
    rows, cursor = await keyset(session, statement, [PlatformChange.proposed_at, PlatformChange.id], window)
    return Page[PlatformChangeRow](items=tuple(PlatformChangeRow(**_fields(row)) for row in rows), next_cursor=cursor)


async def one(session: AsyncSession, change_id: str, seen: str) -> PlatformChangeView:
    """`seen`: the digest of the figures, which the caller computes. Raises NotFound."""
    row = (await session.execute(_statement().where(PlatformChange.id == change_id))).one_or_none()
    if row is None:
        raise NotFound
    live = await session.get(AccountLive, row[0].account_id)
    return PlatformChangeView(
        **_fields(row),
        proposer_person=row.person_id,
        seen=seen,
        trading_days=live.trading_days if live else 0,
        last_trading_day=live.last_trading_day.isoformat() if live and live.last_trading_day else None,
        open_positions=len(live.positions) if live else 0,
        live_balance_minor=live.balance_minor if live else None,
        live_equity_minor=live.equity_minor if live else None,
        floors={key: int(floor["floor_minor"]) for key, floor in live.floors.items()} if live else {},
        decisions=await history.decisions(session, FIRM, "platform_change", change_id),
        transitions=await history.transitions(session, FIRM, "platform_change", change_id),
    )


async def places(session: AsyncSession, account_id: str) -> tuple[PlaceView, ...]:
    """Returns the places of an account, the present one last; none for an account that never changed its platform."""
    rows = await session.execute(
        select(AccountPlace, PlatformChange.proof_id)
        .outerjoin(PlatformChange, PlatformChange.id == AccountPlace.change_id)
        .where(AccountPlace.account_id == account_id)
        .order_by(AccountPlace.number)
    )
    return tuple(
        PlaceView(
            number=place.number,
            platform=place.platform,
            login=place.login,
            since=place.since,
            until=place.until,
            proof_id=proof_id,
        )
        for place, proof_id in rows
    )


class UnfinishedChange(View):
    """A change of platform that has not ended yet."""

    change_id: str
    state: str
    to_platform: str


@read_once
async def unfinished(session: AsyncSession, account_id: str) -> UnfinishedChange | None:
    """Returns the change that an account is in, or None."""
    found: PlatformChange | None = await session.scalar(
        select(PlatformChange).where(PlatformChange.account_id == account_id, PlatformChange.state.in_(UNFINISHED))
    )
    if found is None:
        return None
    return UnfinishedChange(change_id=found.id, state=found.state, to_platform=found.to_platform)
