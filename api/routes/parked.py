"""Messages that the program has given up and that wait for a person."""

from typing import Annotated

from fastapi import APIRouter, Depends, Path
from sqlalchemy.ext.asyncio import AsyncSession

from firm import parked
from front import giving_up
from front.auth import Deps, allowed
from front.fields import Input, Reason, window
from front.once import Keyed
from store.read import parked as read
from store.read.pages import Page, View, Window

router = APIRouter(prefix="/v1", tags=["firm"])
Number = Annotated[int, Path(ge=1, le=2**63 - 1)]


class GiveUpBody(Input):
    reason: Reason


class MessageDone(View):
    """`state`: waiting (for the relay), or given_up."""

    box: parked.Box
    number: int
    state: str


@router.get("/parked-messages", dependencies=[Depends(allowed("queue.read"))])
async def list_parked_messages(
    deps: Deps, page: Annotated[Window, Depends(window)], box: parked.Box | None = None
) -> Page[read.ParkedMessage]:
    """Messages that could not be delivered and events that could not be handled, the oldest first."""
    async with deps.db.transaction() as session:
        return await read.page(session, page, box=box)


@router.post("/parked-messages/{box}/{number}/retry", dependencies=[Depends(allowed("messages.retry"))])
async def retry_message(box: parked.Box, number: Number, once: Keyed) -> MessageDone:
    """Try it anew. It keeps its key, so what it did before is not done twice. A lock of an account that trades again is
    refused."""

    async def work(session: AsyncSession) -> MessageDone:
        await parked.retry(session, box, number, actor=once.actor.user_id, role=once.actor.role)
        return MessageDone(box=box, number=number, state="waiting")

    return await once.write(MessageDone, None, work)


@router.post("/parked-messages/{box}/{number}/drop", dependencies=[Depends(allowed("messages.drop"))])
async def drop_message(box: parked.Box, number: Number, body: GiveUpBody, once: Keyed) -> MessageDone:
    """Give it up for good: its effect never happens. Payouts of an account whose balance was to be reset still wait for
    that; the reset can be tried again later. A closing or free reset of an account lapses; of an adjustment, the
    platform is asked once more whether it was made."""

    async def work(session: AsyncSession) -> MessageDone:
        await giving_up.give_up(session, once, box, number, reason=body.reason)
        return MessageDone(box=box, number=number, state="given_up")

    return await once.write(MessageDone, body, work)
