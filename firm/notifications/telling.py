"""From business events to notifications: the relay tells of what is committed, each thing once.

The database writes an event in the transaction of the change, and marks it as not told. One transaction makes the
notifications of a batch, their mails, and the mark: a relay that is killed in between tells of the batch anew. So
nothing that judges, pays or answers waits for a mail.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final

import structlog
from sqlalchemy import select, text, update
from sqlalchemy.exc import OperationalError
from sqlalchemy.ext.asyncio import AsyncSession

from domain import record_keys
from domain.errors import BadInput
from domain.keys import new_id
from domain.notifications.kinds import BY_NAME, OF_EVENTS, WARNINGS, Kind, channels
from domain.notifications.texts import Filled, Texts, fill
from firm import mails, reviews
from firm.notifications import choices, facts, texts
from firm.notifications.again import Again
from firm.notifications.facts import Draft
from store import upsert
from store.models import BusinessEvent, Notification, Trader, User

MAIL_KIND: Final = "notification"
_LOCK: Final = 7120088  # one relay at a time: two would not see what the other says of one topic
_ALONE: Final = text("SELECT pg_try_advisory_xact_lock(:key)")
_log = structlog.get_logger("firm.notifications")


async def tell(session: AsyncSession, *, limit: int, site: str, again: Again) -> int:
    """Makes the notifications of the oldest events that are not told, at most `limit`. Returns how many events. `site`:
    the address of the console. An event that cannot be told is logged, and holds up no other one; of a kind that is
    always sent, a review asks a person to look, and it stays untold until `again` gives it up."""
    if not await session.scalar(_ALONE, {"key": _LOCK}):
        return 0
    now = datetime.now(UTC)
    untold = select(BusinessEvent).where(~BusinessEvent.told, BusinessEvent.id.not_in(again.waits(now)))
    events = (await session.scalars(untold.order_by(BusinessEvent.seq).limit(limit).with_for_update())).all()
    if not events:
        return 0
    ids = {event.id for event in events}
    wanted = [event for event in events if event.kind in OF_EVENTS]
    await texts.in_force(session)  # without texts nothing is told, and everything waits
    if wanted and not await _told(session, wanted, site):
        for event in wanted:
            event_id, of_kind = event.id, OF_EVENTS[event.kind]
            if not await _told(session, [event], site) and of_kind.fixed:
                await _ask_person(session, event, of_kind)
                ids -= {event_id} if again.failed(event_id, now) else set()
    marked = update(BusinessEvent).where(BusinessEvent.id.in_(ids)).values(told=True)
    await session.execute(marked.execution_options(synchronize_session=False))
    again.told(ids)
    return len(events)


async def _ask_person(session: AsyncSession, event: BusinessEvent, kind: Kind) -> None:
    """Opens one review for all events of this kind and day."""
    day = event.recorded_at.astimezone(UTC).date()
    words = f"Somebody could not be told: {kind.tells}. The relay tries again for some hours; its log names each event."
    await reviews.report(
        session,
        key=record_keys.untold_review(event.kind, day),
        kind=reviews.NOTIFICATION_FAILED,
        detail={"kind": kind.name, "event": event.id, "trader_id": event.trader_id, "words": words},
    )


async def _told(session: AsyncSession, events: Sequence[BusinessEvent], site: str) -> bool:
    """Returns whether it went well; if not, nothing of it is there."""
    try:
        async with session.begin_nested():
            await write(session, await facts.drafts(session, events), site=site)
    except OperationalError:  # the database is away, not the event wrong
        raise
    except Exception:  # noqa: BLE001 -- one event must not hold up the others
        if len(events) == 1:
            _log.exception("an event cannot be told", event_id=events[0].id, kind=events[0].kind)
        return False
    return True


async def write(session: AsyncSession, drafts: Sequence[Draft], *, site: str) -> int:
    """Writes drafts as notifications with their mails; one that was written before changes nothing. Returns how many
    are new."""
    fresh = await _fresh(session, drafts)
    if not fresh:
        return 0
    off = await choices.of_owners(session, {draft.person for draft in fresh})
    wanted = {draft.key: channels(draft.kind, off.get(draft.person, {})) for draft in fresh}
    mailed = await _mailed_topics(session, {draft.topic for draft in fresh if draft.topic is not None})
    to_mail: dict[tuple[str, str], list[Draft]] = {}  # warnings of one person together, everything else alone
    for draft in fresh:
        if "mail" in wanted[draft.key] and draft.topic not in mailed:
            together = draft.kind.name if draft.topic is not None else draft.key
            to_mail.setdefault((draft.person, together), []).append(draft)
            mailed |= {draft.topic} - {None}
    words, addresses = await texts.in_force(session), await _addresses(session, {person for person, _ in to_mail})
    mail_ids: dict[str, str] = {}
    for (person, _), each in to_mail.items():
        mail_id = await _mail(session, person, addresses.get(person), each, words, site=site)
        if mail_id is not None:
            mail_ids |= {draft.key: mail_id for draft in each}
    rows = [
        _row(draft, words, site, mail_ids.get(draft.key), shown="app" in wanted[draft.key])
        for draft in fresh
        if "app" in wanted[draft.key] or draft.key in mail_ids
    ]
    await upsert.add(session, Notification, rows, unless=("key",))
    return len(rows)


async def _fresh(session: AsyncSession, drafts: Sequence[Draft]) -> list[Draft]:
    keys = [draft.key for draft in drafts]
    known = set(await session.scalars(select(Notification.key).where(Notification.key.in_(keys)))) if keys else set()
    return [draft for draft in drafts if draft.key not in known]


async def _mailed_topics(session: AsyncSession, topics: set[str]) -> set[str | None]:
    if not topics:
        return set()
    found = await session.scalars(
        select(Notification.topic).where(Notification.topic.in_(topics), Notification.mail_id.is_not(None))
    )
    return set(found)


async def _addresses(session: AsyncSession, people: set[str]) -> dict[str, str]:
    """The mail addresses of traders, and of people of the firm, who sign in with theirs."""
    traders = [person for person in people if choices.to_of(person) == "trader"]
    users = sorted(people - set(traders))
    found: dict[str, str] = {}
    if traders:
        of_traders = await session.execute(select(Trader.id, Trader.email).where(Trader.id.in_(traders)))
        found |= {str(trader_id): str(email) for trader_id, email in of_traders}
    if users:
        of_users = await session.execute(select(User.id, User.login).where(User.id.in_(users)))
        found |= {str(user_id): str(login) for user_id, login in of_users}
    return found


async def _mail(
    session: AsyncSession, person: str, address: str | None, drafts: Sequence[Draft], words: Texts, *, site: str
) -> str | None:
    """Sends one mail for these drafts. Returns its id; None for an address that takes no mail."""
    kind, values = drafts[0].kind, values_of(drafts[0], site)
    if len(drafts) > 1:
        kind, values = BY_NAME[WARNINGS], together(drafts, words, site)
    filled = with_footer(fill(kind, words.templates[kind.name], values), kind, person, site)
    try:
        return await mails.send(
            session,
            to=address or "",
            subject=filled.subject,
            body=filled.text,
            html=filled.html or None,
            unsubscribe=choices.token(kind, person),
            automatic=True,
            bulk=True,
            key=f"notification/{drafts[0].key}",
            kind=MAIL_KIND,
        )
    except BadInput:  # an old record may have no usable address
        keys = [draft.key for draft in drafts]
        _log.warning("an address takes no mail of a notification", kind=kind.name, person=person, keys=keys)
    return None


def together(drafts: Sequence[Draft], words: Texts, site: str) -> dict[str, str]:
    shorts = [fill(each.kind, words.templates[each.kind.name], values_of(each, site)).short for each in drafts]
    return {
        "trader.name": drafts[0].values["trader.name"],
        "count": str(len(drafts)),
        "lines": "\n".join(shorts),
        "link": f"{site}/notifications",
    }


def with_footer(filled: Filled, kind: Kind, person: str, site: str) -> Filled:
    """Adds why the mail comes, and how it is switched off."""
    token = choices.token(kind, person)
    if token is None:
        plain = f"{kind.fixed}\n"
        return Filled(filled.subject, filled.short, f"{filled.text}\n--\n{plain}", _marked(filled.html, kind.fixed))
    link, every = f"{site}/unsubscribe/{token}", f"{site}/notifications/choices"
    plain = f"Stop e-mails like this one: {link}\nAll your choices: {every}\n"
    marked = f'<a href="{link}">Stop e-mails like this one</a>. <a href="{every}">All your choices</a>.'
    return Filled(filled.subject, filled.short, f"{filled.text}\n--\n{plain}", _marked(filled.html, marked))


def _marked(html: str, footer: str) -> str:
    return f"{html}\n<hr>\n<p>{footer}</p>" if html else ""


def values_of(draft: Draft, site: str) -> dict[str, str]:
    return {**draft.values, "link": f"{site}{draft.href}"}


def _row(draft: Draft, words: Texts, site: str, mail_id: str | None, *, shown: bool) -> Mapping[str, Any]:
    filled = fill(draft.kind, words.templates[draft.kind.name], values_of(draft, site))
    of_trader = choices.to_of(draft.person) == "trader"
    return {
        "id": new_id("ntf"),
        "key": draft.key,
        "kind": draft.kind.name,
        "trader_id": draft.person if of_trader else None,
        "user_id": None if of_trader else draft.person,
        "topic": draft.topic,
        "subject": filled.subject,
        "short": filled.short,
        "href": draft.href,
        "mail_id": mail_id,
        "shown": shown,
        "occurred_at": draft.at,
    }
