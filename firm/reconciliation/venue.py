"""An account at its venue against the record: what differs is kept as breaks, what agrees again is closed."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import partial
from typing import Any, Final, get_args

from sqlalchemy.ext.asyncio import AsyncSession

from domain.products.second_wall import NO_FLOORS, VenueFloors, VenueMeaning, floors_json
from domain.venue_accounts import AtVenue, Lots, OnRecord, SentLimits, VenueBreak, findings, total
from firm import trading_pauses, venue_limits
from firm.reconciliation.balances import agree, note
from store import venue_limits as kept
from store.models import Account, ReconciliationBreak
from store.reconciliation.venue import RecordedAccount

_ON_ITS_WAY: Final = timedelta(seconds=3)  # from the venue's answer to the gateway's batch
_KINDS: Final = get_args(VenueBreak)
_FOLLOW_TRADES: Final = ("venue_balance_differs", "venue_positions_differ")
_AGREES: Final = "The platform and the record agree."
_KNOWN: Final = "The record knows the account, or the platform no longer has it."


def money_and_lots(row: RecordedAccount) -> tuple[int, Lots] | None:
    """Balance and open lots of an account on the record; None before its first checkpoint."""
    if row.balance_minor is None or row.positions is None:
        return None
    return row.balance_minor, total((each["symbol"], each["side"], Decimal(each["lots"])) for each in row.positions)


async def on_record(
    session: AsyncSession,
    before: RecordedAccount,
    after: RecordedAccount,
    venue: AtVenue | None,
    meaning: VenueMeaning | None,
    platform: str,
) -> OnRecord:
    """Returns an account as the record had it before the venue was asked and has it after. `meaning`: of the loss
    limits of its venue; None: it holds none."""
    active = after.status == "active"
    disabled = active and venue is not None and not venue.trading_enabled
    pauses = await _pauses(session, after, platform) if disabled else ""
    limits = await _limits(session, after) if active and meaning is not None else None
    if limits is not None and limits.sent is None and meaning is not None:
        account = await session.get_one(Account, after.id)
        limits = SentLimits(None, (await venue_limits.wanted_wall(session, account, meaning)).floors)
    return OnRecord(
        active=active,
        currency=after.currency,
        before=money_and_lots(before),
        after=money_and_lots(after),
        pauses=pauses,
        limits=limits,
    )


async def _limits(session: AsyncSession, row: RecordedAccount) -> SentLimits | None:
    """Returns what was sent; None while something is on its way."""
    limits = (await kept.held(session, [row.id])).get(row.id)
    if limits is not None:
        called = limits.sending_until is not None and limits.sending_until > datetime.now(UTC)
        if limits.asked or called or await kept.waits(session, row.id):
            return None
    sent = None if limits is None or limits.sent is None else VenueFloors(**limits.sent)
    return SentLimits(sent, NO_FLOORS if sent is None else sent)


async def _pauses(session: AsyncSession, row: RecordedAccount, platform: str) -> str:
    """Why an active account may not trade for now; empty if nothing is known."""
    found = await trading_pauses.reasons(
        session, account_id=row.id, challenge_id=row.challenge_id, platform=platform, product=row.product
    )
    return found[0] if found else ""


async def compare(
    session: AsyncSession, platform: str, row: RecordedAccount, record: OnRecord, venue: AtVenue | None, now: datetime
) -> int:
    """Keeps what differs of an account, and closes what agrees. Returns how many differences there are."""
    found = {each.kind: each for each in findings(record, venue)}
    for kind in _KINDS:
        what = f"{kind}/{row.id}"
        if kind not in found:
            await agree(session, what, now, reason=_AGREES)
            continue
        finding = found[kind]
        detail = finding.detail | {"read_until": _stamp(row.read_until), "asked_at": _stamp(datetime.now(UTC))}
        await note(
            session,
            what,
            finding.amount_minor,
            now,
            kind=kind,
            confirms=partial(_is_certain, row),
            source=platform,
            account_id=row.id,
            currency=row.currency,
            detail=detail,
        )
    if venue is not None and venue.floors is not None and record.active:
        await kept.note(session, {row.id: floors_json(venue.floors)}, now)
    return len(found)


def _stamp(at: datetime | None) -> str | None:
    return None if at is None else at.isoformat()


def _is_certain(row: RecordedAccount, seen: ReconciliationBreak) -> bool:
    """Whether nothing can be on its way any more that was when the difference was seen. What follows trades waits until
    the record has read on and stored it; a right to trade does not."""
    if seen.kind not in _FOLLOW_TRADES or row.shard is None or "asked_at" not in seen.detail:
        return True
    if row.read_until is None or row.stored_at is None:
        return False
    then = seen.detail["read_until"]
    has_read_on = then is None or row.read_until > datetime.fromisoformat(then)
    return has_read_on and row.stored_at > datetime.fromisoformat(seen.detail["asked_at"]) + _ON_ITS_WAY


async def unknown(
    session: AsyncSession, platform: str, login: int, venue: AtVenue, currency: str, now: datetime
) -> None:
    """Keeps an account of the venue that the record does not know."""
    detail: dict[str, Any] = {
        "ours": "no account with this login",
        "theirs": f"login {login}, {'may trade' if venue.trading_enabled else 'disabled'}",
        "difference": [login],
        "shown": venue.balance_minor,
    }
    await note(
        session,
        _unknown(platform, login),
        0,
        now,
        kind="venue_account_unknown",
        source=platform,
        subject=str(login),
        currency=currency,
        detail=detail,
    )


async def known(session: AsyncSession, platform: str, logins: Sequence[int], now: datetime) -> None:
    """Closes what was seen of logins that the record knows by now, or the venue no longer has."""
    for login in logins:
        await agree(session, _unknown(platform, login), now, reason=_KNOWN)


def _unknown(platform: str, login: int) -> str:
    return f"venue_account_unknown/{platform}/{login}"
