"""What a notification looks like now: the text in force with the newest thing on record that it would tell of."""

from collections.abc import Mapping
from typing import Final

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from domain.keys import new_id
from domain.notifications.kinds import BY_NAME, DEADLINE, WARNINGS, Kind
from domain.notifications.texts import FIELDS, examples, fill
from firm import mails
from firm.notifications import facts, reminders, telling, texts
from firm.notifications.reminders import Work
from store.models import BusinessEvent
from store.read.pages import View

_NOBODY: Final = "preview"


class Preview(View):
    """`real`: the values are of the newest such event on record; else they are examples. `mail`: whether it leaves as
    mail. The links that switch mail off are not genuine: a preview switches off nothing."""

    kind: str
    tells: str
    real: bool
    mail: bool
    subject: str
    short: str
    text: str
    html: str
    fixed: str


async def preview(
    session: AsyncSession, kind: Kind, *, site: str, works: Mapping[str, Work], viewer: str = "Ana Ruiz"
) -> Preview:
    """`works`: the kinds of work with deadlines. `viewer`: the name of the person who looks."""
    values = await _values(session, kind, site, works, viewer)
    template = (await texts.in_force(session)).templates[kind.name]
    filled = fill(kind, template, examples(kind) | (values or {}))
    shown = telling.with_footer(filled, kind, _NOBODY, site) if "mail" in kind.channels else filled
    return Preview(
        kind=kind.name,
        tells=kind.tells,
        real=values is not None,
        mail="mail" in kind.channels,
        fixed=kind.fixed,
        **{field: getattr(shown, field) for field in FIELDS},
    )


async def _values(
    session: AsyncSession, kind: Kind, site: str, works: Mapping[str, Work], viewer: str
) -> dict[str, str] | None:
    if kind.name == DEADLINE:
        found = await reminders.sample(session, works, name=viewer)
        return None if found is None else {**found, "link": f"{site}/queue"}
    of = BY_NAME["account.warning"] if kind.name == WARNINGS else kind
    newest = select(BusinessEvent).where(BusinessEvent.kind.in_(of.events), BusinessEvent.trader_id.is_not(None))
    events = (await session.scalars(newest.order_by(BusinessEvent.seq.desc()).limit(3))).all()
    drafts = await facts.drafts(session, events)
    if not drafts:
        return None
    if kind.name == WARNINGS:
        return telling.together(drafts, await texts.in_force(session), site)
    return telling.values_of(drafts[0], site)


async def send(session: AsyncSession, shown: Preview, *, to: str) -> str:
    """Mails a preview to an address, and returns the id of the mail. Raises BadInput for an address that cannot be."""
    return await mails.send(
        session,
        to=to,
        subject=f"[Preview] {shown.subject}",
        body=shown.text,
        html=shown.html or None,
        automatic=True,
        key=f"notification-preview/{new_id('ntf')}",
        kind="preview",
    )
