"""The lines of the ledger, each with its transaction. For staff."""

from datetime import datetime
from typing import Any, Final

from sqlalchemy import Select, select, union_all
from sqlalchemy.ext.asyncio import AsyncSession

from domain.currencies import DIGITS
from store.models import Account, Challenge, LedgerTransaction, Payout, Posting
from store.read import listing
from store.read.finding import ID, Named
from store.read.listing import EVERYTHING, UPDATED, Asked, Condition, Filter, Listing, Order, Sum, equals, updated_since
from store.read.pages import Page, View, Window
from store.scope import FIRM


class EntryLine(View):
    """Debit positive. `reference`: the challenge, payout or other thing that the money is for. `layer`: posted, or
    pending for a reserve."""

    id: int
    updated_at: datetime
    transaction_id: int
    kind: str
    reference: str
    account: str
    currency: str
    amount_minor: int
    layer: str
    occurred_at: datetime


def _about(references: Any) -> Condition:
    transactions = select(LedgerTransaction.id).where(LedgerTransaction.reference.in_(references))
    return Posting.transaction_id.in_(transactions)


def _found(named: Named) -> list[Condition]:
    """What belongs to a trader or an account has the challenge or the payout as its reference."""
    if ID.fullmatch(named.text) and not named.owned:
        return [_about([named.text])]
    of_accounts = select(Account.challenge_id).where(Account.id.in_(named.owned))
    of_traders = select(Challenge.id).where(Challenge.trader_id.in_(named.traders))
    payouts = select(Payout.id).where(Payout.account_id.in_(named.owned))
    return [_about(union_all(payouts, of_accounts, of_traders))] if named.owned or named.traders else []


ENTRIES: Final = Listing(
    name="ledger",
    rows=Posting,
    owner=None,
    filters={
        "account": Filter("Account of the ledger", equals(Posting.account)),
        "currency": Filter("Currency", equals(Posting.currency), tuple(sorted(DIGITS))),
        "layer": Filter("Status", equals(Posting.layer), ("posted", "pending")),
        "reference": Filter("Reference", lambda text: _about([text])),
        "transaction": Filter("Transaction", lambda text: Posting.transaction_id == _number(text)),
        "updated_since": updated_since(Posting.updated_at),
    },
    orders={
        "posted": Order(lambda _: [Posting.id]),
        UPDATED: Order(lambda _: [Posting.updated_at, Posting.id]),
    },
    order="-posted",
    finds=_found,
    searches="id of a payout or a challenge, trader’s name or e-mail address, account number",
    sums=(Sum("Net", Posting.amount_minor, Posting.currency),),
)


def _number(text: str) -> int:
    return int(text) if text.isdecimal() and len(text) <= 18 else -1


def _statement() -> Select[Any]:
    return select(Posting, LedgerTransaction).join(LedgerTransaction, LedgerTransaction.id == Posting.transaction_id)


async def page(session: AsyncSession, window: Window, asked: Asked = EVERYTHING) -> Page[EntryLine]:
    """Newest first."""
    found = await listing.rows(session, ENTRIES, _statement(), FIRM, window, asked)
    items = tuple(
        EntryLine(
            id=row.Posting.id,
            updated_at=row.Posting.updated_at,
            transaction_id=row.LedgerTransaction.id,
            kind=row.LedgerTransaction.kind,
            reference=row.LedgerTransaction.reference,
            account=row.Posting.account,
            currency=row.Posting.currency,
            amount_minor=row.Posting.amount_minor,
            layer=row.Posting.layer,
            occurred_at=row.LedgerTransaction.occurred_at,
        )
        for row in found.rows
    )
    return Page[EntryLine](items=items, next_cursor=found.next_cursor, previous_cursor=found.previous_cursor)
