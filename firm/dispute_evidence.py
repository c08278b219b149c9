"""The evidence of a dispute about a breach: figures for the page, and the pack that is frozen with it."""

import json
from collections.abc import Iterable
from datetime import timedelta
from decimal import Decimal
from statistics import median
from typing import Any, Final

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from domain import dispute_pack
from store import products
from store.models import (
    Account,
    Breach,
    Case,
    Challenge,
    DealRow,
    Dispute,
    DisputePack,
    Proof,
    Ticket,
    TicketMessage,
    User,
)
from store.read.bars import ALL

_DEALS_BEFORE: Final = timedelta(hours=24)
_EQUITY_AROUND: Final = timedelta(minutes=30)
_DEALS_SHOWN: Final = 50
_QUOTES_COMPARED: Final = 200  # proof sheets that show the normal spread


async def of_breach(session: AsyncSession, dispute: Dispute) -> dict[str, Any]:
    """Returns the evidence for the person who decides: small numbers and ids. Money is in minor units of the account's
    currency.

    proof_id, proof_digest; rule_id, cause (the kind of event that decided), floor_minor, equity_minor, overshoot_minor
    (how far below the floor), initial_minor; deals_24h {count, profit_minor, ids}; equity_around {bars, low_minor,
    high_minor}; spread, spread_median and spread_ratio of the symbol that moved (None where no quote says).
    """
    breach = await session.get_one(Breach, dispute.breach_id)
    proof = await session.get_one(Proof, breach.proof_id)
    account = await session.get_one(Account, dispute.account_id)
    return {
        "proof_id": proof.id,
        "proof_digest": proof.digest,
        "rule_id": breach.rule_id,
        "cause": cause(proof.body),
        "occurred_at": breach.occurred_at.isoformat(),
        "floor_minor": breach.floor_minor,
        "equity_minor": breach.equity_minor,
        "overshoot_minor": None if breach.floor_minor is None else abs(breach.floor_minor - breach.equity_minor),
        "initial_minor": account.initial_minor,
        "deals_24h": await _deals(session, breach),
        "equity_around": await _equity(session, breach),
        **await _spread(session, proof),
    }


def cause(body: dict[str, Any]) -> str:
    """Returns what kind of event decided a breach, such as `tick` or `deal`; `doubtful` when a person confirmed it on
    doubtful data."""
    if body.get("confirmation"):
        return "doubtful"
    return str(body.get("event", {}).get("kind", ""))


async def _deals(session: AsyncSession, breach: Breach) -> dict[str, Any]:
    rows = (
        await session.execute(
            select(DealRow.deal_id, DealRow.profit_minor + DealRow.commission_minor + DealRow.swap_minor)
            .where(
                DealRow.account_id == breach.account_id,
                DealRow.at > breach.occurred_at - _DEALS_BEFORE,
                DealRow.seq <= breach.seq,
            )
            .order_by(DealRow.seq)
        )
    ).all()
    return {
        "count": len(rows),
        "profit_minor": int(sum(amount for _, amount in rows)),
        "ids": [deal_id for deal_id, _ in rows[-_DEALS_SHOWN:]],
    }


async def _equity(session: AsyncSession, breach: Breach) -> dict[str, Any]:
    """Old minutes are hours: one that reaches into the time around the breach counts as 60 minutes."""
    since, until = breach.occurred_at - _EQUITY_AROUND, breach.occurred_at + _EQUITY_AROUND
    bars, low, high = (
        await session.execute(
            select(
                func.coalesce(func.sum(ALL.c.minutes), 0), func.min(ALL.c.low_minor), func.max(ALL.c.high_minor)
            ).where(
                ALL.c.account_id == breach.account_id,
                ALL.c.minute > since - timedelta(hours=1),
                ALL.c.minute + func.make_interval(0, 0, 0, 0, 0, ALL.c.minutes) > since,
                ALL.c.minute <= until,
            )
        )
    ).one()
    return {"bars": bars, "low_minor": low, "high_minor": high}


def _spreads(body: dict[str, Any]) -> dict[str, Decimal]:
    """Symbol -> ask minus bid, for every position of a proof sheet."""
    quotes = [position["quote"] for position in body.get("positions", ())]
    return {quote["symbol"]: Decimal(quote["ask"]) - Decimal(quote["bid"]) for quote in quotes}


async def _spread(session: AsyncSession, proof: Proof) -> dict[str, str | None]:
    """Returns the spread at the breach and the median spread of the same symbol in other proof sheets."""
    here = _spreads(proof.body)
    moved = proof.body.get("event", {}).get("symbol")
    symbol = moved if moved in here else min(here, default=None)
    if symbol is None:
        return {"spread_symbol": None, "spread": None, "spread_median": None, "spread_ratio": None}
    others: Iterable[dict[str, Any]] = await session.scalars(
        select(Proof.body).where(Proof.id != proof.id).order_by(Proof.recorded_at.desc()).limit(_QUOTES_COMPARED)
    )
    normal = [spreads[symbol] for body in others if symbol in (spreads := _spreads(body))]
    usual = median(normal) if normal else None
    ratio = (here[symbol] / usual).quantize(Decimal("0.01")) if usual else None
    return {
        "spread_symbol": symbol,
        "spread": str(here[symbol]),
        "spread_median": None if usual is None else str(usual),
        "spread_ratio": None if ratio is None else str(ratio),
    }


