"""Product versions, proposals, and moves of accounts to another version. For staff."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Row, Select, exists, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from domain.errors import NotFound
from domain.products.diff import FieldChange, differences, sentences
from domain.products.product import Product
from store.models import Account, AccountMove, AccountMoveRow, ProductProposal, ProductVersion, User
from store.read import history
from store.read.pages import Page, View, Window, account_number, keyset
from store.reading import read_once
from store.scope import FIRM


class VersionRow(View):
    """A published version. `proposal_id` is None for a shipped one. `accounts` counts active accounts."""

    product: str
    version: int
    name: str
    content_hash: str
    newest: bool
    accounts: int
    proposal_id: str | None
    recorded_at: datetime


class ProposalRow(View):
    id: str
    product: str
    version: int
    base_version: int | None
    state: str
    source: str
    reason: str
    content_hash: str
    proposed_by: str
    proposed_by_name: str
    proposed_at: datetime


class ProposalView(ProposalRow):
    """With its changes against the base version, and the decisions."""

    proposer_person: str
    changes: tuple[FieldChange, ...]
    terms: Product
    decisions: tuple[history.DecisionView, ...]
    transitions: tuple[history.TransitionView, ...]


class VersionMoveRow(View):
    """A move of accounts. `waiting`, `moved` and `refused` count its accounts."""

    id: str
    product: str
    from_version: int
    to_version: int
    state: str
    reason: str
    proposed_by: str
    proposed_by_name: str
    proposed_at: datetime
    waiting: int
    moved: int
    refused: int


class MovedAccount(View):
    account_id: str
    number: str
    state: str
    why: str
    applied_at: datetime | None


class VersionMoveView(VersionMoveRow):
    """`accounts` holds the first ones by number."""

    proposer_person: str
    changes: tuple[FieldChange, ...]
    accounts: tuple[MovedAccount, ...]
    decisions: tuple[history.DecisionView, ...]
    transitions: tuple[history.TransitionView, ...]


async def any_published(session: AsyncSession) -> bool:
    """Returns whether a product was ever on sale."""
    return bool(await session.scalar(select(exists().select_from(ProductVersion))))


async def versions(session: AsyncSession, product: str | None = None) -> list[VersionRow]:
    """Returns every published version by product, newest first."""
    under = select(func.count()).where(
        Account.product == ProductVersion.product,
        Account.version == ProductVersion.version,
        Account.status == "active",
    )
    statement = select(ProductVersion, under.scalar_subquery()).order_by(
        ProductVersion.product, ProductVersion.version.desc()
    )
    if product is not None:
        statement = statement.where(ProductVersion.product == product)
    seen: set[str] = set()
    rows = []
    for row, accounts in (await session.execute(statement)).tuples():
        rows.append(
            VersionRow(
                product=row.product,
                version=row.version,
                name=row.name,
                content_hash=row.content_hash,
                newest=row.product not in seen,
                accounts=accounts,
                proposal_id=row.proposal_id,
                recorded_at=row.recorded_at,
            )
        )
        seen.add(row.product)
    return rows


def _proposals() -> Select[Any]:
    return select(ProductProposal, User.name, User.person_id).join(User, User.id == ProductProposal.proposed_by)


def _proposal(row: ProductProposal, name: str) -> dict[str, Any]:
    plain = ("id", "product", "version", "base_version", "state", "source", "reason", "content_hash", "proposed_by")
    return {**{field: getattr(row, field) for field in plain}, "proposed_by_name": name, "proposed_at": row.proposed_at}


async def proposals(session: AsyncSession, window: Window, *, state: str | None = None) -> Page[ProposalRow]:
    """Newest first."""
    statement = _proposals()
    if state is not None:
        statement = statement.where(ProductProposal.state == state)
    rows, cursor = await keyset(session, statement, [ProductProposal.proposed_at, ProductProposal.id], window)
    items = tuple(ProposalRow(**_proposal(row[0], row[1])) for row in rows)
    return Page[ProposalRow](items=items, next_cursor=cursor)


async def proposal(session: AsyncSession, proposal_id: str) -> ProposalView:
    """Raises NotFound."""
    found = (await session.execute(_proposals().where(ProductProposal.id == proposal_id))).one_or_none()
    if found is None:
        raise NotFound
    row: ProductProposal = found[0]
    terms = Product.model_validate(row.terms)
    base = None if row.base_version is None else await _terms(session, row.product, row.base_version)
    return ProposalView(
        **_proposal(row, found[1]),
        proposer_person=found[2],
        changes=(*differences(base, terms), *sentences(base, terms)),
        terms=terms,
        decisions=await history.decisions(session, FIRM, "product_version", row.id),
        transitions=await history.transitions(session, FIRM, "product_version", row.id),
    )


async def _terms(session: AsyncSession, product: str, version: int) -> Product:
    return Product.model_validate((await session.get_one(ProductVersion, (product, version))).terms)


def _moves() -> Select[Any]:
    def count(state: str) -> Any:
        return (
            select(func.count())
            .where(AccountMoveRow.move_id == AccountMove.id, AccountMoveRow.state == state)
            .scalar_subquery()
        )

    counts = [count(state).label(state) for state in ("waiting", "moved", "refused")]
    return select(AccountMove, User.name, User.person_id, *counts).join(User, User.id == AccountMove.proposed_by)


def _move(row: Row[Any]) -> dict[str, Any]:
    plain = ("id", "product", "from_version", "to_version", "state", "reason", "proposed_by", "proposed_at")
    return {
        **{field: getattr(row[0], field) for field in plain},
        "proposed_by_name": row[1],
        "waiting": row.waiting,
        "moved": row.moved,
        "refused": row.refused,
    }


async def moves(session: AsyncSession, window: Window, *, state: str | None = None) -> Page[VersionMoveRow]:
    """Newest first."""
    statement = _moves()
    if state is not None:
        statement = statement.where(AccountMove.state == state)
    rows, cursor = await keyset(session, statement, [AccountMove.proposed_at, AccountMove.id], window)
    return Page[VersionMoveRow](items=tuple(VersionMoveRow(**_move(row)) for row in rows), next_cursor=cursor)


async def move(session: AsyncSession, move_id: str, *, most: int = 200) -> VersionMoveView:
    """Returns the move with its first `most` accounts. Raises NotFound."""
    found = (await session.execute(_moves().where(AccountMove.id == move_id))).one_or_none()
    if found is None:
        raise NotFound
    row: AccountMove = found[0]
    old, new = [await _terms(session, row.product, version) for version in (row.from_version, row.to_version)]
    named = await session.execute(
        select(AccountMoveRow, Account.number)
        .join(Account, Account.id == AccountMoveRow.account_id)
        .where(AccountMoveRow.move_id == move_id)
        .order_by(Account.number)
        .limit(most)
    )
    return VersionMoveView(
        **_move(found),
        proposer_person=found[2],
        changes=(*differences(old, new), *sentences(old, new)),
        accounts=_accounts(named.tuples().all()),
        decisions=await history.decisions(session, FIRM, "account_move", move_id),
        transitions=await history.transitions(session, FIRM, "account_move", move_id),
    )


def _accounts(rows: Sequence[tuple[AccountMoveRow, int]]) -> tuple[MovedAccount, ...]:
    return tuple(
        MovedAccount(
            account_id=row.account_id,
            number=account_number(number),
            state=row.state,
            why=row.why,
            applied_at=row.applied_at,
        )
        for row, number in rows
    )


class PendingMove(View):
    """A pending move of an account: `proposed`, or `approved` and applied at its next daily reset."""

    move_id: str
    to_version: int
    state: str


@read_once
async def pending_move(session: AsyncSession, account_id: str) -> PendingMove | None:
    """Returns the pending move of an account, an approved one before a proposed one, or None."""
    statement = (
        select(AccountMove.id, AccountMove.to_version, AccountMove.state)
        .join(AccountMoveRow, AccountMoveRow.move_id == AccountMove.id)
        .where(
            AccountMoveRow.account_id == account_id,
            AccountMoveRow.state == "waiting",
            AccountMove.state.in_(("proposed", "approved")),
        )
        .order_by(AccountMove.state, AccountMove.id)
        .limit(1)
    )
    found = (await session.execute(statement)).one_or_none()
    return None if found is None else PendingMove(move_id=found[0], to_version=found[1], state=found[2])


class DoneMove(View):
    """A move of an account to another version that has happened. `at`: market time."""

    from_version: int
    to_version: int
    at: datetime


async def moves_of(session: AsyncSession, account_id: str) -> list[DoneMove]:
    """Returns the moves of an account that have happened, newest first."""
    rows = await session.execute(
        select(AccountMove.from_version, AccountMove.to_version, AccountMoveRow.applied_at)
        .join(AccountMoveRow, AccountMoveRow.move_id == AccountMove.id)
        .where(AccountMoveRow.account_id == account_id, AccountMoveRow.state == "moved")
        .order_by(AccountMoveRow.applied_at.desc(), AccountMove.id)
    )
    return [DoneMove(from_version=row[0], to_version=row[1], at=row[2]) for row in rows]
