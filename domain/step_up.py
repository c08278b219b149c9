"""Second factors and step-ups: what a person proves themselves with, for which actions, and for how long.

A step-up is a fresh proof that the person at the keyboard is the one who signed in. It is for one class of actions and
for exactly what is decided, and it is used once.
"""

import hashlib
import json
from datetime import datetime, timedelta
from typing import Final, Literal

from pydantic import BaseModel, ConfigDict

from domain.approvals import STAFF
from domain.sign_in_errors import LastFactor

ActionClass = Literal["money", "roles", "personal_data", "keys", "factors", "beneficiary"]
Method = Literal["passkey", "totp", "recovery_code", "password", "mail"]

FRESH: Final = timedelta(minutes=5)
CHALLENGE_VALID: Final = timedelta(minutes=5)
MOST_ATTEMPTS: Final = 8  # wrong proofs within the time below; then the person waits
ATTEMPTS_WITHIN: Final = timedelta(minutes=15)
RECOVERY_CODES: Final = 10

ACTION_WORDS: Final[dict[str, str]] = {
    "money": "moves money",
    "roles": "changes who may do what",
    "personal_data": "gives out personal data",
    "keys": "changes keys",
    "factors": "changes how you sign in",
    "beneficiary": "changes where you are paid",
}


class Held(BaseModel):
    """The factors of a person. `recovery_codes`: those that are not used."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    passkeys: int = 0
    authenticator: bool = False
    recovery_codes: int = 0

    @property
    def any(self) -> bool:
        return self.passkeys > 0 or self.authenticator


def factors_of(held: Held) -> tuple[Method, ...]:
    """Returns what a person with factors can prove themselves with, the strongest first; empty without factors."""
    if not held.any:
        return ()
    found: list[Method] = []
    if held.passkeys:
        found.append("passkey")
    if held.authenticator:
        found.append("totp")
    if held.recovery_codes:
        found.append("recovery_code")
    return tuple(found)


def methods(held: Held, *, role: str, factor_roles: frozenset[str], action: ActionClass) -> tuple[Method, ...]:
    """Returns the ways to prove it, the strongest first. A person without a factor proves by password, unless their
    role needs a factor. Empty: a factor must be added first. The first one needs the link of a mail, since somebody
    else may know the password."""
    if held.any:
        return factors_of(held)
    if action == "factors":
        return ("mail",)
    if role in factor_roles:
        return ()
    return ("password",)


def needs_step_up(action: ActionClass, role: str, *, switched_on: bool) -> bool:
    """Returns whether an action needs a step-up. How people sign in and where traders are paid are guarded always, keys
    for everybody; the rest is the staff's."""
    return action in ("factors", "beneficiary") or (switched_on and (action == "keys" or role in STAFF))


def digest_of(action: ActionClass, **what: str) -> str:
    """Returns the digest of what is decided: sha256 over the class and the named parts, empty ones left out."""
    parts = {name: value for name, value in what.items() if value}
    plain = json.dumps({"v": 1, "action": action, "what": parts}, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(plain.encode()).hexdigest()


def is_fresh(made_at: datetime, now: datetime) -> bool:
    """Returns whether a step-up still counts. Wall times."""
    return now < made_at + FRESH


def check_removal(left: Held, *, role: str, factor_roles: frozenset[str]) -> None:
    """`left`: what the person would have afterwards. Raises LastFactor."""
    if role in factor_roles and not left.any:
        raise LastFactor(
            "This is your last factor, and your role needs one.", remedy="Add another factor, then remove this one."
        )