async def freeze(session: AsyncSession, dispute: Dispute) -> str:
    """Keeps the pack of a dispute, once, and returns its digest."""
    known = await session.get(DisputePack, dispute.id)
    if known is None:
        files = await _files(session, dispute)
        known = DisputePack(
            dispute_id=dispute.id,
            trader_id=dispute.trader_id,
            digest=dispute_pack.digest(files),
            files=json.dumps(files, sort_keys=True),
        )
        session.add(known)
        await session.flush()
    return known.digest


async def _files(session: AsyncSession, dispute: Dispute) -> dict[str, str]:
    """Returns the files of the pack by name. Money is in minor units, times are market time."""
    account = await session.get_one(Account, dispute.account_id)
    challenge = await session.get_one(Challenge, dispute.challenge_id)
    product = await products.load(session, account.product, account.version)
    breach = None if dispute.breach_id is None else await session.get_one(Breach, dispute.breach_id)
    files: dict[str, Any] = {
        "dispute.json": {
            "id": dispute.id,
            "instance": dispute.instance,
            "breach_id": dispute.breach_id,
            "case_id": dispute.case_id,
            "opened_at": dispute.opened_at,
            "statement": dispute.statement,
        },
        "account.json": _columns(account) | {"challenge_state": challenge.state, "bought_at": challenge.bought_at},
        "terms.json": product.model_dump(mode="json"),
        "messages.json": await _messages(session, dispute),
        "figures.json": {name: value for name, value in dispute.evidence.items() if name != dispute_pack.FIELD},
    }
    if breach is not None:
        proof = await session.get_one(Proof, breach.proof_id)
        files |= {
            "breach.json": _columns(breach),
            "proof.json": proof.body,
            "trades.json": await _trades(session, breach),
            "bars.json": await _bars(session, breach),
        }
    elif dispute.case_id is not None:
        case = await session.get_one(Case, dispute.case_id)
        files["decision.json"] = {"action": case.action, "closed_at": case.closed_at}
    return {name: json.dumps(body, sort_keys=True, indent=1, default=_plain) for name, body in files.items()}


def _plain(value: Any) -> str:
    return str(value.isoformat() if hasattr(value, "isoformat") else value)


def _columns(row: Any) -> dict[str, Any]:
    return {column.key: getattr(row, column.key) for column in row.__mapper__.column_attrs}


async def _trades(session: AsyncSession, breach: Breach) -> list[dict[str, Any]]:
    found = await session.scalars(
        select(DealRow)
        .where(
            DealRow.account_id == breach.account_id,
            DealRow.at > breach.occurred_at - _DEALS_BEFORE,
            DealRow.at <= breach.occurred_at + _EQUITY_AROUND,
        )
        .order_by(DealRow.seq)
    )
    return [_columns(deal) for deal in found]


async def _bars(session: AsyncSession, breach: Breach) -> list[dict[str, Any]]:
    """The account's equity in the time around the breach; old minutes are hours."""
    since, until = breach.occurred_at - _EQUITY_AROUND, breach.occurred_at + _EQUITY_AROUND
    found = await session.execute(
        select(ALL)
        .where(
            ALL.c.account_id == breach.account_id,
            ALL.c.minute > since - timedelta(hours=1),
            ALL.c.minute + func.make_interval(0, 0, 0, 0, 0, ALL.c.minutes) > since,
            ALL.c.minute <= until,
        )
        .order_by(ALL.c.minute)
    )
    return [dict(row._mapping) for row in found]


async def _messages(session: AsyncSession, dispute: Dispute) -> list[dict[str, Any]]:
    """What the trader and the firm wrote to each other about the account, oldest first. People of the firm are named by
    their role; support where it was written at the desk of a third party."""
    found = await session.execute(
        select(Ticket.subject, TicketMessage, User.role)
        .join(Ticket, Ticket.id == TicketMessage.ticket_id)
        .outerjoin(User, User.id == TicketMessage.author_id)  # no user: by mail, or at the desk of a third party
        .where(Ticket.account_id == dispute.account_id, TicketMessage.kind == "public")
        .order_by(TicketMessage.recorded_at, TicketMessage.id)
    )
    return [
        {
            "at": message.occurred_at,
            "by": role or ("trader" if message.desk_author is None else "support"),
            "subject": subject,
            "body": message.body,
            "ticket": message.ticket_id,
        }
        for subject, message, role in found
    ]
