"""A person's own factors: listed, added, renamed and removed. Every change needs a step-up, and is audited. The first
factor needs the link of a mail."""

import json
import secrets
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from sqlalchemy.ext.asyncio import AsyncSession

from domain.approvals import Actor
from domain.errors import BadInput, Conflict
from domain.sign_in_errors import ProofRefused
from domain.step_up import RECOVERY_CODES, Held, check_removal, digest_of
from firm import first_factors
from front import authenticator, passkeys
from front.access import passkeys_work, relying_party
from front.deps import ApiDeps
from front.proving import Asked, require, uses_code
from store import attempts, factors
from store.models import User
from store.read.pages import View

ADD_PASSKEY: Final = "add a passkey"
ADD_APP: Final = "add an authenticator app"
LINK: Final = "link to the identity provider"
UNLINK: Final = "unlink the identity provider"


class PasskeyView(View):
    """`synced`: the authenticator keeps copies of it elsewhere. Wall times."""

    id: str
    name: str
    synced: bool
    added_at: datetime
    last_used_at: datetime | None


class FactorsView(View):
    """`needed`: the role needs a factor. `passkeys_work`: the firm is reached at a host name."""

    passkeys: tuple[PasskeyView, ...]
    authenticator: bool
    recovery_codes: int
    needed: bool
    passkeys_work: bool


class NewAuthenticator(View):
    """What the app needs: as a text to type, and as the address in the picture."""

    secret: str
    address: str


class RecoveryCodes(View):
    """Shown once."""

    codes: tuple[str, ...]


