"""Accounts on their way to another platform: proposed by one person, approved by another on what they have seen, and
abandoned by a person as long as the record has not switched."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final, Literal

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from contracts.ids import platform_change_workflow
from contracts.messages import MarketTimeReached, PlatformChangeStart
from domain import change_keys, keys
from domain.approvals import Actor, check_may_withdraw, check_reason
from domain.errors import BadInput, NotFound, StaleDecision
from domain.keys import new_id
from domain.platform_changes import (
    PLATFORM_CHANGE,
    UNFINISHED,
    ChangeFacts,
    Instruments,
    change_digest,
    check,
    named_symbols,
    seen_digest,
)
from domain.products.publishing import check_approved, check_may_propose
from firm import challenges, messages, tickets
from firm import decide as guard
from firm.payouts import account as payout_account
from store import audit, decisions, products, rows
from store.clock import market_now
from store.models import (
    Account,
    AccountLive,
    AccountMove,
    AccountMoveRow,
    Challenge,
    DealRow,
    Payout,
    PlatformChange,
    Shard,
    User,
)
from store.read.pages import account_number

KIND: Final = "platform_change"
Verdict = Literal["approve", "reject"]
Lacks = Mapping[str, Sequence[str]]
"""By configured platform, what it cannot do that a new account needs, as sentences."""

_TRIGGERS: Final = {"approve": "approval_given", "reject": "change_rejected"}


async def propose(
    session: AsyncSession,
    *,
    account_id: str,
    to_platform: str,
    close_positions: bool,
    lacks: Lacks,
    actor: Actor,
    reason: str,
) -> PlatformChange:
    """Ask for an account to go on at another platform. `close_positions`: what is open when it is shut is closed at
    market; else the change is abandoned then.

    Raises NotAllowed, NotFound, BadInput, PlatformChangeRefused.
    """
    check_may_propose(KIND, actor)
    check_reason(reason)
    challenge, account = await _locked_account(session, account_id)
    check(await facts(session, account, to_platform, close_positions=close_positions, lacks=lacks))
    assert account.login is not None
    now = await market_now(session)
    change = PlatformChange(
        id=new_id("plc"),
        account_id=account.id,
        challenge_id=challenge.id,
        from_platform=account.platform,
        from_login=account.login,
        to_platform=to_platform,
        close_positions=close_positions,
        reason=reason,
        state=PLATFORM_CHANGE.initial,
        proposed_by=actor.user_id,
        proposed_at=now,
    )
    session.add(change)
    await session.flush()
    await audit.record(
        session,
        action="platform_change.proposed",
        subject_kind=KIND,
        subject_id=change.id,
        occurred_at=now,
        actor=actor.user_id,
        role=actor.role,
        reason=reason,
        evidence={**_places(change), "account_id": account.id, "digest": digest(change)},
    )
    return change


async def _locked_account(session: AsyncSession, account_id: str) -> tuple[Challenge, Account]:
    """Returns an account with its challenge, both locked in the order in which everybody locks. Raises NotFound, and
    BadInput for an account that its challenge has no more."""
    found = await session.get(Account, account_id)
    if found is None:
        raise NotFound
    challenge = await challenges.lock(session, found.challenge_id)
    account = await rows.locked(session, Account, account_id)
    if challenge.account_id != account.id or account.login is None:
        raise BadInput(
            "Only the present account of a challenge can change its platform.",
            field="account",
            remedy="Choose the account of the present phase.",
        )
    return challenge, account


async def facts(
    session: AsyncSession,
    account: Account,
    to_platform: str,
    *,
    close_positions: bool,
    lacks: Lacks,
    but: str = "",
) -> ChangeFacts:
    """Returns what the record says of an account that is to change its platform. `but`: the change itself."""
    live = await session.get(AccountLive, account.id, populate_existing=True)
    of_account = (PlatformChange.account_id == account.id, PlatformChange.state.in_(UNFINISHED))
    here = await _instruments(session, account.platform)
    return ChangeFacts(
        status=account.status,
        platform=account.platform,
        to_platform=to_platform,
        close_positions=close_positions,
        open_positions=len(live.positions) if live else 0,
        balance_minor=live.balance_minor if live else None,
        lacks=lacks.get(to_platform),
        open_payout=await session.scalar(
            select(Payout.id).where(Payout.account_id == account.id, Payout.closed_at.is_(None)).limit(1)
        ),
        open_reviews=await payout_account.open_reviews(session, account.id),
        other_change=await session.scalar(select(PlatformChange.id).where(*of_account, PlatformChange.id != but)),
        version_waits=await _version_waits(session, account.id),
        reset_waits=await payout_account.reset_waits(session, account.id),
        adjustment_waits=await payout_account.adjustment_waits(session, account.id),
        symbols=await _symbols(session, account, here or {}),
        here=here,
        there=await _instruments(session, to_platform),
    )


async def _version_waits(session: AsyncSession, account_id: str) -> bool:
    waiting = (
        select(AccountMove.id)
        .join(AccountMoveRow, AccountMoveRow.move_id == AccountMove.id)
        .where(
            AccountMoveRow.account_id == account_id,
            AccountMoveRow.state == "waiting",
            AccountMove.state.in_(("proposed", "approved")),
        )
    )
    return await session.scalar(waiting.limit(1)) is not None


async def _symbols(session: AsyncSession, account: Account, known: Instruments) -> frozenset[str]:
    """Returns the symbols that the account has traded or its rules name."""
    product = await products.load(session, account.product, account.version)
    phase = product.phase(account.phase_index).model_dump(mode="json")
    traded = await session.scalars(select(DealRow.symbol).where(DealRow.account_id == account.id).distinct())
    return frozenset(traded) | named_symbols(phase.values(), known)


async def _instruments(session: AsyncSession, platform: str) -> Instruments | None:
    """Returns the symbols of a platform, as a shard of it has read them last; None before the first checkpoint."""
    found: Instruments | None = await session.scalar(
        select(Shard.feed["instruments"])
        .where(Shard.platform == platform, Shard.feed.has_key("instruments"))
        .order_by(Shard.watermark.desc())
        .limit(1)
    )
    return found


async def locked(session: AsyncSession, change_id: str) -> PlatformChange:
    """Returns the change, locked after its challenge and its account. Raises NotFound."""
    found = await session.get(PlatformChange, change_id)
    if found is None:
        raise NotFound
    await challenges.lock(session, found.challenge_id)
    await rows.locked(session, Account, found.account_id)
    return await rows.locked(session, PlatformChange, change_id)


def digest(change: PlatformChange) -> str:
    """Returns the digest of what an approval of this change is for."""
    return change_digest(
        change_id=change.id,
        account_id=change.account_id,
        platform=change.from_platform,
        login=change.from_login,
        to=change.to_platform,
        close_positions=change.close_positions,
    )


async def seen(session: AsyncSession, change: PlatformChange) -> str:
    """Returns the digest of the figures that whoever approves the change has read."""
    live = await session.get(AccountLive, change.account_id, populate_existing=True)
    if live is None:
        return seen_digest(balance_minor=None, floors={}, trading_days=0, last_trading_day=None, positions=())
    return seen_digest(
        balance_minor=live.balance_minor,
        floors={key: int(floor["floor_minor"]) for key, floor in live.floors.items()},
        trading_days=live.trading_days,
        last_trading_day=live.last_trading_day.isoformat() if live.last_trading_day else None,
        positions=live.positions,
    )


async def decide(
    session: AsyncSession,
    change_id: str,
    *,
    verdict: Verdict,
    actor: Actor,
    reason: str,
    key: str,
    digest_seen: str | None,
) -> PlatformChange:
    """Record a second person's decision. An approval starts the workflow, and needs the digest of what was seen. The
    same `key` again changes nothing.

    Raises NotFound, BadInput, NotAllowed, SelfApproval, AlreadyDecided, IllegalTransition, StaleDecision,
    PlatformChangeRefused.
    """
    change = await locked(session, change_id)
    asked_by = (await session.get_one(User, change.proposed_by)).person_id
    subject = guard.Subject(
        kind=KIND,
        id=change.id,
        digest=digest(change),
        evidence={**_places(change), "seen": digest_seen or ""},
        asked_by=asked_by,
    )
    choice, trigger = guard.Choice(verdict, actor, reason, key), _TRIGGERS[verdict]
    if verdict == "approve" and await guard.check(session, subject, choice) is not None:
        await _check_seen(session, change, digest_seen)
        await check_possible(session, change)
    now = await guard.record(session, subject, choice, guard.allowed(PLATFORM_CHANGE, change.state, trigger))
    if now is None:
        return change
    if verdict == "approve":
        await check_agreed(session, change)
        await messages.start(session, platform_change_workflow(change.id), PlatformChangeStart(change_id=change.id))
    await step(session, change, trigger, now, actor=actor, reason=reason)
    return change


async def _check_seen(session: AsyncSession, change: PlatformChange, digest_seen: str | None) -> None:
    if not digest_seen:
        raise BadInput(
            "An approval says what was seen.",
            field="seen",
            remedy="Send the `seen` of GET /v1/platform-changes/{id} with it.",
        )
    if digest_seen != await seen(session, change):
        raise StaleDecision(PLATFORM_CHANGE.noun, ["the account's money, levels, days or positions"])


async def check_possible(session: AsyncSession, change: PlatformChange) -> None:
    """Checks on the record that nothing stands in the way of a change (any more). What the target can do was checked
    when it was proposed. Raises PlatformChangeRefused."""
    account = await session.get_one(Account, change.account_id)
    check(
        await facts(
            session,
            account,
            change.to_platform,
            close_positions=change.close_positions,
            lacks={change.to_platform: ()},
            but=change.id,
        )
    )


async def check_agreed(session: AsyncSession, change: PlatformChange) -> None:
    """Checks on the rows that a second person approved exactly this change. Raises Conflict."""
    asked_by = (await session.get_one(User, change.proposed_by)).person_id
    votes = await decisions.votes(session, KIND, change.id)
    check_approved(KIND, votes, proposer_person=asked_by, digest=digest(change))


async def withdraw(session: AsyncSession, change_id: str, *, actor: Actor, reason: str) -> PlatformChange:
    """Take a proposed change back; only who proposed it may, and only before it is approved. Raises NotFound,
    NotAllowed, BadInput, IllegalTransition."""
    change = await locked(session, change_id)
    check_may_withdraw(actor, change.proposed_by, reason)
    await step(session, change, "change_withdrawn", await market_now(session), actor=actor, reason=reason)
    return change


async def abandon(session: AsyncSession, change_id: str, *, actor: Actor, reason: str) -> PlatformChange:
    """Stop a change before the record switches: the account trades on where it was. Raises NotFound, NotAllowed,
    BadInput, IllegalTransition."""
    check_may_propose(KIND, actor)
    check_reason(reason)
    change = await locked(session, change_id)
    await give_up(session, change, reason, await market_now(session), actor=actor)
    return change


async def give_up(
    session: AsyncSession, change: PlatformChange, why: str, at: datetime, *, actor: Actor | None = None
) -> None:
    """Turns a locked change back, and tells its workflow. `actor`: None when the change itself found a reason."""
    change.why = why
    before = change.state
    await step(session, change, "change_abandoned", at, actor=actor, reason=why if actor else "", detail={"why": why})
    hint = MarketTimeReached(key=change_keys.hint(change.id, before))
    await messages.signal(session, platform_change_workflow(change.id), hint)


async def step(
    session: AsyncSession,
    change: PlatformChange,
    trigger: str,
    at: datetime,
    *,
    actor: Actor | None = None,
    reason: str = "",
    detail: dict[str, Any] | None = None,
) -> None:
    """Takes a step of a locked change."""
    await guard.step(
        session,
        PLATFORM_CHANGE,
        change,
        trigger,
        kind=KIND,
        key=trigger,
        at=at,
        actor=actor,
        reason=reason,
        detail={**_places(change), **(detail or {})},
    )


async def tell_trader(session: AsyncSession, change: PlatformChange) -> None:
    """Writes to the trader that the account trades at its new platform."""
    account = await session.get_one(Account, change.account_id)
    approved = [each for each in await decisions.of(session, KIND, change.id) if each.decision == "approve"][-1]
    number = account_number(account.number)
    body = (
        f"Your account {number} goes on at {change.to_platform}, with login {change.to_login}. It has the same balance,"
        f" the same limits and the same trading days as before, and your trading day begins at the same time. Your"
        f" account at {change.from_platform} is closed for trading."
    )
    await tickets.tell(
        session,
        ticket_id=keys.told_ticket(change.id),
        account=account,
        user_id=approved.user_id,
        role=approved.role,
        subject=f"{number} goes on at {change.to_platform}",
        body=body,
    )


def _places(change: PlatformChange) -> dict[str, str]:
    return {"from": change.from_platform, "to": change.to_platform}
