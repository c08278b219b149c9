"""Disputes on the record: opened by a trader, decided by a person, ended by the challenge."""

import hashlib
import json
from collections.abc import Iterable
from datetime import timedelta
from decimal import Decimal
from statistics import median
from typing import Any, Final

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from contracts.ids import challenge_workflow, dispute_workflow
from contracts.messages import AccountReinstated, BreachOverturned, DisputeStart, MarketTimeReached
from domain import keys
from domain.approvals import Actor
from domain.disputes import DISPUTE
from domain.errors import BadInput, Conflict, NotFound
from domain.keys import new_id
from domain.lifecycle import CHALLENGE
from firm import challenges, messages, people
from firm import decide as guard
from firm.payouts import signals
from store import audit, rows
from store.clock import market_now
from store.models import Account, Breach, Challenge, DealRow, Dispute, Proof
from store.read.bars import ALL

_DEALS_BEFORE: Final = timedelta(hours=24)
_EQUITY_AROUND: Final = timedelta(minutes=30)
_DEALS_SHOWN: Final = 50
_QUOTES_COMPARED: Final = 200  # proof sheets that show the normal spread
_TRIGGERS: Final = {"uphold": "breach_upheld", "reinstate": "reinstatement_granted"}


async def open_dispute(session: AsyncSession, *, breach_id: str, actor: Actor, statement: str) -> Dispute:
    """A trader disputes a breach of their own: state `opened`, its workflow starts at commit.

    Raises NotFound (also for another trader's breach), BadInput, Conflict.
    """
    breach = await session.get(Breach, breach_id)
    if breach is None:
        raise NotFound
    challenge = await challenges.lock(session, breach.challenge_id)
    if actor.trader_id is None or challenge.trader_id != actor.trader_id:
        raise NotFound
    if not statement.strip():
        raise BadInput("Say what you think is wrong.", field="statement", remedy="One sentence is enough.")
    now = await market_now(session)
    await _check_open(session, challenge, breach)
    if now >= await challenges.dispute_until(session, challenge, breach):
        raise Conflict("The time to dispute this breach is over.")
    return await _open(session, challenge, breach, actor, statement)


async def open_for_trader(session: AsyncSession, *, breach: Breach, actor: Actor, statement: str) -> Dispute | None:
    """Opens a dispute by the firm about a breach found on wrong data, also after the trader's time to dispute. A person
    decides it like any other dispute. Returns None when the breach is already disputed. Raises Conflict when it was
    overturned or its challenge has ended."""
    challenge = await challenges.lock(session, breach.challenge_id)
    if await of_confirmed_breach(session, breach.account_id) is not None:
        return None
    await _check_open(session, challenge, breach)
    return await _open(session, challenge, breach, actor, statement)


async def _open(session: AsyncSession, challenge: Challenge, breach: Breach, actor: Actor, statement: str) -> Dispute:
    now = await market_now(session)
    dispute = Dispute(
        id=new_id("dsp"),
        breach_id=breach.id,
        challenge_id=challenge.id,
        account_id=breach.account_id,
        trader_id=challenge.trader_id,
        state=DISPUTE.initial,
        statement=statement,
        evidence={},
        opened_at=now,
    )
    session.add(dispute)
    await session.flush()
    await messages.start(session, dispute_workflow(dispute.id), DisputeStart(dispute_id=dispute.id))
    cause = keys.dispute_event(dispute.id, "opened")
    await signals.send_risk_changed(session, cause=cause, trader_ids=[challenge.trader_id])
    await audit.record(
        session,
        action="dispute.opened",
        subject_kind="dispute",
        subject_id=dispute.id,
        occurred_at=now,
        actor=actor.user_id,
        role=actor.role,
        evidence={"breach_id": breach.id, "proof_id": breach.proof_id},
    )
    return dispute


async def _check_open(session: AsyncSession, challenge: Challenge, breach: Breach) -> None:
    if breach.status != "confirmed":
        raise Conflict("This breach was overturned; there is nothing left to dispute.")
    if challenge.account_id != breach.account_id or challenge.state in CHALLENGE.terminal:
        raise Conflict(f"This challenge is {challenge.state.replace('_', ' ')}; its breach can no longer be disputed.")
    if await of_confirmed_breach(session, breach.account_id) is not None:
        raise Conflict("This breach is disputed already.")


async def of_confirmed_breach(session: AsyncSession, account_id: str) -> Dispute | None:
    """Returns the dispute about the breach that ended this account, or None."""
    row: Dispute | None = await session.scalar(
        select(Dispute)
        .join(Breach, Breach.id == Dispute.breach_id)
        .where(Dispute.account_id == account_id, Breach.status == "confirmed")
        .limit(1)
    )
    return row


