"""The account page: gauges, timeline and the things linked to an account."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final
from urllib.parse import quote
from zoneinfo import ZoneInfo

from sqlalchemy.ext.asyncio import AsyncSession

from console.addresses import href, page_of_id
from console.formats import countdown, digits, words
from console.present import account_parts as parts
from console.views.account import AccountPage, DayRow, Gauge, WallPanel
from console.views.parts import Entry, Link
from domain.approvals import Actor
from domain.money import Money
from domain.venue_accounts import LIMIT_WORDS
from store.models import Challenge, Trader
from store.read import (
    account_has,
    accounts,
    breaches,
    case_actions,
    challenges,
    disputes,
    gates,
    history,
    market,
    payouts,
    places,
    tickets,
    timeline,
    venue_limits,
    versions,
    warnings,
)
from store.read.accounts import AccountView, RuleGauge
from store.read.breaches import BreachView
from store.read.market import DayView
from store.read.pages import Window
from store.read.places import UnfinishedChange
from store.read.timeline import TimelineEntry
from store.read.versions import PendingMove
from store.scope import Scope

LABELS: Final = {"daily_loss": "Daily loss", "max_loss_static": "Max loss", "max_loss_trailing": "Trailing loss"}
_TIMELINE: Final = 40
_DAYS: Final = 60  # of the table below the curve


async def page(
    session: AsyncSession,
    scope: Scope,
    actor: Actor,
    ref: str,
    shown: timeline.Kind | None,
    older: str | None = None,
) -> AccountPage:
    """Everything on the account page; raises NotFound. `ref`: its number or id. `shown`: one kind of timeline entries,
    or all; `older`: the cursor of an earlier page of them."""
    live = await live_parts(session, scope, ref)
    account, account_id = live.account, live.account.id
    phases = await challenges.phase_accounts(session, await session.get_one(Challenge, account.challenge_id))
    has = await account_has.parts(session, account_id)
    recent = await market.days(session, account_id, _DAYS + 1)
    happened = await timeline.page(session, scope, account_id, Window(limit=_TIMELINE, cursor=older), kind=shown)
    few, of = Window(limit=20), account_id
    paid = (await payouts.page(session, scope, few, account_id=of)).items if "payouts" in has else ()
    asked = (await tickets.page(session, scope, few, account_id=of)).items if "tickets" in has else ()
    disputed = (await disputes.page(session, scope, few, account_id=of)).items if "disputes" in has else ()
    warned = (await warnings.page(session, scope, Window(limit=5), account_id=of)).items if "warnings" in has else ()
    subjects = [("payout", row.id) for row in paid] + [("dispute", row.id) for row in disputed]
    return replace(
        live,
        actions=await case_actions.of_account(session, account_id) if "case_actions" in has else (),
        days=[_day(account, day) for day in reversed(recent[-_DAYS:])],
        earlier_days=len(recent) > _DAYS,
        timeline=[entry(row, staff=scope.staff) for row in happened.items],
        older=happened.next_cursor,
        move=await _move(session, scope, account_id) if "move" in has else None,
        wall=await _wall(session, account) if scope.staff and "venue_limits" in has else None,
        change=await _change(session, scope, account_id) if "platform_change" in has else None,
        places=await places.places(session, account_id),
        warnings=warned,
        gates=await gates.list_gates(session, scope, account_id) if "gates" in has else (),
        siblings=[
            Link(f"{row.number} {row.phase_name}", f"/accounts/{row.number}", row.status)
            for row in phases
            if row.account_id != account_id
        ],
        payouts=[parts.payout_line(row) for row in paid],
        money=await parts.money(session, account_id) if scope.staff else (),
        linked=await parts.linked(session, actor, account_id) if scope.staff else (),
        tickets=[Link(row.subject, href("ticket", row.id), row.state) for row in asked],
        decisions=[
            Link(
                f"{words(row.decision).capitalize()} ({kind})",
                href(kind, subject),
                "",
                f"{row.role}: {row.reason or row.message}",
            )
            for kind, subject in subjects
            for row in await history.decisions(session, scope, kind, subject)
        ],
    )


async def _move(session: AsyncSession, scope: Scope, account_id: str) -> PendingMove | None:
    """The move to another version that the account waits for. A trader learns of it once it is agreed to."""
    found = await versions.pending_move(session, account_id)
    return found if found is None or scope.staff or found.state == "approved" else None


async def _wall(session: AsyncSession, account: AccountView) -> WallPanel | None:
    """The second wall, where the venue holds one."""
    limits = await venue_limits.of_account(session, account.id)
    if limits is None:
        return None

    def amount(held: Mapping[str, int | str | None] | None, name: str) -> Money | None:
        minor = held.get(name) if held else None
        return Money(minor=minor, currency=account.currency) if isinstance(minor, int) else None

    states = (
        (limits.waits, "on their way", "info"),
        (limits.sent is None, "never sent", "warn"),
        (limits.compared_at is None, "not compared yet", "info"),
        (limits.agrees, "as sent", "ok"),
    )
    state, tone = next(((words, tone) for applies, words, tone in states if applies), ("differ", "bad"))
    return WallPanel(
        rows=[(label, amount(limits.sent, name), amount(limits.shown, name)) for name, label in LIMIT_WORDS.items()],
        levels=limits.levels,
        state=state,
        tone=tone,
        sent_at=limits.sent_at,
        compared_at=limits.compared_at,
    )


async def _change(session: AsyncSession, scope: Scope, account_id: str) -> UnfinishedChange | None:
    """The change of platform that the account is in. A trader learns of it once it is agreed to."""
    found = await places.unfinished(session, account_id)
    return found if found is None or scope.staff or found.state != "proposed" else None


async def live_parts(session: AsyncSession, scope: Scope, ref: str) -> AccountPage:
    """What follows the market: header and gauges, without the lists; raises NotFound. `ref`: the number or the id."""
    account = await accounts.one(session, scope, ref)
    broken = (await breaches.page(session, scope, Window(limit=1), account_id=account.id)).items
    breach = broken[0] if broken else None
    return AccountPage(
        account=account,
        identity=(await session.get_one(Trader, account.trader_id)).identity,
        reset_words=reset_words(account),
        gauges=gauges(account, breach),
        breach=breach,
        positions=await parts.positions(session, scope, account),
        frozen=await parts.freeze_notice(session, scope, account),
    )


def reset_words(account: AccountView) -> str:
    """How long until the daily reset, and on which clock."""
    city = account.clock_zone.rsplit("/", 1)[-1].replace("_", " ")
    return f"in {countdown(account.next_reset - account.market_time)} ({city})"


def _tone(share: float) -> str:
    return "bad" if share < 0.1 else "warn" if share < 0.3 else "ok"


def gauges(account: AccountView, breach: BreachView | None = None) -> list[Gauge]:
    """Rooms first, then what passing needs."""
    found = [_rule(account, rule, breach) for rule in account.rules if rule.room_minor is not None]
    if account.target is not None:
        found.append(_target(account))
    if account.min_trading_days:
        done = min(account.trading_days, account.min_trading_days)
        share = done / account.min_trading_days
        big = f"{account.trading_days} of {account.min_trading_days}"
        left = "reached" if share >= 1 else f"{account.min_trading_days - done} to go"
        found.append(Gauge("Trading days", big, "days", left, "", share, "info"))
    if account.time_ends_at and account.opened_at:
        found.append(_limit(account, account.time_ends_at - account.opened_at, account.time_ends_at))
    return found


def _rule(account: AccountView, rule: RuleGauge, breach: BreachView | None) -> Gauge:
    room = Money(minor=rule.room_minor or 0, currency=account.currency)
    floor = Money(minor=rule.floor_minor or 0, currency=account.currency)
    allowance = Money(minor=rule.allowance_minor, currency=account.currency)
    share = max(0.0, room.minor / allowance.minor)
    proven = breach is not None and breach.rule_id == rule.rule_id
    return Gauge(
        label=LABELS.get(rule.kind, words(rule.rule_id)),
        big=digits(room),
        unit=f"{account.currency} room",
        left=f"breaches {'at' if rule.operator == 'equity <= floor' else 'below'} {digits(floor)}",
        right="broken," if proven else f"limit {digits(allowance)}",
        share=share,
        tone=_tone(share),
        href=f"/proofs/{breach.proof_id}" if proven and breach else None,
        link="proof",
    )


def _target(account: AccountView) -> Gauge:
    assert account.target is not None
    gained = Money(minor=account.target.gained_minor, currency=account.currency)
    needed = Money(minor=account.target.needed_minor, currency=account.currency)
    required = Money(minor=account.target.balance_minor, currency=account.currency)
    return Gauge(
        label="Profit target",
        big=digits(gained),
        unit=f"of {digits(needed)}",
        left=f"passes at {digits(required)} {account.currency}",
        right="flat" if not account.open_positions else f"{account.open_positions} open",
        share=gained.minor / needed.minor,
        tone="info",
    )


def _limit(account: AccountView, whole: timedelta, ends: datetime) -> Gauge:
    left = max(timedelta(0), ends - account.market_time)
    return Gauge(
        label="Time limit",
        big=f"{left.days} d {left.seconds // 3600} h",
        unit="left",
        left=f"of {whole.days} days",
        right=f"ends {ends.astimezone(ZoneInfo('UTC')):%Y-%m-%d %H:%M} UTC",
        share=left / whole,
        tone="info",
    )


def floor_minor(value: object) -> int:
    """A floor of a daily snapshot, which is a plain number or carries more beside it."""
    return int(value["floor_minor"]) if isinstance(value, dict) else int(str(value))


def _day(account: AccountView, day: DayView) -> DayRow:
    def money(minor: int) -> Money:
        return Money(minor=minor, currency=account.currency)

    return DayRow(
        day=day.day.isoformat(),
        reset_at=day.reset_at,
        balance=money(day.balance_minor),
        equity=money(day.equity_minor),
        floors=[(words(rule), money(floor_minor(value))) for rule, value in day.floors.items()],
    )


_TONES: Final = {
    "breach": "bad",
    "pass": "ok",
    "review": "warn",
    "warning": "warn",
    "decision": "info",
    "case_opened": "warn",
    "frozen": "warn",
    "thawed": "ok",
    "note": "info",
}
_SUBJECTS: Final = ("payout", "dispute", "ticket", "case", "review", "challenge")
_LABELS: Final = {"move_proposed": "move", "moved": "move", "place": "platform"}


def entry(row: TimelineEntry, *, staff: bool) -> Entry:
    """One line of the timeline, with the page of what happened and its proof."""
    subject = row.what.removesuffix("_opened")
    where, link = _page(row, subject, staff=staff)
    moves = row.amount_minor is not None and row.amount_minor != 0
    return Entry(
        at=row.at,
        kind=words(_LABELS.get(subject, subject)),
        text=row.words.partition(", ")[0] if row.what in ("deal", "balance") and moves else row.words,
        amount=Money(minor=row.amount_minor or 0, currency=row.currency) if moves else None,
        href=where,
        link=link,
        tone=_TONES.get(row.what, "mute"),
        proof=f"/proofs/{row.proof_id}" if row.proof_id else None,
    )


def _page(row: TimelineEntry, subject: str, *, staff: bool) -> tuple[str | None, str]:
    """The page of what happened, with the name of the link. Raw records are for staff."""
    if subject in _SUBJECTS:
        return href(subject, row.ref), "View"
    if not staff:
        return None, ""
    if row.what == "deal":
        return f"/deals?q={quote(row.ref)}", "record"
    if row.what == "decision":
        return page_of_id(row.ref), "View"
    if row.what in ("moved", "move_proposed"):
        return href("account_move", row.ref), "View"
    return None, ""
