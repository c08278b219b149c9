"""Invitations to link a login to an identity of the firm's identity provider."""

from fastapi import APIRouter, Depends
from sqlalchemy.ext.asyncio import AsyncSession

from front.auth import Deps, allowed
from front.fields import Input, Line
from front.once import Keyed
from front.provider import mail_invitation, provider
from store.read.pages import View

router = APIRouter(prefix="/v1", tags=["people"])


class InvitationBody(Input):
    login: Line


class Invited(View):
    """`user_id`: who was sent the link. It works once, within three days."""

    user_id: str


@router.post("/sign-in/invitations", status_code=201, dependencies=[Depends(allowed("sign_in.invite"))])
async def invite_to_link(body: InvitationBody, once: Keyed, deps: Deps) -> Invited:
    """Invite a member of staff to link their login to an identity of the firm's identity provider. Needs a step-up.
    The link is mailed to their login and shown to nobody else."""
    provider(deps)

    async def work(session: AsyncSession) -> Invited:
        await once.prove(session, "roles", do="invite to link", login=body.login)
        user_id = await mail_invitation(session, deps.public_url, body.login, once.actor.user_id)
        return Invited(user_id=user_id)

    return await once.write(Invited, body, work)
