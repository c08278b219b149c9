"""How amounts, times and ids look: the filters of every template."""

import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, Final

from markupsafe import Markup, escape

from domain.money import Money, exponent, from_minor, is_known
from domain.steps import sentence
from domain.work_queue import SOON
from store.read.listing import COUNTED

_MINUS = "\u2212"
_LONG_ID: Final = re.compile(r"\b([a-z]{2,4}_[0-9a-z]{20,}|[0-9a-f]{32,})\b")
_INSTANT: Final = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)")
_NEGATIVE: Final = re.compile(r"(?<!\S)-(?=\d)")
_CODE: Final = re.compile(r"[a-z]+(_[a-z]+)+")  # such as awaiting_approval; ids have digits
MOST_COUNTED: Final = 1_000  # of work that waits: a page that shows more would take longer the more there is


def digits(amount: Money | None, *, sign: bool = False) -> str:
    """The number alone, with thousands separators and a true minus sign; `sign` also marks gains."""
    if amount is None:
        return "–"
    value = from_minor(abs(amount.minor), amount.currency)
    text = f"{value:,.{exponent(amount.currency)}f}"
    if amount.minor < 0:
        return _MINUS + text
    return f"+{text}" if sign and amount.minor > 0 else text


def money(amount: Money | None, *, sign: bool = False, tone: bool = False) -> Markup:
    """An amount with its currency; `tone` adds colour to what the sign already says."""
    if amount is None:
        return Markup("<span class='muted'>–</span>")
    colour = "" if not tone or amount.minor == 0 else (" neg" if amount.minor < 0 else " pos")
    return Markup('<span class="money{}">{} <span class="cur">{}</span></span>').format(
        colour, digits(amount, sign=sign), amount.currency
    )


def plain_money(amount: Money) -> str:
    """For sentences: "1,240.00 USD"."""
    return f"{digits(amount)} {amount.currency}"


def with_minus(text: str) -> str:
    """A text of others, with a true minus sign before its negative numbers."""
    return _NEGATIVE.sub(_MINUS, text)


def _utc(at: datetime) -> datetime:
    return at.astimezone(UTC)


def clock(at: datetime | None, form: str = "%Y-%m-%d %H:%M") -> Markup:
    """A moment in UTC; the title and the `datetime` attribute have it in full."""
    if at is None:
        return Markup("<span class='muted'>–</span>")
    utc = _utc(at)
    return Markup('<time datetime="{}" title="{}">{}</time>').format(
        utc.isoformat(timespec="milliseconds"), f"{utc:%Y-%m-%d %H:%M:%S.%f}"[:-3] + " UTC", f"{utc:{form}}"
    )


def seconds(at: datetime | None) -> Markup:
    """A moment to the second, for deals and verdicts."""
    return clock(at, "%Y-%m-%d %H:%M:%S")


