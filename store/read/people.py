"""Traders. Bank accounts are always masked."""

from datetime import datetime
from typing import Any, Final

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from domain.errors import BadInput, NotFound
from store import reasons
from store.models import Account, AuditEntry, Challenge, IdentityCheck, Trader, User
from store.read import finding, history, listing
from store.read.finding import Named
from store.read.listing import EVERYTHING, UPDATED, Asked, Condition, Filter, Listing, Order, equals, updated_since
from store.read.pages import Page, View, Window, mask_iban
from store.scope import Scope


class TraderView(View):
    id: str
    updated_at: datetime
    name: str
    email: str
    country: str
    identity: str
    email_confirmed: bool
    beneficiary: str | None
    challenges: int
    created_at: datetime


def _statement(scope: Scope) -> Any:
    challenges = select(func.count()).where(Challenge.trader_id == Trader.id).correlate(Trader).scalar_subquery()
    return select(Trader, challenges.label("challenges")).where(scope.own(Trader.id))


def _view(row: Any) -> TraderView:
    trader: Trader = row.Trader
    return TraderView(
        id=trader.id,
        updated_at=trader.updated_at,
        name=trader.name,
        email=trader.email,
        country=trader.country,
        identity=trader.identity,
        email_confirmed=trader.email_confirmed_at is not None,
        beneficiary=mask_iban(trader.beneficiary),
        challenges=row.challenges,
        created_at=trader.created_at,
    )


def _from_country(text: str) -> Condition:
    if len(text) != 2 or not text.isascii() or not text.isalpha():
        raise BadInput("This is no country.", field="country", remedy="Write its two letters, like DE.")
    return Trader.country == text.upper()


def _found(named: Named) -> list[Condition]:
    found = named.beside(Trader.id, None)
    if named.accounts:
        found.append(Trader.id.in_(select(Account.trader_id).where(Account.id.in_(named.accounts))))
    return found


TRADERS: Final = Listing(
    name="traders",
    rows=Trader,
    owner=Trader.id,
    filters={
        "identity": Filter("Identity", equals(Trader.identity), ("unverified", "verified", "refused")),
        "country": Filter("Country", _from_country),
        "email": Filter("E-mail address", finding.has_email, private=True),
        "updated_since": updated_since(Trader.updated_at),
    },
    orders={
        "since": Order(lambda _: [Trader.recorded_at, Trader.id]),
        UPDATED: Order(lambda _: [Trader.updated_at, Trader.id]),
    },
    order="-since",
    finds=_found,
    searches="name, e-mail address, account number, login",
)


async def page(session: AsyncSession, scope: Scope, window: Window, asked: Asked = EVERYTHING) -> Page[TraderView]:
    found = await listing.rows(session, TRADERS, _statement(scope), scope, window, asked)
    items = tuple(_view(row) for row in found.rows)
    return Page[TraderView](items=items, next_cursor=found.next_cursor, previous_cursor=found.previous_cursor)


async def one(session: AsyncSession, scope: Scope, trader_id: str) -> TraderView:
    """Raises NotFound."""
    row = (await session.execute(_statement(scope).where(Trader.id == trader_id))).one_or_none()
    if row is None:
        raise NotFound
    return _view(row)


class IdentityCheckView(View):
    """`verified_name`, `born`: "" while unknown."""

    checker: str
    status: str
    why: str
    url: str
    verified_name: str
    born: str


async def identity_check(session: AsyncSession, scope: Scope, trader_id: str) -> IdentityCheckView | None:
    """Returns the newest identity check of a trader."""
    found = (
        select(IdentityCheck)
        .join(Trader, Trader.id == IdentityCheck.trader_id)
        .where(Trader.id == trader_id, scope.own(Trader.id))
        .order_by(IdentityCheck.recorded_at.desc(), IdentityCheck.id.desc())
        .limit(1)
    )
    row = await session.scalar(found)
    if row is None:
        return None
    return IdentityCheckView(
        checker=row.checker,
        status=row.status,
        why=row.why,
        url=row.url or "",
        verified_name=row.verified_name or "",
        born=row.born or "",
    )


_IDENTITY: Final = {"trader.identity_verified": "verify", "trader.identity_refused": "refuse"}


async def identity_decisions(session: AsyncSession, scope: Scope, trader_id: str) -> tuple[history.DecisionView, ...]:
    """Returns the identity decisions from the audit log, oldest first.

    The caller has checked that `scope` may see the trader.
    """
    rows = await session.execute(
        select(AuditEntry, User.name)
        .join(User, User.id == AuditEntry.actor)
        .where(AuditEntry.subject_kind == "trader", AuditEntry.subject_id == trader_id)
        .where(AuditEntry.action.in_(_IDENTITY))
        .order_by(AuditEntry.seq)
    )
    found = rows.all()
    said = await reasons.opened(session, (entry.reason for entry, _ in found))
    return tuple(
        history.DecisionView(
            decision=_IDENTITY[entry.action],
            user_id=entry.actor if scope.staff else None,
            name=name if scope.staff else None,
            role=entry.role,
            reason=said[entry.reason],
            evidence={},
            occurred_at=entry.occurred_at,
            recorded_at=entry.recorded_at,
        )
        for entry, name in found
    )
