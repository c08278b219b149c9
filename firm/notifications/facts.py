"""What notifications say of business events: each event becomes a draft with the values of its text.

Everything is read for many events at once, a statement for each table. What the record no longer has gives no draft.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final, TypeVar

from sqlalchemy import select, tuple_
from sqlalchemy.ext.asyncio import AsyncSession

from domain import wording
from domain.notifications.kinds import OF_EVENTS, Kind
from domain.products.product import Product
from firm import challenges
from store import products
from store.models import Account, Breach, BusinessEvent, Challenge, Dispute, Payout, Ticket, Trader, WarningRow
from store.models.base import Base
from store.read import warnings
from store.read.pages import account_number

M = TypeVar("M", bound=Base)
_VERDICTS: Final = {"reinstating": "in your favour", "reinstated": "in your favour", "upheld": "against you"}


@dataclass(frozen=True)
class Draft:
    """What one person will be told. `person`: a trader, or a user of the firm. `key`: the business key of what is told
    to whom. `topic`: of one topic only the first leaves as mail. `href`: the page in the console. `values` lack the
    link, which depends on where the console is."""

    kind: Kind
    person: str
    key: str
    href: str
    at: datetime
    values: Mapping[str, str]
    topic: str | None = None
    order: int = field(default=0, compare=False)


@dataclass(frozen=True)
class _Known:
    """Rows that the events name, by their ids."""

    accounts: Mapping[str, Account]
    challenges: Mapping[str, Challenge]
    payouts: Mapping[str, Payout]
    breaches: Mapping[str, Breach]
    disputes: Mapping[str, Dispute]
    tickets: Mapping[str, Ticket]
    traders: Mapping[str, Trader]
    warnings: Mapping[tuple[str, datetime], Sequence[WarningRow]]
    terms: Mapping[tuple[str, int], Product]
    dispute_until: Mapping[str, datetime]


async def drafts(session: AsyncSession, events: Sequence[BusinessEvent]) -> list[Draft]:
    """Returns what to tell of these events, in their order. Several may make one draft, and one may make several."""
    wanted = [event for event in events if event.kind in OF_EVENTS and event.trader_id is not None]
    if not wanted:
        return []
    known = await _read(session, wanted)
    found: dict[str, Draft] = {}
    for event in wanted:
        for draft in _of_event(event, known):
            found.setdefault(draft.key, draft)
    return list(found.values())


async def _read(session: AsyncSession, events: Sequence[BusinessEvent]) -> _Known:
    def subjects(kind: str) -> set[str]:
        return {event.subject_id for event in events if event.subject_kind == kind}

    payouts = await _by_id(session, Payout, subjects("payout"))
    breaches = await _by_id(session, Breach, subjects("breach"))
    disputes = await _by_id(session, Dispute, subjects("dispute"))
    accounts = await _by_id(session, Account, {event.account_id for event in events if event.account_id})
    orders = await _by_id(session, Challenge, {event.challenge_id for event in events if event.challenge_id})
    versions = {(row.product, row.version) for row in accounts.values()}
    versions |= {(row.product, row.version) for row in orders.values()}
    return _Known(
        accounts=accounts,
        challenges=orders,
        payouts=payouts,
        breaches=breaches,
        disputes=disputes,
        tickets=await _by_id(session, Ticket, subjects("ticket")),
        traders=await _by_id(session, Trader, {event.trader_id for event in events if event.trader_id}),
        warnings=await _warnings(session, events),
        terms={version: await products.load(session, *version) for version in sorted(versions)},
        dispute_until={
            breach.id: await challenges.dispute_until(session, orders[breach.challenge_id], breach)
            for breach in breaches.values()
            if breach.challenge_id in orders
        },
    )


async def _by_id(session: AsyncSession, model: type[M], ids: Iterable[str]) -> dict[str, M]:
    wanted, column = list(ids), model.__table__.c.id
    if not wanted:
        return {}
    rows = await session.execute(select(column, model).where(column.in_(wanted)))
    return {str(row_id): row for row_id, row in rows}


async def _warnings(
    session: AsyncSession, events: Sequence[BusinessEvent]
) -> dict[tuple[str, datetime], list[WarningRow]]:
    """The warnings that events are of, by account and market time. Of one moment each has an event of its own."""
    wanted = {(event.subject_id, event.occurred_at) for event in events if event.kind == "account.warning"}
    found: dict[tuple[str, datetime], list[WarningRow]] = {}
    if wanted:
        moments = tuple_(WarningRow.account_id, WarningRow.at).in_(sorted(wanted))
        for row in await session.scalars(select(WarningRow).where(moments).order_by(WarningRow.id)):
            found.setdefault((row.account_id, row.at), []).append(row)
    return found


def _of_event(event: BusinessEvent, known: _Known) -> list[Draft]:
    kind, trader = OF_EVENTS[event.kind], known.traders.get(event.trader_id or "")
    if trader is None:
        return []
    values = {"trader.name": trader.name, "event.at": wording.instant(event.occurred_at.astimezone(UTC))}
    values |= _of_account(event, known) | _of_challenge(event, known)
    if kind.name == "account.warning":
        return [
            _warned(event, kind, row, known.accounts[event.subject_id], values)
            for row in known.warnings.get((event.subject_id, event.occurred_at), ())
            if event.subject_id in known.accounts
        ]
    found = _OF_SUBJECT[event.subject_kind](event, known)
    if found is None:
        return []
    href, own = found
    return [
        Draft(
            kind=kind,
            person=trader.id,
            key=f"{kind.name}/{event.id}",
            href=href,
            at=event.occurred_at,
            values=values | own,
            order=event.seq,
        )
    ]


def _of_account(event: BusinessEvent, known: _Known) -> dict[str, str]:
    account = known.accounts.get(event.account_id or "")
    if account is None:
        return {}
    terms = known.terms[account.product, account.version]
    return {
        "account.number": account_number(account.number),
        "product.name": terms.name,
        "phase.name": terms.phase(account.phase_index).name,
    }


def _of_challenge(event: BusinessEvent, known: _Known) -> dict[str, str]:
    order = known.challenges.get(event.challenge_id or "")
    if order is None:
        return {}
    return {
        "product.name": known.terms[order.product, order.version].name,
        "order.amount": wording.money(order.fee_minor, order.currency),
    }


def _warned(event: BusinessEvent, kind: Kind, row: WarningRow, account: Account, values: dict[str, str]) -> Draft:
    """A warning of one sort is told once a day for each rule of an account, and of one rule at most one mail leaves a
    day."""
    topic = f"{account.id}/{row.rule_id}/{row.at.astimezone(UTC):%Y-%m-%d}"
    own = {
        "limit.name": wording.name(row.rule_id.removesuffix(".up")),
        "warning.text": warnings.words(row.kind, row.rule_id, row.figures, account.currency),
    }
    return Draft(
        kind=kind,
        person=account.trader_id,
        key=f"{kind.name}/{topic}/{row.kind}",
        href=f"/accounts/{account_number(account.number)}",
        at=row.at,
        values=values | own,
        topic=topic,
        order=event.seq,
    )


_Page = tuple[str, dict[str, str]]
"""The page that an event is about, and the values that its kind alone has."""


def _of_trader(event: BusinessEvent, known: _Known) -> _Page | None:
    verified = known.traders[event.trader_id or ""].identity == "verified"
    return "/", {"identity.state": "verified" if verified else "not verified"}


def _of_order(event: BusinessEvent, known: _Known) -> _Page | None:
    return (f"/challenges/{event.subject_id}", {}) if event.subject_id in known.challenges else None


def _of_opened(event: BusinessEvent, known: _Known) -> _Page | None:
    account = known.accounts.get(event.subject_id)
    return None if account is None else (f"/accounts/{account_number(account.number)}", {})


def _of_breach(event: BusinessEvent, known: _Known) -> _Page | None:
    found, account = known.breaches.get(event.subject_id), known.accounts.get(event.account_id or "")
    if found is None or account is None or found.id not in known.dispute_until:
        return None
    return f"/proofs/{found.proof_id}", {
        "breach.rule": wording.name(found.rule_id.removesuffix(".up")),
        "breach.equity": wording.money(found.equity_minor, account.currency),
        "breach.dispute_until": wording.instant(known.dispute_until[found.id].astimezone(UTC)),
    }


def _of_payout(event: BusinessEvent, known: _Known) -> _Page | None:
    found = known.payouts.get(event.subject_id)
    if found is None:
        return None
    amount = wording.money(found.trader_minor + found.refund_minor, found.currency)
    return f"/payouts/{found.id}", {"payout.amount": amount}


def _of_dispute(event: BusinessEvent, known: _Known) -> _Page | None:
    found = known.disputes.get(event.subject_id)
    if found is None or found.state not in _VERDICTS:
        return None
    return f"/disputes/{found.id}", {"dispute.outcome": _VERDICTS[found.state]}


def _of_ticket(event: BusinessEvent, known: _Known) -> _Page | None:
    found = known.tickets.get(event.subject_id)
    return None if found is None else (f"/tickets/{found.root_id or found.id}", {"ticket.subject": found.subject})


_OF_SUBJECT: Final[Mapping[str, Callable[[BusinessEvent, _Known], _Page | None]]] = {
    "trader": _of_trader,
    "challenge": _of_order,
    "account": _of_opened,
    "breach": _of_breach,
    "payout": _of_payout,
    "dispute": _of_dispute,
    "ticket": _of_ticket,
}
