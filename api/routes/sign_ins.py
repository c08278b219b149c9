"""One's own sign-ins, password and e-mail address."""

from fastapi import APIRouter, Depends, Request, Response

from firm import confirmations, passwords
from front.auth import Deps, SignedInPerson, address_of, clear_cookie
from front.fields import Input, Line, Password, SignInId, TokenBody, idempotency_key
from front.recovery import ask_recovery
from store import sign_ins
from store.read.pages import View
from store.scope import FIRM
from store.sign_ins import SignInView

router = APIRouter(prefix="/v1", tags=["sign-ins"])


class PasswordBody(Input):
    old: Password
    new: Password


class RecoveryBody(Input):
    login: Line


class NewPasswordBody(Input):
    """`token`: the last part of the link in the mail."""

    token: Line
    new: Password


class Said(View):
    message: str


@router.get("/sessions")
async def list_sign_ins(caller: SignedInPerson, deps: Deps) -> list[SignInView]:
    """One's own open sign-ins, the one used last first. The device is what it says of itself."""
    async with deps.db.transaction() as session:
        return list(await sign_ins.of_user(session, caller.actor.user_id, deps.sign_ins, current=caller.sign_in_id))


@router.delete("/sessions", status_code=204)
async def end_every_sign_in(caller: SignedInPerson, deps: Deps, response: Response) -> None:
    """Sign out everywhere, here too."""
    async with deps.db.transaction() as session:
        await sign_ins.end_all(session, caller.actor.user_id, actor=caller.actor)
    clear_cookie(response, deps)


@router.delete("/sessions/{sign_in_id}", status_code=204)
async def end_sign_in(sign_in_id: SignInId, caller: SignedInPerson, deps: Deps) -> None:
    """End one of one's own sign-ins."""
    async with deps.db.transaction() as session:
        await sign_ins.end_one(session, caller.actor.user_id, sign_in_id, actor=caller.actor)


@router.put("/password", status_code=204)
async def change_password(body: PasswordBody, caller: SignedInPerson, deps: Deps) -> None:
    """Change one's own password. All other sign-ins end."""
    await passwords.change(
        deps.db, caller.actor, old=body.old, new=body.new, but=caller.sign_in_id, terms=deps.sign_ins
    )


@router.post("/password-recovery", status_code=202, dependencies=[Depends(idempotency_key)])
async def ask_for_recovery(body: RecoveryBody, request: Request, deps: Deps) -> Said:
    """Ask for a mail with a link to set a new password. The answer is the same for every login."""
    return Said(message=await ask_recovery(deps, body.login, address_of(request)))


@router.put("/password-recovery", status_code=204)
async def recover_password(body: NewPasswordBody, deps: Deps) -> None:
    """Set a new password with the link of a mail. All sign-ins end; the link is used up."""
    await passwords.recover(deps.db, token=body.token, new=body.new)


@router.put("/email-confirmation", status_code=204)
async def confirm_email(body: TokenBody, deps: Deps) -> None:
    """Confirm a trader's e-mail address with the link of a mail."""
    async with deps.db.transaction(FIRM) as session:
        await confirmations.confirm(session, body.token)


@router.post("/email-confirmation", status_code=202, dependencies=[Depends(idempotency_key)])
async def ask_for_confirmation(caller: SignedInPerson, deps: Deps) -> Said:
    """Ask for another mail with the link that confirms one's own address; for traders."""
    await confirmations.ask_again(deps.db, caller.actor, site=deps.public_url, terms=deps.sign_ins)
    return Said(message="We have sent you another mail. Only its link works now.")
