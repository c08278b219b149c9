"""What the record says beside a ticket: the account as its page shows it, what is in the way of a payout, the room to
every limit, a breach with its proof, the identity. The same functions answer here, on the account page and in a preview
of a payout."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from domain.errors import NotFound
from domain.payouts.blocks import Block
from domain.rules.base import VenueCalendar
from domain.service.answers import Broken, Least, Topic, blocks_sentence, likely, moment
from domain.wording import money
from firm import challenges
from firm.payouts import preview as previews
from firm.service import clocks
from store import products, rows
from store.clock import market_now
from store.models import Account, Breach, Payout, Ticket, Trader
from store.read import accounts, breaches, payouts, room
from store.read.accounts import AccountView
from store.read.breaches import BreachView
from store.read.pages import View, Window
from store.read.payouts import PayoutRow
from store.read.room import LimitRoom, RoomView
from store.scope import FIRM

_ONE: Final = Window(limit=1)


class LikelyAnswer(View):
    """One sentence. `kind` and `id` name the page that proves it: proof, payout, trader; empty without one."""

    topic: Topic
    sentence: str
    kind: str
    id: str


class TicketContext(View):
    """`as_of`: market time. `account`: the one that the ticket is about, else the newest of the trader. `chosen`:
    whether the ticket itself says so. `blocks`: what is in the way of a payout of the account, with its end where that
    is known. `possible_from`: as in the preview of a payout."""

    as_of: datetime
    trader_id: str
    trader_name: str
    identity: str
    subject: str
    account: AccountView | None
    chosen: bool
    limits: RoomView | None
    breach: BreachView | None
    dispute_until: datetime | None
    payout: PayoutRow | None
    most_minor: int | None
    blocks: tuple[Block, ...]
    possible_from: datetime | None
    answers: tuple[LikelyAnswer, ...]


async def of(
    session: AsyncSession,
    ticket: Ticket,
    *,
    members: Sequence[str] | None = None,
    calendars: Mapping[str, VenueCalendar] | None = None,
) -> TicketContext:
    """Returns the context of a ticket. For people of the firm only. `members`: the family of the ticket, where the
    caller has read it. Raises NotFound for a ticket of somebody who is no trader, or did not prove to be one."""
    if ticket.trader_id is None:
        raise NotFound("Nothing is known of the sender: this ticket has no context.")
    account_id, chosen = await _account(session, ticket, members or await clocks.family(session, ticket.id))
    known: dict[str, Any] = {} if account_id is None else await _of_account(session, account_id, calendars)
    account: AccountView | None = known.get("account")
    trader = await session.get_one(Trader, ticket.trader_id)
    paid = await _payout(session, ticket, account_id)
    context = TicketContext(
        as_of=await market_now(session),
        trader_id=trader.id,
        trader_name=trader.name,
        identity=trader.identity,
        subject=ticket.subject,
        account=account,
        chosen=chosen,
        limits=known.get("limits"),
        breach=known.get("breach"),
        dispute_until=known.get("dispute_until"),
        payout=paid,
        most_minor=known.get("most_minor"),
        blocks=known.get("blocks", ()),
        possible_from=known.get("possible_from"),
        answers=(),
    )
    return context.model_copy(update={"answers": _answers(context)})


async def _account(session: AsyncSession, ticket: Ticket, members: Sequence[str]) -> tuple[str | None, bool]:
    """Returns the account that a ticket, one merged into it, or its payout is about; else the newest of the trader."""
    if ticket.account_id is not None:
        return ticket.account_id, True
    rows = await session.execute(
        select(Ticket.id, Ticket.account_id, Payout.account_id.label("of_payout"))
        .outerjoin(Payout, Payout.id == Ticket.payout_id)
        .where(Ticket.id.in_(members))
    )
    named = {row.id: row.account_id or row.of_payout for row in rows}
    for ticket_id in members:
        if named.get(ticket_id):
            return str(named[ticket_id]), True
    newest = select(Account.id).where(Account.trader_id == ticket.trader_id).order_by(Account.number.desc()).limit(1)
    return await session.scalar(newest), False


async def _of_account(
    session: AsyncSession, account_id: str, calendars: Mapping[str, VenueCalendar] | None
) -> dict[str, Any]:
    found_rows = await accounts.loaded(session, FIRM, account_id)
    for row in (found_rows.account, found_rows.live, found_rows.challenge, found_rows.trader):
        if row is not None:
            rows.keep(session, row)  # what follows finds them loaded, and sees the same
    account = await accounts.view(session, found_rows)
    broken = (await breaches.page(session, FIRM, _ONE, account_id=account_id)).items
    found: dict[str, Any] = {"account": account, "breach": broken[0] if broken else None}
    if broken:
        breach = await session.get_one(Breach, broken[0].id)
        found["dispute_until"] = await challenges.dispute_until(session, found_rows.challenge, breach)
    if account.status == "active":
        terms = await products.load(session, account.product, account.version)
        found["limits"] = room.of(found_rows.account, found_rows.live, terms, account.market_time)
    if account.funded:
        ahead = await previews.preview(session, account_id, calendars=calendars)
        found |= {"blocks": ahead.blocks, "most_minor": ahead.most_minor, "possible_from": ahead.possible_from}
    return found


async def _payout(session: AsyncSession, ticket: Ticket, account_id: str | None) -> PayoutRow | None:
    """Returns the payout that the ticket names, else the newest of the account."""
    if ticket.payout_id is not None:
        return await payouts.one(session, FIRM, ticket.payout_id)
    if account_id is None:
        return None
    found = (await payouts.page(session, FIRM, _ONE, account_id=account_id)).items
    return found[0] if found else None


def _tightest(context: TicketContext) -> LimitRoom | None:
    return context.limits.tightest if context.limits and context.limits.limits else None


def _words(name: str) -> str:
    return name.removesuffix(".up").replace("_", " ")


def _answers(context: TicketContext) -> tuple[LikelyAnswer, ...]:
    account, breach, paid, least = context.account, context.breach, context.payout, _tightest(context)
    found = likely(
        currency="USD" if account is None else account.currency,
        broken=None
        if breach is None
        else Broken(
            rule=_words(breach.rule_id).capitalize(),
            at=breach.occurred_at,
            equity_minor=breach.equity_minor,
            floor_minor=breach.floor_minor,
            proof_id=breach.proof_id,
            counts=breach.status == "confirmed",
            dispute_until=None if breach.dispute_id else context.dispute_until,
        ),
        payout=None if paid is None else (paid.id, _payout_words(paid)),
        blocks=context.blocks,
        possible_from=context.possible_from,
        now=context.as_of,
        least=None
        if least is None or context.limits is None
        else Least(_words(least.rule_id), least.room_minor, least.floor_minor, context.limits.at),
        identity=context.identity,
    )
    return tuple(
        LikelyAnswer(
            topic=each.topic,
            sentence=each.sentence,
            kind=each.kind,
            id=each.id or (context.trader_id if each.kind == "trader" else ""),
        )
        for each in found
    )


def _payout_words(paid: PayoutRow) -> str:
    until = f", decided by {moment(paid.decide_by)} at the latest" if paid.decide_by and not paid.closed_at else ""
    told = f" {paid.told}" if paid.told else ""
    return f"{money(paid.sent_minor, paid.currency)} is {_words(paid.state)}{until}.{told}"


def facts(context: TicketContext) -> dict[str, str]:
    """Returns the facts for macros that the record has, by name: see `domain.service.macros.FACTS`. A trader may read
    every one of them."""
    found: dict[str, str | None] = {
        "trader.name": context.trader_name,
        "trader.identity": context.identity,
        "ticket.subject": context.subject,
        **_account_facts(context),
        **_payout_facts(context),
    }
    return {name: value for name, value in found.items() if value}


def _account_facts(context: TicketContext) -> dict[str, str | None]:
    account = context.account
    if account is None:
        return {}
    found = {
        "account.number": account.number,
        "account.product": account.product_name,
        "account.status": account.status,
        "account.balance": _money(account.balance_minor, account.currency),
        "account.equity": _money(account.equity_minor, account.currency),
        "account.at": _when(account.at),
        "limit.reset": _when(account.next_reset),
    }
    if (least := _tightest(context)) is not None:
        found |= {
            "limit.name": _words(least.rule_id),
            "limit.room": _money(least.room_minor, account.currency),
            "limit.floor": _money(least.floor_minor, account.currency),
        }
    if (breach := context.breach) is not None:
        found |= {
            "breach.rule": _words(breach.rule_id),
            "breach.at": moment(breach.occurred_at),
            "breach.equity": _money(breach.equity_minor, breach.currency),
            "breach.floor": _money(breach.floor_minor, breach.currency),
            "breach.dispute_until": _when(context.dispute_until),
        }
    return found


def _payout_facts(context: TicketContext) -> dict[str, str | None]:
    found: dict[str, str | None] = {
        "payout.possible_from": _when(context.possible_from),
        "payout.blocks": blocks_sentence(context.blocks),
    }
    if context.account is not None:
        found["payout.most"] = _money(context.most_minor, context.account.currency)
    if (paid := context.payout) is not None:
        found |= {
            "payout.amount": money(paid.sent_minor, paid.currency),
            "payout.state": _words(paid.state),
            "payout.decide_by": None if paid.closed_at else _when(paid.decide_by),
        }
    return found


def _money(minor: int | None, currency: str) -> str | None:
    return None if minor is None else money(minor, currency)


def _when(at: datetime | None) -> str | None:
    return None if at is None else moment(at)
