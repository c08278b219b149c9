"""What leaves an account with a payout, at the platform and in the books; and how it comes back."""

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from sqlalchemy.ext.asyncio import AsyncSession

from domain.errors import Conflict, IdempotencyMismatch
from domain.ledger import forfeit_returned, payout_forfeited, payout_released, payout_reserved
from domain.money import Money
from firm.payouts import refusals as payout_refusals
from firm.payouts import requests as payouts
from firm.payouts import situation as payout_facts
from ports.platform import AccountSnapshot, BalanceKind, TradingPlatform
from store import ledger, outbox
from store.clock import market_now
from store.models import Payout

_BACKWARDS: Final[dict[BalanceKind, BalanceKind]] = {"payout_hold": "payout_release", "adjustment": "adjustment"}
Taking = tuple[str, BalanceKind, int]  # (key, operation, minor units, negative: they leave the account)


def hold_key(payout_id: str) -> str:
    return f"{payout_id}/hold"


def _forfeit_key(payout_id: str) -> str:
    return f"{payout_id}/forfeit"


def back_key(payout_id: str) -> str:
    """Under which what was forfeited comes back."""
    return f"{_forfeit_key(payout_id)}/back"


def _forfeit_of(payout: Payout) -> Money:
    return Money(minor=payout.forfeited_minor, currency=payout.currency)


def taken(payout: Payout) -> tuple[Taking, ...]:
    """What leaves the account with this payout: what is paid, and what lies beyond the cap and is paid to nobody."""
    hold: Taking = (hold_key(payout.id), "payout_hold", -payout.gross_minor)
    if not payout.forfeited_minor:
        return (hold,)
    return hold, (_forfeit_key(payout.id), "adjustment", -payout.forfeited_minor)


async def take(platform: TradingPlatform, login: int, operations: Sequence[Taking]) -> str:
    """Take each out of the account; all or nothing. Gives why the platform would not, or nothing."""
    for number, (key, operation, amount) in enumerate(operations):
        try:
            await platform.balance_operation(login, key=key, operation=operation, amount_minor=amount)
        except IdempotencyMismatch:
            raise  # another amount is taken under this key: no refusal, but something a person must see
        except Conflict as conflict:
            for done, kind, taken in operations[:number]:
                back = _BACKWARDS[kind]
                await platform.balance_operation(login, key=f"{done}/back", operation=back, amount_minor=-taken)
            return conflict.message
    return ""


async def refuse(session: AsyncSession, payout: Payout, snapshot: AccountSnapshot) -> bool:
    """Judge the request again, on the venue's own word for money and positions; True when it is refused, with proof."""
    seen = payout_facts.Seen(snapshot.balance_minor, snapshot.equity_minor, len(snapshot.positions))
    current = await payout_facts.situation(session, payout.account_id, cycle=payout.cycle, seen=seen)
    gross = payouts.gross_of(payout)
    parts = payout_refusals.refusals(current, gross)
    if not parts:
        payouts.set_forfeit(payout, current)
        return False
    payout.proof_id = await payout_refusals.keep(session, payout_refusals.refused(current, gross, parts))
    reason = "; ".join(part.sentence for part in parts)
    await payouts.advance(session, payout, "request_refused", reason=reason, detail={"proof_id": payout.proof_id})
    return True


async def record_held(session: AsyncSession, payout: Payout) -> None:
    """The money has left the account: what the trader is owed stands in the books, and what was forfeited."""
    now = await market_now(session)
    for key, _, amount in taken(payout):
        await outbox.fulfil_intent(session, key=key, result={"held_minor": -amount})
    entry = payout_reserved(payout.id, payouts.share_of(payout), payouts.refund_of(payout))
    await ledger.post(session, entry, occurred_at=now)
    if payout.forfeited_minor:
        await ledger.post(session, payout_forfeited(payout.id, _forfeit_of(payout)), occurred_at=now)
    await payouts.advance(session, payout, "hold_placed")


async def record_released(session: AsyncSession, payout: Payout, now: datetime) -> None:
    """The money is back on the account: nothing is owed, nothing was forfeited."""
    entry = payout_released(payout.id, payouts.share_of(payout), payouts.refund_of(payout))
    await ledger.post(session, entry, occurred_at=now)
    if payout.forfeited_minor:
        await ledger.post(session, forfeit_returned(payout.id, _forfeit_of(payout)), occurred_at=now)