def span(length: timedelta) -> str:
    """ "in 3 h 20 min", "2 d 4 h late"."""
    total = int(abs(length.total_seconds()) // 60)
    days, hours, minutes = total // 1440, total % 1440 // 60, total % 60
    size = f"{days} d {hours} h" if days else f"{hours} h {minutes} min" if hours else f"{minutes} min"
    return f"{size} late" if length < timedelta(0) else f"in {size}"


def countdown(length: timedelta) -> str:
    """Hours, minutes and seconds to go: "7:29:53"."""
    total = max(0, int(length.total_seconds()))
    return f"{total // 3600}:{total % 3600 // 60:02}:{total % 60:02}"


def deadline_tone(due: datetime, now: datetime) -> str:
    if due < now:
        return "bad"
    return "warn" if due - now < SOON else "mute"


def deadline(due: datetime | None, now: datetime) -> Markup:
    """A pill that says how long is left in market time; the browser keeps it up to date."""
    if due is None:
        return Markup("<span class='muted'>–</span>")
    return Markup(
        '<span class="pill" data-tone="{}"><time data-deadline datetime="{}" title="{}">{}</time></span>'
    ).format(deadline_tone(due, now), _utc(due).isoformat(), f"due {_utc(due):%Y-%m-%d %H:%M} UTC", span(due - now))


def wall_deadline(due: datetime | None, now: datetime) -> Markup:
    """A pill that says how long is left in wall time, as of the moment of the page."""
    if due is None:
        return Markup("<span class='muted'>–</span>")
    return Markup('<span class="pill" data-tone="{}"><time datetime="{}" title="{}">{}</time></span>').format(
        deadline_tone(due, now), _utc(due).isoformat(), f"due {_utc(due):%Y-%m-%d %H:%M} UTC", span(due - now)
    )


def duration(minutes: int) -> str:
    """ "3 h 20 min", "45 min"."""
    hours, rest = divmod(minutes, 60)
    return f"{hours} h {rest} min" if hours and rest else f"{hours} h" if hours else f"{rest} min"


def target(due: datetime, now: datetime) -> Markup:
    """How long until an item without a deadline should be decided; the browser keeps it up to date."""
    return Markup(
        '<span class="muted small">target <time data-deadline datetime="{}" title="{}">{}</time></span>'
    ).format(_utc(due).isoformat(), f"no deadline; to be decided by {_utc(due):%Y-%m-%d %H:%M} UTC", span(due - now))


def short_id(value: str | None) -> Markup:
    """An id shortened in the middle; a click copies the whole."""
    if not value:
        return Markup("<span class='muted'>–</span>")
    shown = value if len(value) <= 14 else f"{value[:6]}…{value[-4:]}"
    return Markup('<button type="button" class="id" data-copy="{0}" title="{0}">{1}</button>').format(value, shown)


def short_ids(text: str) -> Markup:
    """A text in which each id and each digest is shortened as `short_id` does it."""
    return Markup("").join(short_id(part) if _LONG_ID.fullmatch(part) else part for part in _LONG_ID.split(text))


def done(action: str) -> str:
    """What an entry of the audit trail records: "payout.transfer_paid" as "Transfer paid"."""
    return capital(words(action.rpartition(".")[2]))


def words(value: str) -> str:
    """A state, rule or trigger in plain words."""
    return value.replace("_", " ")


_DETAIL_NAMES: Final = {"words": "What happened", "remedy": "What to do"}


def detail(details: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Names and values of a record's details, for people: amounts with their currency, times in UTC, codes as words."""
    currency = details.get("currency")
    known = isinstance(currency, str) and is_known(currency)
    rows = []
    for name, value in details.items():
        if known and name.endswith("_minor") and isinstance(value, int):
            amount = Money(minor=value, currency=str(currency))
            rows.append((capital(name.removesuffix("_minor")), plain_money(amount)))
        elif not known or name != "currency":
            rows.append((_DETAIL_NAMES.get(name) or capital(name), _detail_value(value)))
    return rows


def _detail_value(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, str):
        if _INSTANT.fullmatch(value):
            return f"{_utc(datetime.fromisoformat(value)):%Y-%m-%d %H:%M:%S} UTC"
        return words(value) if _CODE.fullmatch(value) else value
    if isinstance(value, list) and all(isinstance(each, str) for each in value):
        return ", ".join(map(_detail_value, value)) or "none"
    return "none" if value is None else json.dumps(value, ensure_ascii=False)


def counted(number_of: int, noun: str) -> str:
    """ "1 position", "2 positions"."""
    return f"{number_of:,} {noun}{'' if number_of == 1 else 's'}"


def capital(value: str) -> str:
    text = words(value)
    return text[:1].upper() + text[1:]


def percent(value: Decimal | float, places: int = 0) -> str:
    return f"{value:.{places}f} %"


def number(value: Decimal | int) -> str:
    """A count or quantity without trailing zeros."""
    text = f"{value:,}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def as_listed(count: int) -> str:
    """A number that leads to a list: as the list says it, which counts no further than `COUNTED`."""
    return number(count) if count <= COUNTED else f"more than {number(COUNTED)}"


def waiting(count: int) -> str:
    """How much work waits, beside the name of its page. From `MOST_COUNTED` on nobody counts on."""
    return number(count) if count < MOST_COUNTED else f"{MOST_COUNTED - 1}+"


_TONES = {
    "ok": {
        "active", "funded", "paid", "verified", "reinstated", "cleared", "solved", "on_sale", "moved", "done", "won",
    },
    "warn": {
        "in_review", "awaiting_approval", "awaiting_decision", "identity_check", "awaiting_payment", "payment_review",
        "awaiting_activation",
        "opening", "returned", "unverified", "waiting_for_trader", "expired", "timed_out", "open", "proposed",
        "inquiry", "evidence_due", "owed", "deducted",
    },
    "bad": {"breached", "failed", "rejected", "refused", "charged_back", "locked", "confirmed", "lost", "accepted"},
    "info": {
        "provisioning", "requested", "reserved", "approved", "sent", "settling", "releasing", "reinstating", "opened",
        "received", "submitted",
    },
}  # fmt: skip


def tone(state: str) -> str:
    """The colour of a state; the word itself is always shown too."""
    return next((name for name, states in _TONES.items() if state in states), "mute")


def pill(state: str, text: str | None = None) -> Markup:
    return Markup('<span class="pill" data-tone="{}">{}</span>').format(tone(state), text or words(state))


def bar(fraction: float, tone_name: str = "ok") -> Markup:
    """A bar filled to `fraction` (0..1), drawn with attributes only, since the page's policy allows no style."""
    width = f"{min(1.0, max(0.0, fraction)) * 100:.1f}"
    return Markup(
        '<svg class="bar" data-tone="{}" aria-hidden="true" preserveAspectRatio="none" viewBox="0 0 100 6">'
        '<rect width="{}" height="6"></rect></svg>'
    ).format(tone_name, width)


def lots(value: Decimal) -> str:
    """A net position: long with a plus, short with a minus."""
    sign = "+" if value > 0 else _MINUS if value < 0 else ""
    return sign + number(abs(value))


def minor(value: int | None, currency: str) -> Money | None:
    """Minor units of a read model as an amount."""
    return None if value is None else Money(minor=value, currency=currency)


FILTERS: dict[str, Any] = {
    "as_listed": as_listed,
    "waiting": waiting,
    "minor": minor,
    "lots": lots,
    "digits": digits,
    "happened": sentence,
    "money": money,
    "plain_money": plain_money,
    "clock": clock,
    "seconds": seconds,
    "countdown": countdown,
    "deadline": deadline,
    "wall_deadline": wall_deadline,
    "duration": duration,
    "target": target,
    "short_id": short_id,
    "short_ids": short_ids,
    "done": done,
    "words": words,
    "capital": capital,
    "counted": counted,
    "percent": percent,
    "number": number,
    "pill": pill,
    "tone": tone,
    "bar": bar,
    "e": escape,
}
