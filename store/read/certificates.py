"""Certificates of a trader, what one can be made of, and what the public page of one shows."""

from datetime import datetime
from typing import Any, Final

from sqlalchemy import Integer, Select, Subquery, cast, func, literal, null, select, union_all
from sqlalchemy.ext.asyncio import AsyncSession

from domain.certificates import NAMES_SHOWN, Kind, NameShown, digest_of, is_token, shown_name
from domain.errors import NotFound
from store import products
from store.models import Account, Certificate, Payout, PhasePass, Trader
from store.read.pages import View, account_number
from store.scope import Scope

MOST: Final = 200


class Earned(View):
    """A passed phase or a payout that arrived. `occurred_at`: market time. `amount_minor`: what was paid; None for a
    phase. `certificate_id` None: it has no certificate yet."""

    kind: Kind
    subject_id: str
    account_id: str
    account_number: str
    product_name: str
    phase_name: str
    occurred_at: datetime
    amount_minor: int | None
    currency: str
    certificate_id: str | None


class CertificateView(Earned):
    """`state`: live or revoked. `linked_at`: when its link was made (wall time). The link itself was shown once."""

    id: str
    state: str
    name_shown: NameShown
    amount_shown: bool
    linked_at: datetime
    revoked_at: datetime | None


class PublicCertificate(View):
    """What anybody with the link reads: only what the trader chose. `name` "" and `amount_minor` None: not shown."""

    kind: Kind
    name: str
    product_name: str
    phase_name: str
    occurred_at: datetime
    amount_minor: int | None
    currency: str


def _earned() -> Subquery:
    """Every pass, and every payout whose money arrived and is not back."""
    passes = select(
        literal("pass").label("kind"),
        PhasePass.id.label("subject_id"),
        PhasePass.account_id,
        PhasePass.phase_index,
        PhasePass.occurred_at,
        cast(null(), Payout.gross_minor.type).label("amount_minor"),
    )
    arrived = Payout.state == "paid"
    payouts = select(
        literal("payout"),
        Payout.id,
        Payout.account_id,
        cast(null(), Integer),
        func.coalesce(Payout.closed_at, Payout.changed_at),
        Payout.trader_minor + Payout.refund_minor,
    ).where(arrived)
    return union_all(passes, payouts).subquery("earned")


def _statement() -> tuple[Select[Any], Subquery]:
    found = _earned()
    same = (Certificate.kind == found.c.kind) & (Certificate.subject_id == found.c.subject_id)
    statement = (
        select(found, Account, Trader.name.label("trader_name"), Certificate)
        .join(Account, Account.id == found.c.account_id)
        .join(Trader, Trader.id == Account.trader_id)
        .outerjoin(Certificate, same)
    )
    return statement, found


async def earned(session: AsyncSession, scope: Scope) -> list[Earned]:
    """Returns the newest `MOST` passes and payouts of the trader, newest first."""
    statement, found = _statement()
    rows = await session.execute(
        statement.where(scope.own(Account.trader_id))
        .order_by(found.c.occurred_at.desc(), found.c.subject_id)
        .limit(MOST)
    )
    return [Earned(**await _fields(session, row)) for row in rows.all()]


async def certificates(session: AsyncSession, scope: Scope) -> list[CertificateView]:
    """Returns the certificates of the trader, the newest link first."""
    statement, _ = _statement()
    rows = await session.execute(
        statement.where(scope.own(Account.trader_id), Certificate.id.is_not(None))
        .order_by(Certificate.linked_at.desc(), Certificate.id)
        .limit(MOST)
    )
    return [await _view(session, row) for row in rows.all()]


async def one_earned(session: AsyncSession, scope: Scope, kind: Kind, subject_id: str) -> Earned:
    """Raises NotFound, also for what belongs to somebody else or has not arrived."""
    statement, found = _statement()
    mine = statement.where(scope.own(Account.trader_id), found.c.kind == kind, found.c.subject_id == subject_id)
    row = (await session.execute(mine)).one_or_none()
    if row is None:
        raise NotFound
    return Earned(**await _fields(session, row))


async def one(session: AsyncSession, scope: Scope, certificate_id: str) -> CertificateView:
    """Raises NotFound."""
    statement, _ = _statement()
    mine = statement.where(scope.own(Account.trader_id), Certificate.id == certificate_id)
    row = (await session.execute(mine)).one_or_none()
    if row is None:
        raise NotFound
    return await _view(session, row)


async def public(session: AsyncSession, token: str) -> PublicCertificate:
    """What the link with this token shows; the transaction must be the firm's. Raises NotFound: there is no such link,
    it was revoked, or what it is about is no longer so. Which of them, nobody learns."""
    statement, _ = _statement()
    digest = digest_of(token) if is_token(token) else ""
    row = (await session.execute(statement.where(Certificate.digest == digest))).one_or_none()
    if row is None:
        raise NotFound
    kept: Certificate = row.Certificate
    fields = await _fields(session, row)
    shown: NameShown = _NAMES[kept.name_shown]
    return PublicCertificate(
        name=shown_name(row.trader_name, shown),
        **{each: fields[each] for each in ("kind", "product_name", "phase_name", "occurred_at", "currency")},
        amount_minor=fields["amount_minor"] if kept.amount_shown else None,
    )


_NAMES: Final[dict[str, NameShown]] = {name: name for name in NAMES_SHOWN}


async def _fields(session: AsyncSession, row: Any) -> dict[str, Any]:
    account: Account = row.Account
    product = await products.load(session, account.product, account.version)
    kept: Certificate | None = row.Certificate
    return {
        "kind": row.kind,
        "subject_id": row.subject_id,
        "account_id": account.id,
        "account_number": account_number(account.number),
        "product_name": product.name,
        "phase_name": product.phase(row.phase_index or account.phase_index).name,
        "occurred_at": row.occurred_at,
        "amount_minor": row.amount_minor,
        "currency": account.currency,
        "certificate_id": None if kept is None else kept.id,
    }


async def _view(session: AsyncSession, row: Any) -> CertificateView:
    kept: Certificate = row.Certificate
    return CertificateView(
        **await _fields(session, row),
        id=kept.id,
        state="live" if kept.digest is not None else "revoked",
        name_shown=_NAMES[kept.name_shown],
        amount_shown=kept.amount_shown,
        linked_at=kept.linked_at,
        revoked_at=kept.revoked_at,
    )
