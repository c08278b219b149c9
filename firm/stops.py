"""Stops of the trading at a platform: one person asks for it, another says the same, and it is carried out."""

from typing import Final

from sqlalchemy.ext.asyncio import AsyncSession

from domain import keys
from domain.approvals import Actor, check_reason
from domain.errors import Conflict
from domain.products.publishing import check_approved, check_may_propose
from domain.stops import STOP, Action, is_too_old, stop_digest
from firm import decide as guard
from store import audit, decisions, rows, stops
from store.clock import market_now
from store.models import PlatformStop, User

KIND: Final = "platform_stop"


async def ask(
    session: AsyncSession,
    *,
    platform: str,
    symbol: str | None,
    lifts: bool,
    whole: bool,
    actor: Actor,
    reason: str,
    product: str | None = None,
    action: Action = "close_only",
) -> PlatformStop:
    """Asks for a stop (`lifts`: for its end), or agrees to the one that another person asked for within the last hour.
    `whole`: the venue has one call for it. `platform` `*`: at every platform. One that is agreed to and not done
    everywhere is returned again, and does not keep people from agreeing to its opposite.

    Raises NotAllowed, BadInput, and Conflict for a stop that binds already, an end of none, the opposite of what
    waits for a second person, or positions that are to be closed while others may be opened."""
    check_may_propose(KIND, actor)
    check_reason(reason)
    await stops.hold(session)
    scope = stops.Scope(platform, symbol, product)
    found = await _waiting(session, scope, action)
    waiting = next((each for each in found if each.lifts == lifts), None)
    opposite = next((each for each in found if each.lifts != lifts and each.state == "proposed"), None)
    if waiting is None and opposite is not None:
        raise Conflict(
            f"{opposite.id} waits for a second person, and it asks for the opposite.",
            remedy="Agree to it, or wait until it has expired, an hour after it was asked for.",
        )
    if waiting is None:
        return await _propose(session, scope, action, lifts, whole, actor, reason)
    proposer = (await session.get_one(User, waiting.proposed_by)).person_id
    if waiting.state == "proposed" and proposer != actor.person_id:
        await _approve(session, waiting, proposer, actor, reason)
    return waiting


async def _waiting(session: AsyncSession, scope: stops.Scope, action: Action) -> list[PlatformStop]:
    """Returns what is open in this scope, and ends what has waited too long for a second person."""
    found, now = await stops.open_ones(session, scope, action), await stops.now(session)
    for row in found:
        if row.state == "proposed" and is_too_old(row.recorded_at, now):
            await _step(session, row, "time_ran_out", None, "")
    await session.flush()
    return [row for row in found if row.state != "expired"]


async def _check_fits(session: AsyncSession, scope: stops.Scope, action: Action, *, lifts: bool) -> None:
    if action == "close_only":
        if (await stops.in_force(session, scope) is not None) != lifts:
            raise Conflict(f"{scope.words} is {'not ' if lifts else ''}stopped.")
    elif lifts:
        raise Conflict("What was cancelled or closed cannot be taken back.", remedy="Lift the stop itself.")
    elif not await stops.is_closing_only(session, scope):
        raise Conflict(
            f"{scope.words} goes on: traders would open again what is closed.",
            remedy="First stop the opening of positions there.",
        )


async def _propose(
    session: AsyncSession,
    scope: stops.Scope,
    action: Action,
    lifts: bool,
    whole: bool,
    actor: Actor,
    reason: str,
) -> PlatformStop:
    await _check_fits(session, scope, action, lifts=lifts)
    now = await market_now(session)
    row = PlatformStop(
        id=keys.new_id("hlt"),
        platform=scope.platform,
        symbol=scope.symbol,
        product=scope.product,
        action=action,
        lifts=lifts,
        whole=whole,
        reason=reason,
        state=STOP.initial,
        proposed_by=actor.user_id,
        proposed_at=now,
    )
    session.add(row)
    await session.flush()
    await audit.record(
        session,
        action="platform_stop.proposed",
        subject_kind=KIND,
        subject_id=row.id,
        occurred_at=now,
        actor=actor.user_id,
        role=actor.role,
        reason=reason,
        evidence=_evidence(row),
    )
    return row


async def _approve(session: AsyncSession, row: PlatformStop, proposer: str, actor: Actor, reason: str) -> None:
    await _check_fits(session, stops.scope_of(row), stops.action_of(row), lifts=row.lifts)
    subject = guard.Subject(kind=KIND, id=row.id, digest=_digest(row), evidence=_evidence(row), asked_by=proposer)
    choice = guard.Choice("approve", actor, reason, f"{row.id}/{actor.user_id}")
    if await guard.record(session, subject, choice, guard.allowed(STOP, row.state, "approval_given")) is not None:
        await _step(session, row, "approval_given", actor, reason)
        await session.flush()
        await _overtake(session, row, actor, reason)
        await stops.tell_agreed(session)


async def _overtake(session: AsyncSession, newest: PlatformStop, actor: Actor, reason: str) -> None:
    """Ends what was agreed to before, is not done everywhere, and does not go with this: the opposite in the same
    scope, and positions and orders that were to go while nobody could open others."""
    for row in await stops.being_carried_out(session):
        scope, action = stops.scope_of(row), stops.action_of(row)
        if action == "close_only":
            over = scope == stops.scope_of(newest) and newest.action == action and row.lifts != newest.lifts
        else:
            over = not await stops.is_closing_only(session, scope)
        if over:
            await _step(session, row, "overtaken", actor, reason)


async def check_agreed(session: AsyncSession, stop_id: str) -> PlatformStop:
    """Reads the approvals again, before anything is done. Raises NotFound, Conflict."""
    row = await rows.locked(session, PlatformStop, stop_id)
    if row.state != "approved":
        raise Conflict(f"{stop_id} is {row.state}.")
    votes = await decisions.votes(session, KIND, row.id)
    proposer = await session.get_one(User, row.proposed_by)
    check_approved(KIND, votes, proposer_person=proposer.person_id, digest=_digest(row))
    return row


async def carried_out(session: AsyncSession, stop_id: str, *, everywhere: bool) -> None:
    """It was done at the venues; `everywhere`: nothing is left. Raises Conflict if it was overtaken meanwhile."""
    row = await rows.locked(session, PlatformStop, stop_id)
    if row.state == "overtaken":
        raise Conflict(f"Two persons have agreed to the opposite of {stop_id} meanwhile.")
    if row.state == "approved" and everywhere:
        await _step(session, row, "carried_out", None, "")


async def _step(session: AsyncSession, row: PlatformStop, trigger: str, actor: Actor | None, reason: str) -> None:
    await guard.step(
        session,
        STOP,
        row,
        trigger,
        kind=KIND,
        key=trigger,
        at=await market_now(session),
        actor=actor,
        reason=reason,
        detail=_evidence(row),
    )


def _digest(row: PlatformStop) -> str:
    return stop_digest(
        stop_id=row.id,
        platform=row.platform,
        symbol=row.symbol,
        lifts=row.lifts,
        product=row.product,
        action=stops.action_of(row),
    )


def _evidence(row: PlatformStop) -> dict[str, str]:
    does = "lift" if row.lifts else "stop" if row.action == "close_only" else row.action
    return {"platform": row.platform, "symbol": row.symbol or "", "product": row.product or "", "does": does}
