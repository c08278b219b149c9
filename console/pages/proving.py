"""The page between a form and what it does: the person proves who they are, and the form goes on as it was typed."""

import json
import secrets
from typing import Final

from fastapi import Request
from fastapi.responses import Response
from starlette.datastructures import FormData

from console.desk import Desk
from console.proofs import FIELDS
from console.views.frame import Crumb
from domain.approvals import PEOPLE
from domain.sign_in_errors import StepUpRequired
from domain.step_up import ACTION_WORDS
from front import proving
from front.access import passkeys_work
from front.auth import COOKIE
from store.identity import token_digest

METHOD_WORDS: Final = {
    "passkey": "Passkey",
    "totp": "Code of your authenticator app",
    "recovery_code": "Recovery code",
    "password": "Your password",
}


async def page(desk: Desk, request: Request, error: StepUpRequired) -> Response:
    """Asks for the proof. The form that needs it is in the page, unseen and as it was typed."""
    sent: FormData = getattr(request.state, "form", FormData())
    kept = [(name, text) for name, text in sent.multi_items() if name not in FIELDS and isinstance(text, str)]
    token, asked = request.cookies.get(COOKIE, ""), None
    async with desk.visit(request, PEOPLE) as visit:
        user_id = visit.viewer.user_id
        if not kept:  # a file was asked for by its address
            asked_for = [pair for pair in request.query_params.multi_items() if pair[0] not in (*FIELDS, "csrf", "key")]
            kept = [("csrf", visit.viewer.csrf), ("key", secrets.token_hex(16)), *asked_for]
    if "passkey" in error.methods and passkeys_work(desk.deps.access, desk.deps.public_url):
        asked = await proving.ask_passkey(
            desk.deps, user_id, purpose="step_up", holder=token_digest(token), about=error.digest
        )
    async with desk.visit(request, PEOPLE) as visit:
        return await visit.render(
            "prove.html",
            [Crumb("Confirm that it is you")],
            403,
            to=str(request.url.path),
            kept=kept,
            reason=next((text for name, text in kept if name == "reason"), ""),
            action=error.action,
            action_words=ACTION_WORDS[error.action],
            digest=error.digest,
            problem=error.problem,
            methods=[each for each in error.methods if each not in ("passkey", "mail")],
            by_mail="mail" in error.methods,
            method_words=METHOD_WORDS,
            passkey=asked,
            options=json.dumps(asked.options) if asked else "",
        )
