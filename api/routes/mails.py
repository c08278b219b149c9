"""The firm's mail, out and in, and the files of mails."""

from typing import Annotated, Final, Literal

from fastapi import APIRouter, Depends, Query, Response
from sqlalchemy.ext.asyncio import AsyncSession

from firm import inbound, mails
from front.auth import Caller, Deps, allowed
from front.fields import BINARY, Email, Input, TicketId, id_of, one_of, window
from front.once import Keyed
from store.read import mails as read
from store.read import mails_in
from store.read.pages import Page, View, Window

router = APIRouter(prefix="/v1", tags=["support"])
TicketReader = Annotated[Caller, Depends(allowed("tickets.read"))]
_READS: Final = Depends(allowed("mails.read"))
FileId = Annotated[str, id_of("att")]
IncomingMailId = Annotated[str, id_of("ima")]
AskedAddress = Annotated[str | None, Query(max_length=254)]


class AddressBody(Input):
    address: Email


class Done(View):
    """`ticket_id`: the ticket that a released mail is in."""

    done: bool
    ticket_id: str | None = None


@router.get("/mails", dependencies=[_READS])
async def list_mails(
    deps: Deps,
    page: Annotated[Window, Depends(window)],
    state: Annotated[str, one_of(read.STATES)] | None = None,
    to: AskedAddress = None,
    ticket: TicketId | None = None,
) -> Page[read.MailRow]:
    """Mail that the firm sends."""
    async with deps.db.transaction() as session:
        return await read.page(session, page, state=state, recipient=to, ticket_id=ticket)


@router.get("/incoming-mails", dependencies=[_READS])
async def list_incoming_mails(
    deps: Deps,
    page: Annotated[Window, Depends(window)],
    state: Literal["ticket", "automatic", "bounce", "ours", "held"] | None = None,
    sender: AskedAddress = None,
) -> Page[mails_in.IncomingMailView]:
    async with deps.db.transaction() as session:
        return await mails_in.page(session, page, state=state, sender=sender)


@router.post("/incoming-mails/{mail_id}/release", dependencies=[Depends(allowed("mails.release"))])
async def release_mail(mail_id: IncomingMailId, once: Keyed) -> Done:
    """Lets in a mail that was held because its sender sent too many."""

    async def work(session: AsyncSession) -> Done:
        received = await inbound.release(session, mail_id=mail_id, actor=once.actor)
        return Done(done=True, ticket_id=received.ticket_id)

    return await once.write(Done, None, work)


@router.get("/mail-addresses", dependencies=[_READS])
async def list_unreachable_addresses(deps: Deps) -> list[read.UnreachableAddress]:
    """Addresses to which nothing is sent, because mail to them came back for good."""
    async with deps.db.transaction() as session:
        return list(await read.unreachable(session))


@router.post("/mail-addresses/clear", dependencies=[Depends(allowed("mails.release"))])
async def clear_address(body: AddressBody, once: Keyed) -> Done:
    async def work(session: AsyncSession) -> Done:
        actor = once.actor
        await mails.clear_address(session, address=body.address, actor=actor.user_id, role=actor.role)
        return Done(done=True)

    return await once.write(Done, body, work)


@router.get("/tickets/{ticket_id}/mails")
async def list_ticket_mails(ticket_id: TicketId, caller: TicketReader, deps: Deps) -> list[mails_in.IncomingMailView]:
    async with deps.db.transaction() as session:
        return list(await mails_in.of_ticket(session, caller.scope, ticket_id))


@router.get("/mail-attachments/{file_id}", response_class=Response, responses={200: {"content": {"*/*": BINARY}}})
async def get_mail_attachment(file_id: FileId, caller: TicketReader, deps: Deps) -> Response:
    """A file, only to be saved: no browser shows it under our address."""
    async with deps.db.transaction() as session:
        file = await mails_in.file(session, caller.scope, file_id)
        content = b"".join([part async for part in mails_in.content(session, file.id)])
    plain = file.name.encode("ascii", "replace").decode().replace('"', "_").replace("?", "_")
    headers = {
        "Content-Disposition": f'attachment; filename="{plain}"',
        "Content-Security-Policy": "sandbox; default-src 'none'",
        "X-Content-Type-Options": "nosniff",
        "Cache-Control": "private, no-store",
    }
    return Response(content, media_type=file.media_type, headers=headers)
