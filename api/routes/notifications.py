"""One's own notifications and choices, and previews of what the firm tells people."""

from typing import Annotated, Literal

from fastapi import APIRouter, Depends
from sqlalchemy.ext.asyncio import AsyncSession

from domain.notifications.kinds import KINDS, Channel, Kind, To, named
from firm.notifications import choices, preview, reading
from firm.notifications.choices import Chosen
from firm.notifications.preview import Preview
from front import reminding
from front.auth import Caller, Deps, allowed
from front.fields import Input, NotificationId, NotificationRef, window
from front.once import Keyed
from store.read import notifications as read
from store.read.pages import Page, View, Window

router = APIRouter(prefix="/v1", tags=["notifications"])
Own = Annotated[Caller, Depends(allowed("notifications.own"))]
_PREVIEWS = Depends(allowed("notifications.preview"))


class ChoiceView(View):
    """`on`: the channels by which you are told now. `fixed`: why it cannot be switched off; empty when it can."""

    kind: str
    tells: str
    channels: tuple[Channel, ...]
    on: tuple[Channel, ...]
    fixed: str


class ChoiceBody(Input):
    """`off`: the channels that are switched off; the others are switched on."""

    off: tuple[Channel, ...]


class UntilBody(Input):
    """`until`: the newest notification that you have seen."""

    until: NotificationRef


class Marked(View):
    """How many became read."""

    marked: int


class VariableView(View):
    name: str
    type: str
    means: str
    example: str
    needed: bool


class KindView(View):
    """`to`: who gets it. `events`: the business events that it is made from. `needed` variables must be in its mail."""

    kind: str
    tells: str
    to: To
    channels: tuple[Channel, ...]
    fixed: str
    events: tuple[str, ...]
    variables: tuple[VariableView, ...]


@router.get("/notifications")
async def list_notifications(
    caller: Own, deps: Deps, page: Annotated[Window, Depends(window)], state: Literal["unread"] | None = None
) -> Page[read.NotificationView]:
    """Your notifications, newest first."""
    async with deps.db.transaction() as session:
        return await read.page(session, choices.owner_of(caller.actor), page, unread=state == "unread")


@router.post("/notifications/read", dependencies=[Depends(allowed("notifications.own"))])
async def mark_notifications(body: UntilBody, once: Keyed) -> Marked:
    """Marks a notification of yours and every earlier one as read; those that came later stay unread."""

    async def work(session: AsyncSession) -> Marked:
        return Marked(marked=await reading.mark_until(session, choices.owner_of(once.actor), body.until))

    return await once.write(Marked, body, work)


@router.post("/notifications/{notification_id}/read", dependencies=[Depends(allowed("notifications.own"))])
async def mark_notification(notification_id: NotificationId, once: Keyed) -> Marked:
    """Marks one notification of yours as read."""

    async def work(session: AsyncSession) -> Marked:
        await reading.mark_one(session, choices.owner_of(once.actor), notification_id)
        return Marked(marked=1)

    return await once.write(Marked, None, work)


@router.get("/notification-choices")
async def list_choices(caller: Own, deps: Deps) -> list[ChoiceView]:
    """What you are told, and by which channels."""
    async with deps.db.transaction() as session:
        return [_choice(each) for each in await choices.listed(session, choices.owner_of(caller.actor))]


@router.put("/notification-choices/{kind}")
async def choose_channels(kind: str, body: ChoiceBody, caller: Own, deps: Deps) -> ChoiceView:
    """Chooses by which channels you are told of one kind."""
    async with deps.db.transaction() as session:
        await choices.choose(session, actor=caller.actor, off={kind: body.off})
        found = await choices.listed(session, choices.owner_of(caller.actor))
    return next(_choice(each) for each in found if each.kind.name == kind)


@router.get("/notification-kinds", dependencies=[_PREVIEWS])
async def list_kinds() -> list[KindView]:
    """Every kind of notification, with the variables that its text may name."""
    return [_kind(kind) for kind in KINDS]


@router.get("/notification-kinds/{kind}/preview")
async def preview_kind(
    kind: str, deps: Deps, _caller: Annotated[Caller, Depends(allowed("notifications.preview"))]
) -> Preview:
    """The text in force, filled in with the newest thing on record that it would tell of, or with examples."""
    async with deps.db.transaction() as session:
        works = reminding.works(deps.subjects)
        return await preview.preview(session, named(kind), site=deps.public_url, works=works)


def _choice(chosen: Chosen) -> ChoiceView:
    kind = chosen.kind
    return ChoiceView(
        kind=kind.name,
        tells=kind.tells,
        channels=tuple(sorted(kind.channels)),
        on=tuple(sorted(chosen.on)),
        fixed=kind.fixed,
    )


def _kind(kind: Kind) -> KindView:
    return KindView(
        kind=kind.name,
        tells=kind.tells,
        to=kind.to,
        channels=tuple(sorted(kind.channels)),
        fixed=kind.fixed,
        events=kind.events,
        variables=tuple(
            VariableView(name=each.name, type=each.type, means=each.means, example=each.example, needed=each.needed)
            for each in kind.variables
        ),
    )