async def lock(session: AsyncSession, dispute_id: str) -> Dispute:
    """Returns the row, locked until the transaction ends. Raises NotFound."""
    return await rows.locked(session, Dispute, dispute_id)


async def move(
    session: AsyncSession,
    dispute: Dispute,
    trigger: str,
    *,
    key: str,
    detail: dict[str, Any] | None = None,
    actor: Actor | None = None,
    reason: str = "",
) -> None:
    """Take a step of the table on a locked row; the same key again changes nothing. Raises IllegalTransition."""
    await guard.step(
        session,
        DISPUTE,
        dispute,
        trigger,
        kind="dispute",
        key=key,
        at=await market_now(session),
        actor=actor,
        reason=reason,
        detail=detail,
    )


async def decide(
    session: AsyncSession, dispute: Dispute, *, decision: str, actor: Actor, reason: str, key: str
) -> None:
    """Record who decided what and why on a locked dispute, and tell the challenge. The same key again changes nothing.

    `actor` is as the record has them now. Raises NotAllowed, SelfApproval, AlreadyDecided, BadInput, IllegalTransition.
    """
    subject = guard.Subject(
        kind="dispute",
        id=dispute.id,
        digest=digest(dispute),
        evidence={"breach_id": dispute.breach_id, **_proof_of(dispute)},
        asked_by=await people.person_of(session, dispute.trader_id),
        once=True,
    )
    choice, trigger = guard.Choice(decision, actor, reason, key), _TRIGGERS[decision]
    if await guard.record(session, subject, choice, guard.allowed(DISPUTE, dispute.state, trigger)) is None:
        return
    await _announce(session, dispute, decision)
    await move(session, dispute, trigger, key=keys.dispute_decision(key), actor=actor, reason=reason)


async def _announce(session: AsyncSession, dispute: Dispute, decision: str) -> None:
    """Signals the challenge, which reinstates the account or checks whether its breach is now final. When the challenge
    has ended, the dispute is signalled instead."""
    key = keys.dispute_event(dispute.id, decision)
    challenge, dispute_id = challenge_workflow(dispute.challenge_id), dispute.id
    over = (await challenges.lock(session, dispute.challenge_id)).state in CHALLENGE.terminal
    if decision == "reinstate" and over:
        await messages.signal(session, dispute_workflow(dispute_id), AccountReinstated(key=key))
    elif decision == "reinstate":
        overturned = BreachOverturned(key=key, dispute_id=dispute_id, breach_id=dispute.breach_id)
        await messages.signal(session, challenge, overturned)
    elif not over:
        await messages.signal(session, challenge, MarketTimeReached(key=key))
    await signals.send_risk_changed(session, cause=key, trader_ids=[dispute.trader_id])


def _proof_of(dispute: Dispute) -> dict[str, str]:
    return {name: dispute.evidence[name] for name in ("proof_id", "proof_digest") if name in dispute.evidence}


def digest(dispute: Dispute) -> str:
    """Returns a digest of what exactly is decided on: the breach and the evidence that was shown."""
    body = {"v": 1, "dispute": dispute.id, "breach": dispute.breach_id, "evidence": dispute.evidence}
    return hashlib.sha256(json.dumps(body, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


async def evidence(session: AsyncSession, dispute: Dispute) -> dict[str, Any]:
    """Returns the evidence for the person who decides: small numbers and ids. Money is in minor units of the account's
    currency.

    proof_id, proof_digest; rule_id, floor_minor, equity_minor, overshoot_minor (how far below the floor),
    initial_minor; deals_24h {count, profit_minor, ids}; equity_around {bars, low_minor, high_minor};
    spread, spread_median and spread_ratio of the symbol that moved (None where no quote says).
    """
    breach = await session.get_one(Breach, dispute.breach_id)
    proof = await session.get_one(Proof, breach.proof_id)
    account = await session.get_one(Account, dispute.account_id)
    return {
        "proof_id": proof.id,
        "proof_digest": proof.digest,
        "rule_id": breach.rule_id,
        "occurred_at": breach.occurred_at.isoformat(),
        "floor_minor": breach.floor_minor,
        "equity_minor": breach.equity_minor,
        "overshoot_minor": None if breach.floor_minor is None else abs(breach.floor_minor - breach.equity_minor),
        "initial_minor": account.initial_minor,
        "deals_24h": await _deals(session, breach),
        "equity_around": await _equity(session, breach),
        **await _spread(session, proof),
    }


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
