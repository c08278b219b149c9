"""A trader's own account as its trader reads it."""

from datetime import datetime, timedelta

from sqlalchemy.ext.asyncio import AsyncSession

from console.formats import countdown, words
from console.present.account import LABELS
from console.queries import frame
from console.views.my_account import LimitCard, OwnPayout, OwnRoom
from domain.clocks import zone_of, zone_words
from domain.money import Money
from firm.payouts.preview import preview
from firm.standing import Calendars
from store import products
from store.read import room
from store.read.accounts import AccountView
from store.read.room import LimitRoom, RoomView
from store.scope import Scope


async def own_room(session: AsyncSession, scope: Scope, account: AccountView) -> OwnRoom:
    """Raises NotFound."""
    view = await room.one(session, scope, account.id)
    feeds = await frame.feeds(session)
    behind = [each.words for each in feeds if each.stale and each.name == account.platform]
    local = view.next_reset.astimezone(zone_of(view.clock_zone))

    def money(minor: int) -> Money:
        return Money(minor=minor, currency=view.currency)

    return OwnRoom(
        number=view.number,
        active=view.status == "active",
        equity=money(view.equity_minor),
        balance=money(view.balance_minor),
        open=money(view.equity_minor - view.balance_minor),
        at=_as_of(account, view),
        stale=behind[0] if behind else "",
        next_reset=view.next_reset,
        reset_local=f"{local:%Y-%m-%d %H:%M}",
        reset_zone=zone_words(view.clock_zone),
        reset_in=countdown(timedelta(seconds=view.seconds_to_reset)),
        limits=[_card(view, limit) for limit in view.limits] if view.status == "active" else [],
    )


def _as_of(account: AccountView, view: RoomView) -> datetime:
    """Without open positions nothing moves: the stored figures hold until now."""
    return view.at if view.at is not None and account.open_positions else view.market_time


def _card(view: RoomView, limit: LimitRoom) -> LimitCard:
    share = max(0.0, min(1.0, limit.room_minor / limit.allowance_minor)) if limit.allowance_minor else 0.0

    def money(minor: int | None) -> Money | None:
        return None if minor is None else Money(minor=minor, currency=view.currency)

    label = LABELS.get(limit.kind, words(limit.rule_id.removesuffix(".up")).capitalize())
    beyond = "below" if limit.direction == "floor" else "above"
    return LimitCard(
        label=f"{label} (gains)" if limit.direction == "ceiling" else label,
        room=Money(minor=limit.room_minor, currency=view.currency),
        level=Money(minor=limit.floor_minor, currency=view.currency),
        breaks="at" if "=" in limit.operator else beyond,
        used=f"{max(limit.used_pct, 0):.0f} %",
        share=share,
        tone="bad" if share < 0.1 else "warn" if limit.used_pct >= 80 else "ok",
        after_level=money(limit.floor_after_reset_minor),
        after_room=money(limit.room_after_reset_minor),
    )


async def own_payout(session: AsyncSession, account: AccountView, calendars: Calendars) -> OwnPayout | None:
    """What a trader of a funded account can ask for; None for an evaluation."""
    if not account.funded or account.challenge_state != "funded":
        return None
    ahead = await preview(session, account.id, calendars=calendars)
    product = await products.load(session, account.product, account.version)
    return OwnPayout(
        most=Money(minor=ahead.most_minor, currency=account.currency),
        cycles=[cycle.name for cycle in product.payout.cycles],
        ahead=ahead,
        earliest=ahead.possible_from,
        open_id=account.open_payout_id,
    )