@dataclass(frozen=True)
class Own:
    """A person in a session who changes their own factors. `key`: of the request, for the step-up that it uses."""

    deps: ApiDeps
    actor: Actor
    holder: str
    key: str

    async def listed(self) -> FactorsView:
        async with self.deps.db.transaction() as session:
            held = await factors.held(session, self.actor.user_id)
            rows = await factors.passkeys(session, self.actor.user_id)
            return FactorsView(
                passkeys=tuple(
                    PasskeyView(
                        id=each.id,
                        name=each.name,
                        synced=each.backed_up,
                        added_at=each.created_at,
                        last_used_at=each.last_used_at,
                    )
                    for each in rows
                ),
                authenticator=held.authenticator,
                recovery_codes=held.recovery_codes,
                needed=self.actor.role in self.deps.access.factor_roles,
                passkeys_work=passkeys_work(self.deps.access, self.deps.public_url),
            )

    async def mail_link(self) -> None:
        """Mails the link that proves it for the first factor. Raises Conflict, EmailUnconfirmed, BadInput,
        TooManyAttempts."""
        terms, counter = self.deps.sign_ins, attempts.key_of("first-factor", self.actor.user_id)
        await attempts.count(self.deps.db, counter, terms.mails, refusal="We sent you several mails already.")
        async with self.deps.db.transaction() as session:
            await first_factors.mail_link(session, user_id=self.actor.user_id, site=self.deps.public_url, terms=terms)

    async def prove(self, do: str) -> None:
        """Uses a step-up for another change of how this person signs in. Raises StepUpRequired."""
        async with self.deps.db.transaction() as session:
            await self._proven(session, do)

    async def begin_passkey(self) -> Asked:
        """Asks for a new passkey. Raises StepUpRequired, or Unavailable where passkeys cannot work."""
        party, challenge = relying_party(self.deps.access, self.deps.public_url), secrets.token_bytes(32)
        async with self.deps.db.transaction() as session:
            user = await self._proven(session, ADD_PASSKEY)
            known = list(await factors.passkeys(session, user.id))
            made = await factors.challenge(session, "register", self.holder, "", challenge)
        options = passkeys.registration_options(
            party, user_id=user.id, login=user.login, name=user.name, known=known, challenge=challenge
        )
        return Asked(made, options)

    async def add_passkey(self, challenge_id: str, name: str, credential: dict[str, Any]) -> str:
        """Returns the id of the new passkey. The challenge carries the step-up. Raises ProofRefused or Conflict."""
        party = relying_party(self.deps.access, self.deps.public_url)
        async with self.deps.db.transaction() as session:
            challenge = await factors.take_challenge(session, challenge_id, purpose="register", holder=self.holder)
        if challenge is None:
            raise Conflict("This passkey was asked for too long ago, or was added already.", remedy="Start again.")
        found = passkeys.registered(party, credential, challenge)
        async with self.deps.db.transaction() as session:
            row = await factors.add_passkey(
                session,
                self.actor.user_id,
                name=name,
                credential_id=found.credential_id,
                public_key=found.public_key,
                sign_count=found.sign_count,
                backed_up=found.backed_up,
                transports=found.transports,
            )
            if row is None:
                raise Conflict("This passkey is registered already.")
            await factors.note(session, self.actor.user_id, "factor.passkey_added", passkey=row.id)
            return row.id

    async def rename_passkey(self, passkey_id: str, name: str) -> None:
        """Raises NotFound."""
        async with self.deps.db.transaction() as session:
            (await factors.passkey(session, self.actor.user_id, passkey_id)).name = name

    async def remove_passkey(self, passkey_id: str) -> None:
        """Raises NotFound, LastFactor or StepUpRequired."""
        async with self.deps.db.transaction() as session:
            row = await factors.passkey(session, self.actor.user_id, passkey_id)
            await factors.lock_user(session, self.actor.user_id)
            held = await factors.held(session, self.actor.user_id)
            left = held.model_copy(update={"passkeys": held.passkeys - 1})
            self._check_left(left)
            await self._proven(session, "remove a passkey", passkey_id)
            await session.delete(row)
            await self._clean(session, left)
            await factors.note(session, self.actor.user_id, "factor.passkey_removed", passkey=passkey_id)

    async def begin_authenticator(self) -> NewAuthenticator:
        """Makes a secret for an authenticator app, which counts once its first code was right. Raises StepUpRequired,
        or Conflict when there is one already."""
        secret = authenticator.new_secret()
        async with self.deps.db.transaction() as session:
            if (await factors.held(session, self.actor.user_id)).authenticator:
                raise Conflict("You have an authenticator app already.", remedy="Remove it first.")
            user = await self._proven(session, ADD_APP)
            await factors.begin_authenticator(session, user.id, secret)
            return NewAuthenticator(secret=secret, address=authenticator.address(secret, user.login))

    async def confirm_authenticator(self, code: str) -> RecoveryCodes:
        """The first code makes the app count; returns new recovery codes. Raises BadInput or TooManyAttempts."""
        async with self.deps.db.transaction() as session:
            await factors.count_attempt(session, self.actor.user_id)
        async with self.deps.db.transaction() as session:
            if not await uses_code(session, self.actor.user_id, code, confirmed=False):
                raise BadInput("This code is wrong.", field="code", remedy="Type the code that the app shows now.")
            row = await factors.authenticator(session, self.actor.user_id)
            assert row is not None
            row.confirmed_at = datetime.now(UTC)
            await factors.forget_attempts(session, self.actor.user_id)
            await factors.note(session, self.actor.user_id, "factor.authenticator_added")
            return await self._new_codes(session)

    async def remove_authenticator(self) -> None:
        """Raises LastFactor or StepUpRequired."""
        async with self.deps.db.transaction() as session:
            await factors.lock_user(session, self.actor.user_id)
            row = await factors.authenticator(session, self.actor.user_id)
            if row is None:
                return
            left = (await factors.held(session, self.actor.user_id)).model_copy(update={"authenticator": False})
            self._check_left(left)
            await self._proven(session, "remove the authenticator app")
            await session.delete(row)
            await self._clean(session, left)
            await factors.note(session, self.actor.user_id, "factor.authenticator_removed")

    async def renew_recovery_codes(self) -> RecoveryCodes:
        """Ten new codes in the place of the old ones. Raises Conflict without a factor, or StepUpRequired."""
        async with self.deps.db.transaction() as session:
            if not (await factors.held(session, self.actor.user_id)).any:
                raise Conflict("Recovery codes replace a lost factor, and you have none.", remedy="Add a factor first.")
            await self._proven(session, "make new recovery codes")
            await factors.note(session, self.actor.user_id, "factor.recovery_codes_made")
            return await self._new_codes(session)

    def _check_left(self, left: Held) -> None:
        check_removal(left, role=self.actor.role, factor_roles=self.deps.access.factor_roles)

    async def _new_codes(self, session: AsyncSession) -> RecoveryCodes:
        codes = authenticator.new_recovery_codes(RECOVERY_CODES)
        await factors.replace_recovery_codes(session, self.actor.user_id, codes)
        return RecoveryCodes(codes=tuple(codes))

    async def _clean(self, session: AsyncSession, left: Held) -> None:
        """Recovery codes without a factor are worth nothing."""
        if not left.any:
            await factors.replace_recovery_codes(session, self.actor.user_id, [])

    def about(self, do: str, which: str = "") -> str:
        """Returns the digest of what is to be proven."""
        return digest_of("factors", do=do, which=which, user=self.actor.user_id)

    async def _proven(self, session: AsyncSession, do: str, which: str = "") -> User:
        about = self.about(do, which)
        await require(session, self.deps, self.actor, holder=self.holder, action="factors", about=about, key=self.key)
        return await factors.lock_user(session, self.actor.user_id)


def read_credential(text: str) -> dict[str, Any]:
    """The answer of a passkey in a form. Raises ProofRefused."""
    try:
        found = json.loads(text)
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise ProofRefused("The passkey gave no answer.", remedy="Try again.")
    return found
