"""The proof that comes with a form: made before the form is carried out."""

import json
from typing import Any, Final, Protocol, get_args

from domain.approvals import Actor
from domain.errors import BadInput, TooManyAttempts
from domain.sign_in_errors import ProofRefused, StepUpRequired
from domain.step_up import ActionClass, Method
from front import proving
from front.deps import ApiDeps
from front.proving import Offer

FIELDS: Final = ("proof_action", "proof_digest", "proof_method", "proof_text", "proof_challenge", "proof_credential")


class Fields(Protocol):
    """A form that was sent."""

    def text(self, name: str, default: str = "") -> str: ...


async def prove_first(deps: ApiDeps, actor: Actor, holder: str, form: Fields) -> None:
    """Makes the step-up of a form that carries a proof. Raises StepUpRequired, so that the person can try again."""
    about = form.text("proof_digest")
    if not about:
        return
    action: ActionClass = _one_of(form.text("proof_action"), ActionClass)
    try:
        await proving.step_up(deps, actor, holder, action, about[:64], offer_of(form))
    except (ProofRefused, TooManyAttempts, BadInput) as problem:
        async with deps.db.transaction() as session:
            ways = await proving.ways(session, deps, actor, action)
        words = f"{problem.message} {problem.remedy or ''}".strip()
        raise StepUpRequired(action, about[:64], ways, problem=words) from problem


def offer_of(form: Fields) -> Offer:
    """Raises BadInput or ProofRefused."""
    method: Method = _one_of(form.text("proof_method"), Method)
    text = form.text("proof_credential")
    credential: Any = None
    if text:
        try:
            credential = json.loads(text)
        except ValueError:
            credential = None
        if not isinstance(credential, dict):
            raise ProofRefused("The passkey gave no answer.", remedy="Try again.")
    return Offer(method, form.text("proof_text")[:200], form.text("proof_challenge")[:40], credential)


def _one_of(text: str, kind: Any) -> Any:
    if text not in get_args(kind):
        raise BadInput("This form is not readable.", field="proof", remedy="Go back, reload the page, send it again.")
    return text
